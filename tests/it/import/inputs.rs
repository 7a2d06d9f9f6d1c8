//! What `bulk import` reads: files of every kind, folders, an export's folder, stdin; and lines that are no resources.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::basics::{ODD, import, patients};
use crate::support::{Medplum, Run, Store};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn import_stdin(medplum: &Medplum, store: &Store, text: impl AsRef<[u8]>, args: &[&str]) -> Run {
    let flags = store.flags();
    let words = ["bulk", "import", "-"]
        .iter()
        .chain(args)
        .map(|word| (*word).to_owned());
    medplum.command(words.chain(flags)).stdin(text).run()
}

#[test]
fn files_folders_patterns_and_packed_files_are_read() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let patient = |id: &str| format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\"}}");
    medplum.file(
        "a.ndjson.gz",
        [gzip(&format!("{}\n", patient("a1"))), gzip(&patient("a2"))].concat(),
    );
    medplum.file(
        "b.json",
        "{\n  \"id\": \"b\",\n  \"resourceType\": \"Patient\"\n}\n",
    );
    medplum.file("c/2.ndjson", patient("c2"));
    medplum.file("c/1.json.gz", gzip(&patient("c1")));
    medplum.file("c/.hidden.ndjson", "no");
    medplum.file("c/readme.txt", "no");
    medplum.file("d-1.ndjson", format!("\u{feff}{}", patient("d1")));
    medplum.file("d-2.ndjson", patient("d2"));
    let report = import(
        &medplum,
        &store,
        &["a.ndjson.gz", "b.json", "c", "d-*.ndjson", "-o", "json"],
    )
    .ok()
    .json();
    let names: Vec<String> = ["a1", "a2", "b", "c1", "c2", "d1", "d2"]
        .iter()
        .map(|id| format!("Patient/{id}"))
        .collect();
    assert_eq!(store.names(), names);
    assert_eq!(report["files"], 6);
    assert!(store.text("Patient/b").contains("\n  \"id\": \"b\""));
    for missing in ["e.ndjson", "e-*.ndjson", "bin"] {
        std::fs::create_dir_all(medplum.path("bin")).unwrap();
        import(&medplum, &store, &[missing]).fails(2).says(missing);
    }
}

