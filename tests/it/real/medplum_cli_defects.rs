//! Defects of the Medplum CLI in sign-in, profiles and REST, shown beside what this program does in the same scenario.
//! The letters are those of the project's list of them. Some show in `medplum_cli.rs`: A13, A22, B5, B15, C4, C5.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::sides::{CLIENT, Sides};
use crate::support::{Answer, Medplum, Server, TokenEndpoint};

const GET: [&str; 4] = ["get", "-p", "site", "Patient/1"];

fn unauthorized() -> Answer {
    Answer::outcome(401, "login", "no")
}

fn strict_tokens(sides: &Sides) -> TokenEndpoint {
    TokenEndpoint::on(&sides.server, "/oauth2/token").client(CLIENT[1], CLIENT[3])
}

/// The profile `site` of a user who has a login and nothing to renew it with.
fn write_login(medplum: &Medplum, options: &Value) {
    let login = json!({"accessToken": "stored-token"});
    medplum.write_profile(
        "site",
        &json!({"options": options, "activeLogin": login, "logins": [login]}),
    );
}

/// Asks again for ever, as long as the 401 lasts. Here: one new token, one more try.
#[test]
fn a1_a_lasting_401() {
    let sides = Sides::with_profile("client-credentials");
    let (many, has_many) = mpsc::channel();
    let (many, count) = (Mutex::new(many), AtomicUsize::new(0));
    sides.server.handler(move |request| {
        let is_theirs = request.header("User-Agent") == Some("node");
        if request.path() != "/fhir/R4/Patient/1" {
            return None;
        }
        if is_theirs && count.fetch_add(1, Ordering::Relaxed) == 50 {
            many.lock().unwrap().send(()).unwrap();
        }
        Some(unauthorized())
    });
    let theirs = sides.theirs.medplum_cli(GET).spawn();
    let ours = sides.ours.run(GET).fails(3);
    ours.prints("").says("401");
    assert_eq!(
        sides.our_lines(),
        [
            "POST /oauth2/token",
            "GET /fhir/R4/Patient/1",
            "POST /oauth2/token",
            "GET /fhir/R4/Patient/1"
        ]
    );
    has_many
        .recv_timeout(Duration::from_secs(50))
        .expect("the loop of the Medplum CLI");
    theirs.kill();
    theirs.finish().fails(128 + 9);
}

/// Erases the profile. Here: exit 3, and the file is what it was.
#[test]
fn a2_a_401_to_a_login_that_cannot_be_renewed() {
    let sides = Sides::new();
    sides.server.on("GET", "/fhir/R4/Patient/1", unauthorized());
    for medplum in [&sides.theirs, &sides.ours] {
        write_login(
            medplum,
            &json!({"name": "site", "baseUrl": sides.server.url("/"), "scope": "kept"}),
        );
    }
    let before = sides.ours.profile_text("site");
    let both = sides.run(&GET);
    both.theirs.fails(1);
    assert_eq!(sides.theirs.profile_text("site"), "{}");
    both.ours.fails(3).says("medplum login");
    assert_eq!(sides.ours.profile_text("site"), before);
}

/// Leaves secrets where all can read them. Here: 0700 and 0600.
#[test]
fn a4_rights_of_the_profile() {
    let sides = Sides::new();
    let args = [
        &["profile", "set", "site", "--base-url", "https://x.example"][..],
        &CLIENT,
    ]
    .concat();
    let both = sides.run(&args);
    let (_, _) = (both.theirs.ok(), both.ours.ok());
    let modes = |medplum: &Medplum| {
        let file = medplum.profile_path("site");
        [file.parent().unwrap(), &file]
            .map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777)
    };
    assert_ne!(modes(&sides.theirs).map(|mode| mode & 0o077), [0, 0]);
    assert_eq!(modes(&sides.ours), [0o700, 0o600]);
}

