//! Where the endpoints are: discovery that moves, fails, lies about https or names a sign-in page of somebody else.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::authorization::parameters;
use crate::support::browser::visit;
use crate::support::doctor::{examine, speaks};
use crate::support::jwt::Jwt;
use crate::support::keys::key;
use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::support::run::Running;
use crate::support::tls::Authority;
use crate::support::{Answer, Clinic, Medplum, Server, Site, TokenEndpoint};

const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

fn names(server: &Server, document: &Value) {
    let answer = Answer::new(200, "application/json", document.to_string());
    server.on("GET", SMART, answer);
}

/// A profile for a server with these flags.
fn user_of(base: &str, flags: &[&str]) -> Medplum {
    let medplum = Medplum::new();
    let mut args = vec!["profile", "set", "site", "--base-url", base];
    args.extend(["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]);
    args.extend(flags);
    let _ = medplum.run(args).ok();
    medplum
}

fn get(medplum: &Medplum) -> crate::support::Run {
    medplum.run(["get", "-p", "site", "Patient/1", "--retries", "1"])
}

/// D7: what was found before is looked for again when it is gone.
#[test]
fn a_token_endpoint_that_has_moved_is_found_again() {
    let page = Answer::new(200, "text/html", "<html><title>Portal</title>");
    for gone in [
        Answer::empty(404),
        Answer::empty(405),
        Answer::empty(410),
        page,
    ] {
        let site = Site::without_profile();
        site.set_profile(&[]);
        let _ = site.get().ok();
        site.tokens.fail(gone);
        site.tokens.revoke();
        let moved = TokenEndpoint::on(&site.server, "/moved/token");
        names(
            &site.server,
            &json!({"token_endpoint": site.server.url("/moved/token")}),
        );
        let _ = site.get();
        assert_eq!(moved.count(), 1);
        let login = site.medplum.run(["login", "-p", "site"]).ok();
        assert_eq!(moved.count(), 2, "{login}");
    }
}

/// D7: so is one whose server is gone; a login is renewed at the new one.
#[test]
fn a_login_is_renewed_where_the_token_endpoint_is_now() {
    let clinic = Clinic::open();
    let gone = Server::start();
    let issuer = clinic.server.url("");
    let document = json!({"issuer": issuer, "authorization_endpoint": clinic.server.url("/oauth2/authorize"),
        "token_endpoint": clinic.server.url("/oauth2/token")});
    names(&clinic.server, &document);
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let mut kept = clinic.medplum.stored("clinic", "discovery");
    kept["tokenUrl"] = gone.url("/token").into();
    drop(gone);
    let mut keys = Value::Object(clinic.medplum.profile_keys("clinic"));
    keys["discovery"] = kept.to_string().into();
    clinic
        .medplum
        .write_profile_text("clinic", &keys.to_string());
    clinic.auth.revoke_access_tokens();
    let _ = clinic.get().ok();
    let kept = clinic.medplum.stored("clinic", "discovery");
    assert_eq!(kept["tokenUrl"], clinic.server.url("/oauth2/token"));
    assert!(kept["foundAt"].is_string(), "{kept}");
}

/// D7: after a day, and of a version that kept no time.
#[test]
fn what_was_found_ages() {
    for found_at in [
        Some("2026-01-01T00:00:00Z"),
        Some("2099-01-01T00:00:00Z"),
        None,
    ] {
        let site = Site::without_profile();
        site.set_profile(&[]);
        let _ = site.get().ok();
        let asked = site.server.requests_to(SMART).len();
        let mut kept = site.medplum.stored("site", "discovery");
        kept["foundAt"] = json!(found_at);
        let mut keys = Value::Object(site.medplum.profile_keys("site"));
        keys["discovery"] = kept.to_string().into();
        site.medplum.write_profile_text("site", &keys.to_string());
        site.tokens.revoke();
        let _ = site.get().ok();
        assert_eq!(
            site.server.requests_to(SMART).len(),
            asked + 1,
            "{found_at:?}"
        );
        // A server that is out of order now does not make us forget.
        site.medplum.write_profile_text("site", &keys.to_string());
        site.server.on("GET", SMART, Answer::empty(503));
        site.tokens.revoke();
        let args = ["get", "-p", "site", "Patient/1", "--retries", "0"];
        let _ = site.medplum.run(args).ok();
    }
}

/// D7: the doctor compares what it finds with what is stored, and logout drops it.
#[test]
fn the_doctor_says_what_the_profile_remembers_and_logout_forgets_it() {
    let site = Site::without_profile();
    speaks(&site.server, &json!({}));
    site.set_profile(&[]);
    let _ = site.get().ok();
    TokenEndpoint::on(&site.server, "/moved/token");
    speaks(
        &site.server,
        &json!({"token_endpoint": site.server.url("/moved/token")}),
    );
    let verdict = examine(&site.medplum, &[]);
    assert!(
        verdict
            .detail("discovery")
            .contains("the profile remembers"),
        "{}",
        verdict.run
    );
    let notes = verdict.json["notes"].to_string();
    assert!(
        notes.contains("/oauth2/token") && notes.contains("/moved/token"),
        "{notes}"
    );
    assert!(site.medplum.profile_keys("site").contains_key("discovery"));
    let _ = site.medplum.run(["logout", "-p", "site"]).ok();
    assert!(!site.medplum.profile_keys("site").contains_key("discovery"));
}

/// D8: one 503, or a broken connection, is asked again; nothing goes to a guessed URL.
#[test]
fn discovery_is_repeated_like_any_other_get() {
    for once in [
        Answer::empty(503).header("Retry-After", "0"),
        Answer::empty(429),
        Answer::reset(),
    ] {
        let site = Site::with_token_endpoint("/custom/token");
        let document = json!({"token_endpoint": site.server.url("/custom/token")});
        let smart = Answer::new(200, "application/json", document.to_string());
        site.server.on_sequence("GET", SMART, [once, smart]);
        site.set_profile(&[]);
        let _ = site.get().ok();
        assert_eq!(site.server.requests_to("/oauth2/token").len(), 0);
        assert_eq!(site.tokens.count(), 1);
    }
}

/// D8: what cannot be found out is told with the server's words, and as something that passes.
#[test]
fn a_server_that_is_out_of_order_gets_no_credentials_at_a_guess() {
    let busy = Answer::new(503, "text/plain", "down for maintenance until noon");
    for (answer, code, words) in [
        (busy, 1, "down for maintenance until noon"),
        (Answer::empty(500), 1, "500"),
        (Answer::empty(429), 1, "429"),
        (Answer::reset(), 6, "smart-configuration"),
    ] {
        let site = Site::without_profile();
        site.server.on("GET", SMART, answer);
        site.set_profile(&[]);
        let _ = get(&site.medplum).fails(code).says(words);
        let asked = site.server.requests_to(SMART).len();
        assert!(asked > 1 || words == "500", "{words}");
        assert_eq!(site.tokens.count(), 0);
    }
}

/// D8, D34, report 29: what is not there, or is no document, is an error and never a guess.
#[test]
fn a_server_that_names_no_token_endpoint_gets_nothing() {
    for (answer, words) in [
        (Answer::empty(404), "404"),
        (Answer::empty(403), "403"),
        (
            Answer::new(200, "text/html", "<html>a portal</html>"),
            "is a web page",
        ),
        (Answer::json(200, "{}"), "names none"),
        (
            Answer::json(200, "{\"token_endpoint\":"),
            "not the JSON expected",
        ),
        (Answer::json(200, "[1]"), "not the JSON expected"),
        (Answer::json(200, ""), "not the JSON expected"),
    ] {
        let site = Site::without_profile();
        site.server.on("GET", SMART, answer);
        site.set_profile(&[]);
        let run = site
            .get()
            .fails(2)
            .says("names no token endpoint")
            .says(words);
        run.says("--token-url");
        assert_eq!(site.tokens.count(), 0);
        assert!(site.server.requests_to(SMART).len() == 1 && site.gets() == 0);
    }
}

/// Report 29: relative to the origin as RFC 3986 says, and with a byte order mark before the document.
#[test]
fn relative_endpoints_and_byte_order_marks_are_read() {
    for (path, named, bom) in [
        ("/token", "/token", ""),
        ("/fhir/R4/token", "token", ""),
        ("/custom/token", "", "\u{feff}"),
    ] {
        let site = Site::with_token_endpoint(path);
        let url = if named.is_empty() {
            site.server.url(path)
        } else {
            named.to_owned()
        };
        let document = format!("{bom}{}", json!({"token_endpoint": url}));
        site.server
            .on("GET", SMART, Answer::new(200, "application/json", document));
        site.server.on("POST", "/fhir/R4/token", Answer::empty(599));
        site.set_profile(&[]);
        if path == "/fhir/R4/token" {
            // Below the FHIR base everything wants a token here; that it was asked is what counts.
            let _ = get(&site.medplum);
            assert!(!site.server.requests_to(path).is_empty());
        } else {
            site.get().ok();
            assert_eq!(site.tokens.count(), 1, "{named}");
        }
    }
}

/// D34: a SMART document that names its issuer alone, which says it in either of the two places.
#[test]
fn the_issuer_is_asked_for_what_the_smart_configuration_does_not_name() {
    for well_known in [
        "/realms/x/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/realms/x",
    ] {
        let site = Site::with_token_endpoint("/realms/x/token");
        let issuer = site.server.url("/realms/x");
        names(&site.server, &json!({"issuer": issuer}));
        let document = json!({"issuer": issuer, "token_endpoint": site.server.url("/realms/x/token"),
            "revocation_endpoint": site.server.url("/realms/x/revoke")});
        site.server
            .on("GET", well_known, Answer::json(200, document.to_string()));
        site.server
            .on("POST", "/realms/x/revoke", Answer::empty(200));
        site.set_profile(&[]);
        let _ = site.get().ok();
        let _ = site.medplum.run(["logout", "-p", "site"]).ok();
        assert_eq!(site.server.requests_to("/realms/x/revoke").len(), 1);
        // A document of another issuer is none.
        let other = json!({"issuer": site.server.url("/realms/y"), "token_endpoint": site.server.url("/realms/x/token")});
        site.server
            .on("GET", well_known, Answer::json(200, other.to_string()));
        let asked = site.tokens.count();
        let _ = site.get().fails(2);
        assert_eq!(site.tokens.count(), asked);
    }
}

/// D4: a document that sends on to http, to another port or to another host is not followed there.
#[test]
fn discovery_follows_no_redirect_to_another_server_or_out_of_tls() {
    let (server, elsewhere) = (Server::start(), Server::start());
    let authority = Authority::new();
    let tls = authority.front(&server, &["localhost"], 2100);
    let other_tls = authority.front(&elsewhere, &["localhost"], 2100);
    let poison = json!({"token_endpoint": other_tls.url("/attacker")}).to_string();
    for place in [&server, &elsewhere] {
        place.on("GET", "/poison", Answer::json(200, poison.clone()));
    }
    let base = tls.url("/");
    for target in [
        server.url_as_localhost("/poison"),
        other_tls.url("/poison"),
        elsewhere.url_as_localhost("/poison"),
    ] {
        server.forget();
        server.on("GET", SMART, Answer::redirect(302, &target));
        let medplum = user_of(&base, &[]);
        let ca = authority.file(&medplum).display().to_string();
        for command in [&["get", "Patient/1"][..], &["login"], &["doctor"]] {
            let run = medplum.run([command, &["-p", "site", "--ca-cert", &ca]].concat());
            assert!([1, 2, 4].contains(&run.code), "{run}");
        }
        assert!(!server.requests_to(SMART).is_empty());
        assert_eq!(
            (server.requests_to("/poison").len(), elsewhere.lines().len()),
            (0, 0)
        );
        assert!(!medplum.profile_keys("site").contains_key("discovery"));
    }
    // To add a slash, or TLS, is no harm.
    server.on("GET", SMART, Answer::redirect(301, &tls.url("/moved")));
    let token = json!({"token_endpoint": tls.url("/token")}).to_string();
    server.on("GET", "/moved", Answer::json(200, token));
    TokenEndpoint::on(&server, "/token");
    let medplum = user_of(&base, &[]);
    let ca = authority.file(&medplum).display().to_string();
    let _ = medplum.run(["login", "-p", "site", "--ca-cert", &ca]).ok();
}

/// D5: a URL that the user set counts too; https never leads to http.
#[test]
fn an_endpoint_without_tls_below_an_https_base_is_refused_whoever_names_it() {
    let (server, authority) = (Server::start(), Authority::new());
    let tls = authority.front(&server, &["localhost"], 2100);
    let plain = server.url_as_localhost("/token");
    server.on(
        "POST",
        "/token",
        Answer::json(200, r#"{"access_token":"t","token_type":"Bearer"}"#),
    );
    let document = json!({"token_endpoint": tls.url("/token"), "device_authorization_endpoint": tls.url("/device"),
        "authorization_endpoint": tls.url("/authorize")});
    names(&server, &document);
    for (auth_type, flag) in [
        ("client-credentials", "--token-url"),
        ("device-code", "--token-url"),
        ("device-code", "--device-authorization-url"),
        ("authorization-code", "--token-url"),
        ("authorization-code", "--authorize-url"),
    ] {
        let medplum = user_of(&tls.url("/"), &["--auth-type", auth_type, flag, &plain]);
        let ca = authority.file(&medplum).display().to_string();
        let args = [
            "login",
            "-p",
            "site",
            "--ca-cert",
            &ca,
            "--login-timeout",
            "5s",
        ];
        let _ = medplum
            .run(args)
            .fails(3)
            .says("is not https although the FHIR server is");
        assert!(
            server
                .requests()
                .iter()
                .all(|request| request.method == "GET"),
            "{auth_type} {flag}"
        );
    }
}

/// D5: plain http is warned of at every command, unless it stays on this machine.
#[test]
fn plain_http_to_another_machine_is_warned_of() {
    let medplum = Medplum::new();
    for (host, warned) in [("fhir.example.invalid", true), ("localhost:1", false)] {
        let base = format!("http://{host}");
        let args = [
            "get",
            "Patient/1",
            "--base-url",
            &base,
            "--access-token",
            "given-token",
            "--retries",
            "0",
        ];
        let run = medplum.run(args).fails(6);
        assert_eq!(
            run.stderr
                .contains("is not https: anyone on the way can read"),
            warned,
            "{run}"
        );
    }
}

/// D10: a FHIR server that names somebody else's sign-in page and its own token endpoint would get the code.
#[test]
fn a_sign_in_page_of_another_server_must_say_that_the_token_endpoint_is_its_own() {
    let honest = Server::start();
    for (issuer, says, code) in [
        // The honest server's document names its own token endpoint.
        (honest.url(""), Some(honest.url("/token")), 3),
        (honest.url(""), None, 3),
        // An issuer that is not the page's server vouches for nothing.
        (String::new(), Some(String::new()), 3),
        (honest.url(""), Some(String::new()), 0),
    ] {
        let mut clinic = Clinic::open();
        let own = clinic.server.url("/oauth2/token");
        let issuer = if issuer.is_empty() {
            clinic.server.url("/own-issuer")
        } else {
            issuer
        };
        let document = json!({"issuer": issuer, "authorization_endpoint": honest.url("/authorize"), "token_endpoint": own});
        names(&clinic.server, &document);
        let says = says.map(|url| if url.is_empty() { own.clone() } else { url });
        let answer = match says {
            Some(token) => Answer::json(
                200,
                json!({"issuer": issuer, "token_endpoint": token,
                "authorization_endpoint": honest.url("/authorize")})
                .to_string(),
            ),
            None => Answer::empty(404),
        };
        honest.on("GET", "/.well-known/openid-configuration", answer.clone());
        clinic.server.on(
            "GET",
            "/own-issuer/.well-known/openid-configuration",
            answer,
        );
        clinic.auth = clinic.auth.claim("iss", issuer.clone().into());
        let login = clinic.login(&["--login-timeout", "20s"]);
        if code == 0 {
            signs_in_at(&honest, &clinic, &login, &issuer);
            let _ = login.finish().ok();
        } else {
            while !login.has_ended() && !clinic.medplum.home().join("opened").exists() {
                thread::sleep(Duration::from_millis(5));
            }
            if !login.has_ended() {
                signs_in_at(&honest, &clinic, &login, &issuer);
            }
            let run = login.finish();
            let codes = clinic.auth.token_requests();
            assert_eq!(codes.len(), 0, "it got the code\n{run}");
            let run = run.fails(code);
            run.says("different servers").says("--token-url");
        }
    }
}

/// The person signs in at the honest server's page; behind it is the clinic's own, which gives a code.
fn signs_in_at(honest: &Server, clinic: &Clinic, login: &Running, issuer: &str) {
    let url = url::Url::parse(&clinic.medplum.opened(login)).unwrap();
    assert!(url.as_str().starts_with(&honest.url("/authorize")));
    let mut at = url::Url::parse(&clinic.server.url("/oauth2/authorize")).unwrap();
    at.set_query(url.query());
    let back = clinic.auth.authorize(at.as_str());
    let given = parameters(&back);
    let mut own = back.clone();
    own.query_pairs_mut()
        .clear()
        .append_pair("code", &given["code"])
        .append_pair("state", &given["state"])
        .append_pair("iss", issuer);
    assert_eq!(visit(&own).status, 200);
}

/// D10, RFC 9207 §2.4: a server that says that it names itself must do so.
#[test]
fn an_answer_without_iss_is_refused_where_the_server_promised_one() {
    let clinic = Clinic::open();
    let document = json!({"issuer": clinic.server.url(""), "authorization_endpoint": clinic.server.url("/oauth2/authorize"),
        "token_endpoint": clinic.server.url("/oauth2/token"), "authorization_response_iss_parameter_supported": true});
    names(&clinic.server, &document);
    let login = clinic.login(&[]);
    let back = clinic.auth.authorize(&clinic.medplum.opened(&login));
    let given = parameters(&back);
    let mut silent = back.clone();
    silent
        .query_pairs_mut()
        .clear()
        .append_pair("code", &given["code"])
        .append_pair("state", &given["state"]);
    assert_eq!(visit(&silent).status, 400);
    let _ = login.finish().fails(3).says("iss");
    assert_eq!(clinic.auth.token_requests().len(), 0);
    let (run, _) = {
        let login = clinic.login(&[]);
        let back = clinic.auth.authorize(&clinic.medplum.opened(&login));
        let given = parameters(&back);
        let mut named = back.clone();
        named
            .query_pairs_mut()
            .clear()
            .append_pair("code", &given["code"])
            .append_pair("state", &given["state"])
            .append_pair("iss", &clinic.server.url(""));
        let page = visit(&named);
        (login.finish(), page)
    };
    run.ok();
}

/// RFC 9207 §1: a document claims the name of an honest server and leads to that one's page; the code comes back with its name.
#[test]
fn a_code_of_another_server_goes_to_no_token_endpoint_that_it_does_not_name() {
    let (clinic, honest) = (Clinic::open(), Server::start());
    let issuer = honest.url("");
    let own = clinic.server.url("/oauth2/token");
    let says = |token_endpoint: &str| {
        let document = json!({"issuer": issuer, "token_endpoint": token_endpoint});
        let at = "/.well-known/openid-configuration";
        honest.on("GET", at, Answer::json(200, document.to_string()));
    };
    let claims = |issuer: Option<&str>| {
        let document = json!({"issuer": issuer, "authorization_endpoint": clinic.server.url("/oauth2/authorize"),
            "token_endpoint": own});
        names(&clinic.server, &document);
    };
    let log_in = || {
        let login = clinic.login(&[]);
        let mut back = clinic.auth.authorize(&clinic.medplum.opened(&login));
        let given = parameters(&back);
        back.query_pairs_mut()
            .clear()
            .append_pair("code", &given["code"])
            .append_pair("state", &given["state"])
            .append_pair("iss", &issuer);
        let page = visit(&back);
        (login.finish(), page.status)
    };
    says(&honest.url("/token"));
    // Its answers may name nobody, so nobody is sent there: a code would be in the hands of whoever wrote the document.
    claims(Some(&issuer));
    let run = clinic.login(&["--login-timeout", "20s"]).finish().fails(3);
    let _ = run.says("does not say that").says("--token-url");
    assert!(!clinic.medplum.home().join("opened").exists());
    claims(None);
    let (run, status) = log_in();
    assert_eq!(status, 400, "{run}");
    let _ = run.fails(3).says("does not say that");
    assert_eq!(clinic.auth.token_requests().len(), 0);
    // What the issuer says of itself is believed: the code is sent, though the id_token here is of another name.
    says(&own);
    claims(Some(&issuer));
    let (run, _) = log_in();
    assert_eq!(clinic.auth.token_requests().len(), 1, "{run}");
    let _ = run.fails(3).says("id_token");
}

/// D3: an assertion for the revocation endpoint is of no use at a token endpoint.
#[test]
fn the_assertion_for_revocation_is_for_that_endpoint_alone() {
    let server = Server::start();
    names(
        &server,
        &json!({"token_endpoint": server.url("/token"), "revocation_endpoint": server.url("/revoke")}),
    );
    server.on(
        "POST",
        "/token",
        Answer::json(
            200,
            r#"{"access_token":"t-1","token_type":"Bearer","expires_in":300}"#,
        ),
    );
    server.on("POST", "/revoke", Answer::empty(200));
    let medplum = Medplum::new();
    let (base, private_key) = (server.url("/"), key("rsa.jwk"));
    let args = [
        "profile",
        "set",
        "site",
        "--base-url",
        &base,
        "--client-id",
        "me",
        "--private-key-path",
        &private_key,
    ];
    let _ = medplum
        .run([&args[..], &["--auth-type", "jwt-assertion"]].concat())
        .ok();
    let _ = medplum.run(["login", "-p", "site"]).ok();
    let _ = medplum.run(["logout", "-p", "site"]).ok();
    let audience = |path: &str| {
        let form = server.request_to(path).form();
        let (_, assertion) = form
            .iter()
            .find(|(name, _)| name == "client_assertion")
            .unwrap()
            .clone();
        Jwt::parse(&assertion).unwrap().claims["aud"].clone()
    };
    assert_eq!(audience("/token"), server.url("/token"));
    assert_eq!(audience("/revoke"), server.url("/revoke"));
}
