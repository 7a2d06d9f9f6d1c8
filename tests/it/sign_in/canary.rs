//! A canary in every member of every answer of a sign-in: it reaches no terminal, no pipe and no error, but where it is
//! what was asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::keys::key;
use crate::support::{Answer, Medplum, Server};

/// As no token looks, so that nothing but its place can give it away.
fn canary(random: &mut fastrand::Rng) -> String {
    let letters = (0..12).map(|_| random.lowercase());
    format!("Canary{}", letters.collect::<String>())
}

/// The endpoints, and what each may be asked for with success in every member.
const ENDPOINTS: [&str; 6] = [
    "/token",
    "/device",
    "/introspect",
    "/revoke",
    "/jwks",
    "/fhir/R4/.well-known/smart-configuration",
];

/// Every member that any of these answers has, but those that are words for people.
fn answer(canary: &str) -> Value {
    let mut members = json!({"expires_in": 3600, "interval": 1});
    for name in [
        "access_token",
        "refresh_token",
        "id_token",
        "device_code",
        "client_secret",
        "assertion",
        "token",
        "code",
        "n",
        "d",
        "k",
        "secret",
        "password",
        "jti",
        "registration_access_token",
        "unknown",
    ] {
        members[name] = canary.into();
    }
    members["keys"] = json!([{"kty": "oct", "k": canary, "d": canary}]);
    members["nested"] = json!({"access_token": canary, "x": [canary, {"refresh_token": canary}]});
    members
}

/// The body of an answer in one of its shapes.
fn body(shape: &str, status: u16, canary: &str) -> String {
    match shape {
        "object" if status == 200 => {
            let mut object = answer(canary);
            object.as_object_mut().unwrap().remove("access_token");
            object.to_string()
        }
        "object" => answer(canary).to_string(),
        "array" => json!([answer(canary)]).to_string(),
        "cut" => answer(canary).to_string().trim_end_matches('}').to_owned(),
        "form" => format!("refresh_token={canary}&x={canary}"),
        _ => canary.to_owned(),
    }
}

/// A server all of whose endpoints answer with it.
fn server(status: u16, body: &str, canary: &str) -> Server {
    let server = Server::start();
    let statement = json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
    server.on(
        "GET",
        "/fhir/R4/metadata",
        Answer::json(200, statement.to_string()),
    );
    let smart = json!({
        "token_endpoint": server.url("/token"),
        "revocation_endpoint": server.url("/revoke"),
        "introspection_endpoint": server.url("/introspect"),
        "device_authorization_endpoint": server.url("/device"),
        "jwks_uri": server.url("/jwks"),
        "registration_endpoint": format!("{}?token={canary}", server.url("/register")),
        "unknown": canary,
    });
    for endpoint in ENDPOINTS {
        for method in ["GET", "POST"] {
            server.on(
                method,
                endpoint,
                Answer::new(status, "application/json", body).header("X-Token", canary),
            );
        }
    }
    server.on(
        "GET",
        ENDPOINTS[5],
        Answer::new(200, "application/json", smart.to_string()),
    );
    server
}

/// Somebody with the profile `x` for it.
fn user(way: &str, server: &Server) -> Medplum {
    let (base, jwks, rsa) = (server.url("/"), server.url("/jwks"), key("rsa-pkcs8.pem"));
    let mut set = vec![
        "profile",
        "set",
        "x",
        "--base-url",
        &base,
        "--client-id",
        "c",
        "--auth-type",
        way,
    ];
    match way {
        "jwt-assertion" => set.extend(["--private-key-path", &rsa, "--jku", &jwks]),
        "token-exchange" => set.extend(["--client-secret", "s", "--subject-token", "s-subject"]),
        _ => set.extend(["--client-secret", "s"]),
    }
    let medplum = Medplum::new();
    medplum.run(set).ok();
    medplum
}

#[test]
fn no_canary_in_an_answer_is_seen() {
    let mut random = fastrand::Rng::with_seed(20_261_128);
    let mut cells = Vec::new();
    for way in [
        "client-credentials",
        "jwt-assertion",
        "device-code",
        "token-exchange",
    ] {
        for status in [200, 400, 401, 500] {
            for shape in ["object", "array", "cut", "form", "text"] {
                // Text of a refusal is words for people.
                if status == 200 || !matches!(shape, "form" | "text") {
                    cells.push((way, status, shape, canary(&mut random)));
                }
            }
        }
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::SeqCst)) {
                    nothing_is_seen(cell);
                }
            });
        }
    });
}

fn nothing_is_seen((way, status, shape, canary): &(&str, u16, &str, String)) {
    let commands: [&[&str]; 8] = [
        &["get", "Patient/1"],
        &["login"],
        &["whoami"],
        &["whoami", "-o", "json"],
        &["token"],
        &["doctor"],
        &["doctor", "-o", "json"],
        &["logout"],
    ];
    let server = server(*status, &body(shape, *status, canary), canary);
    let medplum = user(way, &server);
    for command in commands {
        let run = medplum.run(command.iter().chain(&["-p", "x", "-vv"]));
        assert!(
            !run.everything().contains(canary.as_str()),
            "{way}, {status}, {shape}\n{run}"
        );
    }
    let requests = server.requests();
    let is_asked = requests.iter().any(|request| request.method == "POST");
    assert!(is_asked, "{way}: {:?}", server.lines());
}

/// The data that is asked for: a token, once, on stdout.
#[test]
fn a_token_is_printed_where_it_is_asked_for_and_nowhere_else() {
    let (server, medplum) = (Server::start(), Medplum::new());
    let token =
        json!({"access_token": "canary-of-token", "token_type": "Bearer", "expires_in": 600});
    server.on(
        "POST",
        "/token",
        Answer::new(200, "application/json", token.to_string()),
    );
    let base = server.url("/");
    let flags = [
        "--base-url",
        &base,
        "--client-id",
        "c",
        "--client-secret",
        "s",
        "--token-url",
        "token",
        "-vv",
    ];
    let run = medplum.run(["token"].iter().chain(&flags)).ok();
    assert_eq!(run.stdout, "canary-of-token\n");
    assert!(!run.stderr.contains("canary"), "{run}");
    let run = medplum.run(["whoami"].iter().chain(&flags)).ok();
    assert!(!run.everything().contains("canary"), "{run}");
}
