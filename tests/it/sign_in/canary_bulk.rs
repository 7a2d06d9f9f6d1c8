//! Canaries in exports and imports: the client's secret, the token and a signature of a link, and a server that says them
//! back wherever it has words. None is on the terminal, in a trace, in the log or the report, or in a state of the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::medplum::tree;
use crate::support::run::KILLED;
use crate::support::{Answer, Medplum, Request, Run, Server};

const SECRET: &str = "SecretCanary7qhwzkfbtn";
const TOKEN: &str = "TokenCanary3mxvrkpdqz";
const SIGNATURE: &str = "SignatureCanary9twlghs";
/// What a state must keep to go on with, and only there: the link as the server gave it.
const STATE: &str = ".medplum-export";

/// An export and an import, with canaries in every word. While it is `moody` a part of them fails.
fn parrot(is_moody: Arc<AtomicBool>) -> Server {
    let server = Server::start();
    let url = server.url("");
    server.handler(move |request| Some(answer(request, &url, is_moody.load(Ordering::SeqCst))));
    server
}

fn answer(request: &Request, url: &str, is_moody: bool) -> Answer {
    let said = format!("we heard {SECRET} and {TOKEN}");
    let outcome = |status| Answer::outcome(status, "forbidden", &said).header("X-Said", &said);
    let json = |value: Value| Answer::new(200, "application/json", value.to_string());
    let smart = || json!({"token_endpoint": format!("{url}/token")});
    match (request.method.as_str(), request.path()) {
        (_, "/fhir/R4/.well-known/smart-configuration") => json(smart()),
        (_, "/token") => json(
            json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300,
            "scope": said.as_str(), "unknown": said.as_str()}),
        ),
        (_, "/fhir/R4/$export") => Answer::outcome(202, "informational", &said)
            .header("Content-Location", &format!("{url}/fhir/R4/job")),
        ("DELETE", _) => outcome(500),
        (_, "/fhir/R4/job") => {
            let file = |name: &str| json!({"type": "Patient", "url": format!("{url}/files/{name}?sig={SIGNATURE}")});
            json(
                json!({"transactionTime": "2026-11-28T10:00:00Z", "requiresAccessToken": true,
                "request": format!("{url}/fhir/R4/$export?access_token={TOKEN}"),
                "output": [file("1"), file("2")], "error": [], "extension": {"said": said.as_str()}}),
            )
        }
        ("GET", "/files/2") | ("PUT", "/fhir/R4/Patient/2") if is_moody => outcome(403),
        (_, "/files/1" | "/files/2") => {
            let line = format!(
                "{{\"resourceType\":\"Patient\",\"id\":\"{}\"}}\n",
                &request.path()[7..]
            );
            Answer::new(200, "application/fhir+ndjson", line)
        }
        ("PUT", path) => {
            let id = path.rsplit('/').next().unwrap();
            let patient = json!({"resourceType": "Patient", "id": id});
            Answer::json(200, patient.to_string()).header("X-Said", &said)
        }
        _ => outcome(404),
    }
}

/// Nothing of it is seen, or left in a file that somebody may read or send on.
#[track_caller]
fn nothing_is_seen(medplum: &Medplum, run: &Run) {
    for canary in [SECRET, TOKEN, SIGNATURE] {
        assert!(!run.everything().contains(canary), "{canary}\n{run}");
        for (path, bytes) in tree(&medplum.path("")) {
            let may_hold =
                canary == SIGNATURE && path.components().any(|part| part.as_os_str() == STATE);
            let holds = String::from_utf8_lossy(&bytes).contains(canary);
            assert!(
                may_hold || !holds,
                "{canary} is in {}\n{run}",
                path.display()
            );
        }
    }
}

