//! What `bulk export` does when something goes wrong: one table of faults, each with its exit code and its files.
//! Whatever happens: one kick-off, no temporary file, and nothing under a final name that is not complete.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use serde_json::json;

use crate::support::bulk::{CONDITIONS, OBSERVATIONS, PATIENTS, STATUS, gzip, ndjson, pending};
use crate::support::medplum::ReadOnly;
use crate::support::{Answer, Bulk, Medplum, Server, Site};

const KICK_OFF: &str = "/fhir/R4/$export";
const P: &str = "Patient_files_p.ndjson";
const O: &str = "Observation_files_o.ndjson";
const C: &str = "Condition_files_c.ndjson";
/// The file that the faults of files are about lies between two that are well.
const ALL: &[&str] = &[C, O, P];
const OTHERS: &[&str] = &[C, P];
const NONE: &[&str] = &[];

/// A step that is answered badly, once or always.
enum At {
    KickOff,
    /// A look at the job.
    Status,
    /// The Observation file.
    File,
    /// Another file in the Observation file's place: list and type.
    Listed(&'static str, &'static str),
    Delete,
}

enum How {
    /// These answers, then all is well.
    Once(Vec<Answer>),
    Always(Answer),
}

use At::{Delete, File, KickOff, Listed, Status};
use How::{Always, Once};

/// Name, where, what, exit code, files that are there afterwards, what stderr says.
type Fault = (
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

fn refused(status: u16) -> Answer {
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

fn file() -> Answer {
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
        ("DELETE 503", Delete, once(refused(503)), 0, ALL, ""),
        ("DELETE reset", Delete, once(Answer::reset()), 0, ALL, ""),
        ("DELETE 500 for ever", Delete, Always(refused(500)), 0, ALL, "could not be deleted"),
    ]
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
        File | Listed(..) => ("GET", "/files/o", file()),
        Delete => ("DELETE", STATUS, Answer::empty(202)),
    };
    match how {
        Once(mut answers) => {
            answers.push(well);
            bulk.server.on_sequence(method, path, answers);
        }
        Always(answer) => bulk.server.on(method, path, answer),
    }
    // The token is there already, so that a short limit of time is for the export alone.
    let _ = bulk.medplum.run(["token", "-p", "site"]).ok();
    let run = bulk.export(args);
    assert_eq!(run.code, code, "{name}: exit code\n{run}");
    assert!(
        run.stderr.contains(words),
        "{name}: stderr does not say {words:?}\n{run}"
    );
    assert_eq!(bulk.names(), files, "{name}: files\n{run}");
    for (file, bytes) in bulk.files() {
        let whole = match file.as_str() {
            P => PATIENTS,
            O => OBSERVATIONS,
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
}

/// Many at the same time: most of a fault's time is waiting.
fn check_all(faults: Vec<Fault>, args: &[&str]) {
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
        let _ = bulk.export(&[]).ok();
        assert_eq!(bulk.medplum.read("out/Observation_files_o.ndjson"), body);
    }
}

/// A line of 5 MB is data like any other; so is a file without a line, and a server that says 204 for one.
#[test]
fn long_lines_and_empty_files_are_no_faults() {
    let long = format!(
        "{{\"resourceType\":\"Observation\",\"x\":\"{}\"}}\n",
        "x".repeat(5 << 20)
    );
    for (answer, body) in [
        (ndjson(&long), long.as_str()),
        (ndjson(&long).gzip(), long.as_str()),
        (ndjson(""), ""),
        (ndjson("").gzip(), ""),
        (ndjson("").header("Content-Encoding", "gzip"), ""),
        (Answer::empty(204), ""),
    ] {
        let bulk = Bulk::with_three_files();
        bulk.server.on("GET", "/files/o", answer);
        let _ = bulk.export(&[]).ok();
        assert_eq!(bulk.names(), ALL);
        assert!(bulk.medplum.read("out/Observation_files_o.ndjson") == body);
    }
}

#[test]
fn a_url_that_is_listed_twice_is_no_reason_to_lose_a_file() {
    let bulk = Bulk::with_three_files();
    bulk.entry(
        "output",
        json!({"type": "Patient", "url": bulk.server.url("/files/p"), "count": 2}),
    );
    let run = bulk.export(&[]).ok();
    assert_eq!(run.stdout.lines().count(), bulk.names().len(), "{run}");
    assert!(
        ALL.iter()
            .all(|name| bulk.names().contains(&(*name).to_owned())),
        "{run}"
    );
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
    let _ = bulk.export(&[]).ok();
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
    let _ = medplum
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

/// B5: a folder that could not be written meant exit 0. Here nothing is asked of the server.
#[test]
fn a_folder_that_cannot_be_made_is_found_before_anything_is_sent() {
    let bulk = Bulk::with_three_files();
    let _ = bulk.medplum.file("file", "in the way");
    for folder in ["file", "file/out"] {
        let run = bulk
            .medplum
            .run(["bulk", "export", "-p", "site", "-d", folder])
            .fails(2)
            .prints("");
        assert!(run.stderr.contains(folder), "{run}");
    }
    assert_eq!(bulk.server.lines(), [""; 0]);
    assert_eq!(bulk.medplum.read("file"), "in the way");
}

/// The same as a user who is not root.
#[test]
fn a_folder_that_cannot_be_written_is_found_before_anything_is_sent() {
    let mut site = Site::open();
    site.medplum = Medplum::of_an_ordinary_user();
    site.set_profile(&["--token-url", "oauth2/token"]);
    let bulk = Bulk::on(site, "/fhir/R4", STATUS);
    let work = bulk.medplum.path("");
    let _locked = ReadOnly::folder(PathBuf::from(work.to_str().unwrap().trim_end_matches('/')));
    for args in [
        &["bulk", "export", "-p", "site"][..],
        &["bulk", "export", "-p", "site", "-d", "out"],
    ] {
        let _ = bulk
            .medplum
            .run(args)
            .fails(2)
            .says("ermission denied")
            .prints("");
    }
    assert_eq!(bulk.server.lines(), [""; 0]);
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
}

/// A disk that is full stops the export: every other file would fail too.
#[test]
fn a_full_disk_stops_the_export_with_what_was_complete() {
    let bulk = Bulk::with_three_files();
    bulk.server
        .on("GET", "/files/o", ndjson(OBSERVATIONS.repeat(4000)));
    let run = bulk
        .command(&["--parallel", "1"])
        .file_size_limit(100_000)
        .run()
        .fails(1);
    assert!(
        run.stderr.contains(O) && run.stderr.contains("File too large"),
        "{run}"
    );
    let last = run.stderr.rsplit("Warning:").next().unwrap();
    assert!(last.contains(&bulk.server.url(STATUS)), "{run}");
    assert_eq!(
        bulk.files(),
        [(P.to_owned(), PATIENTS.as_bytes().to_vec())],
        "{run}"
    );
    assert_eq!((bulk.kick_offs(), bulk.deletes()), (1, 0));
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
    let _ = running.finish().fails(130).says(STATUS);
    assert_eq!(bulk.names(), OTHERS);
    assert_eq!(bulk.deletes(), 0);
}
