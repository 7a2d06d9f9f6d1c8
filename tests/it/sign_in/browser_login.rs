//! Signing in with a browser: `authorization-code` against a server that checks every parameter.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};
use url::Url;

use crate::support::authorization::{PUBLIC_CLIENT, parameters};
use crate::support::browser::{free_port, visit};
use crate::support::medplum::tree;
use crate::support::{Answer, Clinic};

/// A8: no PKCE, no state. A9: client, scope and callback of the profile were ignored. The server checks the rest.
#[test]
fn a_login_uses_the_profile_and_stores_what_the_server_granted() {
    let clinic = Clinic::open();
    let login = clinic.login(&[]);
    let opened = Url::parse(&clinic.medplum.opened(&login)).unwrap();
    let asked = parameters(&opened);
    assert_eq!(asked["scope"], "openid fhirUser");
    assert!(
        asked["redirect_uri"].starts_with("http://localhost:"),
        "{opened}"
    );
    assert!(asked["redirect_uri"].ends_with("/signed/in"), "{opened}");
    let page = visit(&clinic.auth.authorize(opened.as_str()));
    let run = login.finish().ok().prints("").says("Logged in");
    assert_eq!(page.status, 200, "{run}");
    assert!(page.body.contains("You are signed in"), "{page:?}");

    let stored = clinic.medplum.stored("clinic", "activeLogin");
    assert_eq!(stored["accessToken"], "access-1");
    assert_eq!(stored["refreshToken"], "r3fresh/2+of=this");
    clinic.get().ok();
    assert_eq!(clinic.auth.token_requests().len(), 1);
}

/// A10: a refusal was a 404, and the command waited for ever.
#[test]
fn a_person_who_says_no_is_told_so_in_browser_and_terminal() {
    let clinic = Clinic::open();
    let before = tree(&clinic.medplum.home().join(".medplum"));
    let login = clinic.login(&["--scope", "openid"]);
    let back = clinic.auth.refuse(
        &clinic.medplum.opened(&login),
        "access_denied",
        "The <b>user</b> said no",
    );
    let page = visit(&back);
    assert!(page.body.contains("You are not signed in"), "{page:?}");
    assert!(
        page.body
            .contains("access_denied - The &lt;b&gt;user&lt;/b&gt; said no"),
        "{page:?}"
    );
    login
        .finish()
        .fails(3)
        .prints("")
        .says("access_denied - The <b>user</b> said no");
    assert_eq!(tree(&clinic.medplum.home().join(".medplum")), before);
}

/// A10: a code exchange that failed was exit 0, and the browser got a dropped connection.
#[test]
fn a_token_endpoint_that_refuses_is_exit_3_and_changes_nothing() {
    let clinic = Clinic::open();
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    let before = clinic.medplum.profile_text("clinic");
    clinic.auth.fail(Some(Answer::new(
        400,
        "application/json",
        r#"{"error":"invalid_client","error_description":"who are you"}"#,
    )));
    let (run, page) = clinic.log_in(&["--scope", "openid"]);
    run.fails(3).prints("").says("invalid_client - who are you");
    assert_eq!(page.status, 400);
    assert!(page.body.contains("invalid_client"), "{page:?}");
    assert_eq!(clinic.medplum.profile_text("clinic"), before);
}

#[test]
fn a_new_profile_is_made_only_by_a_login_that_works() {
    let clinic = Clinic::without_profile();
    let base = clinic.server.url("/");
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        PUBLIC_CLIENT,
        "--callback-url",
        "http://127.0.0.1:0",
    ];
    let login = || {
        clinic
            .medplum
            .spawn(["login", "-p", "new"].iter().chain(&flags))
    };
    let refused = login();
    let url = clinic.medplum.opened(&refused);
    visit(&clinic.auth.refuse(&url, "access_denied", "no"));
    refused.finish().fails(3);
    assert!(!clinic.medplum.profile_path("new").exists());

    let good = login();
    let url = clinic.medplum.opened(&good);
    // Without a path of its own, none is added: it is what the server has on its list.
    let asked = parameters(&Url::parse(&url).unwrap());
    assert!(
        asked["redirect_uri"]
            .rsplit(':')
            .next()
            .unwrap()
            .parse::<u16>()
            .is_ok(),
        "{asked:?}"
    );
    assert_eq!(asked["scope"], "openid");
    visit(&clinic.auth.authorize(&url));
    good.finish().ok();
    assert_eq!(
        clinic.medplum.options("new"),
        json!({"name": "new", "baseUrl": base, "callbackUrl": "http://127.0.0.1:0", "clientId": PUBLIC_CLIENT})
    );
    clinic.medplum.run(["get", "-p", "new", "Patient/1"]).ok();
}

