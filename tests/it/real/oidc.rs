//! Client credentials against `oidc-provider`, a certified OAuth server.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::run::Running;
use crate::support::{Medplum, Peer, Run, plain_http};

const SIMPLE: (&str, &str) = ("simple", "simple-secret");
const HEADER: (&str, &str) = ("header", r#"s3cr:t/+%&= "x"?#~"#);
const BODY: (&str, &str) = ("body", "p@ss+w0rd/%41&a=b;:c d");
/// Clients of which each belongs to one test, so that its token requests can be counted.
const COUNTED: [&str; 5] = ["discovering", "scoped", "revoked", "aged", "crowd"];
const COUNTED_SECRET: &str = "counted-secret";
/// Clients that sign with their secret, each with its algorithm.
const SIGNED: [(&str, &str); 3] = [
    ("signed-256", "HS256"),
    ("signed-384", "HS384"),
    ("signed-512", "HS512"),
];
const SIGNING_SECRET: &str = "a-secret-long-enough-for-hs512/+%&=-a-secret-long-enough-for-hs512";

/// One server for this file.
fn oidc() -> &'static Peer {
    static OIDC: OnceLock<Peer> = OnceLock::new();
    OIDC.get_or_init(|| {
        let clients = COUNTED.map(|id| {
            json!({"client_id": id, "client_secret": COUNTED_SECRET, "redirect_uris": [], "response_types": [],
                "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic"})
        });
        let jwts = SIGNED.map(|(id, algorithm)| {
            json!({"client_id": id, "client_secret": SIGNING_SECRET, "redirect_uris": [], "response_types": [],
                "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_jwt",
                "token_endpoint_auth_signing_alg": algorithm})
        });
        let clients: Vec<Value> = clients.into_iter().chain(jwts).collect();
        let provider = json!({"enabledJWA": {"clientAuthSigningAlgValues":
            ["RS256", "RS384", "ES256", "ES384", "HS256", "HS384", "HS512"]}});
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&config, json!({"clients": clients, "provider": provider}).to_string()).unwrap();
        Peer::oidc(&["--config", &config.path().display().to_string()])
    })
}

/// A user with a profile for this client; the token endpoint is left to discovery.
fn user(client: (&str, &str), flags: &[&str]) -> Medplum {
    let medplum = Medplum::new().env("MEDPLUM_PROFILE", "smart");
    let secret = medplum.file("secret.txt", format!("{}\n", client.1));
    let (base, secret) = (oidc().url("/"), secret.display().to_string());
    let mut args = vec!["profile", "set", "smart", "--base-url", &base];
    args.extend(["--client-id", client.0, "--client-secret-file", &secret]);
    args.extend(flags);
    medplum.run(args).ok();
    medplum
}

fn counted(client: &str, flags: &[&str]) -> Medplum {
    user((client, COUNTED_SECRET), flags)
}

/// What the server noted of a client's token requests.
fn token_requests(client: &str) -> Vec<Value> {
    let of_client = |entry: &Value| entry["client"] == client && entry["token"].is_string();
    oidc().requests().into_iter().filter(of_client).collect()
}

fn get(medplum: &Medplum) -> Run {
    medplum.run(["get", "Patient/1"])
}

/// A12, and RFC 6749 §2.3.1: both halves are form-encoded in the header; in the body they are a form's fields anyhow.
#[test]
fn secrets_with_odd_characters_work_in_the_header_and_in_the_body() {
    for (client, secret) in [SIMPLE, HEADER, BODY] {
        for (flags, place) in [
            (&[][..], "header"),
            (&["--client-auth", "header"], "header"),
            (&["--client-auth", "post"], "body"),
        ] {
            let medplum = user((client, secret), flags);
            // Other tests ask for tokens of the same clients meanwhile, so what is counted is what came of it.
            let issued = || {
                let requests = token_requests(client).into_iter();
                requests
                    .filter(|asked| asked["secret_in"] == place && asked["token"] == "issued")
                    .count()
            };
            let before = issued();
            let run = medplum.run(["get", "-vv", "Patient/1"]).ok();
            assert_eq!(run.json()["name"][0]["family"], "Chalmers");
            assert!(issued() > before, "{run}");
            assert!(!run.everything().contains(secret), "{run}");
            let basic = STANDARD.encode(format!("{client}:{secret}"));
            assert!(!run.everything().contains(&basic), "{run}");
        }
    }
}

