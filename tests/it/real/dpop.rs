//! DPoP (RFC 9449) against `oidc-provider`, which wants a nonce in every proof, and a FHIR server that checks proofs with
//! `jose`: neither shares code with the client.

use serde_json::{Value, json};
use url::Url;

use crate::support::keyring::Keyring;
use crate::support::keys::{self, public_jwk};
use crate::support::{Answer, Medplum, Peer, Run, Server, Site, plain_http};

/// A user whose profile binds its tokens; the client is the peer's machine.
fn machine(peer: &Peer) -> Medplum {
    let medplum = Medplum::new();
    let base = peer.url("/");
    let set = ["profile", "set", "site", "--base-url", &base, "--dpop"];
    let client = [
        "--client-id",
        "machine",
        "--client-secret",
        "machine-secret",
    ];
    medplum.run([&set[..], &client].concat()).ok();
    medplum
}

/// `METHOD PATH STATUS` of each request, with what the FHIR server found.
fn story(peer: &Peer) -> Vec<String> {
    let requests = peer.requests();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |request: &Value| {
        let (method, url) = (text(&request["method"]), text(&request["url"]));
        format!(
            "{method} {url} {} {}",
            request["status"],
            text(&request["checked"])
        )
        .trim_end()
        .to_owned()
    };
    requests.iter().map(line).collect()
}

fn forget(peer: &Peer) {
    let _ = plain_http::ask("DELETE", &peer.url("/_requests"), &[], "");
}

