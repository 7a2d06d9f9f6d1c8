//! Proving who the client is: each auth type as the server sees it, and where the token endpoint is found.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::{Answer, Medplum, Request, Server, Site, TokenEndpoint};

const PATIENT: &str = "/fhir/R4/Patient/1";

/// `base64(id:secret)` of the docs page's client.
fn basic_header() -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"))
    )
}

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn authorizations(requests: &[Request]) -> Vec<Option<&str>> {
    requests
        .iter()
        .map(|request| request.header("Authorization"))
        .collect()
}

#[test]
fn without_any_credential_a_request_is_unauthenticated() {
    let server = Server::start();
    server.on("GET", PATIENT, Answer::json(200, "{}"));
    Medplum::new()
        .run(["get", "--base-url", &server.url(""), "Patient/1"])
        .ok()
        .prints("{}\n");
    assert_eq!(server.lines(), [format!("GET {PATIENT}")]);
    assert_eq!(server.request_to(PATIENT).header("Authorization"), None);
}

#[test]
fn an_access_token_is_sent_as_it_is_and_not_stored() {
    let server = Server::start();
    server.on("GET", PATIENT, Answer::json(200, "{}"));
    let medplum = Medplum::new();
    medplum
        .run([
            "get",
            "Patient/1",
            "--base-url",
            &server.url(""),
            "--access-token",
            "opaque.token",
        ])
        .ok();
    assert_eq!(
        server.request_to(PATIENT).header("Authorization"),
        Some("Bearer opaque.token")
    );
    assert!(!medplum.home().join(".medplum/default.json").exists());
}

#[test]
fn basic_is_on_every_request_and_asks_for_no_token() {
    let site = Site::without_profile();
    site.set_profile(&["--auth-type", "basic", "--fhir-url-path", "open"]);
    site.server.handler(|request| {
        request
            .path()
            .starts_with("/open/")
            .then(|| Answer::json(200, "{}"))
    });
    for id in ["1", "2"] {
        site.medplum
            .run(["get", "-p", "site", &format!("Patient/{id}")])
            .ok();
    }
    let expected = basic_header();
    assert_eq!(
        authorizations(&site.server.requests()),
        [Some(expected.as_str()); 2]
    );
    assert_eq!(
        site.server.lines(),
        ["GET /open/Patient/1", "GET /open/Patient/2"]
    );
}

/// A12: the secret went into the header and the body.
#[test]
fn client_credentials_sends_the_secret_in_the_header_only() {
    let site = Site::open();
    site.get().ok();
    let request = site.server.request_to("/oauth2/token");
    assert_eq!(
        request.header("Authorization"),
        Some(basic_header().as_str())
    );
    assert_eq!(
        request.form(),
        form(&[("grant_type", "client_credentials")])
    );
    assert_eq!(
        request.header("Content-Type"),
        Some("application/x-www-form-urlencoded")
    );
    assert!(
        request
            .header("Accept")
            .unwrap()
            .contains("application/json")
    );
    assert_eq!(
        site.server.request_to(PATIENT).header("Authorization"),
        Some("Bearer token-1")
    );
}

/// A12: there was no choice.
#[test]
fn client_auth_post_sends_the_secret_in_the_body_only() {
    let site = Site::without_profile();
    site.set_profile(&["--client-auth", "post", "--token-url", "oauth2/token"]);
    site.get().ok();
    let request = site.server.request_to("/oauth2/token");
    assert_eq!(request.header("Authorization"), None);
    let mut fields = request.form();
    fields.sort();
    let expected = [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("grant_type", "client_credentials"),
    ];
    assert_eq!(fields, form(&expected));
}

/// A13: `--scope` was never sent.
#[test]
fn scope_is_sent_when_it_is_set() {
    let site = Site::without_profile();
    site.set_profile(&[
        "--scope",
        "system/Patient.rs system/Group.rs",
        "--token-url",
        "oauth2/token",
    ]);
    site.get().ok();
    let expected = form(&[
        ("grant_type", "client_credentials"),
        ("scope", "system/Patient.rs system/Group.rs"),
    ]);
    assert_eq!(site.tokens.requests()[0].form(), expected);
}

#[test]
fn an_id_and_secret_with_odd_characters_arrive() {
    for flags in [&[][..], &["--client-auth", "post"]] {
        let server = Server::start();
        let tokens = TokenEndpoint::on(&server, "/oauth2/token").client("id 1", "p@ss/w+rd&=%");
        server.on("GET", PATIENT, Answer::json(200, "{}"));
        let base = server.url("");
        let client = [
            "--base-url",
            &base,
            "--token-url",
            "oauth2/token",
            "--client-id",
            "id 1",
        ];
        let args = ["get", "Patient/1", "--client-secret", "p@ss/w+rd&=%"]
            .into_iter()
            .chain(client);
        Medplum::new().run(args.chain(flags.iter().copied())).ok();
        assert_eq!(tokens.count(), 1);
    }
}

