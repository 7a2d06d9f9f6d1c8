//! The bulk export blocks of Medplum's page "Connecting to External FHIR Servers", run by a shell as they are printed.
//! Only hosts and placeholders differ.

use serde_json::json;

use crate::support::bulk::{PATIENTS, gzip, ndjson};
use crate::support::oauth::{CLIENT_ID, CLIENT_SECRET, basic};
use crate::support::{Answer, Bulk, Request, Site};

const EXPORT: &str = "medplum bulk export -p <profileName> -e Group/all";

const BCDA_PROFILE: &str = "medplum profile set bcda-sandbox --base-url https://sandbox.bcda.cms.gov --fhir-url-path api/v2/ --token-url https://sandbox.bcda.cms.gov/auth/token --client-id <client-id> --client-secret <client-secret>";

const BCDA_EXPORT: &str = "medplum bulk export -p bcda-sandbox -e Group/all";

#[test]
fn bulk_fhir_export() {
    let bulk = Bulk::with_three_files();
    let run = bulk
        .medplum
        .shell(&EXPORT.replace("<profileName>", "site"))
        .ok();
    let mut lines: Vec<_> = run.stdout.lines().collect();
    lines.sort_unstable();
    let expected = ["Condition.00001", "Observation.00001", "Patient.00001"].map(|stem| {
        let path = std::fs::canonicalize(bulk.medplum.path(&format!("{stem}.ndjson"))).unwrap();
        format!("{} is created", path.display())
    });
    assert_eq!(lines, expected, "{run}");
    let mut requests = bulk.server.lines();
    requests[3..6].sort();
    assert_eq!(
        requests,
        [
            "POST /oauth2/token",
            "GET /fhir/R4/Group/all/$export",
            "GET /fhir/R4/bulkstatus/1",
            "GET /files/c",
            "GET /files/o",
            "GET /files/p",
            "DELETE /fhir/R4/bulkstatus/1",
        ]
    );
}

/// A server as strict and as odd as BCDA (`fhir-servers.md` §5.1). It exports two files, of which one is stored
/// compressed.
fn bcda() -> Bulk {
    let site = Site::with_token_endpoint("/auth/token");
    let _ = site.tokens.clone().lifetime(json!("1200"));
    let bulk = Bulk::on(site, "/api/v2", "/jobs/42");
    let tokens = bulk.tokens.clone();
    bulk.server.guard(move |request| {
        let path = request.path();
        if path.starts_with("/auth/")
            || path.ends_with("/metadata")
            || path.contains("/.well-known/")
        {
            return None;
        }
        if !tokens.accepts(request.header("Authorization")) {
            return Some(Answer::new(
                401,
                "text/plain; charset=utf-8",
                "Unauthorized",
            ));
        }
        path.starts_with("/api/")
            .then(|| bcda_kick_off(request))
            .flatten()
    });
    let body = [gzip(PATIENTS.as_bytes()), gzip(b"")].concat();
    let stored = ndjson(body).header("Content-Encoding", "gzip").chunked();
    let coverage = "{\"resourceType\":\"Coverage\",\"id\":\"1\",\"order\":1}\n";
    bulk.file("output", "Patient", "/data/42/1b2c.ndjson", stored);
    bulk.file(
        "output",
        "Coverage",
        "/data/42/3d4e.ndjson",
        ndjson(coverage),
    );
    bulk.manifest(|manifest| manifest["JobID"] = json!(42));
    bulk.status([
        Answer::empty(202).header("X-Progress", "Pending"),
        Answer::new(200, "application/json", bulk.manifest_text())
            .header("Expires", "2026-08-21 12:00:00.123 +0000 UTC m=+86400.1"),
    ]);
    bulk
}

