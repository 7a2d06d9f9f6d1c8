//! `.env` of a folder in which the user's own keys lie: it names its own server, and has nothing signed that is good at
//! another one.

use std::fs;

use serde_json::json;

use crate::support::fhir::names_token_endpoint;
use crate::support::keys::key;
use crate::support::{Answer, Medplum, Server};

const SMART: &str = "/fhir/R4/.well-known/smart-configuration";

/// A server that answers every POST with a token, and every GET with a resource.
fn taker() -> Server {
    let server = Server::start();
    server.handler(|request| {
        Some(match request.method.as_str() {
            "POST" => Answer::json(200, r#"{"access_token":"t-taken-1","token_type":"bearer"}"#),
            _ if request.path().contains(".well-known") => Answer::empty(404),
            _ => Answer::json(200, "{}"),
        })
    });
    names_token_endpoint(&server, "/fhir/R4", "/oauth2/token");
    server
}

/// A folder with keys of the user's.
fn folder() -> Medplum {
    let medplum = Medplum::new();
    for (name, from) in [("id.pem", "p256-pkcs8.pem"), ("key.jwk", "p256.jwk")] {
        fs::copy(key(from), medplum.path(name)).unwrap();
    }
    // As a program would write it, on one line.
    let jwk: serde_json::Value =
        serde_json::from_slice(&fs::read(medplum.path("key.jwk")).unwrap()).unwrap();
    medplum.file("line.jwk", jwk.to_string());
    medplum.file("one.token", "token-of-the-folder\n");
    medplum
}

/// The folder's file: its server, a client, and these lines.
fn says(medplum: &Medplum, server: &Server, lines: &[&str]) {
    let base = server.url("/");
    let lines = lines.join("\n");
    medplum.file(
        ".env",
        format!("MEDPLUM_BASE_URL={base}\nMEDPLUM_CLIENT_ID=me\n{lines}\n"),
    );
}

fn posts(server: &Server) -> Vec<String> {
    let lines = server.lines();
    lines
        .into_iter()
        .filter(|line| line.starts_with("POST"))
        .collect()
}

/// The hostile server played the assertion at the server that it was for.
#[test]
fn an_env_file_has_nothing_signed_by_a_key_of_the_folder_that_is_good_at_another_server() {
    let (hostile, honest) = (taker(), taker());
    let at_honest = honest.url("/oauth2/token");
    let aud = format!("MEDPLUM_AUDIENCE={at_honest}");
    let path = "MEDPLUM_PRIVATE_KEY_PATH=id.pem";
    let jwk = "MEDPLUM_PRIVATE_KEY_PATH=line.jwk";
    let bearer = "MEDPLUM_AUTH_TYPE=jwt-bearer\nMEDPLUM_SUBJECT=somebody";
    let by_key = "MEDPLUM_CLIENT_AUTH=private_key_jwt";
    let urn = "MEDPLUM_AUDIENCE=urn:example:server-of-another";
    let own = format!("MEDPLUM_TOKEN_URL={}", hostile.url("/oauth2/token"));
    let flags = &["--private-key-path", "id.pem"][..];
    let cases: [(&[&str], &[&str]); 7] = [
        (&[path, &aud], &[]),
        (&[jwk, &aud, &own], &[]),
        (&[path, &aud, bearer], &[]),
        (
            &[path, &aud, by_key, "MEDPLUM_AUTH_TYPE=client-credentials"],
            &[],
        ),
        (&[path, urn], &[]),
        (&[&aud], flags),
        (&[&aud, bearer], flags),
    ];
    for (lines, flags) in cases {
        let medplum = folder();
        says(&medplum, &hostile, lines);
        let args = [&["get", "Patient/1"][..], flags].concat();
        let run = medplum.run(&args).fails(3).says("MEDPLUM_AUDIENCE");
        let _ = run.says("--audience");
        assert_eq!(posts(&hostile), [""; 0], "{lines:?}");
        // Who means it says so.
        let audience = if lines.contains(&urn) {
            "urn:example:server-of-another"
        } else {
            &at_honest
        };
        let token = hostile.url("/oauth2/token");
        let meant = ["--audience", audience, "--token-url", &token];
        let args = [&args[..], &meant].concat();
        let _ = medplum.run(args).ok();
        assert_eq!(posts(&hostile).len(), 1, "{lines:?}");
        hostile.forget();
    }
    assert_eq!(honest.lines(), [""; 0]);
}

/// The token of the other server went to the FHIR server that the file names.
#[test]
fn an_env_file_gets_no_token_of_another_server_by_a_key_of_the_folder() {
    let honest = taker();
    let at_honest = honest.url("/oauth2/token");
    let set = format!("MEDPLUM_TOKEN_URL={at_honest}");
    for line in [&set[..], ""] {
        let (hostile, medplum) = (taker(), folder());
        if line.is_empty() {
            let document = json!({"token_endpoint": at_honest}).to_string();
            hostile.on("GET", SMART, Answer::json(200, document));
        }
        says(
            &medplum,
            &hostile,
            &["MEDPLUM_PRIVATE_KEY_PATH=id.pem", line],
        );
        let get = ["get", "Patient/1"];
        let run = medplum.run(get).fails(3).says("MEDPLUM_PRIVATE_KEY_PATH");
        let _ = run.says(&format!("--token-url {at_honest}"));
        assert_eq!((honest.lines(), posts(&hostile)), (vec![], vec![]));
        let meant = ["get", "Patient/1", "--token-url", &at_honest];
        let _ = medplum.run(meant).ok();
        assert_eq!(posts(&honest).len(), 1);
        honest.forget();
    }
}

/// A private key went out as the client's secret.
#[test]
fn an_env_file_sends_no_file_that_is_no_secret() {
    for (line, kind) in [
        (
            "MEDPLUM_CLIENT_SECRET_FILE",
            "MEDPLUM_AUTH_TYPE=client-credentials\nMEDPLUM_CLIENT_AUTH=post",
        ),
        ("MEDPLUM_CLIENT_SECRET_FILE", "MEDPLUM_AUTH_TYPE=basic"),
        ("MEDPLUM_ACCESS_TOKEN_FILE", ""),
        ("MEDPLUM_CLIENT_ASSERTION_FILE", ""),
        (
            "MEDPLUM_SUBJECT_TOKEN_FILE",
            "MEDPLUM_AUTH_TYPE=token-exchange",
        ),
        (
            "MEDPLUM_ACTOR_TOKEN_FILE",
            "MEDPLUM_AUTH_TYPE=token-exchange\nMEDPLUM_SUBJECT_TOKEN=s-1",
        ),
    ] {
        let (hostile, medplum) = (taker(), folder());
        for file in ["id.pem", "key.jwk", "line.jwk"] {
            says(&medplum, &hostile, &[&format!("{line}={file}"), kind]);
            let run = medplum.run(["get", "Patient/1"]).fails(2);
            let _ = run.says(file).says("one word");
            assert_eq!(hostile.lines(), [""; 0], "{line} {file}");
        }
        says(&medplum, &hostile, &[&format!("{line}=one.token"), kind]);
        let _ = medplum.run(["get", "Patient/1"]).ok();
    }
}

/// What projects have: their own key and their own server; a token endpoint elsewhere with a key that is theirs.
#[test]
fn an_env_file_signs_with_its_own_key_for_its_own_servers() {
    let (fhir, identity) = (taker(), taker());
    let pem = fs::read_to_string(key("p256-pkcs8.pem")).unwrap();
    let text = format!("MEDPLUM_PRIVATE_KEY=\"{}\"", pem.replace('\n', "\\n"));
    let elsewhere = format!("MEDPLUM_TOKEN_URL={}", identity.url("/oauth2/token"));
    let aud = format!("MEDPLUM_AUDIENCE={}", fhir.url("/realm"));
    let cases: [(&[&str], &Server); 3] = [
        (
            &["MEDPLUM_PRIVATE_KEY_PATH=id.pem", "MEDPLUM_AUDIENCE=realm"],
            &fhir,
        ),
        (
            &["MEDPLUM_PRIVATE_KEY_PATH=./id.pem", "MEDPLUM_SCOPE=a"],
            &fhir,
        ),
        (&[&text, &elsewhere, &aud], &identity),
    ];
    for (lines, server) in cases {
        let medplum = folder();
        says(&medplum, &fhir, lines);
        let _ = medplum.run(["get", "Patient/1"]).ok();
        assert_eq!(posts(server).len(), 1, "{lines:?}");
        server.forget();
    }
}

/// The page of one server and the token endpoint of another: the code, and the code of a device, were good at the first.
#[test]
fn an_env_file_pairs_no_page_with_the_token_endpoint_of_another_server() {
    let (hostile, honest) = (taker(), taker());
    let at = |server: &Server, path: &str| server.url(path);
    let token = format!("MEDPLUM_TOKEN_URL={}", at(&hostile, "/oauth2/token"));
    let page = format!("MEDPLUM_AUTHORIZE_URL={}", at(&honest, "/authorize"));
    let device = format!(
        "MEDPLUM_DEVICE_AUTHORIZATION_URL={}",
        at(&honest, "/device")
    );
    let medplum = folder();
    says(&medplum, &hostile, &[&token, &page]);
    let login = ["login", "--no-browser", "--auth-type", "authorization-code"];
    let run = medplum.run(login).fails(3);
    assert!(!run.everything().contains("/authorize?"), "{run}");
    says(&medplum, &hostile, &[&token, &device]);
    let run = medplum
        .run(["login", "--auth-type", "device-code"])
        .fails(3);
    let _ = run.says("MEDPLUM_DEVICE_AUTHORIZATION_URL");
    assert_eq!((posts(&hostile), posts(&honest)), (vec![], vec![]));
    assert!(!hostile.lines().is_empty(), "the server was asked");
}
