//! The command blocks of Medplum's page "Connecting to External FHIR Servers", run by a shell as they are printed.
//! Only hosts, placeholders and line continuations differ. (The bulk export blocks are in `export*.rs`.)

use serde_json::json;

use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET, basic};
use crate::support::{Answer, Medplum, Run, Server, Site};

/// Runs a block with the page's placeholder host replaced by a test server.
#[track_caller]
fn paste(medplum: &Medplum, block: &str, server: &Server) -> Run {
    let host = server.url("");
    medplum
        .shell(
            &block
                .replace("https://api.example.com", &host)
                .replace("https://sandbox.bcda.cms.gov", &host),
        )
        .ok()
}

const BASIC: &str = r#"
medplum profile set example \
    --auth-type "basic" \
    --base-url "https://api.example.com" \
    --fhir-url-path "fhir/R4" \
    --client-id "MY_CLIENT_ID" \
    --client-secret "MY_CLIENT_SECRET"
"#;

const CLIENT_CREDENTIALS: &str = r#"
medplum profile set example \
    --auth-type "client-credentials" \
    --base-url "https://api.example.com" \
    --fhir-url-path "fhir/R4" \
    --token-url "oauth2/token" \
    --client-id "MY_CLIENT_ID" \
    --client-secret "MY_CLIENT_SECRET"
"#;

const BCDA: &str = "medplum profile set bcda-sandbox --base-url https://sandbox.bcda.cms.gov --fhir-url-path api/v2/ \
    --token-url https://sandbox.bcda.cms.gov/auth/token --client-id MY_CLIENT_ID --client-secret MY_CLIENT_SECRET";

const SEARCH: &str = "medplum get -p example 'Patient?identifier:contains=3SH0A00AA00'";

const ENCOUNTER: &str = r#"{"resourceType": "Encounter", "status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "type": [{"coding": [{"system": "http://snomed.info/sct", "code": "162673000", "display": "General examination of patient (procedure)"}], "text": "General examination of patient (procedure)"}], "subject": {"reference": "Patient/13e44a47-636b-49e2-adb3-9f19c7e0e47a", "display": "Mr. Dustin31 Ritchie586"}}"#;

/// A site whose user pasted the client credentials block.
fn site() -> Site {
    let site = Site::without_profile();
    paste(&site.medplum, CLIENT_CREDENTIALS, &site.server).prints("");
    site
}

#[test]
fn profile_syntax() {
    let block = r"
medplum profile set <profileName> \
    --auth-type <auth-type> \
    --base-url <base-url> \
    --fhir-url-path <fhir-url-path> \
    --token-url <token-url> \
    --client-id <client-id> \
    --client-secret <client-secret>
";
    let server = Server::start();
    let medplum = Medplum::new();
    let filled = block
        .replace("<profileName>", "mine")
        .replace("<auth-type>", "client-credentials")
        .replace("<base-url>", "https://api.example.com")
        .replace("<fhir-url-path>", "fhir/R4")
        .replace("<token-url>", "oauth2/token")
        .replace("<client-id>", "MY_CLIENT_ID")
        .replace("<client-secret>", "MY_CLIENT_SECRET");
    paste(&medplum, &filled, &server).prints("");
    assert_eq!(medplum.options("mine")["authType"], "client-credentials");
    assert_eq!(server.lines(), [""; 0]);
}

#[test]
fn profile_basic_auth() {
    let server = Server::start();
    server.on(
        "GET",
        "/fhir/R4/Patient",
        Answer::json(200, r#"{"resourceType":"Bundle"}"#),
    );
    let medplum = Medplum::new();
    paste(&medplum, BASIC, &server).prints("");
    paste(&medplum, SEARCH, &server).prints("{\n  \"resourceType\": \"Bundle\"\n}\n");
    let request = server.request_to("/fhir/R4/Patient");
    let client = basic(request.header("Authorization").unwrap());
    assert_eq!(
        client,
        Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned()))
    );
    assert_eq!(
        server.lines(),
        ["GET /fhir/R4/Patient?identifier:contains=3SH0A00AA00"]
    );
}

