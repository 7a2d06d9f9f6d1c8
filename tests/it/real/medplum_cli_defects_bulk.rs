//! Defects of the Medplum CLI in bulk export, shown beside what this program does with the same server.

use std::fs;

use serde_json::{Value, json};

use super::sides::{Both, Sides};
use crate::support::{Answer, Medplum, Request, Server};

const PATIENT: &str = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n";

fn ndjson(text: &str) -> Answer {
    Answer::new(200, "application/fhir+ndjson", text)
}

/// A manifest whose `output` has Patient files at these URLs, one resource each.
fn manifest(urls: &[String]) -> Value {
    let output: Vec<Value> = urls
        .iter()
        .map(|url| json!({"type": "Patient", "url": url, "count": 1}))
        .collect();
    json!({"transactionTime": "2026-01-01T00:00:00Z", "request": "r", "requiresAccessToken": true, "output": output, "error": []})
}

/// Both sides with a folder `out`, and a server that accepts any kick-off.
fn sides() -> Sides {
    let sides = Sides::with_profile("client-credentials");
    for medplum in [&sides.theirs, &sides.ours] {
        fs::create_dir(medplum.path("out")).unwrap();
    }
    let accepted = Answer::empty(202).header("Content-Location", &sides.server.url("/fhir/R4/job"));
    for method in ["GET", "POST"] {
        sides
            .server
            .on(method, "/fhir/R4/$export", accepted.clone());
    }
    sides
        .server
        .on("DELETE", "/fhir/R4/job", Answer::empty(202));
    sides
}

fn lists(sides: &Sides, manifest: &Value) {
    let answer = Answer::new(200, "application/json", manifest.to_string());
    sides.server.on("GET", "/fhir/R4/job", answer);
}

fn export(sides: &Sides) -> Both {
    sides.run(&["bulk", "export", "-p", "site", "-d", "out"])
}

/// The NDJSON files of an export, with their text.
fn files(medplum: &Medplum) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(medplum.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "ndjson")
                && !path.ends_with("log.ndjson")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// A server that goes by the book: GET, or POST with Parameters, and one media type in `Accept`.
#[test]
fn b1_b2_a_strict_kick_off() {
    let sides = sides();
    lists(&sides, &manifest(&[sides.server.url("/files/1")]));
    sides.server.on("GET", "/files/1", ndjson(PATIENT));
    sides.server.guard(|request| {
        if !request.path().ends_with("$export") {
            return None;
        }
        let refuse = |words| Some(Answer::outcome(400, "invalid", words));
        match (request.method.as_str(), request.header("Content-Type")) {
            _ if request.header("Accept") != Some("application/fhir+json") => {
                refuse("The Accept header must be application/fhir+json")
            }
            ("POST", Some("application/fhir+json"))
                if request.json()["resourceType"] == "Parameters" =>
            {
                None
            }
            ("POST", _) => refuse("the body must be Parameters"),
            _ => None,
        }
    });
    let both = export(&sides);
    both.theirs
        .fails(1)
        .says("The Accept header must be application/fhir+json");
    both.ours.ok();
    let post = [
        "bulk", "export", "-p", "site", "-d", "post", "--method", "post",
    ];
    sides.ours.run(post).ok();
    assert_eq!(
        files(&sides.ours),
        [("Patient_files_1.ndjson".to_owned(), PATIENT.to_owned())]
    );
}

/// An error body is saved as data, exit 0. Here: exit 5, and no such file.
#[test]
fn b3_a_file_that_is_refused() {
    let sides = sides();
    lists(
        &sides,
        &manifest(&["/files/1", "/files/2"].map(|path| sides.server.url(path))),
    );
    sides.server.on("GET", "/files/1", ndjson(PATIENT));
    sides.server.on(
        "GET",
        "/files/2",
        Answer::outcome(403, "forbidden", "not this one"),
    );
    let both = export(&sides);
    both.theirs.ok();
    let theirs = files(&sides.theirs);
    assert_eq!(theirs.len(), 2);
    assert!(theirs[1].1.contains("OperationOutcome"), "{theirs:?}");
    both.ours
        .fails(5)
        .says("/files/2")
        .says("403")
        .says("not this one");
    assert_eq!(
        files(&sides.ours),
        [("Patient_files_1.ndjson".to_owned(), PATIENT.to_owned())]
    );
}

/// Files that differ in their query only overwrite each other. Here: both are there.
#[test]
fn b4_urls_that_differ_in_the_query() {
    let sides = sides();
    lists(
        &sides,
        &manifest(&["/files?part=1", "/files?part=2"].map(|path| sides.server.url(path))),
    );
    let second = PATIENT.replace('1', "2");
    sides.server.on("GET", "/files?part=1", ndjson(PATIENT));
    sides.server.on("GET", "/files?part=2", ndjson(&second));
    let both = export(&sides);
    assert_eq!(
        both.theirs
            .ok()
            .stdout
            .matches("Patient_files.ndjson is created")
            .count(),
        2
    );
    assert_eq!(files(&sides.theirs).len(), 1);
    both.ours.ok();
    let texts: Vec<String> = files(&sides.ours)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, [PATIENT.to_owned(), second]);
}

