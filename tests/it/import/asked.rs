//! What entries of Bundles ask for is done as they say, or refused with words; nothing is silently something else.

use super::basics::import;
use super::identity::resource;
use crate::support::{Medplum, Run, Store};

fn run_of(request: &str, resource: Option<&str>, args: &[&str]) -> (Store, Run) {
    let (store, medplum) = (Store::open(), Medplum::new());
    let resource = resource.map_or(String::new(), |text| format!(r#","resource":{text}"#));
    medplum.file(
        "a.json",
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{request}{resource}}},{{"resource":{}}}]}}"#,
            super::identity::resource("Group", "g", "")
        ),
    );
    let run = import(
        &medplum,
        &store,
        &[&["a.json", "-o", "json"], args].concat(),
    );
    (store, run)
}

fn writes(store: &Store) -> Vec<String> {
    let mut lines = store.bundles().concat();
    lines.retain(|line| !line.contains("Group"));
    lines
}

#[test]
fn a_request_that_contradicts_its_resource_is_refused() {
    let patient = resource("Patient", "2", "");
    for (request, words) in [
        (
            r#"{"method":"PUT","url":"Patient/1"}"#,
            "is for `Patient/1`",
        ),
        (r#"{"method":"PUT","url":"Group/2"}"#, "is for `Group/2`"),
        (r#"{"method":"POST","url":"Group"}"#, "is for `Group`"),
        (
            r#"{"method":"PUT","url":"Patient/2/_history/1"}"#,
            "its resource is Patient/2",
        ),
        (
            r#"{"method":"PUT","url":"Patient/2","ifNoneExist":"a=b"}"#,
            "PUT with ifNoneExist",
        ),
    ] {
        for args in [&[][..], &["--method", "post"], &["--method", "conditional"]] {
            let (store, run) = run_of(request, Some(&patient), args);
            let run = run.fails(5).says(words);
            assert!(writes(&store).is_empty(), "{run}");
            assert_eq!(store.names().len(), 1, "{run}");
            assert_eq!(run.json()["refusedHere"], 1, "{run}");
        }
    }
}

#[test]
fn a_search_that_says_what_is_replaced_is_not_left_out() {
    let patient = resource("Patient", "2", "");
    let request = r#"{"method":"PUT","url":"Patient?identifier=a"}"#;
    for args in [&[][..], &["--method", "post"]] {
        let (store, run) = run_of(request, Some(&patient), args);
        let run = run.fails(5).says("--method conditional");
        assert!(writes(&store).is_empty(), "{run}");
    }
    let (store, run) = run_of(request, Some(&patient), &["--method", "conditional"]);
    run.ok();
    assert_eq!(
        writes(&store),
        ["PUT Patient?identifier=http%3A%2F%2Fa%7CPatient-2"]
    );
}

#[test]
fn what_means_the_same_is_done() {
    let patient = resource("Patient", "2", "");
    for request in [
        r#"{"method":"put","url":"Patient/2"}"#,
        r#"{"method":"Post","url":"/Patient"}"#,
        r#"{"method":"PUT","url":"https://old/fhir/Patient/2"}"#,
        r#"{"url":"Patient/2"}"#,
    ] {
        let (store, run) = run_of(request, Some(&patient), &[]);
        let run = run.ok();
        assert_eq!(writes(&store), ["PUT Patient/2"], "{run}");
        assert_eq!(run.json()["lostConditions"], 0, "{run}");
    }
    let (store, run) = run_of(r#"{"method":"delete","url":"Patient/2"}"#, None, &[]);
    run.ok();
    assert_eq!(writes(&store), ["DELETE Patient/2"]);
}

#[test]
fn a_condition_that_is_not_sent_by_put_is_warned_of() {
    let patient = resource("Patient", "2", "");
    let request = r#"{"method":"POST","url":"Patient","ifNoneExist":"a=b"}"#;
    let (store, run) = run_of(request, Some(&patient), &[]);
    let run = run.ok().says("ifNoneExist");
    assert_eq!(run.json()["lostConditions"], 1, "{run}");
    assert_eq!(writes(&store), ["PUT Patient/2"]);
    let (_, run) = run_of(request, Some(&patient), &["--dry-run"]);
    run.ok().says("would be written under the ids they have");
}

/// Ids of the input are somebody else's on a server that gives its own.
#[test]
fn a_deletion_with_parameters_or_by_an_id_of_the_input_hits_nobody_else() {
    for url in [
        "Patient/1?_cascade=delete",
        "Patient?_id=1",
        "Observation?subject=Patient/1",
        "Observation?subject=Patient%2F1&code=a",
    ] {
        let request = format!(r#"{{"method":"DELETE","url":"{url}"}}"#);
        for args in [
            ["--method", "conditional", "--delete-by-search"],
            ["--method", "post", "--delete-by-search"],
        ] {
            let (store, run) = run_of(&request, None, &args);
            let run = run.fails(5).says("the server gives its own ids");
            assert!(writes(&store).is_empty(), "{run}");
        }
        let (store, run) = run_of(&request, None, &["--delete-by-search"]);
        let run = run.ok();
        assert_eq!(writes(&store), [format!("DELETE {url}")], "{run}");
    }
    // By what is no id, a search is sent where it is allowed.
    let request = r#"{"method":"DELETE","url":"Patient?identifier=a%7Cb"}"#;
    let (store, run) = run_of(
        request,
        None,
        &["--method", "conditional", "--delete-by-search"],
    );
    run.ok();
    assert_eq!(writes(&store), ["DELETE Patient?identifier=a%7Cb"]);
    let (store, run) = run_of(request, None, &[]);
    run.fails(5).says("--delete-by-search");
    assert!(writes(&store).is_empty());
}

#[test]
fn what_is_deleted_with_parameters_and_then_written_is_told() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/1?_cascade=delete"}}]}"#;
    medplum.file(
        "a.ndjson",
        format!("{deletion}\n{}", resource("Patient", "1", "")),
    );
    import(&medplum, &store, &["a.ndjson"])
        .fails(2)
        .says("deleted and then written again");
    assert!(store.server.requests().is_empty());
}