#[test]
fn profile_client_credentials() {
    let site = site();
    paste(
        &site.medplum,
        "medplum login --profile example",
        &site.server,
    );
    assert_eq!(site.server.lines(), ["POST /oauth2/token"]);
    assert_eq!(
        site.medplum.stored("example", "activeLogin")["accessToken"],
        "token-1"
    );
}

#[test]
fn profile_describe_remove_and_list() {
    let site = site();
    let described = paste(
        &site.medplum,
        "medplum profile describe example",
        &site.server,
    )
    .json();
    assert_eq!(described["fhirUrlPath"], "fhir/R4");
    assert_eq!(described["clientSecret"], "********");
    let listed = paste(&site.medplum, "medplum profile list", &site.server).json();
    assert_eq!(listed[0]["name"], "example");
    paste(
        &site.medplum,
        "medplum profile remove example",
        &site.server,
    )
    .prints("example profile removed\n");
    assert_eq!(site.server.lines(), [""; 0]);
}

#[test]
fn login_with_all_flags_and_a_profile() {
    let site = Site::without_profile();
    let block = CLIENT_CREDENTIALS.replace("profile set example", "login --profile \"example\"");
    paste(&site.medplum, &block, &site.server);
    assert_eq!(
        (
            site.tokens.count(),
            &site.medplum.options("example")["tokenUrl"]
        ),
        (1, &json!("oauth2/token"))
    );
}

#[test]
fn basic_search() {
    let site = site();
    let bundle = r#"{"resourceType":"Bundle","type":"searchset","total":0}"#;
    site.server
        .on("GET", "/fhir/R4/Patient", Answer::json(200, bundle));
    let shown =
        "{\n  \"resourceType\": \"Bundle\",\n  \"type\": \"searchset\",\n  \"total\": 0\n}\n";
    paste(&site.medplum, SEARCH, &site.server).prints(shown);
    let lines = [
        "POST /oauth2/token",
        "GET /fhir/R4/Patient?identifier:contains=3SH0A00AA00",
    ];
    assert_eq!(site.server.lines(), lines);
    let request = site.server.request_to("/fhir/R4/Patient");
    assert_eq!(request.header("Authorization"), Some("Bearer token-1"));
}

#[test]
fn create_encounter() {
    let site = site();
    let created = ENCOUNTER.replacen('{', r#"{"id": "e1", "#, 1);
    site.server.on(
        "POST",
        "/fhir/R4/Encounter",
        Answer::json(201, &created).header("Location", "Encounter/e1"),
    );
    // The page has two spaces before `Encounter`.
    let block = format!("medplum post -p example  Encounter '{ENCOUNTER}'");
    let run = paste(&site.medplum, &block, &site.server);
    assert_eq!(
        run.json(),
        serde_json::from_str::<serde_json::Value>(&created).unwrap()
    );
    assert!(
        run.stdout
            .starts_with("{\n  \"id\": \"e1\",\n  \"resourceType\": \"Encounter\",\n"),
        "{run}"
    );
    let request = site.server.request_to("/fhir/R4/Encounter");
    assert_eq!(request.text(), ENCOUNTER);
    assert_eq!(request.json()["type"][0]["coding"][0]["code"], "162673000");
    assert_eq!(
        request.header("Content-Type"),
        Some("application/fhir+json")
    );
    assert_eq!(
        site.server.lines(),
        ["POST /oauth2/token", "POST /fhir/R4/Encounter"]
    );
}

#[test]
fn profile_bcda() {
    let server = Server::start();
    let medplum = Medplum::new();
    paste(&medplum, BCDA, &server).prints("");
    let host = server.url("");
    assert_eq!(
        medplum.options("bcda-sandbox"),
        json!({"name": "bcda-sandbox", "baseUrl": host, "fhirUrlPath": "api/v2/", "tokenUrl": format!("{host}/auth/token"),
            "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET})
    );
    assert_eq!(server.lines(), [""; 0]);
}