/// Forgets the settings and goes to api.medplum.com. Here: the stored settings are used and kept.
#[test]
fn a5_a_login_without_flags() {
    let sides = Sides::with_profile("client-credentials");
    // No browser may open.
    for opener in ["xdg-open", "open"] {
        let path = sides.theirs.root().join("bin").join(opener);
        fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before = sides.ours.options("site");
    let both = sides.run(&["login", "-p", "site"]);
    both.theirs.fails(1).says("https://api.medplum.com/");
    assert_eq!(
        sides.theirs.options("site"),
        json!({"name": "site", "profile": "site"})
    );
    both.ours.ok();
    assert_eq!(sides.ours.options("site"), before);
    assert_eq!(
        (sides.our_lines(), sides.their_lines()),
        (vec!["POST /oauth2/token".to_owned()], vec![])
    );
}

/// Gives the token to whoever the URL names. Here: to the profile's own server.
#[test]
fn a6_an_absolute_url_of_another_host() {
    let sides = Sides::with_profile("client-credentials");
    let foreign = Server::start();
    foreign.on("GET", "/Patient/1", Answer::json(200, "{}"));
    let both = sides.run(&["get", "-p", "site", &foreign.url("/Patient/1")]);
    let (_, _) = (both.theirs.ok(), both.ours.ok());
    let mut tokens: Vec<Option<String>> = foreign
        .requests()
        .iter()
        .map(|request| request.header("Authorization").map(str::to_owned))
        .collect();
    tokens.sort();
    assert_eq!(tokens, [None, Some("Bearer opaque-token".to_owned())]);
}

/// A cloned folder's `.env` names a server: theirs sends it the stored token. Here: nothing stored goes there.
#[test]
fn a7_a_base_url_in_a_dot_env() {
    let sides = Sides::new();
    for medplum in [&sides.theirs, &sides.ours] {
        write_login(medplum, &json!({"name": "site", "fhirUrlPath": "fhir/R4"}));
        medplum.file(
            ".env",
            format!("MEDPLUM_BASE_URL={}\n", sides.server.url("/")),
        );
    }
    let both = sides.run(&GET);
    both.theirs.ok();
    let [theirs, ours] = sides.requests();
    assert_eq!(
        theirs[0].header("Authorization"),
        Some("Bearer stored-token")
    );
    assert!(
        ours.iter()
            .all(|request| request.header("Authorization").is_none()),
        "{}",
        both.ours
    );
}

/// Refuses tokens of other servers, which it should not read at all. Here: a token is opaque.
#[test]
fn a11_a_token_that_names_the_client_in_azp() {
    let sides = Sides::with_profile("client-credentials");
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": "https://auth.example.com", "azp": "cid", "exp": 4_102_444_800_u64});
    let token = format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims));
    let answer = json!({"access_token": token, "token_type": "bearer", "expires_in": 3600});
    let answer = Answer::new(200, "application/json", answer.to_string());
    sides.server.on("POST", "/oauth2/token", answer);
    let both = sides.run(&GET);
    both.theirs
        .fails(1)
        .says("Token not issued for this audience");
    assert_eq!(both.ours.ok().json()["id"], "1");
}

/// Sends the secret in two places, which a strict server refuses. Here: in one. A13: and the scope is asked for.
#[test]
fn a12_a_server_that_wants_the_secret_in_one_place() {
    let sides = Sides::with_profile("client-credentials");
    let tokens = strict_tokens(&sides);
    let both = sides.run(&GET);
    both.theirs.fails(1).says("Failed to fetch tokens");
    both.ours.ok();
    let scopes: Vec<bool> = tokens
        .requests()
        .iter()
        .filter(|request| request.header("User-Agent") != Some("node"))
        .map(|request| {
            request
                .form()
                .contains(&("scope".to_owned(), "system/*.read".to_owned()))
        })
        .collect();
    assert_eq!(scopes, [true]);
}

/// Takes a token of five minutes for one that has expired, and asks again. Here: it is used, and by later commands too.
#[test]
fn a19_a20_a_token_of_five_minutes() {
    let sides = Sides::with_profile("client-credentials");
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let soon = jiff::Timestamp::now().as_second() + 290;
    let claims = part(json!({"client_id": "cid", "exp": soon}));
    let token = format!("{}.{claims}.c2ln", part(json!({"alg": "RS256"})));
    let answer = json!({"access_token": token, "token_type": "bearer", "expires_in": 290});
    let answer = Answer::new(200, "application/json", answer.to_string());
    sides.server.on("POST", "/oauth2/token", answer);
    for _ in 0..2 {
        let both = sides.run(&GET);
        let (_, _) = (both.theirs.ok(), both.ours.ok());
    }
    let tokens = |lines: Vec<String>| {
        lines
            .iter()
            .filter(|line| *line == "POST /oauth2/token")
            .count()
    };
    let theirs = tokens(sides.their_lines());
    assert!(theirs >= 4, "more than one for each command, not {theirs}");
    assert_eq!(tokens(sides.our_lines()), 1);
}