#[test]
fn the_token_url_joins_with_and_without_slashes_and_absolute() {
    for (base, token_url) in [
        ("", "oauth2/token"),
        ("/", "/oauth2/token"),
        ("/", "oauth2/token"),
        ("", "/oauth2/token"),
    ] {
        let site = Site::without_profile();
        site.set_profile(&["--token-url", token_url]);
        site.medplum
            .run([
                "profile",
                "set",
                "site",
                "--update",
                "--base-url",
                &site.server.url(base),
            ])
            .ok();
        site.get().ok();
        assert_eq!(
            site.server.lines()[0],
            "POST /oauth2/token",
            "{base:?} {token_url:?}"
        );
    }
    let site = Site::without_profile();
    let elsewhere = Server::start();
    let tokens = TokenEndpoint::on(&elsewhere, "/auth/token");
    site.set_profile(&["--token-url", &elsewhere.url("/auth/token")]);
    site.medplum.run(["login", "-p", "site"]).ok();
    assert_eq!((tokens.count(), site.tokens.count()), (1, 0));
}

/// A24: a user had to know the token URL.
#[test]
fn the_token_url_comes_from_smart_discovery_and_is_remembered() {
    let site = Site::with_token_endpoint("/custom/token");
    let configuration = json!({
        "token_endpoint": site.server.url("/custom/token"),
        "grant_types_supported": ["client_credentials"],
        "capabilities": ["client-confidential-symmetric"],
    });
    let well_known = "/fhir/R4/.well-known/smart-configuration";
    site.server.on(
        "GET",
        well_known,
        Answer::new(200, "application/json", configuration.to_string()),
    );
    site.set_profile(&[]);
    site.get().ok();
    site.tokens.revoke();
    site.get().ok();
    assert_eq!(site.tokens.count(), 2);
    assert_eq!(
        site.server.request_to(well_known).header("Authorization"),
        None,
        "and only one request"
    );
}

/// The token of a login was bound to no scope, so the next command asked for another one.
#[test]
fn the_token_of_a_login_with_the_default_scope_serves_the_next_command() {
    let site = Site::with_token_endpoint("/custom/token");
    let configuration = json!({
        "token_endpoint": site.server.url("/custom/token"),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["system/*.rs", "system/*.cruds"],
        "capabilities": ["client-confidential-symmetric", "permission-v2"],
    });
    site.server.on(
        "GET",
        "/fhir/R4/.well-known/smart-configuration",
        Answer::new(200, "application/json", configuration.to_string()),
    );
    site.set_profile(&[]);
    let run = site.medplum.run(["login", "-p", "site"]).ok();
    run.says("No scope is set, so system/*.rs is asked for");
    let run = site.get().ok();
    assert!(!run.stderr.contains("No scope"), "{run}");
    assert_eq!((site.tokens.count(), site.gets()), (1, 1));
}

