//! What `bulk export` does when something goes wrong: one table of faults, each with its exit code and its files.
//! Whatever happens: one kick-off, no temporary file, and nothing under a final name that is not complete.
//! Faults that need more than one wrong answer are in `faults_links`, those of the disk in
//! `faults_disk`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, STATUS, gzip, ndjson, pending};
use crate::support::{Answer, Bulk, Medplum, Server};

const KICK_OFF: &str = "/fhir/R4/$export";
const SECOND_PAGE: &str = "/fhir/R4/bulkstatus/1?page=2";
pub(super) const P: &str = "Patient_files_p.ndjson";
pub(super) const O: &str = "Observation_files_o.ndjson";
pub(super) const C: &str = "Condition_files_c.ndjson";
/// The file that the faults of files are about lies between two that are well.
pub(super) const ALL: &[&str] = &[C, O, P];
pub(super) const OTHERS: &[&str] = &[C, P];
pub(super) const NONE: &[&str] = &[];

/// A step that is answered badly, once or always.
pub(super) enum At {
    KickOff,
    /// A look at the job.
    Status,
    /// The second page of the manifest, which lists the Condition file.
    Page,
    /// The Observation file.
    File,
    /// Another file in the Observation file's place: list and type.
    Listed(&'static str, &'static str),
    Delete,
    /// Nowhere: the fault is what `How` says.
    Elsewhere,
}

pub(super) enum How {
    /// These answers, then all is well.
    Once(Vec<Answer>),
    Always(Answer),
    /// The manifest is another one.
    Manifest(fn(&mut Value)),
    /// The servers do something else; those given back stay until the end.
    Servers(fn(&Bulk) -> Vec<Server>),
}

use At::{Delete, Elsewhere, File, KickOff, Listed, Page, Status};
use How::{Always, Manifest, Once, Servers};

/// Name, where, what, exit code, files that are there afterwards, what stderr says.
pub(super) type Fault = (
    &'static str,
    At,
    How,
    i32,
    &'static [&'static str],
    &'static str,
);

fn once(answer: Answer) -> How {
    Once(vec![answer])
}

pub(super) fn refused(status: u16) -> Answer {
    Answer::new(status, "text/plain", "some words").header("Retry-After", "0")
}

/// The file as gzip, spoilt.
fn gzip_with(fault: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut wire = gzip(OBSERVATIONS.as_bytes());
    fault(&mut wire);
    ndjson(wire).header("Content-Encoding", "gzip")
}

/// The file with one more line in its middle.
fn with_line(line: &[u8]) -> Answer {
    let (one, two) = OBSERVATIONS.split_at(OBSERVATIONS.find('\n').unwrap() + 1);
    ndjson([one.as_bytes(), line, b"\n", two.as_bytes()].concat())
}

/// Other patients than those of the first file.
const OTHERS_TEXT: &str = "{\"resourceType\":\"Patient\",\"id\":\"3\"}\n";

pub(super) fn file() -> Answer {
    ndjson(OBSERVATIONS)
}