/// Names and folders of profiles.
#[test]
fn a23_profiles_in_odd_places() {
    let sides = Sides::new();
    let both = sides.run(&["profile", "list"]);
    both.theirs.fails(1).says("ENOENT");
    both.ours.ok().prints("[]\n");

    let both = sides.run(&["profile", "set", "a.b", "--base-url", "https://x.example"]);
    let (_, _) = (both.theirs.ok(), both.ours.ok());
    let both = sides.run(&["profile", "list"]);
    both.theirs.ok().prints("[]\n");
    assert_eq!(both.ours.ok().json()[0]["name"], "a.b");

    let both = sides.run(&[
        "profile",
        "set",
        "../../outside",
        "--base-url",
        "https://x.example",
    ]);
    both.theirs.ok();
    both.ours.fails(2);
    let outside = |medplum: &Medplum| medplum.root().join("outside.json").exists();
    assert_eq!(
        (outside(&sides.theirs), outside(&sides.ours)),
        (true, false)
    );
}

/// The first page is all there is; a job's result is never fetched.
#[test]
fn c6_pages_and_asynchronous_answers() {
    let sides = Sides::with_profile("basic");
    let page = |id: &str, next: Option<&str>| {
        let link: Vec<Value> = next
            .map(|path| json!({"relation": "next", "url": sides.server.url(path)}))
            .into_iter()
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "searchset", "link": link,
            "entry": [{"resource": {"resourceType": "Basic", "id": id}}]});
        Answer::json(200, bundle.to_string())
    };
    sides.server.on(
        "GET",
        "/fhir/R4/Basic",
        page("one", Some("/fhir/R4/Basic?page=2")),
    );
    sides
        .server
        .on("GET", "/fhir/R4/Basic?page=2", page("two", None));
    let theirs = sides
        .theirs
        .medplum_cli(["get", "-p", "site", "Basic"])
        .run()
        .ok();
    assert!(!theirs.stdout.contains("two"), "{theirs}");
    let ours = sides
        .ours
        .run(["get", "-p", "site", "Basic", "--all", "-o", "ndjson"]);
    assert_eq!(ours.ok().stdout.lines().count(), 2);

    let job = Answer::empty(202).header("Content-Location", &sides.server.url("/fhir/R4/job"));
    sides.server.on("POST", "/fhir/R4/$reindex", job);
    sides.server.on(
        "GET",
        "/fhir/R4/job",
        Answer::json(200, r#"{"resourceType":"Parameters"}"#),
    );
    let both = sides.run(&["post", "-p", "site", "$reindex", "{}", "--prefer-async"]);
    both.theirs.ok().prints("undefined\n");
    assert_eq!(both.ours.ok().json()["resourceType"], "Parameters");
}

/// Prints the token among the data. Here: the trace is on stderr, and the token in neither.
#[test]
fn d1_a_trace_of_requests() {
    let sides = Sides::with_profile("client-credentials");
    let both = sides.run(&["get", "-p", "site", "Patient/1", "-v"]);
    assert!(
        both.theirs
            .stdout
            .contains("Authorization: Bearer opaque-token")
    );
    assert_eq!(both.ours.json()["id"], "1");
    let ours = both.ours.ok().says("> GET http");
    let detailed = sides
        .ours
        .run(["get", "-p", "site", "Patient/1", "-vv"])
        .ok();
    for run in [ours, detailed] {
        assert!(!run.everything().contains("opaque-token"), "{run}");
    }
}

/// Passes the proxy by. Here: the request goes through it.
#[test]
fn d2_a_proxy() {
    let sides = Sides::with_profile("basic");
    let proxy = Server::start();
    proxy.handler(|_| Some(Answer::json(200, r#"{"by":"the proxy"}"#)));
    let their_run = sides
        .theirs
        .medplum_cli(GET)
        .env("HTTP_PROXY", proxy.url("/"))
        .run()
        .ok();
    assert_eq!(their_run.json()["id"], "1");
    assert_eq!(proxy.lines(), [""; 0]);
    let our_run = sides
        .ours
        .command(GET)
        .env("HTTP_PROXY", proxy.url("/"))
        .env("NO_PROXY", "<-loopback>")
        .run()
        .ok();
    assert_eq!(our_run.json()["by"], "the proxy");
    assert_eq!(
        proxy.lines(),
        [format!("GET {}", sides.server.url("/fhir/R4/Patient/1"))]
    );
}

/// One exit code for everything, and no status.
#[test]
fn d3_what_a_failure_tells() {
    for (status, ours_code) in [(422, 1), (403, 3), (404, 4)] {
        let sides = Sides::with_profile("basic");
        let answer = Answer::outcome(status, "invalid", "the server's own words");
        sides.server.on("GET", "/fhir/R4/Patient/1", answer);
        let both = sides.run(&GET);
        let theirs = both.theirs.fails(1).says("the server's own words");
        assert!(
            !theirs.stderr.contains(&format!("answered {status}")),
            "{theirs}"
        );
        let ours = both.ours.fails(ours_code).says("the server's own words");
        ours.says(&format!("answered {status}"))
            .says(&sides.server.url("/fhir/R4/Patient/1"));
    }
}
