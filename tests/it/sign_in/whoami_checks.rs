//! What `whoami` says of a token that nobody proved, and of a server that is not there.

use serde_json::{Value, json};

use crate::support::{Answer, Medplum, Run, Server};

const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// A server with these endpoints beside its token endpoint, and somebody who has a token of it.
fn signed_in(endpoints: &[(&str, Answer)]) -> (Server, Medplum) {
    let server = Server::start();
    let mut document = json!({"token_endpoint": server.url("/token")});
    for (name, answer) in endpoints {
        let path = format!("/{name}");
        document[format!("{name}_endpoint")] = server.url(&path).into();
        for method in ["GET", "POST"] {
            server.on(method, &path, answer.clone());
        }
    }
    server.on("GET", SMART, Answer::json(200, document.to_string()));
    let token =
        json!({"access_token": "token-of-checks-1", "token_type": "Bearer", "expires_in": 3600});
    server.on("POST", "/token", Answer::json(200, token.to_string()));
    let medplum = Medplum::new();
    let token_url = server.url("/token");
    let flags = [
        "--client-secret",
        "secret-of-checks",
        "--token-url",
        &token_url,
    ];
    medplum.set_client(&server.url("/"), &flags);
    medplum.run(["login", "-p", "x"]).ok();
    (server, medplum)
}

fn asks(medplum: &Medplum) -> (Run, Value) {
    let run = medplum.run(["whoami", "-p", "x"]).ok();
    let json = medplum.run(["whoami", "-p", "x", "-o", "json"]).ok().json();
    (run, json["checked"].clone())
}

/// The endpoints of a server with what they answer, and why the token counts as unchecked.
type Case<'a> = (&'a [(&'a str, Answer)], Option<&'a str>);

#[test]
fn a_token_that_nobody_proved_is_said_to_be_unchecked_and_why() {
    let said = |value: Value| Answer::json(200, value.to_string());
    let broken = || Answer::empty(500);
    let cases: [Case; 7] = [
        (&[], Some("offers no introspection and no userinfo")),
        (
            &[("introspection", broken()), ("userinfo", broken())],
            Some("does not tell"),
        ),
        (
            &[("introspection", said(json!({"scope": "a"})))],
            Some("does not say whether it is active"),
        ),
        (&[("introspection", said(json!({"active": true})))], None),
        (&[("introspection", said(json!({"active": false})))], None),
        (&[("userinfo", said(json!({"sub": "7"})))], None),
        (
            &[
                ("introspection", broken()),
                ("userinfo", said(json!({"sub": "7"}))),
            ],
            None,
        ),
    ];
    for (endpoints, reason) in cases {
        let (server, medplum) = signed_in(endpoints);
        let (run, checked) = asks(&medplum);
        let is_said = run.stdout.contains("not checked: ");
        assert_eq!(is_said, reason.is_some(), "{run}");
        if let Some(reason) = reason {
            assert!(run.stdout.contains(reason), "{run}");
            assert!(checked.as_str().unwrap().contains(reason), "{checked}");
        } else {
            assert_eq!(checked, Value::Null);
        }
        for (name, _) in endpoints {
            assert!(!server.requests_to(&format!("/{name}")).is_empty(), "{run}");
        }
    }
}

#[test]
fn a_server_that_is_down_is_said_to_be_so() {
    let (server, medplum) = signed_in(&[]);
    drop(server);
    let (run, checked) = asks(&medplum);
    assert!(
        run.stdout
            .contains("not checked: cannot connect to http://127.0.0.1"),
        "{run}"
    );
    assert!(checked.as_str().unwrap().contains("cannot connect"));
    // A server that is out of order is no server that offers nothing.
    let (server, medplum) = signed_in(&[]);
    server.on("GET", SMART, Answer::empty(503));
    let run = medplum.run(["whoami", "-p", "x", "--retries", "0"]).ok();
    assert!(
        run.stdout.contains("not checked: ") && run.stdout.contains("503"),
        "{run}"
    );
}
