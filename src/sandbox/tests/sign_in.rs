//! Tokens, and how to find where they are.

use std::time::Duration;

use serde_json::json;

use super::super::Options;
use super::{FORM, Server, header, json_of};

#[tokio::test]
async fn a_client_gets_a_token_with_its_secret_in_one_place() {
    let server = Server::start(Options {
        patients: 1,
        token_lifetime: Duration::from_secs(2),
        ..Options::default()
    })
    .await;
    let secret = "client_id=demo-client&client_secret=demo-secret";
    let granted = server
        .token(
            "oauth2/token",
            &format!("grant_type=client_credentials&scope=system/*.read&{secret}"),
        )
        .await;
    assert_eq!(header(&granted, "cache-control"), "no-store");
    let granted = json_of(granted).await;
    assert_eq!(
        (&granted["scope"], &granted["expires_in"]),
        (&json!("system/*.read"), &json!(2))
    );
    let read = || {
        server
            .bare("GET", "Patient")
            .bearer_auth(granted["access_token"].as_str().unwrap())
            .send()
    };
    assert_eq!(read().await.unwrap().status(), 200);
    while read().await.unwrap().status() != 401 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (form, status, code) in [
        (
            "grant_type=client_credentials&client_id=demo-client&client_secret=x",
            401,
            "invalid_client",
        ),
        ("grant_type=client_credentials", 401, "invalid_client"),
        (
            "grant_type=password&client_id=demo-client&client_secret=demo-secret",
            400,
            "unsupported_grant_type",
        ),
        ("client_id=demo-client", 400, "invalid_request"),
        ("grant_type=a&grant_type=a", 400, "invalid_request"),
    ] {
        let refused = server.token("oauth2/token", form).await;
        assert_eq!(refused.status().as_u16(), status, "{form}");
        assert!(status != 401 || header(&refused, "www-authenticate").starts_with("Basic"));
        assert_eq!(json_of(refused).await["error"], code, "{form}");
    }
    let url = format!("{}oauth2/token", server.sandbox.base_url());
    let both = server
        .ask("POST", &url)
        .header("content-type", FORM)
        .body(format!("grant_type=client_credentials&{secret}"));
    assert_eq!(
        json_of(both.send().await.unwrap()).await["error"],
        "invalid_request"
    );
    let bcda = server.ask("POST", &format!("{}auth/token", server.sandbox.base_url()));
    assert_eq!(json_of(bcda.send().await.unwrap()).await["expires_in"], "2");
}

#[tokio::test]
async fn an_assertion_signed_with_the_secret_gets_a_token() {
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    let server = Server::start(Options {
        patients: 0,
        ..Options::default()
    })
    .await;
    let ask = async |secret: &str, aud: String, seconds: u64| {
        let claims = json!({"iss": "api.example.com", "sub": "john_doe", "aud": aud, "exp": get_current_timestamp() + seconds});
        let assertion = encode(
            &Header::default(),
            &claims,
            &EncodingKey::from_secret(secret.as_bytes()),
        )
        .unwrap();
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&client_id=demo-client&assertion={assertion}"
        );
        server.token("oauth2/token", &form).await.status().as_u16()
    };
    let aud = || format!("{}oauth2/token", server.sandbox.base_url());
    assert_eq!(ask("demo-secret", aud(), 240).await, 200);
    assert_eq!(ask("other-secret", aud(), 240).await, 400);
    assert_eq!(
        ask("demo-secret", "http://other/oauth2/token".into(), 240).await,
        400
    );
    assert_eq!(ask("demo-secret", aud(), 7 * 24 * 3600).await, 400);
}

#[tokio::test]
async fn discovery_needs_no_token_and_names_the_host_as_the_client_does() {
    let server = Server::small().await;
    let statement = json_of(server.bare("GET", "metadata").send().await.unwrap()).await;
    assert!(
        statement.to_string().contains("oauth-uris")
            && statement.to_string().contains("group-export")
    );
    let port = server
        .sandbox
        .base_url()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let request = server.bare("GET", ".well-known/smart-configuration");
    let request = request.header("host", format!("localhost:{}", port.trim_end_matches('/')));
    let configuration = json_of(request.send().await.unwrap()).await;
    assert_eq!(
        configuration["token_endpoint"],
        format!("http://localhost:{port}oauth2/token")
    );
}
