//! A canary in everything that holds a secret of ours, and a server that says back all that it hears: no command shows it
//! on the terminal, in a trace, or leaves it in a file that is not its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::keys::{PASSPHRASE, key};
use crate::support::medplum::tree;
use crate::support::{Answer, Medplum, Request, Server};

const CANARY: &str = "Canary7qhwzkfbtnLongEnough";
const TOKEN: &str = "token-that-is-fine-12345";

/// Where secrets come from, by the flag; `KEY` is a variable.
const SOURCES: [&str; 12] = [
    "--client-secret-file",
    "--client-secret-command",
    "--access-token-file",
    "--access-token-command",
    "--subject-token-file",
    "--subject-token-command",
    "--client-assertion-file",
    "--client-assertion-command",
    "--private-key-path",
    "--key-passphrase-file",
    "PKCS#12",
    "MEDPLUM_PRIVATE_KEY",
];

const COMMANDS: [&[&str]; 19] = [
    &["login"],
    &["get", "Patient/1"],
    &["post", "Patient", "{\"resourceType\":\"Patient\"}"],
    &[
        "put",
        "Patient/1",
        "{\"resourceType\":\"Patient\",\"id\":\"1\"}",
    ],
    &[
        "patch",
        "Patient/1",
        "[{\"op\":\"remove\",\"path\":\"/name\"}]",
    ],
    &["delete", "Patient/1"],
    &["whoami"],
    &["whoami", "-o", "json"],
    &["token"],
    &["token", "-o", "json"],
    &["doctor"],
    &["doctor", "-o", "json"],
    &["bulk", "export", "-d", "out"],
    &["bulk", "import", "in.ndjson", "--bundle", "none"],
    &["bulk", "status", "out"],
    &["profile", "describe", "x"],
    &["profile", "list"],
    &["profile", "export", "x"],
    &["logout"],
];

/// What a user has: flags of the profile, a variable, files that hold the canary, and the canary.
struct Source {
    flags: Vec<String>,
    own: Vec<PathBuf>,
    canary: String,
}

fn of(medplum: &mut Medplum, name: &str) -> Source {
    let mut canary = CANARY.to_owned();
    let file = medplum.file("secret", CANARY);
    let program = program(
        medplum,
        &format!("echo {CANARY}; echo 'it is {CANARY}' >&2"),
    );
    let held = if name.ends_with("-command") {
        &program
    } else {
        &file
    };
    let mut flags = vec![name.to_owned(), held.display().to_string()];
    let mut own = vec![file.clone(), program.clone()];
    let passphrase =
        |of: &str| ["--private-key-path", of, "--key-passphrase-file"].map(str::to_owned);
    match name {
        "--subject-token-file" | "--subject-token-command" => {
            flags.extend(
                [
                    "--auth-type",
                    "token-exchange",
                    "--client-secret",
                    "s-12345678",
                ]
                .map(str::to_owned),
            );
        }
        "--private-key-path" | "MEDPLUM_PRIVATE_KEY" => {
            let text = fs::read_to_string(key("rsa-pkcs8.pem")).unwrap();
            text.lines().nth(3).unwrap().clone_into(&mut canary);
            let file = medplum.file("key.pem", &text);
            if name == "MEDPLUM_PRIVATE_KEY" {
                medplum.set_env(name, text);
                flags = Vec::new();
            } else {
                flags[1] = file.display().to_string();
            }
            flags.extend(["--auth-type", "jwt-assertion"].map(str::to_owned));
            own.push(file);
        }
        "--key-passphrase-file" => {
            PASSPHRASE.clone_into(&mut canary);
            let file = medplum.file("secret", PASSPHRASE);
            flags = passphrase(&key("rsa-encrypted.pem")).to_vec();
            flags.push(file.display().to_string());
        }
        "PKCS#12" => {
            flags = passphrase(&pkcs12(medplum.root())).to_vec();
            flags.push(file.display().to_string());
        }
        _ => {}
    }
    Source { flags, own, canary }
}