#[test]
fn the_folder_of_an_export_is_imported_with_its_deletions_last() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file(
        "gone.ndjson",
        concat!(
            r#"{"resourceType":"Patient","id":"x"}"#,
            "\n",
            r#"{"resourceType":"Observation","id":"x","subject":{"reference":"Patient/x"}}"#
        ),
    );
    import(&medplum, &store, &["gone.ndjson"]).ok();
    let delete = |url: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{url}"}}}}]}}"#
        )
    };
    medplum.file("out/1.Patient.ndjson", patients(3));
    medplum.file(
        "out/deleted/1.Bundle.ndjson",
        format!(
            "{}\n{}\n{}\n",
            delete("Patient/x"),
            delete("Observation/x"),
            delete("Patient/never")
        ),
    );
    medplum.file(
        "out/errors/1.OperationOutcome.ndjson",
        r#"{"resourceType":"OperationOutcome"}"#,
    );
    let done = r#"{"version":2,"request":{},"phase":"done"}"#;
    medplum.file("out/.medplum-export/job.json", done);
    medplum.file("out/log.ndjson", r#"{"eventId":"kickoff"}"#);
    store.server.forget();
    let report = import(&medplum, &store, &["out", "-o", "json"]).ok().json();
    assert_eq!(
        (&report["created"], &report["deleted"], &report["unchanged"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(store.names(), ["Patient/p1", "Patient/p2", "Patient/p3"]);
    // What points at another goes before it.
    let lines: Vec<String> = store.bundles().concat();
    assert_eq!(
        lines[3..],
        [
            "DELETE Observation/x",
            "DELETE Patient/x",
            "DELETE Patient/never"
        ]
    );
    // With a manifest, what it lists counts.
    medplum.file("out/manifest.json", r#"{"output":[{"type":"Patient","url":"http://x","path":"1.Patient.ndjson"}],"deleted":[]}"#);
    let report = import(&medplum, &store, &["out", "-o", "json"]).ok().json();
    assert_eq!(
        (&report["files"], &report["resources"]),
        (&json!(1), &json!(3))
    );
    std::fs::remove_file(medplum.path("out/1.Patient.ndjson")).unwrap();
    import(&medplum, &store, &["out"])
        .fails(2)
        .says("1.Patient.ndjson, but it is not there");
}

#[test]
fn a_deletion_that_is_refused_can_be_tried_again() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store.server.guard(|request| {
        let entry = json!({"response": {"status": "409 Conflict"}});
        let answer = json!({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]});
        request
            .text()
            .contains("DELETE")
            .then(|| crate::support::Answer::json(200, answer.to_string()))
    });
    let line = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/1"}}]}"#;
    medplum.file("a.ndjson", line);
    import(&medplum, &store, &["a.ndjson"]).fails(5);
    assert_eq!(medplum.read("rejects.ndjson"), format!("{line}\n"));
}

#[test]
fn stdin_goes_as_it_comes() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let text = format!(
        "{}\n{ODD}",
        r#"{"resourceType":"Patient","id":"p","link":[{"other":{"reference":"urn:uuid:11111111-2222-3333-4444-555555555555"}}]}"#
    );
    let report = import_stdin(&medplum, &store, &text, &["-o", "json"])
        .ok()
        .says("1 reference")
        .json();
    assert_eq!(
        (&report["files"], &report["created"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(store.bundles(), [["PUT Patient/p", "PUT Observation/odd"]]);
    assert_eq!(store.text("Observation/odd"), ODD);
    import_stdin(&medplum, &store, &text, &["--order", "auto"])
        .fails(2)
        .says("--order given");
    import_stdin(&medplum, &store, &text, &["--resume"])
        .fails(2)
        .says("stdin");
}

#[test]
fn stdin_may_be_packed() {
    let (store, medplum) = (Store::open(), Medplum::new());
    import_stdin(&medplum, &store, gzip(ODD), &[]).ok();
    assert_eq!(store.text("Observation/odd"), ODD);
}

#[test]
fn what_a_stopped_import_from_stdin_did_not_send_is_counted() {
    let (store, medplum) = (Store::open(), Medplum::new());
    store
        .server
        .guard(|_| Some(crate::support::Answer::empty(403)));
    let report = import_stdin(&medplum, &store, patients(1000), &["-o", "json"])
        .fails(3)
        .json();
    assert_eq!(
        (&report["notSent"], &report["resources"]),
        (&json!(1000), &json!(1000))
    );
}

#[test]
fn the_entries_of_a_bundle_find_each_other_by_their_full_urls() {
    let medplum = Medplum::new();
    let (patient, observation) = (
        "aaaaaaaa-2222-3333-4444-555555555555",
        "bbbbbbbb-2222-3333-4444-555555555555",
    );
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
          {{"fullUrl":"urn:uuid:{observation}","resource":{{"resourceType":"Observation","valueQuantity":{{"value":1.00}},"subject":{{"reference":"urn:uuid:{patient}"}}}},"request":{{"method":"POST","url":"Observation"}}}},
          {{"fullUrl":"urn:uuid:{patient}","resource":{{"resourceType":"Patient","id":"{patient}"}}}},
          {{"resource":{{"resourceType":"OperationOutcome"}},"search":{{"mode":"outcome"}}}}]}}"#
    );
    medplum.file("b.json", bundle);
    let put = Store::open();
    import(&medplum, &put, &["b.json"]).ok();
    assert_eq!(
        put.names(),
        [
            format!("Observation/{observation}"),
            format!("Patient/{patient}")
        ]
    );
    let text = put.text(&format!("Observation/{observation}"));
    assert!(
        text.contains(&format!(r#""reference":"Patient/{patient}""#)) && text.contains("1.00"),
        "{text}"
    );
    // With ids that the server gives, references follow them.
    let post = Store::open();
    import(&medplum, &post, &["b.json", "--method", "post"]).ok();
    assert_eq!(post.names(), ["Observation/new-2", "Patient/new-1"]);
    assert!(
        post.text("Observation/new-2")
            .contains(r#""reference":"Patient/new-1""#)
    );
}

#[test]
fn lines_that_are_no_resources_are_refused_here_and_the_rest_goes() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let mut text = patients(3).into_bytes();
    text.extend(b"{\"resourceType\":\"Patient\",\"id\":\"x\"\n{\"id\":\"no-type\"}\n\xff\xfe\n[1]\n{\"resourceType\":\"Patient\"}\n");
    text.extend(patients(1).replace("p1", "last").into_bytes());
    medplum.file("a.ndjson", text);
    let run = import(&medplum, &store, &["a.ndjson", "-o", "json"]).fails(5);
    let report = run.json();
    assert_eq!(
        (&report["created"], &report["refused"]),
        (&json!(4), &json!(5))
    );
    let outcomes: Vec<Value> = medplum
        .read("rejects.outcomes.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut lines: Vec<u64> = outcomes
        .iter()
        .map(|outcome| outcome["line"].as_u64().unwrap())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [4, 5, 6, 7, 8]);
    let rejects = std::fs::read(medplum.path("rejects.ndjson")).unwrap();
    assert!(
        rejects.windows(2).any(|bytes| bytes == b"\xff\xfe"),
        "bytes are kept"
    );
}

#[test]
fn a_file_that_is_cut_short_is_told_before_anything_is_sent() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let packed = gzip(&patients(1000));
    medplum.file("a.ndjson.gz", &packed[..packed.len() / 2]);
    import(&medplum, &store, &["a.ndjson.gz"])
        .fails(2)
        .says("a.ndjson.gz");
    medplum.file("b.json", r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"1"}},"#);
    import(&medplum, &store, &["b.json"])
        .fails(2)
        .says("cut short");
    assert!(store.server.requests().is_empty());
    assert!(!medplum.path(".medplum-import/request.json").exists());
}