/// Faults before there is a file. A kick-off is never repeated: the first may have started a job.
#[rustfmt::skip]
fn faults_of_the_job() -> Vec<Fault> {
    let html = || Answer::new(200, "text/html", "<title>Sign in</title>");
    let begun = || Answer::new(200, "application/json", "{   }");
    let issue = |code| Answer::outcome(500, code, "what the server says");
    vec![
        ("kick-off 500", KickOff, once(refused(500)), 1, NONE, "some words"),
        ("kick-off 502", KickOff, once(refused(502)), 1, NONE, "some words"),
        ("kick-off 503", KickOff, once(refused(503)), 1, NONE, "some words"),
        ("kick-off 429", KickOff, once(refused(429)), 1, NONE, "some words"),
        ("kick-off transient", KickOff, once(issue("transient")), 1, NONE, "what the server says"),
        ("kick-off reset", KickOff, once(Answer::reset()), 6, NONE, "broke"),
        ("status 429", Status, Once(vec![refused(429), refused(429)]), 0, ALL, ""),
        ("status 500 without an outcome", Status, once(refused(500)), 0, ALL, ""),
        ("status 502", Status, once(refused(502)), 0, ALL, ""),
        ("status 503", Status, once(refused(503)), 0, ALL, ""),
        ("status transient", Status, once(issue("transient")), 0, ALL, ""),
        ("status throttled", Status, once(issue("throttled")), 0, ALL, ""),
        ("status transient 400", Status, once(Answer::outcome(400, "lock-error", "")), 0, ALL, ""),
        ("status failed", Status, once(issue("processing")), 1, NONE, "what the server says"),
        ("status 500 for ever", Status, Always(refused(500)), 1, NONE, "some words"),
        ("status reset", Status, once(Answer::reset()), 0, ALL, ""),
        ("manifest reset", Status, once(begun().reset_after(2)), 0, ALL, ""),
        ("manifest cut", Status, once(begun().cut_body_at(2)), 0, ALL, ""),
        ("manifest is HTML", Status, once(html()), 1, NONE, "Sign in"),
        ("manifest is an outcome", Status, once(Answer::outcome(200, "x", "")), 1, NONE, "OperationOutcome"),
        ("page 429", Page, Once(vec![refused(429), refused(429)]), 0, ALL, ""),
        ("page 500 without an outcome", Page, once(refused(500)), 0, ALL, ""),
        ("page 502", Page, once(refused(502)), 0, ALL, ""),
        ("page 503", Page, once(refused(503)), 0, ALL, ""),
        ("page reset", Page, once(Answer::reset()), 0, ALL, ""),
        ("page not ready", Page, once(pending()), 0, ALL, ""),
        ("page cut", Page, once(begun().cut_body_at(2)), 0, ALL, ""),
        ("page 404", Page, Always(refused(404)), 4, NONE, "some words"),
        ("page 500 for ever", Page, Always(refused(500)), 1, NONE, "some words"),
        ("page is HTML", Page, Always(html()), 1, NONE, "Sign in"),
        ("DELETE 500", Delete, once(refused(500)), 0, ALL, ""),
        ("DELETE 502", Delete, once(refused(502)), 0, ALL, ""),
        ("DELETE 503", Delete, once(refused(503)), 0, ALL, ""),
        ("DELETE 429", Delete, once(refused(429)), 0, ALL, ""),
        ("DELETE reset", Delete, once(Answer::reset()), 0, ALL, ""),
        ("DELETE 500 for ever", Delete, Always(refused(500)), 0, ALL, "could not be deleted"),
    ]
}

