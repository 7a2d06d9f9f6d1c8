//! What nobody told us is a secret, and may be one: headers of an answer that brings a token, what a server says back in a
//! header, proofs that are made anew for each request, settings whose name nobody knows.

use serde_json::{Value, json};

use crate::support::fhir::names_token_endpoint;
use crate::support::{Answer, Medplum, Server};

const SECRET: &str = "SecretCanary7qhwzkfbtn";
const TOKEN: &str = "TokenCanary3mxvrkpdqz";

fn server(answer: impl AsRef<[u8]>) -> Server {
    let server = Server::start();
    names_token_endpoint(&server, "/fhir/R4", "/token");
    let brings = Answer::json(200, answer)
        .header("X-Access", TOKEN)
        .header("X-Request-Id", "request-17");
    server.on("POST", "/token", brings);
    server
}

fn token(token: &str, kind: &str) -> String {
    json!({"access_token": token, "token_type": kind, "expires_in": 300}).to_string()
}

fn of(server: &Server, flags: &[&str]) -> Medplum {
    let medplum = Medplum::new();
    let client = ["--client-secret", SECRET];
    medplum.set_client(&server.url("/"), &[&client[..], flags].concat());
    medplum
}

/// The token itself was known when its answer's head was shown to nobody yet.
#[test]
fn headers_of_an_answer_that_brings_a_token_are_shown_if_they_are_known_alone() {
    let server = server(token(TOKEN, "Bearer"));
    server.on(
        "GET",
        "/fhir/R4/Patient/1",
        Answer::json(200, "{}").header("X-Site", "ward-7"),
    );
    let run = of(&server, &[])
        .run(["get", "-p", "x", "Patient/1", "-vv"])
        .ok();
    assert!(!run.everything().contains(TOKEN), "{run}");
    let run = run
        .says("< x-access: ********")
        .says("< x-request-id: request-17");
    // Of other answers all is shown that is no secret of ours.
    let _ = run.says("< x-site: ward-7");
}

#[test]
fn a_proof_that_a_server_says_back_is_not_shown() {
    let server = server(token(TOKEN, "DPoP"));
    server.handler(|request| {
        let proof = request.header("DPoP").unwrap_or_default();
        (request.path() == "/fhir/R4/Patient/1").then(|| {
            let said = format!("bad proof {proof}, or dpop={proof}");
            Answer::outcome(403, "forbidden", &said).header("X-Said", &said)
        })
    });
    let medplum = of(&server, &["--dpop"]);
    for flags in [&["-vv"][..], &["-i"]] {
        let run = medplum.run([&["get", "-p", "x", "Patient/1"][..], flags].concat());
        let run = run.fails(3).says("bad proof ********");
        let shown = match flags {
            // The body is what was asked for; who made it may look at it.
            ["-i"] => run.stdout.split("\n\n").next().unwrap().to_owned() + &run.stderr,
            _ => run.everything(),
        };
        assert!(shown.contains("dpop=********"), "{run}");
        assert!(!shown.contains("eyJ"), "{run}");
    }
    let sent = server.requests_to("/fhir/R4/Patient/1");
    assert!(sent.iter().all(|request| {
        request
            .header("DPoP")
            .is_some_and(|it| it.starts_with("eyJ"))
    }));
}

/// `get -i` showed id and secret that the server had said back in a header.
#[test]
fn what_a_server_says_back_in_a_header_is_masked_where_headers_are_asked_for() {
    let server = server(token(TOKEN, "Bearer"));
    server.handler(|request| {
        let said = request
            .header("Authorization")
            .unwrap_or_default()
            .to_owned();
        (request.path() == "/fhir/R4/Patient/1").then(|| {
            Answer::json(200, "{}")
                .header("X-Said", &said)
                .header("ETag", "W/\"7\"")
        })
    });
    for way in ["basic", "client-credentials"] {
        let medplum = of(&server, &["--auth-type", way]);
        let run = medplum.run(["get", "-p", "x", "-i", "Patient/1"]).ok();
        let scheme = if way == "basic" { "Basic" } else { "Bearer" };
        let said = format!("x-said: {scheme} ********\n");
        assert!(
            run.stdout.contains(&said) && run.stdout.contains("etag: W/\"7\"\n"),
            "{run}"
        );
    }
    let sent = server.requests_to("/fhir/R4/Patient/1");
    assert!(
        sent.iter()
            .all(|request| request.header("Authorization").is_some())
    );
}

