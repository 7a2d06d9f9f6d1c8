//! Token requests at the edges: what is sent once only, what kind of token is used, and by which clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::jwt::Jwt;
use crate::support::keys::key;
use crate::support::{Answer, Clinic, Medplum, Request, Server, Site};

const TOKEN: &str = r#"{"access_token":"t-1","token_type":"Bearer","expires_in":300}"#;

fn field(request: &Request, name: &str) -> Option<String> {
    let mut form = request.form().into_iter();
    form.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A server with a token endpoint, and a profile `x` with these flags for it.
fn user_of(server: &Server, flags: &[&str]) -> Medplum {
    let medplum = Medplum::new();
    let base = server.url("/");
    let mut args = vec![
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--client-id",
        "me",
    ];
    args.extend(["--token-url", "token"]);
    args.extend(flags);
    medplum.run(args).ok();
    medplum
}

/// D28: a gateway that loses an answer must not make us use up a code or a rotating refresh token twice; a server that
/// sees one twice ends the login (RFC 9700 §4.14.2).
#[test]
fn codes_and_refresh_tokens_are_sent_once_whatever_a_gateway_says() {
    for answer in [
        Answer::empty(502),
        Answer::empty(503).header("Retry-After", "0"),
        Answer::empty(504),
        Answer::reset(),
    ] {
        let clinic = Clinic::open();
        clinic.auth.fail(Some(answer.clone()));
        let (run, _) = clinic.log_in(&[]);
        assert!([1, 6].contains(&run.code), "{run}");
        assert_eq!(clinic.auth.token_requests().len(), 1, "a code");
        clinic.auth.fail(None);
        let (run, _) = clinic.log_in(&[]);
        run.ok();
        clinic.auth.revoke_access_tokens();
        clinic.auth.fail(Some(answer));
        let before = clinic.auth.token_requests().len();
        let run = clinic.get();
        assert!([1, 6].contains(&run.code), "{run}");
        assert_eq!(
            clinic.auth.token_requests().len(),
            before + 1,
            "a refresh token"
        );
        // It was not used up here, so the login goes on.
        clinic.auth.fail(None);
        clinic.get().ok();
    }
}

/// What brings just another token is asked for again, and so is anything after "too many requests".
#[test]
fn credentials_of_the_client_are_sent_again() {
    for answer in [
        Answer::empty(503).header("Retry-After", "0"),
        Answer::empty(429).header("Retry-After", "0"),
        Answer::reset(),
    ] {
        let server = Server::start();
        server.on_sequence("POST", "/token", [answer, Answer::json(200, TOKEN)]);
        let medplum = user_of(&server, &["--client-secret", "s3cret-s3cret"]);
        medplum.run(["login", "-p", "x"]).ok();
        assert_eq!(server.requests_to("/token").len(), 2);
    }
}

/// D26, report 24 (RFC 6749 §7.1): a type that is not known must not be used; a token that no header can carry is the
/// server's fault.
#[test]
fn a_token_of_an_unknown_type_is_not_used() {
    for (kind, code) in [
        (json!("Bearer"), 0),
        (json!("bearer"), 0),
        (json!("BearerToken"), 0),
        (json!(null), 0),
        (json!("mac"), 3),
        (json!("MAC"), 3),
        (json!("DPoP"), 3),
        (json!("pop"), 3),
    ] {
        let site = Site::open();
        let answer = json!({"access_token": "t-1", "token_type": kind, "expires_in": 300});
        site.tokens.fail(Answer::json(200, answer.to_string()));
        let run = site
            .medplum
            .run(["token", "-p", "site"])
            .fails(code)
            .everything();
        if code != 0 {
            assert!(
                run.contains(kind.as_str().unwrap()) && run.contains("/oauth2/token"),
                "{run}"
            );
            assert!(!run.contains("\nt-1"), "{run}");
        }
    }
    let site = Site::open();
    let answer = json!({"access_token": "two\nlines", "token_type": "Bearer"});
    site.tokens.fail(Answer::json(200, answer.to_string()));
    site.get()
        .fails(3)
        .says("gave a token that no request can carry");
    assert_eq!(site.gets(), 0);
}

/// D22: the secret signs with every algorithm that `--algorithm` lists for it, beside a key too.
#[test]
fn jwt_bearer_signs_with_a_secret_by_each_hmac_algorithm() {
    let private_key = key("rsa.jwk");
    let secret = "a-secret-that-is-long-enough-for-sha-512-a-secret-that-is-long-enough";
    for algorithm in ["HS256", "HS384", "HS512"] {
        for beside in [&[][..], &["--private-key-path", &private_key]] {
            let server = Server::start();
            server.on("POST", "/token", Answer::json(200, TOKEN));
            let flags = [
                "--auth-type",
                "jwt-bearer",
                "--client-secret",
                secret,
                "--subject",
                "u",
                "--algorithm",
                algorithm,
            ];
            let medplum = user_of(&server, &[&flags[..], beside].concat());
            medplum.run(["login", "-p", "x"]).ok();
            let assertion = field(&server.request_to("/token"), "assertion").unwrap();
            assert_eq!(Jwt::parse(&assertion).unwrap().header["alg"], algorithm);
        }
    }
}

/// D33: Auth0 and others want the audience in the request; where an assertion proves the client, it is that one's.
#[test]
fn the_audience_goes_along_with_client_credentials() {
    let server = Server::start();
    server.on("POST", "/token", Answer::json(200, TOKEN));
    let flags = [
        "--client-secret",
        "s3cret-s3cret",
        "--audience",
        "https://api.example",
    ];
    user_of(&server, &flags).run(["login", "-p", "x"]).ok();
    let private_key = key("rsa.jwk");
    let flags = [
        "--auth-type",
        "jwt-assertion",
        "--private-key-path",
        &private_key,
        "--audience",
        "https://api.example",
    ];
    user_of(&server, &flags).run(["login", "-p", "x"]).ok();
    let [by_secret, by_key]: [Request; 2] = server.requests_to("/token").try_into().unwrap();
    assert_eq!(
        field(&by_secret, "audience").as_deref(),
        Some("https://api.example")
    );
    assert_eq!(field(&by_key, "audience"), None);
}

/// A clock that is wrong: one more try, by the server's.
#[test]
fn an_assertion_that_is_refused_for_its_time_is_made_again_by_the_servers_clock() {
    for (hours, tries, code) in [
        (3, 2, 0),
        (-3, 2, 0),
        (0, 2, 3),
        (630_000, 2, 3),
        (-30, 2, 3),
    ] {
        let server = Server::start();
        let seconds: i64 = 3600 * hours;
        let asked = AtomicUsize::new(0);
        server.handler(move |request| {
            if request.path() != "/token" {
                return None;
            }
            asked.fetch_add(1, Ordering::SeqCst);
            let now = SystemTime::now();
            let there = if seconds < 0 {
                now - Duration::from_secs(seconds.unsigned_abs())
            } else {
                now + Duration::from_secs(seconds.unsigned_abs())
            };
            let date = httpdate::fmt_http_date(there);
            let there = there
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs();
            let claims = Jwt::parse(&field(request, "client_assertion")?)
                .ok()?
                .claims;
            let time = |name: &str| claims[name].as_u64().unwrap();
            let is_good =
                seconds != 0 && time("iat") <= there && (there..there + 300).contains(&time("exp"));
            Some(if is_good {
                Answer::json(200, TOKEN).header("Date", &date)
            } else {
                Answer::json(400, r#"{"error":"invalid_client"}"#).header("Date", &date)
            })
        });
        let private_key = key("rsa.jwk");
        let medplum = user_of(
            &server,
            &[
                "--auth-type",
                "jwt-assertion",
                "--private-key-path",
                &private_key,
            ],
        );
        let run = medplum.run(["login", "-p", "x"]).fails(code).everything();
        let is_told = run.contains("so the assertion is made by the server's time");
        assert_eq!(is_told, code == 0, "{run}");
        // A clock that is far off is told, once, and not gone by: the assertion would be good for years.
        let told = run
            .matches("which is too much to make an assertion")
            .count();
        assert_eq!(told, usize::from(hours.abs() > 24), "{run}");
        assert_eq!(server.requests_to("/token").len(), tries, "{run}");
    }
}

/// What a server wants beside the standards: kept in the profile, in every token request, and never in the place of
/// something that proves.
#[test]
fn token_parameters_go_along_and_override_nothing() {
    let server = Server::start();
    server.on("POST", "/token", Answer::json(200, TOKEN));
    let params = [
        "--token-param",
        "audience=https://api.example/?a=b",
        "--token-param",
        "tenant=t 1",
    ];
    let medplum = user_of(
        &server,
        &[&["--client-secret", "s3cret-s3cret"], &params[..]].concat(),
    );
    medplum.run(["login", "-p", "x"]).ok();
    let request = server.request_to("/token");
    assert_eq!(
        field(&request, "audience").as_deref(),
        Some("https://api.example/?a=b")
    );
    assert_eq!(field(&request, "tenant").as_deref(), Some("t 1"));
    for name in [
        "client_id",
        "client_secret",
        "client_assertion",
        "grant_type",
        "code",
        "refresh_token",
        "scope",
    ] {
        let param = format!("{name}=theirs-and-not-ours");
        let run = medplum
            .run(["login", "-p", "x", "--token-param", &param])
            .fails(2);
        assert!(
            run.stderr.contains(name) && !run.stderr.contains("theirs-and-not-ours"),
            "{run}"
        );
    }
    assert_eq!(server.requests_to("/token").len(), 1);
    // A token that was asked for with others is another token.
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    medplum.run(["get", "-p", "x", "Patient/1"]).ok();
    medplum
        .run(["get", "-p", "x", "Patient/1", "--token-param", "tenant=t 2"])
        .ok();
    assert_eq!(server.requests_to("/token").len(), 2);
}

#[test]
fn parameters_of_the_sign_in_page_and_an_ehrs_launch_go_along() {
    let clinic = Clinic::open();
    let flags = [
        "--authorize-param",
        "kc_idp_hint=hospital",
        "--authorize-param",
        "prompt=login",
        "--launch",
        "l-123",
    ];
    let login = clinic.login(&flags);
    let opened = clinic.medplum.opened(&login);
    let url = url::Url::parse(&opened).unwrap();
    let asked: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["kc_idp_hint"], "hospital");
    assert_eq!(asked["prompt"], "login");
    assert_eq!(asked["launch"], "l-123");
    assert_eq!(asked["scope"], "launch openid fhirUser");
    crate::support::browser::visit(&clinic.auth.authorize(&opened));
    let run = login.finish().ok().everything();
    assert!(!run.contains("did not grant"), "{run}");
    for name in [
        "state",
        "nonce",
        "aud",
        "code_challenge",
        "redirect_uri",
        "scope",
    ] {
        let param = format!("{name}=theirs");
        clinic
            .login(&["--authorize-param", &param])
            .finish()
            .fails(2)
            .says(name);
    }
    let client = [
        "--auth-type",
        "client-credentials",
        "--client-secret",
        "s3cret-s3cret",
    ];
    clinic
        .login(&[&client[..], &["--launch", "x"]].concat())
        .finish()
        .fails(2)
        .says("--launch");
}