/// Manifests as no book has them, but servers do, and entries that are wrong.
#[rustfmt::skip]
fn faults_of_the_manifest() -> Vec<Fault> {
    vec![
        ("the string true (Epic)", Elsewhere, Manifest(|m| m["requiresAccessToken"] = json!("true")), 0, ALL, ""),
        ("no deleted, no error", Elsewhere, Manifest(|m| without(m, &["deleted", "error"])), 0, ALL, ""),
        ("null lists", Elsewhere, Manifest(|m| (m["deleted"], m["error"]) = (json!(null), json!(null))), 0, ALL, ""),
        ("no request, no time", Elsewhere, Manifest(|m| without(m, &["request", "transactionTime"])), 0, ALL, ""),
        ("unknown fields (HAPI, BCDA)", Elsewhere, Manifest(|m| (m["message"], m["JobID"], m["output"][0]["x"]) = (json!("done"), json!(7), json!({}))), 0, ALL, ""),
        ("extension as object and as array (AB2D)", Elsewhere, Manifest(|m| (m["extension"], m["output"][0]["extension"]) = (json!({"https://example.com/x": 1}), json!([{"url": "https://example.com/y", "valueDecimal": 2}]))), 0, ALL, ""),
        ("counts, one of them a string", Elsewhere, Manifest(|m| (m["output"][0]["count"], m["output"][1]["count"]) = (json!(2), json!("2"))), 0, ALL, ""),
        ("a count that is no number", Elsewhere, Manifest(|m| m["output"][1]["count"] = json!("two")), 0, ALL, ""),
        ("relative URLs", Elsewhere, Manifest(|m| (m["output"][0]["url"], m["output"][1]["url"]) = (json!("/files/p"), json!("../../../files/o"))), 0, ALL, ""),
        ("a wrong count", Elsewhere, Manifest(|m| m["output"][1]["count"] = json!(3)), 5, OTHERS, "promises 3 resources and the file holds 2"),
        ("a wrong count, as a string", Elsewhere, Manifest(|m| m["output"][1]["count"] = json!("3")), 5, OTHERS, "promises 3 resources and the file holds 2"),
        ("an entry of another type", Elsewhere, Manifest(|m| m["output"][1]["type"] = json!("Encounter")), 5, OTHERS, "line 1 holds Observation where Encounter is promised"),
        ("an entry without a type", Elsewhere, Manifest(|m| without(&mut m["output"][1], &["type"])), 0, &[C, P, "Resource_files_o.ndjson"], ""),
        ("an entry without a URL", Elsewhere, Manifest(|m| without(&mut m["output"][1], &["url"])), 1, NONE, "without a usable URL"),
        ("a URL of no kind that can be fetched", Elsewhere, Manifest(|m| m["output"][1]["url"] = json!("file:///etc/passwd")), 1, NONE, "file:///etc/passwd"),
        ("a list that is none", Elsewhere, Manifest(|m| m["error"] = json!("none")), 1, NONE, "error"),
        ("a next page without a URL", Elsewhere, Manifest(|m| m["link"] = json!([{"relation": "next"}])), 1, NONE, "next page"),
        ("a next page whose URL is a number", Elsewhere, Manifest(|m| m["link"] = json!([{"relation": "next", "url": 5}])), 1, NONE, "next page"),
        ("a next page that is an object", Elsewhere, Manifest(|m| m["link"] = json!({"relation": "next", "url": SECOND_PAGE})), 1, NONE, ""),
        ("two next pages", Elsewhere, Manifest(|m| m["link"] = json!([{"relation": "next", "url": "/a"}, {"relation": "next", "url": "/b"}])), 1, NONE, "next page"),
        ("a link that is a text", Elsewhere, Manifest(|m| m["link"] = json!(SECOND_PAGE)), 1, NONE, "next page"),
        ("a next page whose relation is a list", Elsewhere, Manifest(|m| m["link"] = json!([{"relation": ["next"], "url": SECOND_PAGE}])), 1, NONE, "next page"),
        ("a URL that is listed twice", Elsewhere, Manifest(|m| m["output"][2] = m["output"][0].clone()), 0, &[O, P], ""),
        ("names that differ only in case", Elsewhere, Servers(|bulk| {
            bulk.manifest(|m| m["output"][2] = json!({"type": "Patient", "url": "/files/P"}));
            bulk.server.on("GET", "/files/P", ndjson(OTHERS_TEXT));
            Vec::new()
        }), 0, &[O, "Patient_files_P_2.ndjson", P], ""),
    ]
}

fn without(json: &mut Value, names: &[&str]) {
    let object = json.as_object_mut().unwrap();
    object.retain(|name, _| !names.contains(&name.as_str()));
}

/// Faults that only a limit of time ends. They run with a short one.
#[rustfmt::skip]
fn silences() -> Vec<Fault> {
    let half = OBSERVATIONS.len() / 2;
    vec![
        ("kick-off silent", KickOff, once(Answer::silence()), 6, NONE, "no answer"),
        ("status silent", Status, once(Answer::silence()), 0, ALL, ""),
        ("manifest stalls", Status, once(Answer::new(200, "application/json", "{   }").stall_at(2)), 0, ALL, ""),
        ("stalls in the body", File, once(file().stall_at(half)), 0, ALL, ""),
        ("stalls for ever", File, Always(file().stall_at(half)), 5, OTHERS, "no byte for 2 s"),
        ("silent", File, once(Answer::silence()), 0, ALL, ""),
    ]
}