#[test]
fn a_dry_run_counts_and_sends_nothing() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", format!("{ODD}\n{}", patients(30)));
    let report = import(&medplum, &store, &["a.ndjson", "--dry-run", "-o", "json"])
        .ok()
        .json();
    assert_eq!(
        (&report["notSent"], &report["types"][0]["type"]),
        (&json!(31), &json!("Patient"))
    );
    let words = import(&medplum, &store, &["a.ndjson", "--dry-run"])
        .ok()
        .says("31 resources")
        .says("no request was sent");
    assert!(!words.stderr.contains("p95"), "{words}");
    assert!(store.server.requests().is_empty() && !medplum.path(".medplum-import").exists());
    medplum.file("a.ndjson", "{}");
    import(&medplum, &store, &["a.ndjson", "--dry-run"])
        .fails(5)
        .says("no resourceType");
    assert!(!medplum.path("rejects.ndjson").exists());
}

#[test]
fn a_json_file_without_anything_in_it_is_nothing_to_import() {
    let (store, medplum) = (Store::open(), Medplum::new());
    for (name, text) in [
        ("a.json", ""),
        ("b.json", " \r\n\n"),
        ("c.json", "\u{feff}\n"),
    ] {
        medplum.file(name, text);
        let report = import(&medplum, &store, &[name, "-o", "json"]).ok().json();
        assert_eq!(report["resources"], 0, "{name}");
    }
    medplum.file("d.json.gz", gzip("\n"));
    import(&medplum, &store, &["d.json.gz"]).ok();
    assert!(!medplum.path("rejects.ndjson").exists() && store.server.requests().is_empty());
}

/// Entries that an import does not do, and words of the reason.
const NOT_DONE: [(&str, &str); 15] = [
    (
        r#"{"fullUrl":"urn:uuid:aaaaaaaa-2222-3333-4444-555555555555","request":{"method":"PATCH","url":"Patient/1"},"resource":{"resourceType":"Parameters"}}"#,
        "is PATCH",
    ),
    (
        r#"{"request":{"method":"GET","url":"Patient/1"}}"#,
        "is GET",
    ),
    (
        r#"{"request":{"method":"PATCH","url":"Patient/4"},"resource":{"resourceType":"Patient","id":"4"}}"#,
        "is PATCH",
    ),
    (
        r#"{"request":{"method":"POST","url":"Patient/$match"},"resource":{"resourceType":"Parameters","id":"1"}}"#,
        "the operation",
    ),
    (
        r#"{"request":{"method":"PUT","url":"Patient/4","ifMatch":"W/\"2\""},"resource":{"resourceType":"Patient","id":"4"}}"#,
        "ifMatch",
    ),
    (
        r#"{"request":{"method":"PUT","url":"Patient/4","ifNoneMatch":"*"},"resource":{"resourceType":"Patient","id":"4"}}"#,
        "ifNoneMatch",
    ),
    (
        r#"{"request":{"method":"DELETE","url":"Patient/1","ifMatch":"W/\"2\""}}"#,
        "ifMatch",
    ),
    (
        r#"{"request":{"method":"DELETE","url":"Patient"},"resource":{"resourceType":"Patient","id":"4"}}"#,
        "`Patient` is no URL",
    ),
    (
        r#"{"request":{"method":"DELETE","url":"Patient?"}}"#,
        "`Patient?` is a search that finds all",
    ),
    (
        r#"{"request":{"method":"DELETE"},"resource":{"resourceType":"Patient","id":"4"}}"#,
        "`` is no URL",
    ),
    ("null", "no object"),
    ("\"}],\"", "no object"),
    ("1.5", "no object"),
    ("true", "no object"),
    (
        r#"["urn:x",{"resourceType":"Patient","id":"4"}]"#,
        "no object",
    ),
];

