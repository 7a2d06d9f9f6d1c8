//! The JWT blocks of Medplum's page "Connecting to External FHIR Servers", run by a shell as they are printed: only
//! host and placeholders differ, and the line continuations that the page forgot are there.

use serde_json::json;

use crate::support::assertions::Client;
use crate::support::backend::KID;
use crate::support::keys::{key, public_jwk};
use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::{Backend, Run};

const JWT_BEARER: &str = r#"
medplum profile set example \
    --auth-type "jwt-bearer" \
    --base-url "https://api.example.com" \
    --fhir-url-path "fhir/R4" \
    --token-url "/oauth2/token" \
    --client-id "MY_CLIENT_ID" \
    --client-secret "MY_CLIENT_SECRET" \
    --scope "openid profile" \
    --audience "/oauth2/token" \
    --subject "john_doe" \
    --issuer "api.example.com"
"#;

const JWT_ASSERTION: &str = r#"
medplum profile set example \
    --auth-type "jwt-assertion" \
    --base-url "https://api.example.com" \
    --fhir-url-path "fhir/R4" \
    --token-url "/oauth2/token" \
    --client-id "MY_CLIENT_ID" \
    --audience "/oauth2/token" \
    --subject "john_doe" \
    --private-key-path "/path/to/privatekey.pem"
"#;

const LOGIN_JWT_BEARER: &str = r#"
medplum login \
    --profile "example" \
    --auth-type "jwt-bearer" \
    --base-url "https://api.example.com" \
    --fhir-url-path "fhir/R4" \
    --token-url "/oauth2/token" \
    --client-id "MY_CLIENT_ID" \
    --client-secret "MY_CLIENT_SECRET" \
    --scope "openid profile" \
    --audience "/oauth2/token" \
    --subject "john_doe" \
    --issuer "api.example.com"
"#;

/// The page's server for jwt-bearer.
fn bearer() -> Backend {
    Backend::of(Client {
        id: CLIENT_ID.to_owned(),
        secret: Some(CLIENT_SECRET.to_owned()),
        user: Some(("api.example.com".to_owned(), "john_doe".to_owned())),
        scope: Some("profile"),
        ..Client::default()
    })
}

#[track_caller]
fn paste(site: &Backend, block: &str) -> Run {
    let block = block
        .replace("https://api.example.com", &site.server.url(""))
        .replace("/path/to/privatekey.pem", &key("rsa-pkcs1.pem"));
    site.medplum.shell(&block).ok()
}

#[track_caller]
fn reads_a_patient(site: &Backend) {
    let run = site.medplum.run(["get", "-p", "example", "Patient/1"]);
    assert_eq!(site.tokens.reasons(), [""; 0], "{run}");
    assert_eq!(run.ok().json()["id"], "1");
}

#[test]
fn profile_jwt_bearer() {
    let site = bearer();
    paste(&site, JWT_BEARER).prints("");
    assert_eq!(site.server.lines(), [""; 0]);
    let options = site.medplum.options("example");
    assert_eq!(options["audience"], "/oauth2/token");
    assert_eq!(options["issuer"], "api.example.com");
    paste(&site, "medplum login --profile example").prints("");
    reads_a_patient(&site);
    assert_eq!(site.tokens.assertions().len(), 1);
}

#[test]
fn login_jwt_bearer() {
    let site = bearer();
    paste(&site, LOGIN_JWT_BEARER).prints("");
    assert_eq!(site.tokens.assertions().len(), 1);
    assert_eq!(site.medplum.options("example")["subject"], "john_doe");
    assert_eq!(
        site.medplum.stored("example", "activeLogin")["accessToken"],
        "token-1"
    );
    reads_a_patient(&site);
    site.medplum.age_tokens("example", 300);
    reads_a_patient(&site);
    assert_eq!(site.tokens.assertions().len(), 2);
}

#[test]
fn profile_jwt_assertion() {
    let mut registered = public_jwk("rsa.jwk", KID);
    // Without --key-id the server knows the key by its thumbprint.
    let shown = crate::support::Medplum::new().run(["keys", "show", &key("rsa-pkcs1.pem")]);
    registered["kid"] = shown.ok().json()["thumbprint"].clone();
    let site = Backend::of(Client {
        id: CLIENT_ID.to_owned(),
        keys: json!({"keys": [registered]}),
        ..Client::default()
    });
    paste(&site, JWT_ASSERTION).prints("");
    assert_eq!(
        site.medplum.options("example")["privateKeyPath"],
        key("rsa-pkcs1.pem")
    );
    paste(&site, "medplum login --profile example")
        .prints("")
        .says("john_doe is not sent");
    reads_a_patient(&site);
    assert_eq!(site.tokens.assertion().claims["sub"], CLIENT_ID);
}