/// OpenID Connect Core §9: the secret itself stays here.
#[test]
fn client_secret_jwt_is_taken_with_each_algorithm_and_refused_with_another() {
    for (client, algorithm) in SIGNED {
        let flags = ["--client-auth", "client_secret_jwt"];
        let medplum = user((client, SIGNING_SECRET), &flags);
        let run = medplum.run(["get", "-vv", "--algorithm", algorithm, "Patient/1"]);
        let run = run.ok();
        assert!(!run.everything().contains(SIGNING_SECRET), "{run}");
        let other = if algorithm == "HS256" {
            "HS384"
        } else {
            "HS256"
        };
        let run = medplum.run(["login", "--algorithm", other]).fails(3);
        run.says("invalid_client");
        medplum.run(["login", "--client-auth", "header"]).fails(3);
    }
}

/// The secret is the right one; what the server takes is one method at a time.
#[test]
fn a_wrong_secret_is_exit_3_with_the_servers_words() {
    for place in ["header", "post"] {
        let medplum = user(("simple", "wr0ng"), &["--client-auth", place]);
        for command in [&["get", "Patient/1"][..], &["token"], &["login"]] {
            let run = medplum.run(command).fails(3).prints("");
            let run = run
                .says("invalid_client")
                .says("client authentication failed")
                .says("answered 401");
            assert!(!run.everything().contains("wr0ng"), "{run}");
        }
    }
    let medplum = user(("nobody", "x"), &[]);
    get(&medplum).fails(3).says("invalid_client");
}

/// Only `smart-configuration` names the token endpoint: `/token`, where no default would look. It is asked for once.
#[test]
fn the_token_endpoint_is_found_by_smart_discovery_and_remembered() {
    let medplum = counted("discovering", &[]);
    medplum.run(["token"]).ok();
    let trace = medplum
        .run(["get", "-v", "Patient/1", "--scope", "system/*.read"])
        .ok();
    assert_eq!(token_requests("discovering").len(), 2);
    assert!(!trace.stderr.contains("smart-configuration"), "{trace}");
    assert!(
        trace.stderr.contains("POST") && trace.stderr.contains("/token"),
        "{trace}"
    );
}

/// A13: the scope never left the Medplum CLI.
#[test]
fn the_scope_is_asked_for_and_what_was_granted_is_shown() {
    let scope = "system/Patient.read system/Unheard.read";
    let medplum = counted("scoped", &["--scope", scope]);
    let run = medplum.run(["whoami", "-o", "json"]).ok();
    let [request] = &token_requests("scoped")[..] else {
        panic!("not one token request")
    };
    // The server notes what it knows of the scope that came.
    assert_eq!(request["scope"], "system/Patient.read");
    assert_eq!(
        (&run.json()["asked"], &run.json()["granted"]),
        (&json!(scope), &json!("system/Patient.read"))
    );
}

#[test]
fn a_token_that_was_revoked_is_asked_for_anew_once() {
    let medplum = counted("revoked", &[]);
    let first = medplum.run(["token"]).ok().stdout;
    let form = format!("token={}", first.trim());
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("revoked:{COUNTED_SECRET}"))
    );
    let headers = [
        ("Authorization", basic.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    plain_http::ask("POST", &oidc().url("/token/revocation"), &headers, &form).is(200);
    assert_eq!(get(&medplum).ok().json()["id"], "1");
    assert_eq!(token_requests("revoked").len(), 2);
    get(&medplum).ok();
    assert_eq!(token_requests("revoked").len(), 2);
    assert_ne!(medplum.run(["token"]).ok().stdout, first);
}

/// Tokens of five minutes: used until shortly before their end, then renewed before the server has to refuse them.
#[test]
fn a_token_near_its_end_is_renewed_first() {
    let medplum = counted("aged", &[]);
    get(&medplum).ok();
    medplum.age_tokens("smart", 200);
    get(&medplum).ok();
    assert_eq!(token_requests("aged").len(), 1);
    medplum.age_tokens("smart", 99);
    let run = medplum.run(["get", "-v", "Patient/1"]).ok();
    assert!(!run.stderr.contains("< 401"), "{run}");
    assert_eq!(token_requests("aged").len(), 2);
}

/// A3, A20.
#[test]
fn fifty_commands_at_once_ask_for_one_token() {
    let medplum = counted("crowd", &[]);
    let running: Vec<Running> = (0..50)
        .map(|_| medplum.spawn(["get", "Patient/1"]))
        .collect();
    for run in running {
        assert_eq!(run.finish().ok().json()["id"], "1");
    }
    assert_eq!(token_requests("crowd").len(), 1);
}

/// The server sends them as text; a client that parses numbers would print others.
#[test]
fn digits_come_through_as_the_server_wrote_them() {
    let run = get(&user(SIMPLE, &[])).ok();
    for digits in [
        "\"valueDecimal\": 1.00\n",
        "\"valueDecimal\": 12345678901234567890\n",
    ] {
        assert!(run.stdout.contains(digits), "{run}");
    }
}