#[test]
fn entries_that_ask_for_more_than_a_write_or_a_deletion_are_refused() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let good = [
        r#"{"request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient","id":"1"}}"#,
        r#"{"request":{"url":"Patient/2"},"resource":{"resourceType":"Patient","id":"2"}}"#,
        r#"{"resource":{"resourceType":"Patient","id":"3"}}"#,
    ];
    let entries: Vec<&str> = NOT_DONE.iter().map(|(text, _)| *text).chain(good).collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#,
        entries.join(",\n")
    );
    medplum.file("b.json", bundle);
    let report = import(&medplum, &store, &["b.json", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(
        (&report["refused"], &report["created"]),
        (&json!(NOT_DONE.len()), &json!(3))
    );
    assert_eq!(store.names(), ["Patient/1", "Patient/2", "Patient/3"]);
    let said = medplum.read("rejects.outcomes.ndjson");
    let mut said: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    said.sort_by_key(|said| said["line"].as_u64());
    for (at, (said, (text, words))) in said.iter().zip(&NOT_DONE).enumerate() {
        assert_eq!(said["line"], at + 1);
        assert!(
            said["outcome"].to_string().contains(words),
            "{text}: {said}"
        );
    }
    // Tried again as lines, they are no resources either.
    let report = import(&medplum, &store, &["rejects.ndjson", "-o", "json"])
        .fails(5)
        .json();
    assert_eq!(report["refused"], NOT_DONE.len());
}

#[test]
fn a_deletion_of_a_whole_type_is_refused() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let line = |url: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{url}"}}}}]}}"#
        )
    };
    let bad = [
        "Patient",
        "Patient/",
        "Patient?",
        "Patient?&",
        "Patient?_id=",
        "Patient/1/_history/2",
        "",
        "?a=b",
    ];
    let good = [
        "Patient/1",
        "Patient/2?_cascade=delete",
        "Patient?identifier=a%7Cb",
    ];
    medplum.file(
        "a.ndjson",
        bad.iter()
            .chain(&good)
            .map(|url| line(url) + "\n")
            .collect::<String>(),
    );
    let guarded = line("Patient/3").replace("}}]", r#","ifMatch":"W/\"1\""}}]"#);
    medplum.file("b.ndjson", guarded);
    let args = ["a.ndjson", "b.ndjson", "--delete-by-search", "-o", "json"];
    let report = import(&medplum, &store, &args).fails(5).json();
    assert_eq!(report["refused"], bad.len() + 1);
    let sent = store.bundles().concat();
    assert_eq!(sent, good.map(|url| format!("DELETE {url}")));
}

#[test]
fn what_is_no_bundle_to_its_end_is_told_before_anything_is_sent() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let patient = r#"{"resource":{"resourceType":"Patient","id":"1"}}"#;
    for (text, words) in [
        (
            format!(
                "{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[\n{patient}]}} {patient}"
            ),
            "more follows",
        ),
        (
            format!("{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":{patient}}}"),
            "no list",
        ),
    ] {
        medplum.file("b.json", text);
        import(&medplum, &store, &["b.json"]).fails(2).says(words);
    }
    assert!(store.server.requests().is_empty());
}

#[test]
#[cfg(unix)]
fn a_file_is_not_taken_twice_however_it_is_spelled() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("d/x.ndjson", patients(1));
    std::os::unix::fs::symlink("d/x.ndjson", medplum.path("link.ndjson")).unwrap();
    for other in [
        "d/x.ndjson",
        "d/../d/x.ndjson",
        "./d/x.ndjson",
        "link.ndjson",
        "d",
        "d/*",
    ] {
        import(&medplum, &store, &["d/x.ndjson", other])
            .fails(2)
            .says("d/x.ndjson");
    }
    import(&medplum, &store, &["d/x.ndjson", "link.ndjson"])
        .fails(2)
        .says("link.ndjson is d/x.ndjson, which is named already");
    std::fs::hard_link(medplum.path("d/x.ndjson"), medplum.path("hard.ndjson")).unwrap();
    import(&medplum, &store, &["d/x.ndjson", "hard.ndjson"])
        .fails(2)
        .says("hard.ndjson is d/x.ndjson, which is named already");
    assert!(store.server.requests().is_empty());
}