/// A5: `login -p X` without flags emptied the profile and went to api.medplum.com.
#[test]
fn login_without_flags_keeps_the_settings_and_with_flags_updates_them() {
    let clinic = Clinic::open();
    let mut settings = clinic.medplum.options("clinic");
    let (run, _) = clinic.log_in(&[]);
    run.ok();
    assert_eq!(clinic.medplum.options("clinic"), settings);
    let (run, _) = clinic.log_in(&["--scope", "openid profile"]);
    run.ok();
    settings["scope"] = json!("openid profile");
    assert_eq!(clinic.medplum.options("clinic"), settings);
    let tokens = clinic.medplum.stored("clinic", "tokens");
    assert_eq!(
        tokens.as_array().unwrap().len(),
        1,
        "the login before is gone: {tokens}"
    );
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let clinic = Clinic::open();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let callback = format!("http://localhost:{port}/cb");
    let run = clinic
        .login(&["--callback-url", &callback])
        .finish()
        .fails(2);
    run.prints("")
        .says(&format!("port {port} is in use"))
        .says("--callback-url");
    // Somebody on ::1 alone would get what the browser sends to `localhost`.
    if let Ok(taken) = TcpListener::bind(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0))) {
        let callback = format!("http://localhost:{}/cb", taken.local_addr().unwrap().port());
        let run = clinic
            .login(&["--callback-url", &callback])
            .finish()
            .fails(2);
        run.says("is in use");
    }
    assert!(
        !clinic.medplum.home().join("opened").exists(),
        "a browser was opened"
    );
}

#[test]
fn the_registered_callback_is_sent_to_the_letter() {
    for path in ["", "/", "/a/b?tenant=7"] {
        let callback = format!("http://localhost:{}{path}", free_port());
        let clinic = Clinic::open();
        let auth = clinic.auth.clone().redirect_uri(&callback);
        let login = clinic.login(&["--callback-url", &callback]);
        let back = auth.authorize(&clinic.medplum.opened(&login));
        assert_eq!(visit(&back).status, 200, "{callback}");
        login.finish().ok();
    }
}

#[test]
fn a_callback_that_is_no_url_is_refused_at_once() {
    let clinic = Clinic::open();
    for callback in [
        "localhost:9615",
        "http://localhost:1/#part",
        "app://callback",
    ] {
        let run = clinic
            .login(&["--callback-url", callback])
            .finish()
            .fails(2);
        run.says("callbackUrl");
    }
}

#[test]
fn nobody_who_signs_in_is_exit_6() {
    let clinic = Clinic::open();
    let before = clinic.medplum.profile_text("clinic");
    let run = clinic
        .login(&["--login-timeout", "300ms"])
        .finish()
        .fails(6);
    run.prints("")
        .says("nobody signed in")
        .says("--login-timeout");
    assert_eq!(clinic.medplum.profile_text("clinic"), before);
}

