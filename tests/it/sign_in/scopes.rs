//! The scope that arrives: the smallest that the command needs, in the spelling that the server has.

use serde_json::{Value, json};

use crate::support::keys::key;
use crate::support::{Answer, Medplum, Server};

const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// A server that refuses a request without a scope, as the SMART reference server does, and one that names another scope
/// than it lists.
fn server(scopes: &[&str], capabilities: &[&str]) -> Server {
    let server = Server::start();
    let document = json!({"token_endpoint": server.url("/token"), "scopes_supported": scopes, "capabilities": capabilities,
        "authorization_endpoint": server.url("/authorize"), "device_authorization_endpoint": server.url("/device")});
    server.on("GET", SMART, Answer::json(200, document.to_string()));
    let known: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    server.handler(move |request| {
        if request.path() != "/token" {
            return None;
        }
        let form = request.form();
        let asked = form.iter().find(|(name, _)| name == "scope");
        let is_known = asked.is_some_and(|(_, asked)| {
            asked
                .split(' ')
                .all(|scope| known.iter().any(|known| known == scope))
        });
        let refused =
            json!({"error": "invalid_scope", "error_description": "a scope of ours is needed"});
        let token =
            json!({"access_token": "scoped-token", "token_type": "Bearer", "expires_in": 300});
        Some(if is_known {
            Answer::json(200, token.to_string())
        } else {
            Answer::json(400, refused.to_string())
        })
    });
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    server.on("POST", "/fhir/R4/Patient", Answer::json(201, "{}"));
    server
}

/// What one command asks for as a client by itself, and what it says.
fn asked(server: &Server, command: &[&str], flags: &[&str]) -> (Option<String>, String) {
    server.forget();
    let medplum = Medplum::new();
    let (base, private_key) = (server.url("/"), key("rsa.jwk"));
    let client = [
        "--base-url",
        &base,
        "--client-id",
        "me",
        "--auth-type",
        "jwt-assertion",
    ];
    let key = ["--private-key-path", &private_key];
    let run = medplum.run([command, &client, &key, flags].concat()).ok();
    let form = server.request_to("/token").form();
    let scope = form.into_iter().find(|(name, _)| name == "scope");
    (scope.map(|(_, scope)| scope), run.stderr)
}

const READ: [&str; 2] = ["get", "Patient/1"];
const WRITE: [&str; 3] = ["post", "Patient", "{\"resourceType\":\"Patient\"}"];

#[test]
fn a_client_by_itself_asks_for_the_smallest_scope_that_serves_the_command() {
    for (supported, read, write) in [
        (
            &["system/*.read", "system/*.write", "system/*.*"][..],
            "system/*.read",
            "system/*.*",
        ),
        (
            &["system/*.rs", "system/*.cud"],
            "system/*.rs",
            "system/*.rs system/*.cud",
        ),
        (
            &["system/*.rs", "system/*.read", "system/*.cruds"],
            "system/*.rs",
            "system/*.cruds",
        ),
        (
            &[
                "openid",
                "system/Patient.rs",
                "system/Group.read",
                "system/Patient.cud",
            ],
            "system/Patient.rs system/Group.read",
            "system/Patient.rs system/Group.read system/Patient.cud",
        ),
    ] {
        let server = server(supported, &[]);
        for (command, expected) in [(&READ[..], read), (&WRITE, write)] {
            let (scope, said) = asked(&server, command, &[]);
            assert_eq!(
                scope.as_deref(),
                Some(expected),
                "{supported:?} {command:?}"
            );
            assert!(
                said.contains(expected) && said.contains("--scope"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_scope_arrives_in_the_spelling_that_the_server_has() {
    let v1 = ["system/Patient.read", "system/Observation.write"];
    let v2 = ["system/Patient.rs", "system/Observation.cud"];
    for (capabilities, supported, given, arrives) in [
        (&["permission-v2"][..], v2, v1, v2),
        (&["permission-v1"], v1, v2, v1),
        (&["permission-v2"], v2, v2, v2),
        (&["permission-v1", "permission-v2"], v1, v1, v1),
        (&["permission-v1", "permission-v2"], v2, v2, v2),
        (&[], v1, v1, v1),
    ] {
        let server = server(&supported, capabilities);
        let (scope, said) = asked(&server, &READ, &["--scope", &given.join(" ")]);
        let arrives = arrives.join(" ");
        assert_eq!(scope.as_deref(), Some(arrives.as_str()), "{capabilities:?}");
        assert_eq!(
            said.contains("as the server spells it"),
            given.join(" ") != arrives,
            "{said}"
        );
    }
}

/// What was chosen here and the client may not have is left out again; what a person named is not.
#[test]
fn a_scope_that_was_chosen_here_is_left_out_when_it_is_refused() {
    let server = server(&["system/*.rs"], &[]);
    server.handler(|request| {
        (request.path() == "/token").then(|| {
            let has_scope = request.form().iter().any(|(name, _)| name == "scope");
            let token = json!({"access_token": "t-12345", "token_type": "Bearer"});
            if has_scope {
                Answer::json(400, "{\"error\":\"invalid_scope\"}")
            } else {
                Answer::json(200, token.to_string())
            }
        })
    });
    let medplum = Medplum::new();
    let base = server.url("/");
    let get = [
        "get",
        "Patient/1",
        "--base-url",
        &base,
        "--client-id",
        "me",
        "--client-secret",
        "s-1234567",
    ];
    medplum.run(get).ok();
    let scopes = |server: &Server| -> Vec<Value> {
        let requests = server.requests_to("/token").into_iter();
        requests
            .map(|request| {
                let scope = request.form().into_iter().find(|(name, _)| name == "scope");
                json!(scope.map(|(_, scope)| scope))
            })
            .collect()
    };
    assert_eq!(scopes(&server), [json!("system/*.rs"), Value::Null]);
    server.forget();
    let named = ["--scope", "system/Patient.rs"];
    medplum
        .run([&get[..], &named].concat())
        .fails(3)
        .says("invalid_scope");
    assert_eq!(scopes(&server), [json!("system/Patient.rs")]);
}
