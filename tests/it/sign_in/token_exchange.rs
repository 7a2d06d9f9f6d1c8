//! `token-exchange`: what goes over the wire (RFC 8693 §2.1), and what comes back that is no token for requests.

use serde_json::json;

use crate::support::{Answer, Medplum, Server};

const SUBJECT: &str = "subject-token-from-elsewhere";
const ACTOR: &str = "actor-token-from-elsewhere";

fn site(answer: &serde_json::Value) -> (Server, Medplum, String) {
    let server = Server::start();
    server.on("POST", "/token", Answer::json(200, answer.to_string()));
    server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, "{}"));
    let base = server.url("/");
    (server, Medplum::new(), base)
}

fn issued() -> serde_json::Value {
    json!({"access_token": "exchanged-token-1", "token_type": "Bearer", "expires_in": 300,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
}

fn set(medplum: &Medplum, base: &str, flags: &[&str]) {
    let args = [
        "profile",
        "set",
        "cloud",
        "--base-url",
        base,
        "--token-url",
        "token",
    ];
    let way = ["--auth-type", "token-exchange"];
    medplum.run([&args[..], &way, flags].concat()).ok();
}

#[test]
fn a_token_is_exchanged_as_the_rfc_says_and_secrets_stay_masked() {
    let (server, medplum, base) = site(&issued());
    let subject = medplum.file("subject", format!("{SUBJECT}\n"));
    let actor = medplum.file("actor", ACTOR);
    let (subject, actor) = (subject.display().to_string(), actor.display().to_string());
    let flags = [
        "--subject-token-file",
        &subject,
        "--subject-token-type",
        "jwt",
    ];
    let more = [
        "--actor-token-file",
        &actor,
        "--requested-token-type",
        "access_token",
    ];
    let target = [
        "--audience",
        "https://fhir.example",
        "--resource",
        "https://fhir.example/r4",
    ];
    let client = [
        "--client-id",
        "box",
        "--client-secret",
        "s3cret-of-box",
        "--scope",
        "system/*.read",
    ];
    set(
        &medplum,
        &base,
        &[&flags[..], &more, &target, &client].concat(),
    );
    let run = medplum.run(["get", "-p", "cloud", "Patient/1", "-vv"]).ok();
    for secret in [SUBJECT, ACTOR, "s3cret-of-box", "exchanged-token-1"] {
        assert!(!run.everything().contains(secret), "{secret}\n{run}");
    }
    let kind = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    let request = server.request_to("/token");
    let pairs = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange".to_owned(),
        ),
        ("subject_token", SUBJECT.to_owned()),
        ("subject_token_type", kind("jwt")),
        ("actor_token", ACTOR.to_owned()),
        ("actor_token_type", kind("access_token")),
        ("requested_token_type", kind("access_token")),
        ("audience", "https://fhir.example".to_owned()),
        ("resource", "https://fhir.example/r4".to_owned()),
        ("scope", "system/*.read".to_owned()),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(request.form(), pairs);
    assert!(
        request
            .header("Authorization")
            .unwrap()
            .starts_with("Basic ")
    );
    let get = server.request_to("/fhir/R4/Patient/1");
    assert_eq!(
        get.header("Authorization"),
        Some("Bearer exchanged-token-1")
    );
    // The file is what is stored, never the token in it.
    assert!(
        !medplum
            .stored("cloud", "options")
            .to_string()
            .contains(SUBJECT)
    );
}

#[test]
fn the_file_is_read_anew_for_each_exchange() {
    let (server, medplum, base) = site(&issued());
    let subject = medplum.file("subject", "first-subject-token");
    set(
        &medplum,
        &base,
        &["--subject-token-file", &subject.display().to_string()],
    );
    medplum.run(["login", "-p", "cloud"]).ok();
    std::fs::write(&subject, "second-subject-token").unwrap();
    medplum.run(["login", "-p", "cloud"]).ok();
    let requests = server.requests_to("/token");
    let subjects = requests.iter().map(|request| request.form()[1].1.clone());
    assert_eq!(
        subjects.collect::<Vec<_>>(),
        ["first-subject-token", "second-subject-token"]
    );
    // A public client without a name sends none.
    assert!(
        requests[0]
            .form()
            .iter()
            .all(|(name, _)| name != "client_id")
    );
}

#[test]
fn a_cached_token_belongs_to_its_subject() {
    let (server, medplum, base) = site(&issued());
    set(&medplum, &base, &["--scope", "a"]);
    for (subject, requests) in [("subject-one", 1), ("subject-one", 1), ("subject-two", 2)] {
        let get = medplum.command(["get", "-p", "cloud", "Patient/1"]);
        get.env("MEDPLUM_SUBJECT_TOKEN", subject).run().ok();
        assert_eq!(server.requests_to("/token").len(), requests, "{subject}");
    }
}

#[test]
fn what_is_missing_or_of_no_use_is_named() {
    let not_for_requests = json!({"access_token": "saml-thing-1", "token_type": "N_A",
        "issued_token_type": "urn:ietf:params:oauth:token-type:saml2"});
    let (server, medplum, base) = site(&not_for_requests);
    set(&medplum, &base, &[]);
    let get = ["get", "-p", "cloud", "Patient/1"];
    medplum.run(get).fails(2).says("--subject-token-file");
    medplum
        .run([&get[..], &["--subject-token-file", "nowhere"]].concat())
        .fails(2)
        .says("nowhere");
    let empty = medplum.file("empty", " \n").display().to_string();
    medplum
        .run([&get[..], &["--subject-token-file", &empty]].concat())
        .fails(2)
        .says("it is empty");
    assert!(server.lines().is_empty(), "{:?}", server.lines());
    let run = medplum.run([&get[..], &["--subject-token", SUBJECT]].concat());
    let run = run
        .fails(3)
        .says("token-type:saml2")
        .says("--requested-token-type");
    assert!(!run.everything().contains("saml-thing-1"), "{run}");
    assert_eq!(server.requests_to("/fhir/R4/Patient/1").len(), 0);
}