/// Faults of one file. B3: 403 and 500 were written as `.ndjson`, exit 0. B7: one broken connection took all with it.
#[rustfmt::skip]
fn faults_of_a_file() -> Vec<Fault> {
    let half = OBSERVATIONS.len() / 2;
    let line = OBSERVATIONS.find('\n').unwrap() + 1;
    let gzipped = || ndjson(OBSERVATIONS.repeat(50)).gzip().until_close();
    let oops = || Answer::new(500, "text/html", "<title>Oops</title>").header("Retry-After", "0");
    let html = || Answer::new(200, "text/html; charset=utf-8", "<html><title>Sign in</title></html>");
    let signed = || Answer::new(400, "application/xml", "<Error><Code>AccessDenied</Code></Error>");
    vec![
        ("reset", File, once(Answer::reset()), 0, ALL, ""),
        ("reset for ever (B7)", File, Always(Answer::reset()), 5, OTHERS, "broke"),
        ("reset in the body", File, once(file().reset_after(half)), 0, ALL, ""),
        ("reset in the body for ever (B7)", File, Always(file().reset_after(half)), 5, OTHERS, "broke"),
        ("cut, with a length", File, once(file().cut_body_at(half)), 0, ALL, ""),
        ("cut, with a length, for ever", File, Always(file().cut_body_at(half)), 5, OTHERS, "broke"),
        ("cut between lines, with a length", File, Always(file().cut_body_at(line)), 5, OTHERS, "broke"),
        ("cut in chunks", File, once(file().chunked().cut_body_at(half)), 0, ALL, ""),
        ("cut between lines in chunks", File, Always(file().chunked().cut_body_at(line)), 5, OTHERS, "broke"),
        ("cut, without a length", File, once(file().until_close().cut_body_at(half)), 0, ALL, ""),
        ("cut, without a length, for ever", File, Always(file().until_close().cut_body_at(half)), 5, OTHERS, "line 1"),
        ("500", File, once(refused(500)), 0, ALL, ""),
        ("502", File, once(refused(502)), 0, ALL, ""),
        ("503", File, once(refused(503)), 0, ALL, ""),
        ("429", File, once(refused(429)), 0, ALL, ""),
        ("transient", File, once(Answer::outcome(400, "transient", "")), 0, ALL, ""),
        ("500 three times", File, Once(vec![refused(500); 3]), 0, ALL, ""),
        ("500 for ever (B3)", File, Always(refused(500)), 5, OTHERS, "some words"),
        ("500 as HTML for ever (B3)", File, Always(oops()), 5, OTHERS, "Oops"),
        ("401 for ever", File, Always(refused(401)), 5, OTHERS, "some words"),
        ("403 (B3)", File, Always(Answer::outcome(403, "forbidden", "not yours")), 5, OTHERS, "not yours"),
        ("404 once (BCDA)", File, once(refused(404)), 0, ALL, ""),
        ("404 for ever", File, Always(refused(404)), 5, OTHERS, "some words"),
        ("410", File, Always(refused(410)), 5, OTHERS, "some words"),
        ("signed URL refused (B12)", File, Always(signed()), 5, OTHERS, "400"),
        ("200 with HTML", File, Always(html()), 5, OTHERS, "Sign in"),
        ("200 with an outcome", File, Always(Answer::outcome(200, "x", "")), 5, OTHERS, "OperationOutcome"),
        ("202", File, Always(Answer::empty(202)), 5, OTHERS, "202"),
        ("206", File, Always(Answer::new(206, "application/fhir+ndjson", PATIENTS)), 5, OTHERS, "206"),
        ("redirect to nowhere", File, Always(Answer::empty(307)), 5, OTHERS, "307"),
        ("redirect to itself", File, Always(Answer::redirect(307, "/files/o")), 5, OTHERS, "redirect"),
        ("redirect to the disk", File, Always(Answer::redirect(307, "file:///etc/passwd")), 5, OTHERS, ""),
        ("gzip cut", File, once(gzipped().cut_body_at(60)), 0, ALL, ""),
        ("gzip cut for ever", File, Always(gzipped().cut_body_at(60)), 5, OTHERS, "gzip"),
        ("gzip without its checksum", File, Always(gzip_with(|wire| wire.truncate(wire.len() - 8))), 5, OTHERS, "gzip"),
        ("gzip with a wrong checksum", File, Always(gzip_with(|wire| *wire.iter_mut().nth_back(7).unwrap() ^= 1)), 5, OTHERS, "gzip"),
        ("gzip with an empty member more (BCDA)", File, Always(gzip_with(|wire| wire.extend(gzip(b"")))), 0, ALL, ""),
        ("gzip with bytes after it", File, Always(gzip_with(|wire| wire.extend(b"more"))), 5, OTHERS, "gzip"),
        ("gzip that is none", File, Always(file().header("Content-Encoding", "gzip")), 5, OTHERS, "gzip"),
        ("a line of another type", File, Always(with_line(br#"{"resourceType":"Patient"}"#)), 5, OTHERS, "line 2 holds Patient where Observation is promised"),
        ("a line without a type", File, Always(with_line(br#"{"id":"1"}"#)), 5, OTHERS, "line 2"),
        ("a line that is no JSON", File, Always(with_line(br#"{"resourceType":"Observation",}"#)), 5, OTHERS, "line 2"),
        ("a line that is no object", File, Always(with_line(b"[]")), 5, OTHERS, "line 2"),
        ("a line that is not UTF-8", File, Always(with_line(b"{\"resourceType\":\"Observation\",\"x\":\"\xff\"}")), 5, OTHERS, "line 2 is not UTF-8"),
        ("all in one JSON array", File, Always(ndjson(r#"[{"resourceType":"Observation"}]"#)), 5, OTHERS, "line 1"),
        ("deleted holds no Bundle", Listed("deleted", "Bundle"), Always(file()), 5, OTHERS, "line 1 holds Observation where Bundle"),
        ("error holds no outcome", Listed("error", "OperationOutcome"), Always(file()), 5, OTHERS, "line 1 holds Observation where OperationOutcome"),
    ]
}

/// Puts the Condition file onto a page of its own.
fn second_page(bulk: &Bulk) -> Answer {
    let mut page: Value = serde_json::from_str(&bulk.manifest_text()).unwrap();
    page["output"].as_array_mut().unwrap().drain(..2);
    bulk.manifest(|manifest| {
        manifest["output"].as_array_mut().unwrap().pop();
        manifest["link"] = json!([{"relation": "next", "url": SECOND_PAGE}]);
    });
    Answer::new(200, "application/json", page.to_string())
}

/// Runs one fault and compares all that can be seen.
fn check(fault: Fault, args: &[&str]) {
    let (name, at, how, code, files, words) = fault;
    let bulk = match at {
        Listed(list, resource_type) => {
            let bulk = Bulk::open();
            bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
            bulk.file(list, resource_type, "/files/o", file());
            bulk.file("output", "Condition", "/files/c", ndjson(CONDITIONS));
            bulk
        }
        _ => Bulk::with_three_files(),
    };
    let (method, path, well) = match at {
        KickOff => (
            "GET",
            KICK_OFF,
            Answer::empty(202).header("Content-Location", &bulk.server.url(STATUS)),
        ),
        Status => (
            "GET",
            STATUS,
            Answer::new(200, "application/json", bulk.manifest_text()),
        ),
        Page => ("GET", SECOND_PAGE, second_page(&bulk)),
        File | Listed(..) | Elsewhere => ("GET", "/files/o", file()),
        Delete => ("DELETE", STATUS, Answer::empty(202)),
    };
    let mut servers = Vec::new();
    match how {
        Once(mut answers) => {
            answers.push(well);
            bulk.server.on_sequence(method, path, answers);
        }
        Always(answer) => bulk.server.on(method, path, answer),
        Manifest(change) => bulk.manifest(change),
        Servers(prepare) => servers = prepare(&bulk),
    }
    // The token is there already, so that a short limit of time is for the export alone.
    bulk.medplum.run(["token", "-p", "site"]).ok();
    let run = bulk.export(args);
    assert_eq!(run.code, code, "{name}: exit code\n{run}");
    assert!(
        run.stderr.contains(words),
        "{name}: stderr does not say {words:?}\n{run}"
    );
    assert_eq!(bulk.names(), files, "{name}: files\n{run}");
    for (file, bytes) in bulk.files() {
        let whole = match file.split_once("_files_").unwrap().1.split_at(1).0 {
            "p" => PATIENTS,
            "P" => OTHERS_TEXT,
            "o" => OBSERVATIONS,
            _ => CONDITIONS,
        };
        assert_eq!(bytes, whole.as_bytes(), "{name}: {file}\n{run}");
        assert!(
            run.stdout.contains(&format!("/{file} is created\n")),
            "{name}: {file}\n{run}"
        );
    }
    assert_eq!(
        run.stdout.lines().count(),
        files.len(),
        "{name}: stdout\n{run}"
    );
    assert_eq!(bulk.kick_offs(), 1, "{name}: kick-offs\n{run}");
    assert_eq!(bulk.deletes() > 0, code == 0, "{name}: DELETE\n{run}");
    if code == 5 {
        assert!(
            run.stderr.contains("1 of 3 files"),
            "{name}: summary\n{run}"
        );
        assert!(
            run.stderr.contains(&bulk.server.url("/files/o")),
            "{name}: the missing file's URL\n{run}"
        );
    }
    if !matches!((code, &at), (0 | 5, _) | (_, KickOff)) {
        let last = run.stderr.rsplit("Warning:").next().unwrap();
        assert!(
            last.contains(&bulk.server.url(STATUS)),
            "{name}: the status URL at the end\n{run}"
        );
    }
    drop(servers);
}

/// Many at the same time: most of a fault's time is waiting.
pub(super) fn check_all(faults: Vec<Fault>, args: &[&str]) {
    let (left, failed) = (Mutex::new(faults), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let Some(fault) = left.lock().unwrap().pop() else {
                        return;
                    };
                    if catch_unwind(AssertUnwindSafe(|| check(fault, args))).is_err() {
                        *failed.lock().unwrap() += 1;
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert_eq!(failed, 0, "so many faults of the table are above");
}

#[test]
fn every_fault_of_the_job_ends_as_the_table_says() {
    check_all(faults_of_the_job(), &[]);
}

#[test]
fn every_fault_of_a_file_ends_as_the_table_says() {
    check_all(faults_of_a_file(), &[]);
}

#[test]
fn every_fault_of_the_manifest_ends_as_the_table_says() {
    check_all(faults_of_the_manifest(), &[]);
}

#[test]
fn every_silence_ends_as_the_table_says() {
    check_all(silences(), &["--read-timeout", "2s"]);
}

/// Counts are the manifest's, so they are not in the table.
#[test]
fn a_file_with_another_number_of_resources_than_promised_is_refused() {
    for (body, promised) in [
        (OBSERVATIONS, 3),
        (OBSERVATIONS, 1),
        (OBSERVATIONS, 0),
        ("", 2),
        ("\n\n", 2),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", ndjson(body));
        bulk.manifest(|manifest| manifest["output"][1]["count"] = json!(promised));
        let run = bulk.export(&[]).fails(5).says("1 of 3 files");
        let (there, resources) = (format!("{promised} resources"), body.trim().lines().count());
        assert!(
            run.stderr.contains(&there) && run.stderr.contains(&format!("holds {resources}")),
            "{run}"
        );
        assert_eq!(bulk.names(), OTHERS);
    }
    for (body, promised) in [(OBSERVATIONS, 2), ("", 0)] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", ndjson(body));
        bulk.manifest(|manifest| manifest["output"][1]["count"] = json!(promised));
        bulk.export(&[]).ok();
        assert_eq!(bulk.medplum.read("out/Observation_files_o.ndjson"), body);
    }
}

/// A line of 60 MB is data like any other; so is a file without a line, and a server that says 204 for one.
#[test]
fn long_lines_and_empty_files_are_no_faults() {
    let long = format!(
        "{{\"resourceType\":\"Observation\",\"x\":\"{}\"}}\n",
        "x".repeat(60 << 20)
    );
    for (answer, body) in [
        (ndjson(&long), long.as_str()),
        (ndjson(""), ""),
        (ndjson("").gzip(), ""),
        (ndjson("").header("Content-Encoding", "gzip"), ""),
        (Answer::empty(204), ""),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", answer);
        let run = bulk.export(&[]).ok();
        assert_eq!(bulk.names(), ALL);
        assert!(bulk.medplum.read("out/Observation_files_o.ndjson") == body);
        // Nothing promises that there is nothing: a server that lost the file answers so too.
        let is_said = run
            .stderr
            .contains("1 file came empty, such as Observation");
        assert_eq!(is_said, body.is_empty(), "{run}");
    }
}

/// A manifest that promises none is kept by an empty file, and one that promises some is not, with 204 as with 200.
#[test]
fn an_empty_file_is_held_against_what_is_promised() {
    for answer in [|| Answer::empty(204), || ndjson("")] {
        for (count, code) in [(0, 0), (2, 5)] {
            let bulk = Bulk::with_three_files();
            bulk.server.on("GET", "/files/o", answer());
            bulk.manifest(|manifest| manifest["output"][1]["count"] = count.into());
            let run = bulk.export(&["--retries", "0"]);
            assert_eq!(run.code, code, "{count}\n{run}");
            assert!(!run.stderr.contains("came empty"), "{run}");
            assert_eq!(bulk.deletes(), usize::from(code == 0), "{run}");
        }
    }
}

/// Oracle Health: the signed URL behind a file lives shortly, so a new try begins at the file's own URL.
#[test]
fn a_broken_download_behind_a_redirect_is_tried_again_from_the_start() {
    let bulk = Bulk::with_three_files();
    let bucket = Server::start();
    let signed =
        |number: u32| Answer::redirect(307, &bucket.url(&format!("/bucket/{number}?X-Sig=x")));
    bulk.server
        .on_sequence("GET", "/files/o", [signed(1), signed(2)]);
    bucket.on("GET", "/bucket/1", file().cut_body_at(20));
    bucket.on("GET", "/bucket/2", file());
    bulk.export(&[]).ok();
    assert_eq!(
        bulk.medplum.read("out/Observation_files_o.ndjson"),
        OBSERVATIONS
    );
    assert_eq!(
        bucket.lines(),
        ["GET /bucket/1?X-Sig=x", "GET /bucket/2?X-Sig=x"]
    );
    for request in bucket.requests() {
        assert_eq!(request.header("Authorization"), None);
    }
}

/// A server that cannot be reached at all was certainly not asked, but there is none to ask.
#[test]
fn a_server_that_is_not_there_is_a_network_failure() {
    let medplum = Medplum::new();
    let gone = Server::start().url("/");
    medplum
        .run([
            "bulk",
            "export",
            "--base-url",
            &gone,
            "--access-token",
            "t",
            "-d",
            "out",
        ])
        .fails(6)
        .prints("");
}

/// Ctrl-C between two tries of a file, and while a kick-off's job has only begun to answer.
#[test]
fn ctrl_c_in_a_pause_ends_at_once_and_leaves_nothing_behind() {
    let bulk = Bulk::with_three_files();
    bulk.server.on(
        "GET",
        "/files/o",
        Answer::empty(503).header("Retry-After", "50"),
    );
    bulk.status([pending()]);
    let running = bulk.command(&[]).spawn();
    let _ = running.stderr_line("503");
    let _ = running.stdout_line(C);
    let _ = running.stdout_line(P);
    running.interrupt();
    running.finish().fails(130).says(STATUS);
    assert_eq!(bulk.names(), OTHERS);
    assert_eq!(bulk.deletes(), 0);
}