/// The private keys in the profile.
fn bound_keys(medplum: &Medplum) -> Vec<String> {
    let tokens = medplum.stored("site", "tokens");
    let entries = tokens.as_array().unwrap().iter();
    entries
        .map(|entry| entry["dpopKey"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn shows_no_secret(medplum: &Medplum, run: &Run) {
    let said = run.everything();
    for key in bound_keys(medplum) {
        assert!(!said.contains(&key), "{run}");
    }
    // The beginning of every JWT.
    assert!(!said.contains("eyJ"), "{run}");
}

#[test]
fn token_and_requests_are_proved_and_the_nonces_of_both_are_learnt() {
    let peer = Peer::dpop(&json!({}));
    let medplum = machine(&peer);
    let get = ["get", "-p", "site", "Patient/1?_summary=true", "-vv"];
    let run = medplum.run(get).ok();
    shows_no_secret(&medplum, &run);
    assert_eq!(
        story(&peer),
        [
            "GET /fhir/R4/.well-known/smart-configuration 200",
            "POST /token 400",
            "POST /token 200",
            "GET /fhir/R4/Patient/1?_summary=true 401 use_dpop_nonce",
            "GET /fhir/R4/Patient/1?_summary=true 200 ok",
        ]
    );
    // Another process takes token and key from the profile.
    forget(&peer);
    medplum.run(get).ok();
    assert!(
        !story(&peer).join("\n").contains("/token"),
        "{:?}",
        story(&peer)
    );
    medplum
        .run(["token", "-p", "site"])
        .ok()
        .says("bound to a key of the profile");
    let whoami = medplum.run(["whoami", "-p", "site"]).ok();
    assert!(whoami.stdout.contains("(DPoP)"), "{whoami}");
    shows_no_secret(&medplum, &whoami);
    let describe = ["profile", "describe", "site", "--show-secrets"];
    shows_no_secret(&medplum, &medplum.run(describe).ok());
    shows_no_secret(&medplum, &medplum.run(["doctor", "-p", "site"]).ok());
}

#[test]
fn a_write_is_done_once_although_its_first_proof_had_no_nonce() {
    let peer = Peer::dpop(&json!({}));
    let medplum = machine(&peer);
    medplum.run(["login", "-p", "site"]).ok();
    forget(&peer);
    let patient = r#"{"resourceType":"Patient"}"#;
    medplum.run(["post", "-p", "site", "Patient", patient]).ok();
    let story = story(&peer);
    assert_eq!(story[0], "POST /fhir/R4/Patient 401 use_dpop_nonce");
    assert_eq!(story.len(), 2, "{story:?}");
}

#[test]
fn a_bulk_export_goes_on_through_new_nonces_in_parallel_and_within_a_file() {
    let peer = Peer::dpop(&json!({"nonceEvery": 3, "files": 8, "dropFirst": true}));
    let medplum = machine(&peer);
    let export = [
        "bulk",
        "export",
        "-p",
        "site",
        "-d",
        "out",
        "--parallel",
        "4",
        "-vv",
    ];
    let run = medplum.run(export).ok();
    shows_no_secret(&medplum, &run);
    let files = std::fs::read_dir(medplum.path("out")).unwrap();
    let whole = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.to_string_lossy().contains("_files_")
                || path.extension().is_some_and(|e| e == "ndjson")
        })
        .filter(|path| std::fs::read_to_string(path).unwrap().lines().count() == 2000)
        .count();
    assert_eq!(whole, 8, "{run}");
    let story = story(&peer);
    let count = |words: &str| story.iter().filter(|line| line.contains(words)).count();
    assert_eq!(count(" 206 ok"), 8, "{story:#?}");
    assert!(count("use_dpop_nonce") > 3, "{story:#?}");
    assert_eq!(count("invalid"), 0, "{story:#?}");
    assert_eq!(count("POST /token 200"), 1, "{story:#?}");
    assert_eq!(count("DELETE /fhir/R4/job 202 ok"), 1, "{story:#?}");
}

#[test]
fn an_import_goes_on_through_new_nonces_in_parallel() {
    let peer = Peer::dpop(&json!({"nonceEvery": 3}));
    let medplum = machine(&peer);
    let patients: Vec<String> = (0..40)
        .map(|n| json!({"resourceType": "Patient", "id": format!("p{n}")}).to_string())
        .collect();
    let _ = medplum.file("in.ndjson", patients.join("\n"));
    let import = [
        "bulk",
        "import",
        "-p",
        "site",
        "--bundle",
        "none",
        "in.ndjson",
    ];
    medplum.run(import).ok();
    let written = medplum.run(["get", "-p", "site", "_written"]).ok().json();
    assert_eq!(written.as_array().unwrap().len(), 40);
    assert!(
        story(&peer)
            .iter()
            .any(|line| line.ends_with("use_dpop_nonce"))
    );
}

#[test]
fn a_redirect_gets_a_proof_of_its_own_and_another_origin_gets_nothing() {
    let elsewhere = Server::start();
    elsewhere.on("GET", "/stolen", Answer::json(200, "{}"));
    let peer = Peer::dpop(&json!({"elsewhere": elsewhere.url("/stolen")}));
    let medplum = machine(&peer);
    medplum.run(["get", "-p", "site", "Patient/moved"]).ok();
    let last = story(&peer).pop().unwrap();
    assert_eq!(last, "GET /fhir/R4/Patient/1?moved=yes 200 ok");
    medplum.run(["get", "-p", "site", "Patient/elsewhere"]).ok();
    let request = elsewhere.request_to("/stolen");
    assert_eq!(
        (request.header("Authorization"), request.header("DPoP")),
        (None, None)
    );
}

#[test]
fn a_token_that_is_bound_to_another_key_is_refused_and_asked_for_anew() {
    let peer = Peer::dpop(&json!({}));
    let (medplum, other) = (machine(&peer), machine(&peer));
    for user in [&medplum, &other] {
        user.run(["get", "-p", "site", "Patient/1"]).ok();
    }
    let (own, foreign) = (bound_keys(&medplum).remove(0), bound_keys(&other).remove(0));
    assert_ne!(own, foreign);
    let text = medplum.profile_text("site").replace(&own, &foreign);
    medplum.write_profile_text("site", &text);
    forget(&peer);
    medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    assert_eq!(
        story(&peer),
        [
            "GET /fhir/R4/Patient/1 401 invalid_token",
            "POST /token 400",
            "POST /token 200",
            // The nonce came with the refusal.
            "GET /fhir/R4/Patient/1 200 ok",
        ]
    );
    // Nor is the token good without its key, for whoever finds it.
    let token = medplum.run(["token", "-p", "site"]).ok().stdout;
    let base = peer.url("/");
    let stolen = [
        "get",
        "--base-url",
        &base,
        "--access-token",
        token.trim(),
        "Patient/1",
    ];
    Medplum::new().run(stolen).fails(3);
}

/// Follows an authorization request to the callback, as a browser with cookies does.
#[track_caller]
fn agree(url: &str) {
    let mut url = Url::parse(url).unwrap();
    let mut cookies: Vec<(String, String)> = Vec::new();
    for _ in 0..8 {
        let jar: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let reply = plain_http::ask("GET", url.as_str(), &[("Cookie", &jar.join("; "))], "");
        for (_, cookie) in reply
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
        {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            cookies.retain(|(known, _)| known != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        match reply.header("location") {
            Some(location) => url = url.join(location).unwrap(),
            None => return,
        }
    }
    panic!("it redirects without end: {url}");
}

#[test]
fn a_login_by_browser_keeps_its_key_through_renewals_and_the_provider_itself_takes_the_token() {
    let peer = Peer::dpop(&json!({}));
    let medplum = Medplum::with_browser();
    let base = peer.url("/");
    let login = medplum.spawn([
        "login",
        "-p",
        "site",
        "--base-url",
        &base,
        "--client-id",
        "person",
        "--callback-url",
        "http://127.0.0.1:0/callback",
        "--scope",
        "openid offline_access user/*.read",
        "--dpop",
    ]);
    let url = medplum.opened(&login);
    assert!(url.contains("dpop_jkt="), "{url}");
    agree(&url);
    let run = login.finish().ok();
    shows_no_secret(&medplum, &run);
    let key = bound_keys(&medplum);
    assert_eq!(key.len(), 1);
    medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    // The userinfo endpoint of the provider checks the proof with code of its own.
    let me = medplum.run(["get", "-p", "site", "/me"]).ok();
    assert_eq!(me.json()["sub"], "practitioner-1");

    medplum.age_tokens("site", 3600);
    forget(&peer);
    medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    let story = story(&peer);
    assert!(story.contains(&"POST /token 200".to_owned()), "{story:?}");
    assert_eq!(bound_keys(&medplum), key);
    // The refresh token of a public client is of no use with another key.
    let other = machine(&peer);
    other.run(["get", "-p", "site", "Patient/1"]).ok();
    let text = medplum
        .profile_text("site")
        .replace(&key[0], &bound_keys(&other)[0]);
    medplum.write_profile_text("site", &text);
    medplum.age_tokens("site", 3600);
    medplum
        .run(["get", "-p", "site", "Patient/1"])
        .fails(3)
        .says("log in again");
}

#[test]
fn a_client_that_signs_assertions_has_its_tokens_bound_to_another_key() {
    let client = json!({"client_id": "backend", "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public_jwk("p384.jwk", "p384")]}, "grant_types": ["client_credentials"],
        "redirect_uris": [], "response_types": []});
    let peer = Peer::dpop(&json!({"clients": [client]}));
    let medplum = Medplum::new();
    let (base, key) = (peer.url("/"), keys::key("p384.jwk"));
    let set = ["profile", "set", "site", "--base-url", &base, "--dpop"];
    let client = ["--auth-type", "jwt-assertion", "--client-id", "backend"];
    let signer = ["--private-key-path", &key, "--key-id", "p384"];
    medplum.run([&set[..], &client, &signer].concat()).ok();
    let run = medplum.run(["get", "-p", "site", "Patient/1", "-vv"]).ok();
    shows_no_secret(&medplum, &run);
    // Each try has an assertion of its own: the provider takes none twice.
    let story = story(&peer);
    assert_eq!(
        story[1..3],
        ["POST /token 400", "POST /token 200"],
        "{story:?}"
    );
}

#[test]
fn the_key_is_kept_in_the_keyring_beside_its_token() {
    let keyring = Keyring::open();
    let peer = Peer::dpop(&json!({}));
    let mut medplum = Medplum::new();
    medplum.set_env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let base = peer.url("/");
    let set = [
        "profile",
        "set",
        "site",
        "--base-url",
        &base,
        "--dpop",
        "--store",
        "keyring",
    ];
    let client = [
        "--client-id",
        "machine",
        "--client-secret",
        "machine-secret",
    ];
    medplum.run([&set[..], &client].concat()).ok();
    for _ in 0..2 {
        medplum.run(["get", "-p", "site", "Patient/1"]).ok();
    }
    let tokens = story(&peer)
        .iter()
        .filter(|line| *line == "POST /token 200")
        .count();
    assert_eq!(tokens, 1);
    assert!(!medplum.profile_text("site").contains("dpopKey"));
    medplum
        .run(["profile", "set", "site", "--store", "file"])
        .ok();
    assert_eq!(bound_keys(&medplum).len(), 1);
}

#[test]
fn a_bearer_token_is_never_taken_for_one_that_is_bound() {
    let site = Site::open();
    let update = ["profile", "set", "site", "--update", "--dpop"];
    // One is in the cache already.
    site.get().ok();
    site.server.forget();
    site.medplum.run(update).ok();
    site.get()
        .fails(3)
        .says("of the type `bearer`")
        .says("--dpop=false");
    assert_eq!(site.gets(), 0);
    site.medplum
        .run(["get", "-p", "site", "Patient/1", "--dpop=false"])
        .ok();
}

#[test]
fn a_server_that_always_wants_another_nonce_is_given_up() {
    let server = Server::start();
    let answer = r#"{"access_token":"a-bound-token","token_type":"DPoP","expires_in":300}"#;
    server.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", answer),
    );
    let refusal = Answer::empty(401)
        .header("WWW-Authenticate", r#"DPoP error="use_dpop_nonce""#)
        .header("DPoP-Nonce", "never-the-right-one");
    server.on("GET", "/fhir/R4/Patient/1", refusal);
    let base = server.url("/");
    let medplum = Medplum::new();
    let get = [
        "get",
        "--base-url",
        &base,
        "--token-url",
        "token",
        "Patient/1",
        "--dpop",
    ];
    let client = ["--client-id", "any", "--client-secret", "any-secret"];
    medplum.run([&get[..], &client].concat()).fails(3);
    assert!(server.requests().len() < 50, "{:?}", server.lines());
}

#[test]
fn a_login_of_the_medplum_cli_is_not_taken_for_one_that_is_bound() {
    let site = Site::without_profile();
    let options = json!({"baseUrl": site.server.url("/"), "dpop": "true", "clientId": "any"});
    let login = json!({"accessToken": "token-of-the-cli"});
    site.medplum
        .write_profile("site", &json!({"options": options, "activeLogin": login}));
    site.get()
        .fails(3)
        .says("is not bound to a key")
        .says("medplum login");
    assert_eq!(site.gets(), 0);
}

#[test]
fn what_cannot_be_bound_is_refused_before_anything_is_sent() {
    let site = Site::open();
    for flags in [
        &["--auth-type", "basic"][..],
        &["--access-token", "a-token"],
    ] {
        let get = ["get", "-p", "site", "Patient/1", "--dpop"];
        site.medplum
            .run([&get[..], flags].concat())
            .fails(2)
            .says("--dpop=false");
    }
    assert_eq!(site.server.requests().len(), 0);
}
