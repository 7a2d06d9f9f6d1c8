//! `$import` by HAPI itself, which fetches over https alone: from a server of the tests behind TLS.

use serde_json::json;

use super::hapi::{SHARED, authority, hapi, user_of};
use crate::support::{Answer, Server};

#[test]
fn hapi_fetches_the_files_of_a_server_side_import_itself() {
    let Some(hapi) = hapi() else { return };
    let files = Server::start();
    let lines: String = (0..20)
        .map(|at| json!({"resourceType": "Patient", "id": format!("fetched-{at}")}))
        .fold(String::new(), |text, line| format!("{text}{line}\n"));
    files.on(
        "GET",
        "/Patient.ndjson",
        Answer::new(200, "application/fhir+ndjson", lines),
    );
    let tls = authority().front(&files, &["localhost"], 2099);
    let medplum = user_of(hapi, SHARED);
    let url = tls.url("/Patient.ndjson");
    let run = medplum.run(["bulk", "import", "--server-side", &url]).ok();
    // Once to look whether it is there, once to read it.
    let fetched = files.requests_to("/Patient.ndjson");
    assert!(!fetched.is_empty(), "{run}");
    assert!(
        run.stdout.contains("SUCCESSFUL_UPDATE_AS_CREATE: 20"),
        "{run}"
    );
    for at in [0, 19] {
        medplum.run(["get", &format!("Patient/fetched-{at}")]).ok();
    }
}

/// The job fails, and HAPI says so in the answer to a look at it.
#[test]
fn hapi_says_of_a_server_side_import_that_it_could_not_fetch_a_file() {
    let Some(hapi) = hapi() else { return };
    let files = Server::start();
    let tls = authority().front(&files, &["localhost"], 2099);
    let medplum = user_of(hapi, SHARED);
    let url = tls.url("/Patient.ndjson");
    let run = medplum.run(["bulk", "import", "--server-side", &url]);
    assert!(run.code == 1 || run.code == 4, "{run}");
    assert!(run.stderr.contains("Patient.ndjson"), "{run}");
}
