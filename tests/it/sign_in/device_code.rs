//! `device-code` beside a server with the moods of RFC 8628 §3.5. These tests wait real seconds: the interval is the
//! server's, and one second is the shortest that is no special case.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::run::Running;
use crate::support::{Answer, Medplum, Server};

const TOKEN: &str = "device-access-token-1";
const HANDLE: &str = "device-handle-nobody-sees";

struct Site {
    server: Server,
    medplum: Medplum,
}

fn site(code: &Value, answers: Vec<Answer>) -> Site {
    let server = Server::start();
    let configuration = json!({"token_endpoint": server.url("/token"),
        "device_authorization_endpoint": server.url("/device")});
    let path = "/fhir/R4/.well-known/smart-configuration";
    server.on("GET", path, Answer::json(200, configuration.to_string()));
    server.on("POST", "/device", Answer::json(200, code.to_string()));
    server.on_sequence("POST", "/token", answers);
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let medplum = Medplum::new();
    let base = server.url("/");
    let args = [
        "profile",
        "set",
        "tv",
        "--base-url",
        &base,
        "--client-id",
        "box",
    ];
    let more = ["--auth-type", "device-code", "--scope", "openid fhirUser"];
    medplum.run([&args[..], &more].concat()).ok();
    Site { server, medplum }
}

fn code() -> Value {
    json!({"device_code": HANDLE, "user_code": "WDJB-MJHT", "verification_uri": "https://example.com/device",
        "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT", "expires_in": 600, "interval": 1})
}

fn error(code: &str) -> Answer {
    let text = json!({"error": code, "error_description": format!("words of {code}")});
    Answer::json(400, text.to_string())
}

fn token() -> Answer {
    let text = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "refresh_token": "refresh-1"});
    Answer::json(200, text.to_string())
}

/// Tries cases side by side, since each of them waits.
fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, try_one: impl Fn(T) + Copy + Send) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || try_one(case));
        }
    });
}

impl Site {
    fn login(&self) -> Running {
        self.medplum.spawn(["login", "-p", "tv", "-vv"])
    }
}

#[test]
fn the_code_is_shown_the_token_is_asked_for_until_the_person_is_done_and_stored() {
    let site = site(&code(), vec![error("authorization_pending"), token()]);
    let run = site.login().finish().ok();
    for words in [
        "https://example.com/device",
        "enter this code: WDJB-MJHT",
        "https://example.com/device?user_code=WDJB-MJHT",
        "10 min",
    ] {
        assert!(run.stderr.contains(words), "{words}\n{run}");
    }
    for secret in [HANDLE, TOKEN, "refresh-1"] {
        assert!(!run.everything().contains(secret), "{secret}\n{run}");
    }
    let asked = site.server.request_to("/device");
    assert_eq!(
        asked.form(),
        [
            ("scope".to_owned(), "openid fhirUser".to_owned()),
            ("client_id".to_owned(), "box".to_owned())
        ]
    );
    let polls = site.server.requests_to("/token");
    assert_eq!(polls.len(), 2);
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(
        polls[0].form(),
        [
            ("grant_type".to_owned(), grant.to_owned()),
            ("device_code".to_owned(), HANDLE.to_owned()),
            ("client_id".to_owned(), "box".to_owned())
        ]
    );
    site.medplum.run(["get", "-p", "tv", "Patient/1"]).ok();
    let get = site.server.request_to("/fhir/R4/Patient/1");
    assert_eq!(
        get.header("Authorization"),
        Some(&*format!("Bearer {TOKEN}"))
    );
}

/// RFC 8628 §3.5: five seconds more from then on.
#[test]
fn slow_down_makes_it_slower() {
    let site = site(&code(), vec![error("slow_down"), token()]);
    let started = Instant::now();
    site.login().finish().ok();
    // No promise about the longest time: machines are busy.
    assert!(
        started.elapsed() >= Duration::from_secs(7),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn what_ends_the_waiting_is_named_and_nothing_is_stored() {
    let refusals = [
        (error("access_denied"), 3, "refused: words of access_denied"),
        (error("expired_token"), 6, "the code has expired"),
        (error("invalid_client"), 3, "invalid_client"),
        (error("invalid_grant"), 3, "invalid_grant"),
    ];
    at_once(refusals, |(answer, exit, words)| {
        let site = site(&code(), vec![answer]);
        let run = site.login().finish().fails(exit).says(words);
        assert_eq!(site.server.requests_to("/token").len(), 1, "{run}");
        assert!(!site.medplum.profile_keys("tv").contains_key("activeLogin"));
    });
    let mut short = code();
    short["expires_in"] = 1.into();
    let site = site(&short, vec![error("authorization_pending"); 9]);
    site.login()
        .finish()
        .fails(6)
        .says("run the same command again");
}

#[test]
fn an_answer_without_a_usable_code_is_refused() {
    let odd = [
        ("user_code", Value::Null),
        ("device_code", json!("")),
        ("verification_uri", json!("javascript:alert(1)")),
        ("verification_uri", Value::Null),
    ];
    at_once(odd, |(key, value)| {
        let mut code = code();
        code[key] = value;
        let site = site(&code, vec![token()]);
        site.login().finish().fails(1).says(key);
        assert_eq!(site.server.requests_to("/token").len(), 0);
    });
}

#[test]
fn a_server_without_the_endpoint_is_named_as_such() {
    let site = site(&code(), vec![token()]);
    let configuration = json!({"token_endpoint": site.server.url("/token")}).to_string();
    let path = "/fhir/R4/.well-known/smart-configuration";
    site.server
        .on("GET", path, Answer::json(200, configuration));
    let run = site.login().finish().fails(2);
    run.says("--device-authorization-url");
    let url = site.server.url("/device");
    let flag = ["login", "-p", "tv", "--device-authorization-url", &url];
    site.medplum.run(flag).ok();
}

/// D9: a number that no clock can count to ended the program with an abort.
#[test]
fn odd_lifetimes_of_a_code_do_no_harm() {
    let texts = [
        "1e19",
        "9223372036854775807",
        "18446744073709551616",
        "1e300",
        "-1",
        "null",
        "\"soon\"",
        "true",
        "{}",
    ];
    at_once(texts, |text| {
        let mut code = code();
        code["expires_in"] = serde_json::from_str(text).unwrap();
        let site = site(&code, vec![token()]);
        site.login().finish().ok().says("enter this code");
        assert_eq!(site.server.requests_to("/token").len(), 1, "{text}");
    });
}

/// A server that is out of order for a moment is asked again, slower (RFC 8628 §3.5).
#[test]
fn a_busy_token_endpoint_does_not_end_the_waiting() {
    let site = site(&code(), vec![Answer::empty(503), token()]);
    site.login().finish().ok();
    assert_eq!(site.server.requests_to("/token").len(), 2);
}

#[test]
fn ctrl_c_ends_the_waiting_with_130() {
    let site = site(&code(), vec![error("authorization_pending"); 99]);
    let running = site.login();
    let _ = running.stderr_line("enter this code");
    site.server.wait_for("/token");
    running.interrupt();
    running.finish().fails(130);
    assert!(!site.medplum.profile_keys("tv").contains_key("activeLogin"));
}
