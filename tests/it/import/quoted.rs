//! What is in a file that is no resource is not quoted, wherever it is read: a file may hold what nobody is to see.

use std::fs;

use super::basics::{import, patients};
use crate::support::medplum::tree;
use crate::support::{Medplum, Run, Store};

const CANARY: &str = "canary-7f3a";

/// No word that was printed, and none that was written beside the rejects, is from the file.
#[track_caller]
fn quotes_nothing(medplum: &Medplum, run: &Run) {
    assert!(!run.to_string().contains(CANARY), "{run}");
    for (path, text) in tree(&medplum.path("")) {
        let is_said = path.to_string_lossy().ends_with("outcomes.ndjson");
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!is_said || !text.contains(CANARY), "{text}");
    }
}

#[test]
fn a_line_that_is_no_resource_is_told_by_what_is_wrong_and_where() {
    for (line, words) in [
        (r#""canary-7f3a""#, "invalid type: string at byte 13"),
        (
            r#"{"resourceType":["canary-7f3a"]}"#,
            "invalid type: sequence",
        ),
        (r#"{"resourceType":7331}"#, "invalid type"),
        (
            r#"{"id":{"canary-7f3a":1},"resourceType":"Patient"}"#,
            "invalid type: map",
        ),
        (r#"{"resourceType":"canary-7f3a"}"#, "no name of a type"),
        ("canary-7f3a", "expected value at byte 1"),
        (
            r#"{"resourceType":"Bundle","type":"batch","entry":["canary-7f3a"]}"#,
            "no object",
        ),
        (
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":["canary-7f3a"]}]}"#,
            "invalid type: sequence",
        ),
        (
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":"canary-7f3a"}]}"#,
            "invalid type: string",
        ),
    ] {
        for name in ["a.ndjson", "a.json"] {
            for args in [
                &[name][..],
                &[name, "--match", "_id={id}", "--method", "post"],
            ] {
                let (store, medplum) = (Store::open(), Medplum::new());
                medplum.file(name, line);
                medplum.file("b.ndjson", patients(1));
                let run = import(&medplum, &store, &[args, &["b.ndjson"]].concat()).fails(5);
                let run = run.says(words);
                quotes_nothing(&medplum, &run);
                assert_eq!(store.names().len(), 1, "{run}");
            }
        }
    }
}

#[test]
fn documents_of_ours_that_somebody_wrote_are_told_by_what_is_wrong_and_where() {
    for (name, text, code) in [
        (".medplum-import/request.json", r#""canary-7f3a""#, 1),
        (
            ".medplum-import/request.json",
            r#"{"version":"canary-7f3a"}"#,
            1,
        ),
        (
            ".medplum-import/request.json",
            r#"{"version":2,"server":{"canary-7f3a":1}}"#,
            1,
        ),
        (
            "data/.medplum-export/job.json",
            r#"{"phase":"canary-7f3a"}"#,
            2,
        ),
        ("data/.medplum-export/job.json", r#""canary-7f3a""#, 2),
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        medplum.file(name, text);
        medplum.file("data/a.ndjson", patients(1));
        let run = import(&medplum, &store, &["data"]).fails(code);
        quotes_nothing(&medplum, &run);
        assert!(store.server.requests().is_empty());
    }
}

#[test]
fn a_journal_that_somebody_wrote_is_told_by_what_is_wrong_and_where() {
    let (store, medplum) = (Store::open(), Medplum::new());
    medplum.file("a.ndjson", patients(60));
    store.server.guard(|_| {
        Some(crate::support::Answer::json(
            200,
            r#"{"resourceType":"Basic"}"#,
        ))
    });
    import(&medplum, &store, &["a.ndjson"]).fails(1);
    let journal = medplum.path(".medplum-import/journal.ndjson");
    fs::write(journal, "{\"d\":\"canary-7f3a\"}\n\"canary-7f3a\"\n{}\n").unwrap();
    let run = import(&medplum, &store, &["a.ndjson", "--resume"])
        .fails(1)
        .says("at byte");
    quotes_nothing(&medplum, &run);
}

#[test]
fn bodies_keys_and_profiles_are_told_by_what_is_wrong_and_where() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let server = store.flags();
    for (name, text) in [
        ("a.json", "{\"a\":canary-7f3a}"),
        ("a.json", "\"canary-7f3a"),
        ("a.json", "canary-7f3a"),
    ] {
        medplum.file(name, text);
        let mut words = vec!["post", "Patient", "@a.json"];
        words.extend(server.iter().map(String::as_str));
        let run = medplum.run(words).fails(2).says("is not JSON");
        quotes_nothing(&medplum, &run);
    }
    for text in [
        "\"canary-7f3a\"",
        "{\"kty\":canary-7f3a}",
        "{\"keys\":\"canary-7f3a\"}",
        "{\"kty\":{\"canary-7f3a\":1}}",
        "[\"canary-7f3a\"]",
    ] {
        medplum.file("key.json", text);
        let mut words = vec!["get", "Patient/1", "--private-key-path", "key.json"];
        words.extend(["--client-id", "me", "--token-url"]);
        let token = store.server.url("/token");
        words.push(&token);
        words.extend(server.iter().map(String::as_str));
        let run = medplum.run(words);
        assert!(run.code != 0, "{run}");
        assert!(run.to_string().contains("key.json"), "{run}");
        quotes_nothing(&medplum, &run);
    }
    fs::create_dir_all(medplum.home().join(".medplum")).unwrap();
    for text in [
        "\"canary-7f3a\"",
        "{\"options\":{\"canary-7f3a\":1}}",
        "{\"options\":\"canary-7f3a\"}",
        "{\"tokens\":canary-7f3a}",
    ] {
        fs::write(medplum.home().join(".medplum/x.json"), text).unwrap();
        let run = medplum.run(["get", "Patient/1", "-p", "x"]);
        assert!(run.code != 0, "{run}");
        assert!(run.to_string().contains("x.json"), "{run}");
        quotes_nothing(&medplum, &run);
    }
    assert!(store.server.requests().is_empty());
}
