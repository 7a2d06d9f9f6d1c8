//! One short recipe for each vendor, run against a server with that vendor's quirks; only the host is another one.

use serde_json::{Value, json};

use crate::support::assertions::{Assertions, Client};
use crate::support::fhir::{PATIENT, protect};
use crate::support::keys::key;
use crate::support::{Answer, Medplum, Run, Server};

/// Runs a recipe with hosts replaced.
#[track_caller]
fn paste(medplum: &Medplum, recipe: &str, hosts: &[(&str, &Server)]) -> Run {
    let mut line = recipe.to_owned();
    for (host, server) in hosts {
        line = line.replace(host, &server.url(""));
    }
    medplum.shell(&line).ok()
}

/// The JWKS that a vendor's form gets.
fn registered(medplum: &Medplum, file: &str) -> Value {
    medplum.run(["keys", "jwks", file]).ok().json()
}

fn guard(server: &Server, base: &str, tokens: &Assertions) {
    let tokens = tokens.clone();
    protect(server, base, move |header| tokens.accepts(header));
}

const EPIC: &str = "
medplum keys generate --out epic.pem
medplum profile set epic --auth-type jwt-assertion \\
    --base-url https://fhir.epic.com/interconnect-fhir-oauth --fhir-url-path api/FHIR/R4 \\
    --token-url oauth2/token --client-id my-client-id --private-key-path epic.pem
";

/// RS384 alone, kid needed, aud word for word, no scope, one refusal too many, and a refusal without words.
#[test]
fn epic() {
    let (server, medplum) = (Server::start(), Medplum::new());
    let hosts = [("https://fhir.epic.com", &server)];
    paste(&medplum, EPIC, &hosts);
    let token_path = "/interconnect-fhir-oauth/oauth2/token";
    let refusal = r#"{"error":"invalid_client","error_description":null}"#;
    let tokens = Assertions::on(
        &server,
        token_path,
        Client {
            id: "my-client-id".to_owned(),
            keys: registered(&medplum, "epic.pem"),
            algorithms: vec!["RS384"],
            refusal: Some(refusal),
            ..Client::default()
        },
    );
    let fhir = "/interconnect-fhir-oauth/api/FHIR/R4";
    guard(&server, fhir, &tokens);
    server.on(
        "GET",
        &format!("{fhir}/Patient/1"),
        Answer::json(200, PATIENT),
    );
    tokens.fail_next([Answer::new(400, "application/json", refusal)]);
    paste(&medplum, "medplum get -p epic Patient/1", &hosts);
    assert_eq!(tokens.reasons(), [""; 0]);
    // A proxied site knows its token URL by another name.
    let audience = [
        "get",
        "-p",
        "epic",
        "Patient/1",
        "--audience",
        "https://wrong.example/token",
    ];
    let run = medplum
        .run(audience)
        .fails(3)
        .says("aud https://wrong.example/token");
    run.says("--audience");
}

const ORACLE_HEALTH: &str = "
medplum profile set oracle --auth-type jwt-assertion \\
    --base-url https://fhir-ehr-code.cerner.com --fhir-url-path r4/ec2458f2-1e24-41c8-b71b-0e701af7583d \\
    --client-id my-client-id --private-key-path oracle.jwk --scope 'system/Patient.read system/Group.read'
";

/// Discovery below the tenant alone, a token endpoint on another host, scopes needed, Accept must say FHIR JSON.
#[test]
fn oracle_health() {
    let (server, authorization, medplum) = (Server::start(), Server::start(), Medplum::new());
    let hosts = [("https://fhir-ehr-code.cerner.com", &server)];
    let tenant = "ec2458f2-1e24-41c8-b71b-0e701af7583d";
    paste(
        &medplum,
        "medplum keys generate --alg ES384 --out oracle.jwk",
        &hosts,
    );
    paste(&medplum, ORACLE_HEALTH, &hosts);
    let token_path = format!("/tenants/{tenant}/protocols/oauth2/profiles/smart-v1/token");
    let tokens = Assertions::on(
        &authorization,
        &token_path,
        Client {
            id: "my-client-id".to_owned(),
            keys: registered(&medplum, "oracle.jwk"),
            algorithms: vec!["RS384", "ES384"],
            scope: Some("system/Patient.read"),
            ..Client::default()
        },
    );
    let fhir = format!("/r4/{tenant}");
    server.handler(|_| Some(Answer::empty(502)));
    let endpoints = json!({"token_endpoint": authorization.url(&token_path), "capabilities": []});
    server.on(
        "GET",
        &format!("{fhir}/.well-known/smart-configuration"),
        Answer::new(200, "application/json", endpoints.to_string()),
    );
    server.on(
        "GET",
        &format!("{fhir}/Patient/1"),
        Answer::json(200, PATIENT),
    );
    guard(&server, &fhir, &tokens);
    server.guard(|request| {
        let accept = request.header("Accept").unwrap_or_default();
        let is_data = request.path().contains("/Patient");
        (is_data && !accept.starts_with("application/fhir+json")).then(|| Answer::empty(406))
    });
    paste(&medplum, "medplum get -p oracle Patient/1", &hosts);
    assert_eq!(tokens.reasons(), [""; 0]);
    assert_eq!(tokens.assertion().header["alg"], "ES384");
    let claims = tokens.assertion().claims;
    assert_eq!(claims["aud"], authorization.url(&token_path));
}

