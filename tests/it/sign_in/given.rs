//! Tokens and assertions from where people have them: a file, a program, a variable.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::assertions::{Assertions, Client};
use crate::support::{Answer, Medplum, Server};

/// A server that takes one token, and a token endpoint that gives `exchanged` for anything.
fn server_taking(token: &'static str) -> Server {
    let server = Server::start();
    server.handler(move |request| {
        Some(match request.path() {
            "/token" => {
                let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 600,
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
                Answer::new(200, "application/json", body.to_string())
            }
            path if path.starts_with("/fhir/R4/Patient") => {
                if request.header("Authorization") == Some(&format!("Bearer {token}")) {
                    Answer::json(200, "{}")
                } else {
                    Answer::outcome(401, "login", "a good token is needed")
                }
            }
            _ => Answer::empty(404),
        })
    });
    server
}

/// A program in the working folder that writes a line to `NAME.runs` each time it runs.
fn program(medplum: &Medplum, name: &str, script: &str) -> String {
    let path = medplum.file(
        name,
        format!("#!/bin/sh\necho \"$*\" >> {name}.runs\n{script}\n"),
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn runs(medplum: &Medplum, name: &str) -> usize {
    let runs = fs::read_to_string(medplum.path(&format!("{name}.runs")));
    runs.unwrap_or_default().lines().count()
}

fn form(server: &Server, field: &str) -> Option<String> {
    let form = server.request_to("/token").form();
    let found = form.into_iter().find(|(name, _)| name == field);
    found.map(|(_, value)| value)
}

/// Programs that print tokens as gcloud, az and Vault do, by the lines that the documents give.
#[test]
fn an_access_token_comes_from_a_program_as_gcloud_az_and_vault_print_it() {
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    for (name, arguments, printed) in [
        ("gcloud", "auth print-access-token", "good-token".to_owned()),
        (
            "gcloud",
            "config config-helper --format=json",
            json!({"credential": {"access_token": "good-token", "token_expiry": later.to_string()}}).to_string(),
        ),
        (
            "az",
            "account get-access-token --resource https://fhir.example",
            json!({"accessToken": "good-token", "expiresOn": "2026-11-28 12:00:00.000000",
                "expires_on": later.as_second(), "tokenType": "Bearer"})
            .to_string(),
        ),
        (
            "vault",
            "read -format=json identity/oidc/token/fhir",
            json!({"lease_duration": 0, "data": {"token": "good-token", "ttl": 3600}}).to_string(),
        ),
    ] {
        let server = server_taking("good-token");
        let medplum = Medplum::new();
        let path = program(&medplum, name, &format!("cat <<'END'\n{printed}\nEND"));
        let command = format!("{path} {arguments}");
        let base = server.url("/");
        let set = ["profile", "set", "cloud", "--base-url", &base];
        medplum.run(set.iter().chain(&["--access-token-command", &command])).ok();
        let run = medplum.run(["get", "-p", "cloud", "-vv", "Patient/1"]).ok();
        assert!(!run.everything().contains("good-token"), "{run}");
        let log = medplum.read(&format!("{name}.runs"));
        assert_eq!(log, format!("{arguments}\n"));
        assert!(!medplum.profile_text("cloud").contains("good-token"));
        medplum.run(["token", "-p", "cloud"]).ok().prints("good-token\n");
    }
}

/// A 401 asks the program once more, and one run serves a whole command.
#[test]
fn a_refused_token_is_asked_for_again_once() {
    let server = server_taking("second-token");
    let medplum = Medplum::new();
    let give = "[ $(wc -l < give.runs) = 1 ] && echo first-token || echo second-token";
    let path = program(&medplum, "give", give);
    let base = server.url("/");
    let get = [
        "get",
        "--base-url",
        &base,
        "--access-token-command",
        &path,
        "Patient/1",
    ];
    medplum.run(get).ok();
    assert_eq!((runs(&medplum, "give"), server.lines().len()), (2, 2));

    // One that gives the same again ends there.
    let path = program(&medplum, "same", "echo wrong-token");
    let get = [
        "get",
        "--base-url",
        &base,
        "--access-token-command",
        &path,
        "Patient/1",
    ];
    medplum.run(get).fails(3);
    assert_eq!(runs(&medplum, "same"), 2);
}

#[test]
fn a_program_runs_once_for_many_requests_while_its_token_is_good() {
    let server = server_taking("good-token");
    let next = server.url("/fhir/R4/Patient?page=2");
    let page = json!({"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": next}]});
    server.on(
        "GET",
        "/fhir/R4/Patient?page=1",
        Answer::json(200, page.to_string()),
    );
    let last = json!({"resourceType": "Bundle", "type": "searchset"});
    server.on(
        "GET",
        "/fhir/R4/Patient?page=2",
        Answer::json(200, last.to_string()),
    );
    for (printed, expected) in [
        ("good-token", 1),
        (r#"{"access_token":"good-token","expires_in":600}"#, 1),
        // It ends at once: each request asks for another one.
        (r#"{"access_token":"good-token","expires_in":0}"#, 2),
    ] {
        let medplum = Medplum::new();
        let path = program(&medplum, "give", &format!("echo '{printed}'"));
        let base = server.url("/");
        let get = [
            "get",
            "--all",
            "--base-url",
            &base,
            "--access-token-command",
            &path,
        ];
        medplum.run(get.iter().chain(&["Patient?page=1"])).ok();
        assert_eq!(runs(&medplum, "give"), expected, "{printed}");
    }
}

#[test]
fn a_program_that_gives_no_token_is_named_and_nothing_is_sent() {
    let server = server_taking("good-token");
    let medplum = Medplum::new();
    let base = server.url("/");
    for (script, code, words) in [
        ("echo no; exit 1", 3, "failed"),
        ("echo 'You are not signed in'", 3, "several words"),
        ("echo '{\"error\":\"hidden-words\"}'", 3, "without a token"),
        ("true", 3, "printed nothing"),
    ] {
        let path = program(&medplum, "give", script);
        let get = [
            "get",
            "--base-url",
            &base,
            "--access-token-command",
            &path,
            "Patient/1",
        ];
        let run = medplum.run(get).fails(code).says(words);
        assert!(!run.everything().contains("hidden-words"), "{run}");
    }
    let get = [
        "get",
        "--base-url",
        &base,
        "--access-token-command",
        "none-such",
        "Patient/1",
    ];
    medplum.run(get).fails(2).says("none-such");
    assert_eq!(server.lines(), [""; 0]);
    // Somebody else's folder names no program.
    let lines = format!("MEDPLUM_BASE_URL={base}\nMEDPLUM_ACCESS_TOKEN_COMMAND=touch ran\n");
    medplum.file(".env", lines);
    medplum.run(["get", "Patient/1"]).fails(3);
    assert!(!medplum.path("ran").exists());
}

/// D31: there was no file for an access token, so it stood in the process list or the environment.
#[test]
fn an_access_token_comes_from_a_file_that_is_read_when_it_is_needed() {
    let server = server_taking("good-token");
    let medplum = Medplum::new();
    let base = server.url("/");
    medplum.file("token", "good-token\n");
    let set = ["profile", "set", "x", "--base-url", &base];
    medplum
        .run(set.iter().chain(&["--access-token-file", "token"]))
        .ok();
    assert_eq!(
        medplum.options("x")["accessTokenFile"],
        medplum.path("token").to_str().unwrap()
    );
    medplum.run(["get", "-p", "x", "Patient/1"]).ok();
    medplum.file("token", "old-token\n");
    medplum.run(["get", "-p", "x", "Patient/1"]).fails(3);
    let by_variable = medplum.command(["get", "--base-url", &base, "Patient/1"]);
    medplum.file("token", "good-token");
    by_variable
        .env("MEDPLUM_ACCESS_TOKEN_FILE", medplum.path("token"))
        .run()
        .ok();
    let stdin = [
        "get",
        "--base-url",
        &base,
        "--access-token-file",
        "-",
        "Patient/1",
    ];
    medplum.command(stdin).stdin("good-token\n").run().ok();
    // One way stands in the place of the other.
    let other = [
        "profile",
        "set",
        "x",
        "--update",
        "--access-token",
        "good-token",
    ];
    medplum.run(other).ok();
    assert_eq!(medplum.options("x").get("accessTokenFile"), None::<&Value>);
}

/// Workload identity: a token that Kubernetes projects into a file is the client's assertion, and changes.
#[test]
fn a_projected_token_of_kubernetes_proves_the_client_and_is_read_anew() {
    let server = server_taking("good-token");
    let medplum = Medplum::new();
    let base = server.url("/");
    let path = medplum.file("var/run/secrets/tokens/fhir", "projected.jwt.one");
    let set = [
        "profile",
        "set",
        "pod",
        "--base-url",
        &base,
        "--client-id",
        "fhir-client",
        "--token-url",
        "/token",
    ];
    let flags = [
        "--client-assertion-file",
        path.to_str().unwrap(),
        "--scope",
        "system/*.rs",
    ];
    medplum.run(set.iter().chain(&flags)).ok();
    for token in ["projected.jwt.one", "projected.jwt.two"] {
        server.forget();
        medplum.file("var/run/secrets/tokens/fhir", token);
        medplum.run(["login", "-p", "pod"]).ok();
        medplum.run(["get", "-p", "pod", "Patient/1"]).ok();
        assert_eq!(form(&server, "client_assertion").as_deref(), Some(token));
        assert_eq!(form(&server, "client_id").as_deref(), Some("fhir-client"));
        assert_eq!(
            form(&server, "grant_type").as_deref(),
            Some("client_credentials")
        );
        assert_eq!(
            form(&server, "client_assertion_type").as_deref(),
            Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        );
        assert_eq!(server.request_to("/token").header("Authorization"), None);
    }
}

/// GitHub Actions: a small server plays the URL that a job asks for its token, by the line that the documents give.
#[test]
fn the_token_of_a_github_job_proves_the_client_or_is_exchanged() {
    let server = server_taking("good-token");
    let github = Server::start();
    github.handler(|request| {
        let authorization = request.header("Authorization").unwrap_or_default();
        let is_job = authorization == "bearer request-token";
        let body = json!({"count": 1, "value": format!("job.jwt.for-{}", request.target.rsplit('=').next().unwrap_or_default())});
        Some(if is_job {
            Answer::new(200, "application/json", body.to_string())
        } else {
            Answer::empty(401)
        })
    });
    // As docs/sign-in.md has it.
    let line = r#"sh -c "curl -sSf -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=fhir\"""#;
    let base = server.url("/");
    let run = |flags: &[&str]| {
        server.forget();
        let get = [
            "get",
            "--base-url",
            &base,
            "--token-url",
            "/token",
            "--client-id",
            "me",
            "Patient/1",
        ];
        let medplum = Medplum::new();
        let get = medplum.command(get.iter().chain(flags));
        let url = github.url("/token?api-version=2.0");
        let get = get.env("ACTIONS_ID_TOKEN_REQUEST_URL", url);
        get.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token")
            .run()
            .ok();
    };
    run(&["--client-assertion-command", line]);
    assert_eq!(
        form(&server, "client_assertion").as_deref(),
        Some("job.jwt.for-fhir")
    );
    let exchange = ["--auth-type", "token-exchange", "--client-auth", "none"];
    let subject = [
        "--subject-token-command",
        line,
        "--subject-token-type",
        "jwt",
    ];
    run(&[exchange, subject].concat());
    assert_eq!(
        form(&server, "subject_token").as_deref(),
        Some("job.jwt.for-fhir")
    );
    assert_eq!(github.lines().len(), 2);
}

/// CI keeps secrets in variables; many of them lose the line ends.
#[test]
fn a_private_key_comes_from_a_variable_as_pem_or_jwk() {
    let folder = "tests/it/data/keys";
    let pem = fs::read_to_string(format!("{folder}/p384-pkcs8.pem")).unwrap();
    let jwk = fs::read_to_string(format!("{folder}/p384.jwk")).unwrap();
    for text in [
        pem.clone(),
        pem.replace('\n', "\\n"),
        pem.replace('\n', "\r\n"),
        jwk,
    ] {
        let medplum = Medplum::new();
        let key = medplum.file("key", text.replace("\\n", "\n"));
        let server = Server::start();
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
        let keys = medplum
            .run(["keys", "jwks", key.to_str().unwrap()])
            .ok()
            .json();
        let client = Client {
            id: "backend".into(),
            keys,
            ..Client::default()
        };
        let endpoint = Assertions::on(&server, "/token", client);
        let base = server.url("/");
        let get = [
            "get",
            "--base-url",
            &base,
            "--token-url",
            "/token",
            "--client-id",
            "backend",
            "-vv",
            "Patient/1",
        ];
        let run = medplum
            .command(get)
            .env("MEDPLUM_PRIVATE_KEY", &text)
            .run()
            .ok();
        assert_eq!(endpoint.assertions().len(), 1, "{:?}", endpoint.reasons());
        assert!(!run.everything().contains("PRIVATE KEY"), "{run}");
        // Of what is no key nothing is shown but its variable.
        let bad = medplum
            .command(get)
            .env("MEDPLUM_PRIVATE_KEY", "hidden-words")
            .run();
        let bad = bad.fails(2).says("MEDPLUM_PRIVATE_KEY");
        assert!(!bad.everything().contains("hidden-words"), "{bad}");
    }
}