/// A10: there was no way to sign in without a browser on the same machine.
#[test]
fn a_pasted_address_signs_in() {
    let clinic = Clinic::open();
    let start = || {
        let args = ["login", "-p", "clinic", "--no-browser", "-q"];
        let login = clinic.medplum.command(args).keyboard().spawn();
        let url = login.stderr_line("http").trim().to_owned();
        (login, clinic.auth.authorize(&url))
    };
    let (login, back) = start();
    let mut wrong = back.clone();
    wrong.set_query(Some("code=theirs&state=other"));
    login.types("");
    login.types("yes, I did");
    login.types(wrong.as_str());
    let _ = login.stderr_line("refused");
    login.types(&format!("  {back}#_=_ "));
    let run = login.finish().ok();
    assert!(!run.stderr.contains("theirs"), "{run}");
    clinic.get().ok();
    // The listener is there too.
    let (login, back) = start();
    assert_eq!(visit(&back).status, 200);
    login.finish().ok();
    // What a person pastes may be a refusal.
    let (login, back) = start();
    let state = parameters(&back)["state"].clone();
    login.types(&format!("?error=access_denied&state={state}"));
    login.finish().fails(3).says("access_denied");
}

/// A callback on another machine can only be pasted.
#[test]
fn a_callback_elsewhere_is_pasted() {
    let clinic = Clinic::open();
    let callback = "https://app.example/oauth/callback";
    let auth = clinic.auth.clone().redirect_uri(callback);
    let args = ["login", "-p", "clinic", "--callback-url", callback];
    let login = clinic.medplum.command(args).keyboard().spawn();
    let back = auth.authorize(&clinic.medplum.opened(&login));
    let _ = login.stderr_line("paste");
    login.types(back.as_str());
    login.finish().ok();
    // With nobody at the keyboard no answer can come.
    let run = clinic.login(&["--no-browser"]).finish();
    run.fails(2).says("app.example");
}

/// A10: without xdg-open the command failed.
#[test]
fn a_browser_that_cannot_be_opened_is_no_end() {
    for program in ["/nonexistent/browser", "false", " "] {
        let clinic = Clinic::open();
        let login = clinic
            .medplum
            .command(["login", "-p", "clinic"])
            .env("BROWSER", program)
            .spawn();
        let _ = login.stderr_line("No browser could be opened");
        let url = login.stderr_line("/oauth2/authorize").trim().to_owned();
        assert_eq!(visit(&clinic.auth.authorize(&url)).status, 200, "{program}");
        login.finish().ok();
    }
}

/// A confidential client proves itself, and then has no `client_id` in the form (SMART App Launch 2.2).
#[test]
fn a_confidential_client_signs_in_with_header_or_body() {
    for (in_body, place) in [(false, "header"), (true, "post")] {
        let mut clinic = Clinic::open();
        clinic.auth = clinic
            .auth
            .confidential("conf-1", "the-secret-of-it", in_body);
        let flags = [
            "--client-id",
            "conf-1",
            "--client-secret",
            "the-secret-of-it",
            "--client-auth",
            place,
        ];
        clinic.set_profile(&flags);
        let (run, _) = clinic.log_in(&[]);
        run.ok();
        clinic.get().ok();
        // The refresh proves the client the same way.
        clinic.auth.revoke_access_tokens();
        clinic.get().ok();
        assert_eq!(clinic.auth.token_requests().len(), 2, "{place}");
    }
}

#[test]
fn launch_context_and_person_are_shown_and_what_was_not_granted_is_said() {
    let mut clinic = Clinic::open();
    clinic.auth = clinic
        .auth
        .grants("openid fhirUser patient/Patient.rs")
        .field("patient", json!("pat-1"))
        .field("encounter", json!("enc-2"))
        .claim("fhirUser", json!("Practitioner/7"))
        .claim("name", json!("Dr. Ada Lovelace"));
    let scope = "openid fhirUser launch/patient patient/Patient.read patient/Observation.read";
    let (run, _) = clinic.log_in(&["--scope", scope]);
    let run = run.ok().says("patient/Observation.read is missing");
    assert!(!run.stderr.contains("launch/patient"), "{run}");
    let run = clinic.medplum.run(["whoami", "-p", "clinic"]).ok();
    for line in [
        "Client:  app-1",
        "Granted: openid fhirUser patient/Patient.rs",
        "Missing: patient/Observation.read",
        "User:    Dr. Ada Lovelace (Practitioner/7)",
        "Patient: pat-1",
        "Encounter: enc-2",
    ] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            squeezed(&run.stdout).contains(&squeezed(line)),
            "{line}\n{run}"
        );
    }
    assert!(run.stdout.contains("then renewed"), "{run}");
    let object = clinic
        .medplum
        .run(["whoami", "-p", "clinic", "-o", "json"])
        .ok()
        .json();
    assert_eq!(object["patient"], "pat-1");
}

