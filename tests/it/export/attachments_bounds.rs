//! Attachments: what is large stays out of the memory, and what names no file of the web is not asked for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::bulk::ndjson;
use crate::support::{Answer, Bulk, Run};

/// The most that an export may have in memory.
const MOST: u64 = 48 << 20;
/// What a shipped binary has in memory that does nothing but tell its version: 6.2 MB. A debug build has 19.9 MB, most of it code.
const SHIPPED: u64 = 6 << 20;

/// Exports in no more memory than is allowed, less what this build has of its own beside a shipped one. The most of a shipped
/// one was 30 MB with the long line and 20 MB with the many contents (2026-11-29); a debug build had 51 and 42.
#[track_caller]
fn bounded(bulk: &Bulk, args: &[&str]) -> Run {
    let (_, own) = bulk.medplum.measured(&["--version"]);
    let (run, peak) = bulk.medplum.measured(args);
    let peak = peak - own.saturating_sub(SHIPPED);
    assert!(peak <= MOST, "{} MB\n{}", peak >> 20, run.stderr);
    run
}

fn document(id: &str, attachments: &[Value]) -> String {
    let content: Vec<_> = attachments
        .iter()
        .map(|attachment| json!({"attachment": attachment}))
        .collect();
    json!({"resourceType": "DocumentReference", "id": id, "content": content}).to_string() + "\n"
}

fn with(text: &str) -> Bulk {
    let bulk = Bulk::open();
    bulk.file("output", "DocumentReference", "/files/d", ndjson(text));
    bulk
}

fn index(bulk: &Bulk) -> Vec<Value> {
    let text = bulk.medplum.read("out/attachments.ndjson");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// E12: a line costs its length if it is searched.
#[test]
fn a_line_of_many_megabytes_is_not_searched_and_said_as_missing() {
    let long = format!(
        "{{\"resourceType\":\"DocumentReference\",\"id\":\"long\",\"description\":\"{}\"}}\n",
        "x".repeat(64 << 20)
    );
    for mode in ["download", "inline"] {
        let bulk = Bulk::open();
        let url = bulk.server.url("/fhir/R4/Binary/1");
        bulk.server.on(
            "GET",
            "/fhir/R4/Binary/1",
            Answer::new(200, "text/plain", "content"),
        );
        let attachment = json!({"contentType": "text/plain", "url": url});
        let attachments = [attachment];
        let text = document("1", &attachments) + &long + &document("2", &attachments);
        bulk.file("output", "DocumentReference", "/files/d", ndjson(&text));
        let args = [
            "bulk",
            "export",
            "-p",
            "site",
            "-d",
            "out",
            "--attachments",
            mode,
            "--file-names",
            "medplum",
        ];
        bounded(&bulk, &args).fails(5).says("longer than 16 MB");
        let came = bulk.medplum.read("out/DocumentReference_files_d.ndjson");
        assert!(came.contains(&long), "every byte of the long line is there");
        if mode == "download" {
            assert_eq!(came, text);
            assert!(index(&bulk).iter().any(|entry| {
                entry["missing"]
                    .as_str()
                    .is_some_and(|why| why.contains("16 MB"))
            }));
        } else {
            assert_eq!(came.matches(&STANDARD.encode("content")).count(), 2);
        }
    }
}

/// E12: many large contents in one resource.
#[test]
fn many_large_contents_of_one_resource_go_in_as_they_come() {
    let bulk = Bulk::open();
    let content = vec![b'c'; 4_000_000];
    let attachments: Vec<_> = (0..25)
        .map(|n| {
            let path = format!("/fhir/R4/Binary/{n}");
            bulk.server
                .on("GET", &path, Answer::new(200, "application/pdf", &content));
            json!({"contentType": "application/pdf", "url": bulk.server.url(&path)})
        })
        .collect();
    bulk.file(
        "output",
        "DocumentReference",
        "/files/d",
        ndjson(document("1", &attachments)),
    );
    let args = [
        "bulk",
        "export",
        "-p",
        "site",
        "-d",
        "out",
        "--attachments",
        "inline",
        "--parallel",
        "8",
        "--file-names",
        "medplum",
    ];
    bounded(&bulk, &args).ok();
    let text = bulk.medplum.read("out/DocumentReference_files_d.ndjson");
    let resource: Value = serde_json::from_str(&text).unwrap();
    for entry in resource["content"].as_array().unwrap() {
        let data = entry["attachment"]["data"].as_str().unwrap();
        assert!(STANDARD.decode(data).unwrap() == content);
    }
    bulk.medplum.run(["bulk", "verify", "out"]).ok();
}

/// Report 17: some take the exact type alone, or FHIR's.
#[test]
fn a_server_that_wants_one_type_gets_it_asked_for() {
    for wanted in ["application/pdf", "application/fhir+json"] {
        let bulk = Bulk::open();
        bulk.server.handler(move |request| {
            (request.path() == "/fhir/R4/Binary/1").then(|| {
                if request.header("Accept") != Some(wanted) {
                    return Answer::outcome(406, "not-supported", "not acceptable");
                }
                let binary = json!({"resourceType": "Binary", "contentType": "application/pdf", "data": STANDARD.encode("%PDF")});
                match wanted {
                    "application/pdf" => Answer::new(200, wanted, "%PDF"),
                    _ => Answer::new(200, wanted, binary.to_string()),
                }
            })
        });
        let attachment =
            json!({"contentType": "application/pdf", "url": bulk.server.url("/fhir/R4/Binary/1")});
        bulk.file(
            "output",
            "DocumentReference",
            "/files/d",
            ndjson(document("1", &[attachment])),
        );
        bulk.export(&["--attachments", "download"]).ok();
        let path = index(&bulk)[0]["path"].as_str().unwrap().to_owned();
        assert_eq!(bulk.medplum.read(&format!("out/{path}")), "%PDF");
    }
}

/// Report 17: a path of a file system was asked of a host of its name, for a minute.
#[test]
fn a_path_of_a_file_system_is_asked_of_nobody() {
    let bulk = with(&document(
        "1",
        &[json!({"contentType": "application/pdf", "url": r"\\server.invalid\share\x.pdf"})],
    ));
    bulk.export(&["--attachments", "download"])
        .ok()
        .says("1 left out");
    assert!(
        index(&bulk)[0]["leftOut"]
            .as_str()
            .unwrap()
            .contains("file system")
    );
}

/// Report 17: what stands in the URL itself.
#[test]
fn data_urls_are_decoded() {
    let attachments = [
        json!({"contentType": "text/plain", "url": format!("data:text/plain;base64,{}", STANDARD.encode("one"))}),
        json!({"url": "data:text/plain,two%20words"}),
    ];
    let bulk = with(&document("1", &attachments));
    bulk.export(&["--attachments", "download"]).ok();
    let texts: Vec<_> = index(&bulk)
        .iter()
        .map(|entry| {
            assert_eq!(entry["url"], "data:");
            bulk.medplum
                .read(&format!("out/{}", entry["path"].as_str().unwrap()))
        })
        .collect();
    assert_eq!(texts, ["one", "two words"]);
    let bulk = with(&document("1", &attachments));
    bulk.export(&["--attachments", "inline"]).ok();
    let text = bulk.medplum.read("out/DocumentReference_files_d.ndjson");
    assert!(
        text.contains(&format!("\"data\":\"{}\"", STANDARD.encode("two words"))),
        "{text}"
    );
}