fn program(medplum: &Medplum, body: &str) -> PathBuf {
    let program = medplum.file("program", format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// A key and its certificate in a file that the canary opens.
fn pkcs12(folder: &Path) -> String {
    let out = folder.join("work/key.p12").display().to_string();
    let (key, certificate) = (key("p256-pkcs8.pem"), key("certificate.pem"));
    let password = format!("pass:{CANARY}");
    let made = Command::new("openssl")
        .args(["pkcs12", "-export", "-inkey", &key, "-in", &certificate])
        .args(["-nocerts", "-out", &out, "-passout", &password])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    out
}

/// All that a request holds, with its Basic credentials as they are.
fn heard(request: &Request) -> String {
    let header = request.header("Authorization").unwrap_or_default();
    let basic = header
        .strip_prefix("Basic ")
        .and_then(|text| STANDARD.decode(text).ok());
    let basic = String::from_utf8_lossy(&basic.unwrap_or_default()).into_owned();
    format!("{} {header} {basic}", request.text())
}

/// A server that says back what it hears; the token endpoint gives tokens, or does so too.
fn parrot(gives_tokens: bool) -> Server {
    let server = Server::start();
    let url = server.url("");
    server.handler(move |request| {
        let said = heard(request);
        Some(match request.path() {
            "/fhir/R4/.well-known/smart-configuration" => {
                let at = |path: &str| format!("{url}/{path}");
                let smart = json!({"token_endpoint": at("token"), "introspection_endpoint": at("introspect"),
                    "userinfo_endpoint": at("userinfo"), "revocation_endpoint": at("revoke")});
                Answer::json(200, smart.to_string())
            }
            "/fhir/R4/metadata" => {
                Answer::json(200, r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}"#)
            }
            "/token" if gives_tokens => {
                let mut token = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300,
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
                for name in ["scope", "error_description", "error_uri", "sub", "patient", "unknown"] {
                    token[name] = said.clone().into();
                }
                Answer::json(200, token.to_string())
            }
            "/introspect" | "/userinfo" if gives_tokens => {
                let mut about = json!({"active": true});
                for name in ["scope", "client_id", "username", "sub", "name", "email", "fhirUser"] {
                    about[name] = said.clone().into();
                }
                Answer::json(200, about.to_string())
            }
            path if path.starts_with("/fhir/") => Answer::outcome(403, "forbidden", &said)
                .header("X-Said", &said.replace(['\r', '\n'], " ")),
            _ => {
                let refusal = json!({"error": "invalid_client", "error_description": said,
                    "error_uri": format!("https://words.example/?{said}"), "message": said});
                Answer::json(400, refusal.to_string())
            }
        })
    });
    server
}

fn user(server: &Server, medplum: &Medplum, flags: &[String]) {
    let base = server.url("/");
    let mut set = vec![
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--client-id",
        "client",
    ];
    set.extend(flags.iter().map(String::as_str));
    medplum.run(set).ok();
    medplum.file("in.ndjson", "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n");
}

fn nothing_is_shown(name: &str, gives_tokens: bool) {
    let (server, mut medplum) = (parrot(gives_tokens), Medplum::new());
    let source = of(&mut medplum, name);
    user(&server, &medplum, &source.flags);
    for command in COMMANDS {
        let run = medplum.run(command.iter().chain(&["-p", "x", "-vv", "--retries", "0"]));
        assert!(run.code < 7, "{name}\n{run}");
        // There it is what was asked for.
        let is_asked_for = name.starts_with("--access-token") && command[0] == "token";
        let shown = if is_asked_for {
            run.stderr.clone()
        } else {
            run.everything()
        };
        assert!(!shown.contains(&source.canary), "{name}\n{run}");
    }
    for (path, bytes) in tree(medplum.root()) {
        let holds = String::from_utf8_lossy(&bytes).contains(&source.canary);
        assert!(
            !holds || source.own.contains(&path),
            "{name}: {}",
            path.display()
        );
    }
    let heard: Vec<String> = server.requests().iter().map(heard).collect();
    let proof = if source.canary == CANARY && name != "PKCS#12" {
        CANARY
    } else {
        "client_assertion=ey"
    };
    assert!(
        heard.iter().any(|text| text.contains(proof)),
        "{name}: {heard:?}"
    );
}

#[test]
fn no_secret_is_shown_by_any_command_whatever_a_server_says_back() {
    let cells: Vec<_> = SOURCES
        .iter()
        .flat_map(|name| [(name, true), (name, false)])
        .collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, gives_tokens)) =
                    cells.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    nothing_is_shown(name, *gives_tokens);
                }
            });
        }
    });
}

/// A program that fails is quoted by what it complains of, but not by what it printed as the secret.
#[test]
fn what_a_program_printed_is_not_shown_when_it_fails_or_prints_too_much() {
    for name in [
        "--client-secret-command",
        "--access-token-command",
        "--subject-token-command",
        "--client-assertion-command",
        "--sign-command",
    ] {
        for body in [
            "echo CANARY; echo 'vault: CANARY is old' >&2; exit 3",
            "echo '{\"token\":\"CANARY\"}'; echo \"vault: 'CANARY' is old\" >&2; exit 3",
            "echo CANARY; echo CANARY; echo 'two of CANARY' >&2",
            "echo '{\"CANARY\":[\"CANARY\"]} CANARY'",
        ] {
            let (server, medplum) = (parrot(true), Medplum::new());
            let program = program(&medplum, &body.replace("CANARY", CANARY));
            let mut flags = vec![name.to_owned(), program.display().to_string()];
            let more: &[&str] = match name {
                "--subject-token-command" => &[
                    "--auth-type",
                    "token-exchange",
                    "--client-secret",
                    "s-12345678",
                ],
                "--sign-command" => &[
                    "--auth-type",
                    "jwt-assertion",
                    "--key-id",
                    "k",
                    "--algorithm",
                    "RS384",
                ],
                _ => &[],
            };
            flags.extend(more.iter().map(|word| (*word).to_owned()));
            user(&server, &medplum, &flags);
            for command in [
                &["login"][..],
                &["get", "Patient/1"],
                &["whoami"],
                &["token"],
                &["doctor"],
            ] {
                let run = medplum.run(command.iter().chain(&["-p", "x", "-vv", "--retries", "0"]));
                assert!(!run.everything().contains(CANARY), "{name}, {body}\n{run}");
                // One line of any kind may be a secret, and a token that is given needs no login.
                let is_ready = name == "--access-token-command" && command[0] == "login";
                let is_bad = (body.contains("exit 3") || body.contains("two of")) && !is_ready;
                assert!(!is_bad || run.code != 0, "{name}, {body}\n{run}");
            }
        }
    }
}
