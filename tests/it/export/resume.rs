//! An export that ended early goes on: nothing is asked for twice, nothing is lost, nothing of the user's is replaced
//! unasked.

use std::fs;
use std::path::Path;

use crate::support::run::KILLED;
use crate::support::{Answer, Medplum, Server};

const KICKOFF: &str = "/fhir/R4/Group/all/$export";
const EXPORT: [&str; 6] = ["bulk", "export", "-e", "Group/all", "-d", "out"];

fn patient(id: &str) -> String {
    format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"value\":1.00}}\n")
}

/// A server whose job is done and lists these files of one patient each.
fn server(files: &[&str]) -> Server {
    let server = Server::start();
    server.on(
        "GET",
        KICKOFF,
        Answer::empty(202).header("Content-Location", &server.url("/job")),
    );
    let output: Vec<_> = files
        .iter()
        .map(|name| serde_json::json!({"type": "Patient", "url": server.url(&format!("/files/{name}")), "count": 1}))
        .collect();
    let manifest = serde_json::json!({"transactionTime": "2026-01-01T00:00:00Z", "requiresAccessToken": false, "output": output, "error": []});
    server.on("GET", "/job", Answer::json(200, manifest.to_string()));
    server.on("DELETE", "/job", Answer::empty(202));
    for name in files {
        server.on(
            "GET",
            &format!("/files/{name}"),
            Answer::new(200, "application/fhir+ndjson", patient(name)),
        );
    }
    server
}

fn machine(server: &Server) -> Medplum {
    Medplum::new().env("MEDPLUM_BASE_URL", server.url("/"))
}

fn count(server: &Server, path: &str) -> usize {
    server.requests_to(path).len()
}

/// The names of what a user sees in the folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| {
        ![".medplum-export", "manifest.json", "log.ndjson"].contains(&name.as_str())
    });
    names.sort();
    names
}

#[test]
fn after_a_kill_during_a_download_only_what_is_missing_is_fetched() {
    let server = server(&["a", "b", "c"]);
    server.on_sequence(
        "GET",
        "/files/b",
        [
            Answer::new(200, "application/fhir+ndjson", patient("b")).stall_at(10),
            Answer::new(200, "application/fhir+ndjson", patient("b")),
        ],
    );
    let medplum = machine(&server);
    let running = medplum.spawn(EXPORT.iter().chain(&["--parallel", "3"]));
    server.wait_for("/files/b");
    let _ = running.stdout_line("Patient_files_a.ndjson is created");
    let _ = running.stdout_line("Patient_files_c.ndjson is created");
    running.kill();
    running.finish().fails(KILLED);

    let run = medplum
        .run(EXPORT)
        .ok()
        .says("Going on with the export that was begun here");
    assert!(
        run.stdout.contains("Patient_files_b.ndjson is created") && !run.stdout.contains("files_a"),
        "{run}"
    );
    assert_eq!(
        files(&medplum.path("out")),
        [
            "Patient_files_a.ndjson",
            "Patient_files_b.ndjson",
            "Patient_files_c.ndjson"
        ]
    );
    for name in ["a", "b", "c"] {
        assert_eq!(
            medplum.read(&format!("out/Patient_files_{name}.ndjson")),
            patient(name)
        );
    }
    let fetched = ["a", "b", "c"].map(|name| count(&server, &format!("/files/{name}")));
    assert_eq!((count(&server, KICKOFF), fetched), (1, [1, 2, 1]));
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|request| request.method == "DELETE")
            .count(),
        1
    );
}

#[test]
fn after_ctrl_c_during_polling_the_same_command_waits_for_the_same_job() {
    let server = server(&["a"]);
    let manifest = Answer::json(
        200,
        r#"{"transactionTime":"2026-01-01T00:00:00Z","output":[]}"#,
    );
    server.on_sequence(
        "GET",
        "/job",
        [Answer::empty(202).header("Retry-After", "60"), manifest],
    );
    let medplum = machine(&server);
    let running = medplum.spawn(EXPORT);
    server.wait_for("/job");
    let _ = running.stderr_line("In progress");
    running.interrupt();
    running
        .finish()
        .fails(130)
        .says(&server.url("/job"))
        .says("Run the same command again");
    medplum.run(EXPORT).ok();
    assert_eq!(
        (count(&server, KICKOFF), files(&medplum.path("out"))),
        (1, vec![])
    );
}