#[test]
fn no_canary_is_left_by_exports_and_imports_that_fail_go_on_and_are_verified() {
    let is_moody = Arc::new(AtomicBool::new(true));
    let (server, medplum) = (parrot(Arc::clone(&is_moody)), Medplum::new());
    let base = server.url("/");
    let secret = ["--client-secret", SECRET, "--client-auth", "post"];
    medplum.set_client(&base, &secret);
    let two = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n";
    medplum.file("in/two.ndjson", two);
    let run = |words: &[&str], codes: &[i32]| {
        let run = medplum.run(words.iter().chain(&["-vv"]));
        assert!(codes.contains(&run.code), "{run}");
        nothing_is_seen(&medplum, &run);
        run
    };
    let sending = ["-p", "x", "--retries", "0"];
    let export = [&["bulk", "export", "-d", "out"], &sending[..]].concat();
    let import = [
        &["bulk", "import", "in/two.ndjson", "--bundle", "none"][..],
        &sending,
    ];
    let rejects = [&import.concat()[..], &["--rejects", "rejects.ndjson"]].concat();
    run(&export, &[5]);
    run(&["bulk", "status", "out", "-p", "x"], &[0, 1, 4, 5]);
    run(&["bulk", "verify", "out"], &[0, 1, 5]);
    run(&rejects, &[5]);
    is_moody.store(false, Ordering::SeqCst);
    // The same again goes on with what is missing.
    run(&export, &[0]);
    let again = ["bulk", "import", "rejects.ndjson", "--bundle", "none"];
    run(&[&again[..], &sending].concat(), &[0]);
    run(&["bulk", "verify", "out"], &[0]);
    run(&["bulk", "status", "out", "-p", "x"], &[0, 1, 4]);
    for name in [
        "log.ndjson",
        "manifest.json",
        "Patient_files_1.ndjson",
        "Patient_files_2.ndjson",
    ] {
        assert!(
            medplum.path("out").join(name).exists(),
            "{name}: {:?}",
            tree(&medplum.path("out"))
        );
    }
    // All of them did arrive where they belong.
    let form = server.requests_to("/token").remove(0).form();
    assert!(
        form.contains(&("client_secret".into(), SECRET.into())),
        "{form:?}"
    );
    let bearer = format!("Bearer {TOKEN}");
    for path in [
        "/fhir/R4/$export",
        "/fhir/R4/job",
        "/files/1",
        "/files/2",
        "/fhir/R4/Patient/2",
    ] {
        let requests = server.requests_to(path);
        let has = |request: &Request| request.header("Authorization") == Some(bearer.as_str());
        assert!(
            !requests.is_empty() && requests.iter().all(has),
            "{path}: {requests:?}"
        );
    }
    let signed = server.requests_to("/files/2");
    assert!(
        signed
            .iter()
            .all(|request| request.target.ends_with(SIGNATURE))
    );
    let first = server.requests_to("/files/1").len();
    assert!(first == 1 && signed.len() > 1, "the second run went on");
}

/// What a killed import left is looked at, and what goes on from it, while the server refuses in words of its own.
#[test]
fn no_canary_is_left_by_an_import_that_is_killed_and_goes_on() {
    let is_silent = Arc::new(AtomicBool::new(true));
    let (server, medplum) = (parrot(Arc::new(AtomicBool::new(true))), Medplum::new());
    let asked = Arc::clone(&is_silent);
    server.guard(move |request| {
        let is_second = request.path() == "/fhir/R4/Patient/2";
        (is_second && asked.load(Ordering::SeqCst)).then(Answer::silence)
    });
    let base = server.url("/");
    let secret = ["--client-secret", SECRET, "--client-auth", "post"];
    medplum.set_client(&base, &secret);
    let two = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n";
    medplum.file("in/two.ndjson", two);
    let import = ["bulk", "import", "in/two.ndjson", "--bundle", "none"];
    let import = [&import[..], &["-p", "x", "--retries", "0", "-vv"]].concat();
    let running = medplum.spawn(&import);
    server.wait_for("/fhir/R4/Patient/2");
    running.kill();
    let killed = running.finish().fails(KILLED);
    nothing_is_seen(&medplum, &killed);
    assert!(!tree(&medplum.path("")).is_empty(), "it left a state");
    is_silent.store(false, Ordering::SeqCst);
    let run = medplum.run([&import[..], &["--resume"]].concat()).fails(5);
    nothing_is_seen(&medplum, &run);
    assert!(medplum.read("rejects.outcomes.ndjson").contains("we heard"));
    let bearer = format!("Bearer {TOKEN}");
    let second = server.requests_to("/fhir/R4/Patient/2");
    assert!(second.len() == 2 && server.requests_to("/fhir/R4/Patient/1").len() == 1);
    assert_eq!(second[1].header("Authorization"), Some(bearer.as_str()));
}
