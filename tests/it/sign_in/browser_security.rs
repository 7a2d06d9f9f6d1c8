//! What can be done to a login by browser from outside: forged answers, foreign listeners, hostile URLs, curious eyes.

use std::fs;

use serde_json::{Value, json};
use url::Url;

use crate::support::authorization::parameters;
use crate::support::browser::{connect, request, visit};
use crate::support::medplum::tree;
use crate::support::{Clinic, Server};

/// The page says all in itself: the policy forbids everything but its own style.
#[test]
fn the_page_is_plain_and_loads_nothing() {
    let clinic = Clinic::open();
    let (run, page) = clinic.log_in(&[]);
    run.ok();
    let head = page.head.to_ascii_lowercase();
    for header in [
        "content-security-policy: default-src 'none'; style-src 'nonce-",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(header), "{header}\n{head}");
    }
    for part in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.body.contains(part), "{part}\n{}", page.body);
    }
    assert!(page.body.contains(&clinic.server.url("/")), "{}", page.body);
}

/// A8: an unsolicited `?code=` was accepted and stored.
#[test]
fn forged_callbacks_are_refused_and_the_wait_goes_on() {
    let clinic = Clinic::open();
    let before = tree(&clinic.medplum.home().join(".medplum"));
    let login = clinic.login(&[]);
    let url = clinic.medplum.opened(&login);
    let good = clinic.auth.authorize(&url);
    // Somebody else's login: a good code, bound to a state and a challenge of theirs.
    let with = |query: &str| {
        let mut forged = good.clone();
        forged.set_query(Some(query));
        forged
    };
    let state = parameters(&good)["state"].clone();
    let other_case = state.to_ascii_uppercase();
    for query in [
        String::new(),
        "code=theirs".into(),
        "code=theirs&state=".into(),
        "code=theirs&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".into(),
        format!("code=theirs&state={}", &state[1..]),
        format!("code=theirs&state={other_case}"),
        format!("code=theirs&state=x&state={state}"),
        "error=access_denied".into(),
        "error=access_denied&state=other".into(),
    ] {
        let page = visit(&with(&query));
        assert_eq!(page.status, 400, "{query}: {page:?}");
        assert!(
            page.body.contains("not the sign-in that medplum waits for"),
            "{query}: {page:?}"
        );
    }
    assert_eq!(clinic.auth.token_requests().len(), 0);
    assert_eq!(tree(&clinic.medplum.home().join(".medplum")), before);
    assert_eq!(visit(&good).status, 200);
    login.finish().ok().says("refused");
}

/// Someone else's code in our own answer: the verifier does not fit, and nothing is stored.
#[test]
fn somebody_elses_code_is_of_no_use() {
    let clinic = Clinic::open();
    let theirs = {
        let other = Clinic::open();
        let login = other.login(&[]);
        let url = Url::parse(&other.medplum.opened(&login)).unwrap();
        // They sign in at the clinic with a login that another machine started.
        let mut query = parameters(&url);
        query.insert("aud".into(), clinic.server.url("/fhir/R4"));
        let mut url = Url::parse(&clinic.server.url("/oauth2/authorize")).unwrap();
        url.query_pairs_mut().extend_pairs(&query);
        parameters(&clinic.auth.authorize(url.as_str()))["code"].clone()
    };
    let before = tree(&clinic.medplum.home().join(".medplum"));
    let login = clinic.login(&[]);
    let good = clinic.auth.authorize(&clinic.medplum.opened(&login));
    let mut forged = good.clone();
    forged
        .query_pairs_mut()
        .clear()
        .append_pair("code", &theirs)
        .append_pair("state", &parameters(&good)["state"]);
    let page = visit(&forged);
    assert_eq!(page.status, 400, "{page:?}");
    login.finish().fails(3).says("invalid_grant");
    assert_eq!(tree(&clinic.medplum.home().join(".medplum")), before);
}

#[test]
fn only_a_get_of_the_callback_on_this_machine_is_an_answer() {
    let clinic = Clinic::open();
    let login = clinic.login(&[]);
    let good = clinic.auth.authorize(&clinic.medplum.opened(&login));
    let target = format!("{}?{}", good.path(), good.query().unwrap());
    let port = good.port().unwrap();
    for (bytes, status) in [
        (
            format!("GET /favicon.ico HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
            404,
        ),
        (
            format!("GET {target} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"),
            421,
        ),
        (format!("GET {target} HTTP/1.1\r\n\r\n"), 421),
        (
            format!(
                "POST {target} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 0\r\n\r\n"
            ),
            405,
        ),
        (
            format!("GET /x{target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"),
            404,
        ),
        ("\r\n\r\n".into(), 400),
        (
            format!("GET {target}&{} HTTP/1.1\r\n", "x".repeat(100_000)),
            400,
        ),
    ] {
        let answer = request(&good, &bytes);
        // A head that is cut off may end in a reset before the page is through.
        let is_right = answer.status == status || bytes.len() > 50_000 && answer.status == 0;
        assert!(is_right, "{status}: {answer:?}");
    }
    // Browsers open connections on suspicion; one that says nothing holds up none that does.
    let _idle: Vec<_> = (0..4).map(|_| connect(&good)).collect();
    assert_eq!(visit(&good).status, 200);
    login.finish().ok();
}

/// A8: it listened on all interfaces.
#[cfg(target_os = "linux")]
#[test]
fn the_listener_is_on_loopback_only() {
    let clinic = Clinic::open();
    let login = clinic.login(&[]);
    let good = clinic.auth.authorize(&clinic.medplum.opened(&login));
    let port = format!("{:04X}", good.port().unwrap());
    let mut addresses = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines() {
            let mut words = line.split_whitespace().skip(1);
            let (local, _remote, state) = (words.next(), words.next(), words.next());
            if let (Some((address, of)), Some("0A")) =
                (local.and_then(|l| l.split_once(':')), state)
                && of == port
            {
                addresses.push(address.to_owned());
            }
        }
    }
    let loopback = ["0100007F", "00000000000000000000000001000000"];
    assert!(!addresses.is_empty());
    assert!(
        addresses
            .iter()
            .all(|address| loopback.contains(&address.as_str())),
        "{addresses:?}"
    );
    drop(login);
}