/// A9: the client id was always `medplum-cli`; a foreign server knows no such client.
#[test]
fn a_server_that_is_not_medplums_needs_a_client_id() {
    let clinic = Clinic::without_profile();
    clinic.set_profile(&[]);
    let run = clinic.login(&[]).finish().fails(2);
    run.prints("").says("a client id").says("--client-id");
    assert_eq!(clinic.server.lines(), [""; 0]);
}

#[test]
fn without_a_login_a_command_says_so_and_sends_nothing() {
    let clinic = Clinic::open();
    clinic.get().fails(3).prints("").says("medplum login");
    for command in ["token", "whoami"] {
        clinic.medplum.run([command, "-p", "clinic"]).fails(3);
    }
    assert_eq!(clinic.server.lines(), [""; 0]);
}

/// Both URLs may be set, and then discovery may fail.
#[test]
fn set_urls_need_no_discovery() {
    let clinic = Clinic::open();
    let smart = "/fhir/R4/.well-known/smart-configuration";
    clinic.server.on("GET", smart, Answer::reset());
    clinic
        .server
        .on("GET", "/fhir/R4/metadata", Answer::empty(500));
    let urls = [
        "--authorize-url",
        "oauth2/authorize",
        "--token-url",
        "/oauth2/token",
    ];
    let (run, _) = clinic.log_in(&urls);
    run.ok();
    assert_eq!(
        clinic.medplum.options("clinic")["tokenUrl"],
        "/oauth2/token"
    );
}

/// Ctrl-C while it waits ends it, and nothing is stored.
#[test]
fn an_interrupted_login_changes_nothing() {
    let clinic = Clinic::open();
    let before = clinic.medplum.profile_text("clinic");
    let login = clinic.login(&["--scope", "openid"]);
    let _ = clinic.medplum.opened(&login);
    login.interrupt();
    login.finish().fails(130);
    assert_eq!(clinic.medplum.profile_text("clinic"), before);
}

/// A login whose server names no lifetime and gives no refresh token serves until the server says no.
#[test]
fn a_login_of_unknown_length_serves_until_a_401() {
    let mut clinic = Clinic::open();
    clinic.auth = clinic.auth.lifetime(Value::Null).without_refresh_tokens();
    let (run, _) = clinic.log_in(&["--scope", "patient/*.rs"]);
    run.ok();
    clinic.get().ok();
    clinic.auth.revoke_access_tokens();
    clinic.get().fails(3).says("log in again");
    assert_eq!(clinic.auth.token_requests().len(), 1);
}

/// Two logins at once: the second one says that the first one has the port.
#[test]
fn the_second_login_at_once_is_told_of_the_port() {
    let clinic = Clinic::open();
    let callback = format!("http://localhost:{}", free_port());
    let first = clinic.login(&["--callback-url", &callback]);
    let url = clinic.medplum.opened(&first);
    clinic
        .login(&["--callback-url", &callback])
        .finish()
        .fails(2)
        .says("in use");
    assert_eq!(visit(&clinic.auth.authorize(&url)).status, 200);
    first.finish().ok();
    // The port is free again at once.
    let again = clinic.login(&["--callback-url", &callback, "--login-timeout", "100ms"]);
    again.finish().fails(6);
}

/// A discovery document that names a plain HTTP endpoint for an HTTPS server is refused; so is a server without one.
#[test]
fn a_server_without_an_authorize_url_is_named() {
    let clinic = Clinic::open();
    let smart = json!({"token_endpoint": clinic.server.url("/oauth2/token")});
    clinic.server.on(
        "GET",
        "/fhir/R4/.well-known/smart-configuration",
        Answer::new(200, "application/json", smart.to_string()),
    );
    let run = clinic.login(&[]).finish().fails(2);
    run.says("authorize URL").says("--authorize-url");
}