/// The system account: id and secret in the Basic header, and the same discovery.
#[test]
fn oracle_health_system_account() {
    let (server, authorization, medplum) = (Server::start(), Server::start(), Medplum::new());
    let tokens = crate::support::TokenEndpoint::on(&authorization, "/token").client("id", "secret");
    let endpoints = json!({"token_endpoint": authorization.url("/token")}).to_string();
    let path = "/r4/tenant/.well-known/smart-configuration";
    server.on("GET", path, Answer::new(200, "application/json", endpoints));
    server.on("GET", "/r4/tenant/Patient/1", Answer::json(200, PATIENT));
    let recipe = "medplum profile set oracle --auth-type client-credentials \
        --base-url https://fhir-ehr-code.cerner.com --fhir-url-path r4/tenant \
        --client-id id --client-secret secret --scope system/Patient.read
        medplum get -p oracle Patient/1";
    paste(
        &medplum,
        recipe,
        &[("https://fhir-ehr-code.cerner.com", &server)],
    );
    let request = &tokens.requests()[0];
    assert!(request.header("Authorization").is_some());
    assert!(request.text().contains("scope=system%2FPatient.read"));
}

const ECLINICALWORKS: &str = "
medplum profile set ecw --auth-type jwt-assertion \\
    --base-url https://staging-fhir.ecwcloud.com --fhir-url-path fhir/r4/JAFJCD \\
    --client-id my-client-id --private-key-path ecw.pem --key-id my-key-1 \\
    --jku https://example.com/jwks.json --scope 'system/Patient.read system/Group.read'
";

/// RS384 with kid and the registered JWKS URL; the endpoints stand in the CapabilityStatement alone.
#[test]
fn eclinicalworks() {
    let (server, oauth, medplum) = (Server::start(), Server::start(), Medplum::new());
    let hosts = [("https://staging-fhir.ecwcloud.com", &server)];
    std::fs::copy(key("rsa-pkcs8.pem"), medplum.path("ecw.pem")).unwrap();
    paste(&medplum, ECLINICALWORKS, &hosts);
    let published = medplum.run(["keys", "jwks", "ecw.pem", "--key-id", "my-key-1"]);
    let tokens = Assertions::on(
        &oauth,
        "/oauth/oauth2/token",
        Client {
            id: "my-client-id".to_owned(),
            keys: published.ok().json(),
            algorithms: vec!["RS384"],
            key_url: Some("https://example.com/jwks.json".to_owned()),
            scope: Some("system/Group.read"),
            ..Client::default()
        },
    );
    let fhir = "/fhir/r4/JAFJCD";
    let uris = json!({
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [
            {"url": "token", "valueUri": oauth.url("/oauth/oauth2/token")},
            {"url": "authorize", "valueUri": oauth.url("/oauth/oauth2/authorize")},
        ],
    });
    let statement = json!({"resourceType": "CapabilityStatement", "rest": [{"security": {"extension": [uris]}}]});
    server.on(
        "GET",
        &format!("{fhir}/metadata"),
        Answer::json(200, statement.to_string()),
    );
    server.on(
        "GET",
        &format!("{fhir}/Patient/1"),
        Answer::json(200, PATIENT),
    );
    guard(&server, fhir, &tokens);
    paste(&medplum, "medplum get -p ecw Patient/1", &hosts);
    assert_eq!(tokens.reasons(), [""; 0]);
    assert_eq!(
        tokens.assertion().header["jku"],
        "https://example.com/jwks.json"
    );
}

const HEALTH_GORILLA: &str = "
medplum profile set gorilla --auth-type jwt-bearer \\
    --base-url https://sandbox.healthgorilla.com --fhir-url-path fhir/R4 --token-url oauth/token \\
    --client-id my-client-id --client-secret my-client-secret \\
    --issuer https://my-organisation.example --subject my-user-login --scope 'user/*.*'
";

/// The jwt-bearer grant: HS256 with the client secret, a plain URL as issuer, the user's login as subject.
#[test]
fn health_gorilla() {
    let (server, medplum) = (Server::start(), Medplum::new());
    let hosts = [("https://sandbox.healthgorilla.com", &server)];
    paste(&medplum, HEALTH_GORILLA, &hosts);
    let user = (
        "https://my-organisation.example".to_owned(),
        "my-user-login".to_owned(),
    );
    let tokens = Assertions::on(
        &server,
        "/oauth/token",
        Client {
            id: "my-client-id".to_owned(),
            secret: Some("my-client-secret".to_owned()),
            user: Some(user),
            algorithms: vec!["HS256"],
            scope: Some("user/*.*"),
            ..Client::default()
        },
    );
    guard(&server, "/fhir/R4", &tokens);
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, PATIENT));
    paste(&medplum, "medplum get -p gorilla Patient/1", &hosts);
    assert_eq!(tokens.reasons(), [""; 0]);
    assert!(tokens.assertion().claims["iat"].is_i64());
}
