//! A `.env` file of a folder that somebody else filled, beside what a person types and what a profile holds.

use serde_json::json;

use crate::support::jwt::Jwt;
use crate::support::keys::key;
use crate::support::{Answer, Medplum, Server};

/// A server that takes whatever comes and names itself for everything.
fn greedy() -> Server {
    let server = Server::start();
    let token_url = server.url("/token");
    server.handler(move |request| {
        let path = request.path();
        Some(if path.ends_with("smart-configuration") {
            Answer::json(200, json!({"token_endpoint": token_url}).to_string())
        } else if path.ends_with("token") {
            let token = json!({"access_token": "greedy-token", "token_type": "Bearer"});
            Answer::json(200, token.to_string())
        } else {
            Answer::json(200, "{}")
        })
    });
    server
}

/// `--base-url` and what proves the client were typed, and one line of the folder led both to another server.
#[test]
fn an_env_file_leads_nothing_that_was_typed_to_another_server() {
    let (own, thief) = (greedy(), greedy());
    let base = own.url("/");
    let elsewhere = thief.url("/fhir");
    let text = format!("MEDPLUM_FHIR_URL_PATH={elsewhere}\n");
    let beside = format!("MEDPLUM_BASE_URL={base}\n{text}");
    for text in [text, beside] {
        let medplum = Medplum::new();
        medplum.file(".env", &text);
        let token = medplum.file("token", "typed-access-token");
        let token = token.to_str().unwrap();
        let secret = ["--client-id", "me", "--client-secret", "typed-secret-1"];
        let ways: [&[&str]; 3] = [
            &secret,
            &["--access-token-file", token],
            &["-H", "X-Api-Key: typed-key-1"],
        ];
        for way in ways {
            for command in [
                &["get", "Patient/1"][..],
                &["post", "Patient", "{\"resourceType\":\"Patient\"}"],
            ] {
                let args = [command, &["--base-url", &base], way].concat();
                let run = medplum.run(args).fails(3).says("belong to another server");
                assert!(run.stderr.contains("MEDPLUM_FHIR_URL_PATH"), "{run}");
            }
        }
        // A profile without a credential: what is written is worth as much.
        medplum
            .run(["profile", "set", "open", "--base-url", &base])
            .ok();
        let post = [
            "-p",
            "open",
            "post",
            "Patient",
            "{\"resourceType\":\"Patient\"}",
        ];
        medplum.run(post).fails(3).says("--no-env-file");
        let login = ["-p", "open", "login", "--client-id", "me", "--no-browser"];
        medplum.run(login).fails(3).says("belong to another server");
        assert_eq!(own.lines(), [""; 0]);
        // Who means that server says so.
        medplum.run([&["--no-env-file"][..], &post].concat()).ok();
        assert_eq!(own.lines().len(), 1, "{:?}", own.lines());
        own.forget();
    }
    assert_eq!(thief.lines(), [""; 0]);
}

#[test]
fn parameters_of_a_profile_go_to_no_token_url_of_an_env_file() {
    let (own, thief) = (greedy(), greedy());
    let base = own.url("/");
    let medplum = Medplum::new();
    let set = [
        "profile",
        "set",
        "p",
        "--base-url",
        &base,
        "--client-id",
        "me",
    ];
    medplum
        .run([&set[..], &["--token-param", "key=parameter-of-mine"]].concat())
        .ok();
    let text = format!(
        "MEDPLUM_BASE_URL={base}\nMEDPLUM_CLIENT_SECRET=of-the-file\nMEDPLUM_TOKEN_URL={}\n",
        thief.url("/token")
    );
    medplum.file(".env", text);
    let run = medplum.run(["-p", "p", "get", "Patient/1"]).ok();
    assert!(run.stderr.contains("from the .env file here"), "{run}");
    let form = thief.request_to("/token").form();
    let has_key = form.iter().any(|(name, _)| name == "key");
    assert!(!has_key, "{form:?}");
}