/// A busy server ends the export. Here: it is asked again when it says so.
#[test]
fn b8_a_status_that_is_throttled() {
    let sides = sides();
    let busy = Answer::empty(429).header("Retry-After", "1");
    let done = manifest(&[sides.server.url("/files/1")]);
    let done = Answer::new(200, "application/json", done.to_string());
    sides.server.on("GET", "/files/1", ndjson(PATIENT));
    let polls = |answers: [&Answer; 4]| answers.map(Clone::clone);
    // One server for both, but a job for each: the answers come in turn.
    for (side, job) in [("node", "/fhir/R4/theirs"), ("ours", "/fhir/R4/ours")] {
        sides
            .server
            .on_sequence("GET", job, polls([&busy, &busy, &busy, &done]));
        let accepted = Answer::empty(202).header("Content-Location", &sides.server.url(job));
        sides.server.handler(move |request| {
            let is_node = request.header("User-Agent") == Some("node");
            (request.path().ends_with("$export") && is_node == (side == "node"))
                .then(|| accepted.clone())
        });
    }
    let both = export(&sides);
    both.theirs.fails(1).says("Unknown error");
    both.ours.ok();
    assert_eq!(files(&sides.ours).len(), 1);
}

/// Errors, deletions and further pages are passed over, exit 0. Here: all is fetched, and an error is exit 5.
#[test]
fn b10_errors_deletions_and_pages() {
    let sides = sides();
    let mut first = manifest(&[sides.server.url("/files/1")]);
    first["error"] = json!([{"type": "OperationOutcome", "url": sides.server.url("/files/e")}]);
    first["deleted"] = json!([{"type": "Bundle", "url": sides.server.url("/files/d")}]);
    first["link"] = json!([{"relation": "next", "url": sides.server.url("/fhir/R4/job?page=2")}]);
    lists(&sides, &first);
    let second = manifest(&[sides.server.url("/files/2")]).to_string();
    let second = Answer::new(200, "application/json", second);
    sides.server.on("GET", "/fhir/R4/job?page=2", second);
    sides.server.on("GET", "/files/1", ndjson(PATIENT));
    sides
        .server
        .on("GET", "/files/2", ndjson(&PATIENT.replace('1', "2")));
    let deleted = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/9"}}]}"#;
    sides.server.on("GET", "/files/d", ndjson(deleted));
    let failed = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception","diagnostics":"half is lost"}]}"#;
    sides.server.on("GET", "/files/e", ndjson(failed));
    let both = export(&sides);
    both.theirs.ok();
    assert_eq!(files(&sides.theirs).len(), 1);
    let ours = both.ours.fails(5).says("half is lost");
    assert_eq!(ours.stdout.lines().count(), 4, "{ours}");
    assert_eq!(files(&sides.ours).len(), 2);
    for name in [
        "out/deleted/Bundle_files_d.ndjson",
        "out/errors/OperationOutcome_files_e.ndjson",
    ] {
        assert!(!sides.ours.read(name).is_empty());
    }
}

/// A manifest of another media type: nothing is fetched, exit 0. Here: it is what it is.
#[test]
fn b11_a_manifest_that_says_it_is_text() {
    let sides = sides();
    let manifest = manifest(&[sides.server.url("/files/1")]).to_string();
    sides.server.on(
        "GET",
        "/fhir/R4/job",
        Answer::new(200, "text/plain", manifest),
    );
    sides.server.on("GET", "/files/1", ndjson(PATIENT));
    let both = export(&sides);
    both.theirs.ok().prints("");
    assert_eq!(files(&sides.theirs), []);
    both.ours.ok();
    assert_eq!(files(&sides.ours).len(), 1);
}

/// Signed URLs on another host get the token, although the manifest says they need none. Here: they do not.
#[test]
fn b12_files_that_need_no_token() {
    let sides = sides();
    let storage = Server::start();
    storage.on("GET", "/signed", ndjson(PATIENT));
    let mut manifest = manifest(&[storage.url("/signed")]);
    manifest["requiresAccessToken"] = json!(false);
    lists(&sides, &manifest);
    let both = export(&sides);
    let (_, _) = (both.theirs.ok(), both.ours.ok());
    let token_of = |is_node: bool| {
        let requests = storage.requests().into_iter();
        let mut of_side = requests
            .filter(|request: &Request| (request.header("User-Agent") == Some("node")) == is_node);
        of_side
            .next()
            .unwrap()
            .header("Authorization")
            .map(str::to_owned)
    };
    assert_eq!(token_of(true), Some("Bearer opaque-token".to_owned()));
    assert_eq!(token_of(false), None);
}