/// The URL is chosen by the server: a shell would run what is in it.
#[test]
fn the_browser_gets_the_url_as_one_argument_and_no_shell() {
    let clinic = Clinic::open();
    let hostile = clinic
        .server
        .url("/oauth2/authorize?x=$(touch%20pwned)&y=`touch pwned`;touch pwned&z='\"");
    let login = clinic.login(&["--authorize-url", &hostile]);
    let opened = clinic.medplum.opened(&login);
    assert!(opened.contains("x=$(touch%20pwned)"), "{opened}");
    assert!(!clinic.medplum.path("pwned").exists());
    drop(login);
}

/// OpenID Connect Core §3.1.3.7.
#[test]
fn an_id_token_that_is_not_for_this_login_is_refused() {
    for (claim, value) in [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("another-client")),
        ("iss", json!("https://another.example")),
        ("exp", json!(1_000_000_000)),
        ("azp", json!("another-client")),
    ] {
        let mut clinic = Clinic::open();
        clinic.auth = clinic.auth.claim(claim, value.clone());
        let before = clinic.medplum.profile_text("clinic");
        let (run, page) = clinic.log_in(&[]);
        run.fails(3).says("id_token");
        assert_eq!(page.status, 400, "{claim} {value}");
        assert_eq!(clinic.medplum.profile_text("clinic"), before);
    }
    // Without `openid` there is no nonce and nothing to check.
    let mut clinic = Clinic::open();
    clinic.auth = clinic.auth.claim("nonce", json!("another"));
    let (run, _) = clinic.log_in(&["--scope", "patient/*.rs"]);
    run.ok();
}

/// RFC 9207: an answer of another issuer is a mix-up.
#[test]
fn an_answer_of_another_issuer_is_refused() {
    let clinic = Clinic::open();
    let login = clinic.login(&[]);
    let back = clinic.auth.authorize(&clinic.medplum.opened(&login));
    let given = parameters(&back);
    let mut mixed = back.clone();
    mixed
        .query_pairs_mut()
        .clear()
        .append_pair("code", &given["code"])
        .append_pair("state", &given["state"])
        .append_pair("iss", "https://another.example");
    assert_eq!(visit(&mixed).status, 400);
    login.finish().fails(3).says("another.example");
    assert_eq!(clinic.auth.token_requests().len(), 0);
}

/// The `.env` file of a cloned repository names no place for codes and refresh tokens.
#[test]
fn codes_and_refresh_tokens_go_to_no_url_of_an_env_file() {
    let (clinic, foreign) = (Clinic::open(), Server::start());
    let lines = format!(
        "MEDPLUM_TOKEN_URL={0}\nMEDPLUM_AUTHORIZE_URL={0}\n",
        foreign.url("/theirs")
    );
    clinic.medplum.file(".env", &lines);
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    clinic.auth.revoke_access_tokens();
    clinic.get().ok();
    assert_eq!(foreign.lines(), [""; 0]);
}

/// The state, the verifier, the nonce, the code and the tokens are never printed, however talkative; the address that
/// `--no-browser` shows holds the state, as it must, and nothing else does.
#[test]
fn no_secret_of_a_login_is_printed() {
    let mut clinic = Clinic::open();
    let (run, _) = clinic.log_in(&["-vv"]);
    let run = run.ok();
    let args = ["login", "-p", "clinic", "--no-browser", "-vv"];
    let login = clinic.medplum.command(args).keyboard().spawn();
    let url = login.stderr_line("/oauth2/authorize?").trim().to_owned();
    let back = clinic.auth.authorize(&url);
    login.types(back.as_str());
    let pasted = login.finish().ok();
    let refresh = {
        clinic.auth.revoke_access_tokens();
        clinic
            .medplum
            .run(["get", "-p", "clinic", "-vv", "Patient/1"])
            .ok()
    };
    clinic.auth = clinic.auth.claim("nonce", json!("another"));
    let (refused, _) = clinic.log_in(&["-vv"]);
    let refused = refused.fails(3);
    let mut secrets = vec![
        "access-".to_owned(),
        "r3fresh".into(),
        "c0de".into(),
        "c2lnbmF0dXJl".into(),
    ];
    for request in clinic.auth.token_requests() {
        let form: std::collections::HashMap<_, _> = request.form().into_iter().collect();
        secrets.extend(form.get("code_verifier").cloned());
    }
    let asked = parameters(&Url::parse(&url).unwrap());
    for run in [&run, &refresh, &refused] {
        for secret in secrets.iter().chain([&asked["state"], &asked["nonce"]]) {
            assert!(
                !run.everything().contains(secret.as_str()),
                "{secret}\n{run}"
            );
        }
        for name in ["state=", "nonce=", "code_challenge="] {
            for part in run.everything().split(name).skip(1) {
                assert!(part.starts_with("****"), "{name}{part}");
            }
        }
    }
    for secret in &secrets {
        assert!(
            !pasted.everything().contains(secret.as_str()),
            "{secret}\n{pasted}"
        );
    }
    let elsewhere = pasted.everything().replacen(&url, "", 1);
    assert!(!elsewhere.contains(&asked["state"]), "{pasted}");
}
