//! Assertions that are for one server, and token endpoints that another one names.

use serde_json::json;

use crate::support::keys::key;
use crate::support::{Answer, Medplum, Server};

const TOKEN: &str = r#"{"access_token":"t-1234567890","token_type":"Bearer","expires_in":3600}"#;
const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// A server with a token endpoint, which takes all that comes.
fn taker() -> Server {
    let server = Server::start();
    server.on("POST", "/oauth2/token", Answer::json(200, TOKEN));
    server
}

/// A hostile FHIR server names its own token endpoint, and got an assertion that is good at the identity provider.
#[test]
fn a_fhir_server_gets_no_assertion_for_the_identity_provider_by_naming_its_own_token_endpoint() {
    let bearer = ["--subject", "somebody", "--issuer", "me"];
    for (auth_type, more) in [("jwt-assertion", &[][..]), ("jwt-bearer", &bearer[..])] {
        let (fhir, idp) = (taker(), taker());
        let (token, audience) = (fhir.url("/oauth2/token"), idp.url("/oauth2/token"));
        let document = json!({"token_endpoint": token, "issuer": idp.url("")});
        fhir.on("GET", SMART, Answer::json(200, document.to_string()));
        let (medplum, base, private_key) = (Medplum::new(), fhir.url("/"), key("p256-pkcs8.pem"));
        let set = [
            "profile",
            "set",
            "x",
            "--base-url",
            &base,
            "--client-id",
            "me",
        ];
        let by_key = ["--auth-type", auth_type, "--private-key-path", &private_key];
        medplum.run([&set[..], &by_key[..], more].concat()).ok();
        let login = ["login", "-p", "x", "--audience", &audience];
        let run = medplum.run(login).fails(3).says(&format!("aud {audience}"));
        let _ = run.says(&format!("--token-url {token}"));
        assert_eq!(fhir.requests_to(SMART).len(), 1);
        assert_eq!(fhir.requests_to("/oauth2/token").len(), 0);
        // Stored it is no better.
        let update = ["profile", "set", "x", "--update", "--audience", &audience];
        medplum.run(update).ok();
        medplum.run(["login", "-p", "x"]).fails(3);
        assert_eq!(fhir.requests_to("/oauth2/token").len(), 0);
        // Who means it says so, and an issuer speaks for itself.
        medplum
            .run([&login[..], &["--token-url", &token]].concat())
            .ok();
        assert_eq!(fhir.requests_to("/oauth2/token").len(), 1);
    }
}

/// A gateway before an identity provider that says itself where its token endpoint is.
#[test]
fn an_audience_whose_own_document_names_the_token_endpoint_is_signed_for() {
    let (fhir, idp) = (taker(), taker());
    let (token, audience) = (fhir.url("/oauth2/token"), idp.url(""));
    let document = json!({"token_endpoint": token, "issuer": audience});
    fhir.on("GET", SMART, Answer::json(200, document.to_string()));
    let own = "/.well-known/openid-configuration";
    idp.on("GET", own, Answer::json(200, document.to_string()));
    let (base, private_key) = (fhir.url("/"), key("p256-pkcs8.pem"));
    let medplum = Medplum::new();
    let set = [
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--client-id",
        "me",
    ];
    let by_key = ["--private-key-path", &private_key, "--audience", &audience];
    medplum.run([&set[..], &by_key[..]].concat()).ok();
    medplum.run(["login", "-p", "x"]).ok();
    assert_eq!(fhir.requests_to("/oauth2/token").len(), 1);
}