#[test]
fn a_file_that_failed_is_the_only_one_fetched_the_next_time() {
    let server = server(&["a", "b"]);
    server.on_sequence(
        "GET",
        "/files/b",
        [
            Answer::outcome(403, "forbidden", "not for you"),
            Answer::outcome(403, "forbidden", "not for you"),
            // The other file may land in between, which is worth another look at the links.
            Answer::outcome(403, "forbidden", "not for you"),
            Answer::new(200, "application/fhir+ndjson", patient("b")),
        ],
    );
    let medplum = machine(&server);
    medplum
        .run(EXPORT)
        .fails(5)
        .says("not for you")
        .says("same command again");
    assert_eq!(files(&medplum.path("out")), ["Patient_files_a.ndjson"]);
    medplum.run(EXPORT).ok();
    assert_eq!(
        [
            count(&server, "/files/a"),
            count(&server, "/files/b"),
            count(&server, KICKOFF)
        ],
        [1, 4, 1]
    );
}

#[test]
fn a_kill_between_kick_off_and_answer_cannot_be_known_and_is_said() {
    let server = server(&["a"]);
    let accepted = Answer::empty(202).header("Content-Location", &server.url("/job"));
    server.on_sequence("GET", KICKOFF, [Answer::silence(), accepted]);
    let medplum = machine(&server);
    let running = medplum.spawn(EXPORT);
    server.wait_for(KICKOFF);
    running.kill();
    running.finish().fails(KILLED);
    medplum.run(EXPORT).fails(1).says("--restart");
    assert_eq!(count(&server, KICKOFF), 1);
    medplum.run(EXPORT.iter().chain(&["--restart"])).ok();
    assert_eq!(count(&server, KICKOFF), 2);
}

#[test]
fn a_refused_kick_off_leaves_nothing_to_go_on_with() {
    let server = server(&["a"]);
    let accepted = Answer::empty(202).header("Content-Location", &server.url("/job"));
    server.on_sequence(
        "GET",
        KICKOFF,
        [Answer::outcome(400, "invalid", "no such group"), accepted],
    );
    let medplum = machine(&server);
    medplum.run(EXPORT).fails(1).says("no such group");
    medplum.run(EXPORT).ok();
}

#[test]
fn a_finished_export_is_replaced_only_when_asked_and_only_by_a_complete_one() {
    let server = server(&["a", "b"]);
    let medplum = machine(&server);
    medplum.run(EXPORT).ok();
    medplum.run(EXPORT).fails(2).says("--overwrite");
    assert_eq!(count(&server, KICKOFF), 1);

    let manifest = |name: &str| {
        let url = server.url(&format!("/files/{name}"));
        Answer::json(
            200,
            format!(
                r#"{{"transactionTime":"2026-02-01T00:00:00Z","output":[{{"type":"Patient","url":"{url}"}}]}}"#
            ),
        )
    };
    server.on("GET", "/job", manifest("gone"));
    server.on("GET", "/files/gone", Answer::empty(403));
    medplum.run(EXPORT.iter().chain(&["--overwrite"])).fails(5);
    assert_eq!(
        files(&medplum.path("out")),
        ["Patient_files_a.ndjson", "Patient_files_b.ndjson"]
    );

    server.on(
        "GET",
        "/files/gone",
        Answer::new(200, "application/fhir+ndjson", patient("new")),
    );
    let run = medplum.run(EXPORT.iter().chain(&["--overwrite"])).ok();
    assert!(
        run.stdout
            .contains("out/Patient_files_gone.ndjson is created"),
        "{run}"
    );
    assert_eq!(files(&medplum.path("out")), ["Patient_files_gone.ndjson"]);
    assert_eq!(
        medplum.read("out/Patient_files_gone.ndjson"),
        patient("new")
    );
}

#[test]
fn another_request_does_not_go_on_with_an_unfinished_export() {
    let server = server(&["a"]);
    server.on("GET", "/files/a", Answer::empty(403));
    let medplum = machine(&server);
    medplum.run(EXPORT).fails(5);
    medplum
        .run([
            "bulk",
            "export",
            "-e",
            "Group/all",
            "-d",
            "out",
            "-t",
            "Patient",
        ])
        .fails(2)
        .says("--restart");
    assert_eq!(count(&server, KICKOFF), 1);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let server = server(&["a"]);
    server.on(
        "GET",
        "/job",
        Answer::empty(202).header("Retry-After", "60"),
    );
    let medplum = machine(&server);
    let first = medplum.spawn(EXPORT);
    server.wait_for("/job");
    medplum.run(EXPORT).fails(2).says("another process");
    assert_eq!((count(&server, KICKOFF), count(&server, "/job")), (1, 1));
    first.kill();
    first.finish().fails(KILLED);
}

