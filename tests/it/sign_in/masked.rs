//! What is masked of URLs and of what others say: the secrets, whatever their spelling, and nothing of our own words.

use serde_json::json;

use crate::support::tls::Authority;
use crate::support::{Answer, Medplum, Server, Site};

/// D25 (E34): the name of a parameter that is written in percent signs was not known, nor was `code`, which Azure
/// Functions take their keys by.
#[test]
fn a_parameter_is_masked_however_its_name_is_written() {
    for (path, name, decoded) in [
        ("Task", "%74oken", "token"),
        ("Task", "t%6Fken", "token"),
        // As a parameter of a search it is a code of a terminology.
        ("api/download", "code", "code"),
    ] {
        let (server, medplum) = (Server::start(), Medplum::new());
        server.handler(|request| {
            let is_fhir = request.path().starts_with("/fhir/R4/");
            is_fhir.then(|| Answer::outcome(404, "not-found", "no such thing"))
        });
        let (base, query) = (server.url("/"), format!("{path}?{name}=Canary-of-a-key"));
        let run = medplum.run(["get", "-vv", "--base-url", &base, &query]);
        let request = server.request_to(&format!("/fhir/R4/{path}"));
        let (_, asked) = request.target.split_once('?').unwrap();
        let pairs = url::form_urlencoded::parse(asked.as_bytes()).into_owned();
        let expected = [(decoded.to_owned(), "Canary-of-a-key".to_owned())];
        assert_eq!(pairs.collect::<Vec<_>>(), expected);
        let run = run.fails(4).says(&format!("/fhir/R4/{path}"));
        assert!(!run.everything().contains("Canary"), "{name}\n{run}");
    }
}

/// D25 (E33): a secret of four characters was shown when the server said it back.
#[test]
fn a_short_secret_is_masked_where_the_server_says_it_back() {
    let site = Site::without_profile();
    site.set_profile(&["--client-auth", "post", "--token-url", "oauth2/token"]);
    let short = [
        "profile",
        "set",
        "site",
        "--update",
        "--client-secret",
        "zQ7_",
    ];
    site.medplum.run(short).ok();
    let words = json!({"error": "invalid_client", "error_description": "zQ7_ is no secret of it"});
    let refusal = Answer::new(401, "application/json", words.to_string());
    site.server
        .guard(move |request| (request.path() == "/oauth2/token").then(|| refusal.clone()));
    let run = site.get().fails(3).says("is no secret of it");
    let form = site.server.request_to("/oauth2/token").form();
    assert!(form.contains(&("client_secret".into(), "zQ7_".into())));
    assert!(!run.everything().contains("zQ7_"), "{run}");
}

/// D25 (E32): a server that gave `http://` as a token blanked every URL that we name, in later commands too.
#[test]
fn a_token_that_reads_like_a_word_blanks_none_of_our_words() {
    let server = Server::start();
    let token = json!({"access_token": "http://", "token_type": "Bearer", "expires_in": 600});
    let token = Answer::new(200, "application/json", token.to_string());
    server.on("POST", "/token", token);
    let medplum = Medplum::new();
    let base = server.url("/");
    let set = [
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--token-url",
        "token",
    ];
    let client = ["--client-id", "me", "--client-secret", "s3cret-s3cret"];
    medplum.run([&set[..], &client].concat()).ok();
    for _ in ["the command that got it", "a later one"] {
        let run = medplum.run(["get", "-p", "x", "-vv", "Patient/1"]).fails(4);
        let request = server.request_to("/fhir/R4/Patient/1");
        assert_eq!(request.header("Authorization"), Some("Bearer http://"));
        run.says(&server.url("/fhir/R4/Patient/1"));
        server.forget();
    }
}

/// D36: the URL of a refused endpoint was shown with its password and its signature.
#[test]
fn an_endpoint_that_is_refused_is_named_without_what_opens_it() {
    let (server, authority) = (Server::start(), Authority::new());
    let tls = authority.front(&server, &["localhost"], 2100);
    let secret = "/token?sig=Canary-of-a-signature";
    let plain = server.url_as_localhost(secret);
    let smart = json!({"token_endpoint": plain, "revocation_endpoint": plain});
    let smart = Answer::new(200, "application/json", smart.to_string());
    server.on("GET", "/fhir/R4/.well-known/smart-configuration", smart);
    let medplum = Medplum::new();
    let (base, ca) = (tls.url("/"), authority.file(&medplum).display().to_string());
    let set = ["profile", "set", "x", "--base-url", &base, "--ca-cert", &ca];
    let client = ["--client-id", "me", "--client-secret", "s3cret-s3cret"];
    medplum.run([&set[..], &client].concat()).ok();
    for command in [&["get", "Patient/1"][..], &["login"], &["doctor"]] {
        let run = medplum.run(command.iter().chain(&["-p", "x", "-vv"]));
        assert_ne!(run.code, 0, "{run}");
        let name = server.url_as_localhost("/token");
        assert!(run.everything().contains(&name), "{run}");
        assert!(!run.everything().contains("Canary"), "{run}");
    }
    assert!(server.requests_to("/token").is_empty());
}