#[test]
fn what_a_folder_holds_beside_data_is_named_once() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let patient = |id: &str| format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\"}}");
    medplum.file("d/1.jsonl", patient("1"));
    medplum.file("d/2.jsonl.gz", gzip(&patient("2")));
    medplum.file("d/3.NDJSON", patient("3"));
    medplum.file("d/4.Json.GZ", gzip(&patient("4")));
    medplum.file("d/attachments.ndjson", patient("5"));
    medplum.file("d/deleted/readme.txt", "no");
    medplum.file("d/errors/1.ndjson", "{}");
    medplum.file("d/more/6.ndjson", patient("6"));
    medplum.file("d/notes.csv", "no");
    medplum.file("d/.hidden/7.ndjson", patient("7"));
    let run = import(&medplum, &store, &["d"])
        .ok()
        .says("Left out of d: deleted/readme.txt, errors/, more/, notes.csv\n");
    assert_eq!(run.stderr.matches("Left out").count(), 1, "{}", run.stderr);
    let names = ["1", "2", "3", "4", "5"].map(|id| format!("Patient/{id}"));
    assert_eq!(store.names(), names);
    for number in 1..=5 {
        medplum.file(&format!("d/more-{number}/x.ndjson"), "");
    }
    import(&medplum, &store, &["d", "--dry-run"])
        .ok()
        .says("Left out of d: deleted/readme.txt, errors/, more-1/, more-2/, more-3/ and 4 more\n");
    let run = import(&medplum, &store, &["d/more", "--dry-run"]).ok();
    assert!(!run.stderr.contains("Left out"), "{}", run.stderr);
    std::fs::create_dir_all(medplum.path("e/f")).unwrap();
    import(&medplum, &store, &["e"])
        .fails(2)
        .says("e holds no data files, only f/");
}

#[test]
fn an_export_that_is_not_complete_is_not_imported() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let state = |phase: &str| format!(r#"{{"version":2,"request":{{}},"phase":"{phase}"}}"#);
    medplum.file("out/1.Patient.ndjson", patients(1));
    for phase in ["kicking-off", "waiting", "fetching"] {
        medplum.file("out/.medplum-export/job.json", state(phase));
        import(&medplum, &store, &["out"])
            .fails(2)
            .says("the export in out is not complete")
            .says("medplum bulk resume out");
    }
    // As it is kept when a file could not be fetched.
    let manifest = r#"{"output":[{"type":"Patient","url":"http://x/1","path":"1.Patient.ndjson"},{"type":"Patient","url":"http://x/2"}]}"#;
    medplum.file("out/manifest.json", manifest);
    import(&medplum, &store, &["out"])
        .fails(2)
        .says("not complete");
    // Files that are named are what the user wants.
    import(&medplum, &store, &["out/1.Patient.ndjson"]).ok();
    // One that was stopped left what had come.
    std::fs::remove_file(medplum.path("out/.medplum-export/job.json")).unwrap();
    std::fs::remove_file(medplum.path("out/manifest.json")).unwrap();
    import(&medplum, &store, &["out"])
        .ok()
        .says("An export to out was stopped");
}

#[test]
fn the_index_of_an_exports_attachments_is_no_data() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("out/1.Patient.ndjson", patients(1));
    let done = r#"{"version":2,"request":{},"phase":"done"}"#;
    medplum.file("out/.medplum-export/job.json", done);
    medplum.file("out/attachments.ndjson", r#"{"resource":"Patient/1"}"#);
    medplum.file("out/log.ndjson", "{}");
    let run = import(&medplum, &store, &["out", "-o", "json"]).ok();
    assert_eq!(run.json()["resources"], 1);
    assert!(!run.stderr.contains("Left out"), "{}", run.stderr);
}

#[test]
fn lines_are_lines_also_in_a_json_file() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/9"}}]}"#;
    medplum.file(
        "a.json",
        format!("\n{deletion} \r\n\n{ODD}\nnonsense\n{}", patients(1)),
    );
    medplum.file("b.json.gz", gzip(&patients(2)));
    let run = import(&medplum, &store, &["a.json", "b.json.gz", "-o", "json"])
        .fails(5)
        .says("a.json line 5");
    assert_eq!(
        (&run.json()["resources"], &run.json()["refused"]),
        (&json!(6), &json!(1))
    );
    assert_eq!(store.text("Observation/odd"), ODD);
    assert_eq!(medplum.read("rejects.ndjson"), "nonsense\n");
}