#[test]
fn a_file_of_the_users_own_is_never_replaced() {
    let server = server(&["a"]);
    let medplum = machine(&server);
    medplum.file("out/Patient_files_a.ndjson", "mine");
    medplum
        .run(EXPORT)
        .fails(2)
        .says("Patient_files_a.ndjson is in the way");
    assert_eq!(medplum.read("out/Patient_files_a.ndjson"), "mine");
    fs::rename(
        medplum.path("out/Patient_files_a.ndjson"),
        medplum.path("mine"),
    )
    .unwrap();
    medplum.run(EXPORT).ok();
    assert_eq!(
        (
            medplum.read("out/Patient_files_a.ndjson"),
            count(&server, KICKOFF)
        ),
        (patient("a"), 1)
    );
}

#[test]
fn fresh_links_are_fetched_from_the_status_page_when_going_on() {
    let server = server(&["a", "b"]);
    server.on("GET", "/files/b", Answer::empty(403));
    let medplum = machine(&server);
    medplum.run(EXPORT).fails(5);
    let urls = ["a", "b"].map(|name| server.url(&format!("/fresh/{name}?signature=2")));
    let output = urls
        .map(|url| format!(r#"{{"type":"Patient","url":"{url}"}}"#))
        .join(",");
    server.on(
        "GET",
        "/job",
        Answer::json(
            200,
            format!(r#"{{"transactionTime":"2026-01-01T00:00:00Z","output":[{output}]}}"#),
        ),
    );
    // Nothing says that these are the same files, so both are fetched.
    for name in ["a", "b"] {
        server.on(
            "GET",
            &format!("/fresh/{name}?signature=2"),
            Answer::new(200, "application/fhir+ndjson", patient(name)),
        );
    }
    medplum.run(EXPORT).ok().says("other files than before");
    assert_eq!(
        files(&medplum.path("out")),
        ["Patient_files_a.ndjson", "Patient_files_b.ndjson"]
    );
}

/// A server may list its files in another order each time, with others among them, and sign them anew.
#[test]
fn files_are_found_again_in_a_manifest_of_another_order() {
    for (names, style) in [
        (&["b", "a"][..], "medplum"),
        (&["new", "a", "b"], "numbered"),
    ] {
        let server = server(&["a", "b"]);
        server.on("GET", "/files/b", Answer::empty(403));
        let file = |name: &str| Answer::new(200, "application/fhir+ndjson", patient(name));
        let medplum = machine(&server);
        let args = [&EXPORT[..], &["--file-names", style]].concat();
        medplum.run(&args).fails(5);
        let entry = |name: &&str| {
            let url = server.url(&format!("/files/{name}?signature=2"));
            format!(r#"{{"type":"Patient","count":1,"url":"{url}"}}"#)
        };
        let output = names.iter().map(entry).collect::<Vec<_>>().join(",");
        let page = format!(r#"{{"transactionTime":"2026-01-01T00:00:00Z","output":[{output}]}}"#);
        server.on("GET", "/job", Answer::json(200, page));
        for name in names {
            server.on("GET", &format!("/files/{name}?signature=2"), file(name));
        }
        let run = medplum.run(&args).ok();
        let mut texts: Vec<_> = files(&medplum.path("out"))
            .iter()
            .map(|name| medplum.read(&format!("out/{name}")))
            .collect();
        texts.sort();
        let mut wanted: Vec<_> = names.iter().map(|name| patient(name)).collect();
        wanted.sort();
        assert_eq!(texts, wanted, "{style}\n{run}");
        let is_again = |line: &String| line == "GET /files/a?signature=2";
        assert!(!server.lines().iter().any(is_again), "{style}");
    }
}

/// What the server said stands in it, so any character may.
#[test]
fn a_record_that_a_crash_cut_inside_a_character_is_one_that_was_not_written() {
    let server = server(&["a", "b"]);
    server.on("GET", "/files/b", Answer::empty(403));
    let medplum = machine(&server);
    medplum.run(EXPORT).fails(5);
    let done = medplum.path("out/.medplum-export/done.ndjson");
    let mut bytes = fs::read(&done).unwrap();
    bytes.extend_from_slice(b"{\"path\":\"Patient_files_b.ndjson\",\"x\":\"\xc3");
    fs::write(&done, bytes).unwrap();
    server.on(
        "GET",
        "/files/b",
        Answer::new(200, "application/fhir+ndjson", patient("b")),
    );
    medplum.run(EXPORT).ok();
    assert_eq!(medplum.read("out/Patient_files_b.ndjson"), patient("b"));
}

/// Two days ago is another instant when the command is run again.
#[test]
fn a_time_ago_is_the_same_when_the_command_is_run_again() {
    let server = server(&["a", "b"]);
    server.on("GET", "/files/b", Answer::empty(403));
    let medplum = machine(&server);
    let args = [&EXPORT[..], &["--since", "2d", "--until", "1h"]].concat();
    medplum.run(&args).fails(5);
    // As if it had been an hour ago.
    let path = medplum.path("out/.medplum-export/job.json");
    let mut job: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (name, instant) in [
        ("since", "2026-01-01T00:00:00Z"),
        ("until", "2026-01-02T00:00:00Z"),
    ] {
        job["request"]["kickoff"][name] = instant.into();
    }
    fs::write(&path, job.to_string()).unwrap();
    server.on(
        "GET",
        "/files/b",
        Answer::new(200, "application/fhir+ndjson", patient("b")),
    );
    medplum.run(&args).ok().says("Since: 2026-01-01T00:00:00Z");
    assert_eq!(count(&server, KICKOFF), 1);
}

/// What is none of the old export's stays where it is, and the new export goes on once it is out of the way.
#[test]
fn overwrite_replaces_no_file_of_the_users_own() {
    let server = server(&["a"]);
    let medplum = machine(&server);
    medplum.run(EXPORT).ok();
    medplum.file("out/Patient_files_b.ndjson", "mine");
    medplum.file("out/attachments/letter", "mine");
    let urls = ["a", "b"].map(|name| server.url(&format!("/files/{name}")));
    let output = urls
        .map(|url| format!(r#"{{"type":"Patient","url":"{url}"}}"#))
        .join(",");
    let page = format!(r#"{{"transactionTime":"2026-01-01T00:00:00Z","output":[{output}]}}"#);
    server.on("GET", "/job", Answer::json(200, page));
    server.on(
        "GET",
        "/files/b",
        Answer::new(200, "application/fhir+ndjson", patient("b")),
    );
    let args = [&EXPORT[..], &["--overwrite"]].concat();
    medplum
        .run(&args)
        .fails(2)
        .says("Patient_files_b.ndjson is in the way");
    assert_eq!(medplum.read("out/Patient_files_b.ndjson"), "mine");
    fs::remove_file(medplum.path("out/Patient_files_b.ndjson")).unwrap();
    let download = [&args[..], &["--attachments", "download"]].concat();
    medplum
        .run(&download)
        .fails(2)
        .says("attachments is in the way");
    medplum.run(&args).ok();
    assert_eq!(medplum.read("out/Patient_files_b.ndjson"), patient("b"));
    assert_eq!(medplum.read("out/attachments/letter"), "mine");
}

#[test]
fn a_state_that_is_broken_is_told_and_restart_gets_past_it() {
    let server = server(&["a", "b"]);
    server.on("GET", "/files/b", Answer::empty(403));
    let medplum = machine(&server);
    medplum.run(EXPORT).fails(5);
    fs::write(medplum.path("out/.medplum-export/job.json"), "{").unwrap();
    medplum
        .run(EXPORT)
        .fails(1)
        .says("cannot be read")
        .says("--restart");
    fs::remove_file(medplum.path("out/Patient_files_a.ndjson")).unwrap();
    for name in ["manifest.json", "log.ndjson"] {
        let _ = fs::remove_file(medplum.path(&format!("out/{name}")));
    }
    server.on(
        "GET",
        "/files/b",
        Answer::new(200, "application/fhir+ndjson", patient("b")),
    );
    medplum.run([&EXPORT[..], &["--restart"]].concat()).ok();
    assert_eq!(medplum.read("out/Patient_files_b.ndjson"), patient("b"));
}