/// What BCDA checks in a kick-off: tokens in lists, so more than them would pass here.
fn bcda_kick_off(request: &Request) -> Option<Answer> {
    let refuse = |words: &str| Some(Answer::outcome(400, "structure", words));
    let has = |name: &str, token: &str| {
        let value = request.header(name).unwrap_or_default();
        value
            .split(',')
            .any(|part| part.split(';').next().unwrap().trim() == token)
    };
    match () {
        () if request.method != "GET" => Some(Answer::new(405, "text/plain", "Method Not Allowed")),
        () if !has("Accept", "application/fhir+json") => {
            refuse("application/fhir+json is the only supported response format")
        }
        () if !has("Prefer", "respond-async") => {
            refuse("Only asynchronous responses are supported")
        }
        () if request.target.contains("_elements") => refuse("_elements is not supported"),
        () if request.path() != "/api/v2/Group/all/$export" => refuse("Invalid group ID"),
        () => None,
    }
}

/// Pastes the pair of blocks: no auth type, no login.
#[track_caller]
fn paste_bcda(bulk: &Bulk) -> crate::support::Run {
    let host = bulk.server.url("");
    let profile = BCDA_PROFILE
        .replace("https://sandbox.bcda.cms.gov", &host)
        .replace("<client-id>", CLIENT_ID)
        .replace("<client-secret>", CLIENT_SECRET);
    bulk.medplum.shell(&profile).ok().prints("");
    assert_eq!(bulk.server.lines(), [""; 0]);
    bulk.medplum.shell(BCDA_EXPORT)
}

#[test]
fn bulk_fhir_export_from_bcda() {
    let bulk = bcda();
    let run = paste_bcda(&bulk)
        .ok()
        .says("Pending")
        .says(&bulk.server.url("/jobs/42"));
    let token = bulk.server.request_to("/auth/token");
    let client = (CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned());
    assert_eq!(basic(token.header("Authorization").unwrap()), Some(client));
    let mut requests = bulk.server.lines();
    requests[4..6].sort();
    assert_eq!(
        requests,
        [
            "POST /auth/token",
            "GET /api/v2/Group/all/$export",
            "GET /jobs/42",
            "GET /jobs/42",
            "GET /data/42/1b2c.ndjson",
            "GET /data/42/3d4e.ndjson",
            "DELETE /jobs/42",
        ]
    );
    assert_eq!(bulk.medplum.read("Patient.00001.ndjson"), PATIENTS);
    let coverage = bulk.medplum.read("Coverage.00001.ndjson");
    assert_eq!(
        coverage,
        "{\"resourceType\":\"Coverage\",\"id\":\"1\",\"order\":1}\n"
    );
    assert_eq!(run.stdout.lines().count(), 2, "{run}");
}

/// B3: its answer for a missing file, 404 in plain text, was written as data.
#[test]
fn bulk_fhir_export_from_bcda_with_a_file_that_is_missing() {
    let bulk = bcda();
    let missing = Answer::new(404, "text/plain; charset=utf-8", "404 page not found");
    bulk.server.on("GET", "/data/42/3d4e.ndjson", missing);
    let run = paste_bcda(&bulk)
        .fails(5)
        .says("404 page not found")
        .says("1 of 2 files");
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
    assert!(
        run.stdout.contains("/Patient.00001.ndjson is created\n"),
        "{run}"
    );
    assert!(!bulk.medplum.path("Coverage.00001.ndjson").exists());
    assert_eq!(bulk.deletes(), 0);
}

/// And it may say so of a file that is there a moment later.
#[test]
fn bulk_fhir_export_from_bcda_with_a_file_that_is_late() {
    let bulk = bcda();
    let late = Answer::new(404, "text/plain; charset=utf-8", "404 page not found");
    let coverage = "{\"resourceType\":\"Coverage\",\"id\":\"1\"}\n";
    bulk.server
        .on_sequence("GET", "/data/42/3d4e.ndjson", [late, ndjson(coverage)]);
    paste_bcda(&bulk).ok();
    assert_eq!(bulk.medplum.read("Coverage.00001.ndjson"), coverage);
}