/// RFC 6749 appendix A.12: such a token would steer the terminal that it is printed to.
#[test]
fn a_token_of_other_characters_than_tokens_have_is_neither_used_nor_printed() {
    for bad in [
        "t\u{202e}nekot-1",
        "token\u{9b}2J-1",
        "token-\u{200b}1",
        "t\u{e9}ken-12",
    ] {
        let server = server(token(bad, "Bearer"));
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
        let medplum = of(&server, &[]);
        for command in [
            &["token"][..],
            &["token", "-o", "json"],
            &["token", "--header"],
            &["get", "Patient/1"],
        ] {
            let run = medplum.run(command.iter().chain(&["-p", "x"])).fails(3);
            assert_eq!(run.stdout, "", "{run}");
            let run = medplum.run(command.iter().chain(&["-p", "x", "--access-token", bad]));
            assert!(run.code != 0 && run.stdout.is_empty(), "{run}");
        }
        assert!(server.requests_to("/fhir/R4/Patient/1").is_empty());
        assert!(!server.requests_to("/token").is_empty());
        // A login that another program stored.
        let options = json!({"name": "y", "baseUrl": server.url("/")}).to_string();
        let login = json!({"accessToken": bad}).to_string();
        medplum.write_profile("y", &json!({"options": options, "activeLogin": login}));
        let run = medplum.run(["token", "-p", "y"]);
        assert!(run.code != 0 && run.stdout.is_empty(), "{run}");
    }
}

#[test]
fn settings_of_unknown_names_are_masked_where_a_profile_is_shown() {
    let medplum = Medplum::new();
    let set = ["profile", "set", "x", "--base-url", "https://h.example/"];
    let params = [
        "--token-param",
        "audience=https://api.example",
        "--token-param",
    ];
    let given = format!("subscription={SECRET}");
    let header = format!("X-Site: {TOKEN}");
    let page = format!("hint={SECRET}");
    let more = [
        &given,
        "--authorize-param",
        "prompt=login",
        "--authorize-param",
        &page,
    ];
    let headers = ["-H", "X-Tenant: ward-7", "-H", &header];
    medplum
        .run([&set[..], &params, &more, &headers].concat())
        .ok();
    for format in [&[][..], &["-o", "table"], &["-vv"]] {
        let run = medplum
            .run([&["profile", "describe", "x"][..], format].concat())
            .ok();
        let shown = run.everything();
        assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{run}");
        for known in [
            "audience=https://api.example",
            "subscription=********",
            "prompt=login",
            "hint=********",
            "X-Tenant: ward-7",
            "X-Site: ********",
        ] {
            assert!(shown.contains(known), "{known}\n{run}");
        }
    }
    let run = medplum.run(["profile", "export", "x"]).ok();
    assert!(
        !run.everything().contains(SECRET) && !run.everything().contains(TOKEN),
        "{run}"
    );
    let run = run.says("Left out: headers, tokenParams, authorizeParams");
    assert_eq!(run.json()["baseUrl"], "https://h.example/");
    let whole = medplum
        .run(["profile", "export", "x", "--show-secrets"])
        .ok();
    assert!(whole.stdout.contains(SECRET) && whole.stdout.contains(TOKEN));
    let known = [
        "--token-param",
        "audience=a",
        "--authorize-param",
        "prompt=login",
    ];
    let known = [&known[..], &["-H", "X-Tenant: ward-7"]].concat();
    medplum.run([&set[..], &known].concat()).ok();
    let run = medplum.run(["profile", "export", "x"]).ok();
    assert_eq!(
        (&run.json()["tokenParams"], run.stderr.as_str()),
        (&Value::from("audience=a"), "")
    );
}

/// Line breaks in a name looked like lines of ours.
#[test]
fn names_of_a_file_that_is_imported_are_one_line() {
    let medplum = Medplum::new();
    let evil = "x\nError: nothing was imported\u{202e}\x1b[2J";
    let profile = json!({"name": "x", "baseUrl": "https://h.example/", evil: "1"});
    medplum.file("x.json", profile.to_string());
    let run = medplum.run(["profile", "import", "x.json"]).ok();
    assert_eq!(run.stderr.lines().count(), 2, "{run}");
    assert!(
        !run.stderr.contains('\u{202e}') && !run.stderr.contains('\x1b'),
        "{run}"
    );
    let named = json!({"name": evil, "baseUrl": "https://h.example/"});
    medplum.file("y.json", named.to_string());
    let run = medplum.run(["profile", "import", "y.json"]).fails(2);
    let first = run.stderr.lines().next().unwrap();
    assert!(
        first.starts_with("Error: `x Error: nothing was imported"),
        "{run}"
    );
    assert!(
        !run.stderr.contains('\u{202e}') && !run.stderr.contains('\x1b'),
        "{run}"
    );
    let wrong = json!({"name": "x", "baseUrl": "a\nError: b"});
    medplum.file("z.json", wrong.to_string());
    let run = medplum.run(["profile", "import", "z.json", "z"]).fails(2);
    assert!(!run.stderr.contains("\nError: b"), "{run}");
}