/// A24: BCDA and eClinicalWorks publish their endpoints only here.
#[test]
fn the_token_url_comes_from_the_capability_statement_when_smart_says_nothing() {
    let oauth = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
    for smart in [
        Answer::empty(404),
        Answer::new(200, "text/html", "<html>a portal</html>"),
        Answer::json(200, "{}"),
    ] {
        let site = Site::without_profile();
        let tokens = TokenEndpoint::on(&site.server, "/from/metadata");
        let uris = json!([{"url": "authorize", "valueUri": site.server.url("/from/authorize")},
            {"url": "token", "valueUri": site.server.url("/from/metadata")}]);
        let security = json!({"extension": [{"url": oauth, "extension": uris}]});
        let statement = json!({"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "security": security}]});
        site.server
            .on("GET", "/fhir/R4/.well-known/smart-configuration", smart);
        site.server.on(
            "GET",
            "/fhir/R4/metadata",
            Answer::json(200, statement.to_string()),
        );
        site.set_profile(&[]);
        site.medplum.run(["login", "-p", "site"]).ok();
        assert_eq!((tokens.count(), site.tokens.count()), (1, 0));
        assert_eq!(
            site.server.request_to("/fhir/R4/metadata").header("Accept"),
            Some("application/fhir+json")
        );
    }
}

#[test]
fn the_token_url_is_medplums_when_nobody_names_one() {
    let site = Site::without_profile();
    site.set_profile(&[]);
    site.get().ok();
    assert_eq!(site.tokens.count(), 1);
}

#[test]
fn a_token_url_that_is_set_is_used_without_discovery() {
    let site = Site::open();
    site.get().ok();
    assert_eq!(
        site.server.lines(),
        ["POST /oauth2/token".to_owned(), format!("GET {PATIENT}")]
    );
}

/// The docs page's BCDA profile has neither `--auth-type` nor a login step; BCDA's token errors are plain text.
#[test]
fn the_bcda_profile_signs_in_by_itself_and_shows_bcdas_words() {
    let server = Server::start();
    let tokens = TokenEndpoint::on(&server, "/auth/token").lifetime(json!("1200"));
    server.on(
        "GET",
        "/api/v2/Patient/1",
        Answer::json(200, r#"{"resourceType":"Patient"}"#),
    );
    let medplum = Medplum::new();
    let (base, token) = (server.url(""), server.url("/auth/token"));
    let set = [
        "profile",
        "set",
        "bcda-sandbox",
        "--base-url",
        &base,
        "--fhir-url-path",
        "api/v2/",
        "--token-url",
        &token,
    ];
    medplum
        .run(
            set.iter()
                .chain(&["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]),
        )
        .ok();
    for _ in 0..2 {
        medplum.run(["get", "-p", "bcda-sandbox", "Patient/1"]).ok();
    }
    assert_eq!(tokens.count(), 1, "the token of 20 minutes is used again");
    assert_eq!(
        server.requests_to("/api/v2/Patient/1")[1].header("Authorization"),
        Some("Bearer token-1")
    );

    medplum
        .run([
            "profile",
            "set",
            "bcda-sandbox",
            "--update",
            "--client-secret",
            "an old one",
        ])
        .ok();
    tokens.fail(Answer::new(
        401,
        "text/plain",
        "Unauthorized client; rotate your credentials",
    ));
    medplum
        .run(["login", "-p", "bcda-sandbox"])
        .fails(3)
        .says("401")
        .says("rotate your credentials");
}

#[test]
fn a_refused_token_request_shows_the_endpoints_words_and_sends_nothing_else() {
    for (answer, words) in [
        (
            Answer::new(
                401,
                "application/json",
                r#"{"error":"invalid_client","error_description":"no such client"}"#,
            ),
            &["401", "invalid_client", "no such client"][..],
        ),
        (
            Answer::new(400, "application/json", r#"{"error":"invalid_scope"}"#),
            &["400", "invalid_scope"],
        ),
        (
            Answer::new(
                400,
                "application/json",
                r#"{"error":"invalid_client","error_description":null}"#,
            ),
            &["400", "invalid_client"],
        ),
        (
            Answer::new(403, "text/plain", "client is locked"),
            &["403", "client is locked"],
        ),
        (
            Answer::new(
                400,
                "text/html",
                "<html><body><h1>Wrong door</h1></body></html>",
            ),
            &["400", "Wrong door"],
        ),
        (Answer::empty(401), &["401"]),
        (
            Answer::outcome(401, "login", "no login for you"),
            &["401", "no login for you"],
        ),
        (
            Answer::new(429, "text/plain", "cache your token").header("Retry-After", "0"),
            &["429", "cache your token"],
        ),
    ] {
        let site = Site::open();
        site.tokens.fail(answer);
        let before = site.medplum.profile_text("site");
        let run = site
            .get()
            .fails(3)
            .prints("")
            .says("Error: ")
            .says("/oauth2/token");
        for word in words {
            assert!(run.stderr.contains(word), "{word}\n{run}");
        }
        assert!(!run.stderr.contains("<h1>"), "{run}");
        assert_eq!(site.gets(), 0);
        assert_eq!(
            site.medplum.profile_text("site"),
            before,
            "a failed request never changes stored settings"
        );
    }
}

#[test]
fn an_answer_without_a_token_is_a_refusal() {
    for body in [
        "{}",
        "[]",
        "not json",
        r#"{"access_token":""}"#,
        r#"{"access_token":null,"expires_in":1}"#,
    ] {
        let site = Site::open();
        site.tokens.fail(Answer::new(200, "application/json", body));
        site.get().fails(3).prints("").says("/oauth2/token");
        assert_eq!(site.gets(), 0);
    }
}

#[test]
fn a_token_endpoint_that_cannot_be_reached_is_a_network_failure() {
    let site = Site::without_profile();
    let gone = Server::start().url("/oauth2/token");
    site.set_profile(&["--token-url", &gone]);
    let run = site
        .medplum
        .run(["get", "-p", "site", "--retries", "0", "Patient/1"]);
    run.fails(6)
        .prints("")
        .says(gone.trim_end_matches("/oauth2/token"));
}

#[test]
fn client_credentials_without_a_secret_say_what_is_missing() {
    let server = Server::start();
    let medplum = Medplum::new();
    let base = server.url("");
    let flags = [
        "--auth-type",
        "client-credentials",
        "--base-url",
        &base,
        "--client-id",
        "me",
    ];
    medplum
        .run(["profile", "set", "x"].iter().chain(&flags))
        .ok();
    let run = medplum.run(["get", "-p", "x", "Patient/1"]);
    assert!([2, 3].contains(&run.code), "{run}");
    run.says("secret");
    assert!(server.requests_to(PATIENT).is_empty());
}