/// Who gets what was typed is said when only the folder names it.
#[test]
fn a_server_that_only_an_env_file_names_is_said_when_it_gets_a_credential() {
    let server = greedy();
    let medplum = Medplum::new();
    medplum.file(".env", format!("MEDPLUM_BASE_URL={}\n", server.url("/")));
    let get = [
        "get",
        "Patient/1",
        "--client-id",
        "me",
        "--client-secret",
        "typed-secret-1",
    ];
    let run = medplum.run(get).ok().says("is named by the .env file here");
    assert!(run.stderr.contains(&server.url("/")), "{run}");
    let quiet = medplum.run([&["-q"][..], &get].concat()).ok();
    assert_eq!(quiet.stderr, "");
}

/// A key signed for whatever server a line of the folder named, and the server of the key's owner got that.
#[test]
fn an_env_file_does_not_say_for_whom_a_key_signs_that_is_stored_exported_or_typed() {
    let private_key = key("rsa.jwk");
    let own = greedy();
    let (base, token_url) = (own.url("/"), own.url("/token"));
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "me",
        "--token-url",
        &token_url,
    ];
    let signing = [
        "--auth-type",
        "jwt-assertion",
        "--private-key-path",
        &private_key,
    ];
    let flags = [&flags[..], &signing].concat();
    let lines = [
        "AUDIENCE=https://other.example/token",
        "JKU=https://evil.example/jwks",
        "KEY_ID=evil",
        "TOKEN_PARAMS=a=evil",
    ];
    let text = lines.map(|line| format!("MEDPLUM_{line}\n")).concat();
    for way in ["stored", "exported", "typed"] {
        own.forget();
        let mut medplum = Medplum::new();
        medplum.file(".env", format!("MEDPLUM_BASE_URL={base}\n{text}"));
        let get = ["get", "Patient/1"];
        let run = match way {
            "stored" => {
                let set = ["profile", "set", "default"];
                medplum.run([&set[..], &flags].concat()).ok();
                medplum.run(get)
            }
            "exported" => {
                for (name, value) in [
                    ("BASE_URL", base.as_str()),
                    ("CLIENT_ID", "me"),
                    ("TOKEN_URL", &token_url),
                    ("AUTH_TYPE", "jwt-assertion"),
                    ("PRIVATE_KEY_PATH", &private_key),
                ] {
                    medplum.set_env(&format!("MEDPLUM_{name}"), value);
                }
                medplum.run(get)
            }
            _ => medplum.run([&get[..], &flags].concat()),
        };
        run.ok();
        let form = own.request_to("/token").form();
        let assertion = form.iter().find(|(name, _)| name == "client_assertion");
        let jwt = Jwt::parse(&assertion.unwrap().1).unwrap();
        assert_eq!(jwt.claims["aud"], own.url("/token"), "{way}");
        let said = format!("{form:?} {} {}", jwt.header, jwt.claims);
        assert!(
            !said.contains("evil") && !said.contains("other.example"),
            "{way}: {said}"
        );
    }
}

/// Another path of the same server says where tokens come from as well as another server does: a tenant, a folder for uploads.
#[test]
fn an_env_file_leads_no_credential_to_another_path_of_its_server() {
    let own = greedy();
    let base = own.url("/");
    let medplum = Medplum::new();
    let secret = ["--client-id", "me", "--client-secret", "stored-secret-1"];
    let set = ["profile", "set", "site", "--base-url", &base];
    medplum.run(set.iter().chain(&secret)).ok();
    let typed = [&["get", "Patient/1", "--base-url", &base][..], &secret].concat();
    let exported = Medplum::new()
        .env("MEDPLUM_BASE_URL", &base)
        .env("MEDPLUM_CLIENT_ID", "me")
        .env("MEDPLUM_CLIENT_SECRET", "exported-secret-1");
    let line = "MEDPLUM_FHIR_URL_PATH=/attacker/fhir\n";
    medplum.file(".env", line);
    exported.file(".env", line);
    for run in [
        medplum.run(["get", "-p", "site", "Patient/1"]),
        medplum.run(typed),
        exported.run(["get", "Patient/1"]),
    ] {
        run.fails(3).says("or to another path of it");
    }
    assert_eq!(own.lines(), [""; 0]);
    let run = medplum.run(["get", "-p", "site", "Patient/1", "--no-env-file"]);
    assert!(!own.lines().is_empty(), "nothing came at all: {run}");
}
