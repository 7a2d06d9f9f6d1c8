//! A manifest that is read a second time: bytes are kept only for an entry that is proved to be the same one.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::bulk::{STATUS, ndjson};
use crate::support::readings::{TIME, counted, entry, lines, page, readings};
use crate::support::{Answer, Bulk, Run};

fn refused() -> Answer {
    Answer::outcome(403, "forbidden", "the link is over")
}

/// What lies in the folder, without names, in the order of its text.
fn contents(bulk: &Bulk) -> Vec<String> {
    let files = bulk.files().into_iter();
    let mut texts: Vec<_> = files
        .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
        .collect();
    texts.sort();
    texts
}

/// Every file that `manifest.json` names, as it lies there.
fn named(bulk: &Bulk) -> Vec<String> {
    let manifest: serde_json::Value =
        serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
    let entries = manifest["output"].as_array().unwrap().iter();
    let mut texts: Vec<_> = entries
        .filter_map(|entry| {
            Some(
                bulk.medplum
                    .read(&format!("out/{}", entry["path"].as_str()?)),
            )
        })
        .collect();
    texts.sort();
    texts
}

/// E1a, A3: links that are made up anew at each reading, then in another order.
#[test]
fn links_that_are_made_up_anew_bring_each_file_once() {
    let bulk = Bulk::open();
    let (a, b) = (lines("Patient", 0..3), lines("Patient", 10..13));
    let of = |target: &str| entry(&bulk, "Patient", target);
    readings(
        &bulk,
        [
            page(TIME, [of("/files/x1"), of("/files/x2")]),
            page(TIME, [of("/files/y2"), of("/files/y1")]),
        ],
    );
    bulk.server.on("GET", "/files/x1", ndjson(&a));
    bulk.server.on("GET", "/files/x2", refused());
    bulk.server.on("GET", "/files/y1", ndjson(&a));
    bulk.server.on("GET", "/files/y2", ndjson(&b));
    bulk.export(&["--parallel", "1"]).ok();
    assert_eq!(contents(&bulk), [a, b]);
    assert_eq!(contents(&bulk), named(&bulk));
}

/// E1b, A4: what tells files apart is in the query, and the next reading names another file.
#[test]
fn another_query_is_another_file() {
    let bulk = Bulk::open();
    let texts = [0, 10, 20, 30].map(|from| lines("Patient", from..from + 3));
    let of = |target: &str| entry(&bulk, "Patient", target);
    readings(
        &bulk,
        [
            page(
                TIME,
                [of("/files/f?id=1"), of("/files/f?id=2"), of("/files/x")],
            ),
            page(
                TIME,
                [of("/files/f?id=1"), of("/files/f?id=3"), of("/files/y")],
            ),
        ],
    );
    for (target, text) in [
        ("/files/f?id=1", &texts[0]),
        ("/files/f?id=2", &texts[1]),
        ("/files/f?id=3", &texts[2]),
        ("/files/y", &texts[3]),
    ] {
        bulk.server.on("GET", target, ndjson(text));
    }
    bulk.server.on("GET", "/files/x", refused());
    bulk.export(&["--parallel", "1"]).ok();
    let wanted = [&texts[0], &texts[2], &texts[3]].map(String::clone);
    assert_eq!(contents(&bulk), wanted);
    assert_eq!(contents(&bulk), named(&bulk));
}

/// E1c: two files of one length with one entity tag; the part of the first is not gone on with under the second's link.
#[test]
fn a_part_is_gone_on_with_only_under_the_link_that_it_came_from() {
    let bulk = Bulk::open();
    let filled = |from: usize| -> String {
        let line = |id: usize| {
            format!(
                "{{\"resourceType\":\"Patient\",\"id\":\"{id:06}\",\"x\":\"{}\"}}\n",
                "y".repeat(200)
            )
        };
        (from..from + 12_000).map(line).collect()
    };
    let (a, b) = (filled(0), filled(500_000));
    let of = |target: &str| counted(&bulk, "Patient", target, 12_000);
    readings(
        &bulk,
        [
            page(TIME, [of("/files/x1"), of("/files/x2")]),
            page(TIME, [of("/files/y2"), of("/files/y1")]),
        ],
    );
    let stalled = ndjson(&a).header("ETag", "\"same\"").stall_at(2_500_000);
    bulk.server.on("GET", "/files/x1", stalled);
    let (first, second) = (a.clone(), b.clone());
    bulk.server.handler(move |request| {
        let text = match request.path() {
            "/files/y1" => &first,
            "/files/y2" => &second,
            _ => return None,
        };
        let from = request.header("Range").map_or(0, |range| {
            let from = range.trim_start_matches("bytes=").trim_end_matches('-');
            from.parse().unwrap()
        });
        let range = format!("bytes {from}-{}/{}", text.len() - 1, text.len());
        let answer = match from {
            0 => ndjson(text),
            _ => Answer::new(206, "application/fhir+ndjson", &text[from..])
                .header("Content-Range", &range),
        };
        Some(answer.header("ETag", "\"same\""))
    });
    let running = bulk.command(&["--parallel", "1"]).spawn();
    bulk.server.wait_for("/files/x1");
    let part = bulk.medplum.path("out/.medplum-export/parts");
    let is_long = || {
        let parts = std::fs::read_dir(&part).into_iter().flatten().flatten();
        parts
            .into_iter()
            .any(|part| part.metadata().is_ok_and(|part| part.len() > 2_000_000))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_long() {
        assert!(std::time::Instant::now() < deadline, "{}", running.so_far());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.interrupt();
    let _ = running.finish().fails(130);
    bulk.export(&["--parallel", "1"]).ok();
    assert!(contents(&bulk) == [a, b], "a file is spliced of two");
}

/// E2: the second reading is a foreign server's page, which may say what it likes of the token.
#[test]
fn a_fresh_link_that_a_foreign_page_names_does_not_get_the_token() {
    let bulk = Bulk::open();
    let foreign = crate::support::Server::start();
    let text = lines("Patient", 0..2);
    bulk.file("output", "Patient", "/files/p", refused());
    let list = json!({"type": "Patient", "url": foreign.url("/f/1")});
    foreign.on(
        "GET",
        "/m",
        Answer::new(200, "application/json", page(TIME, [list]).to_string()),
    );
    foreign.on("GET", "/f/1", ndjson(&text));
    let own = bulk.manifest_text();
    bulk.status([
        Answer::new(200, "application/json", own),
        Answer::redirect(302, &foreign.url("/m")),
    ]);
    bulk.export(&[]).ok();
    assert_eq!(foreign.request_to("/f/1").header("Authorization"), None);
    assert_eq!(contents(&bulk), [text]);
}

/// E2, the other way round: the fresh page says that its links are signed, and a token would spoil them.
#[test]
fn a_fresh_link_takes_the_word_of_its_own_page_on_the_token() {
    let bulk = Bulk::open();
    let store = crate::support::Server::start();
    let text = lines("Patient", 0..2);
    store.on("GET", "/f/1", ndjson(&text));
    store.guard(|request| {
        let words = "<Error><Message>Only one auth mechanism allowed</Message></Error>";
        request
            .header("Authorization")
            .map(|_| Answer::new(400, "application/xml", words))
    });
    bulk.server.on("GET", "/files/p", refused());
    let mut signed = page(
        TIME,
        [json!({"type": "Patient", "url": store.url("/f/1?sig=2")})],
    );
    signed["requiresAccessToken"] = false.into();
    readings(
        &bulk,
        [page(TIME, [entry(&bulk, "Patient", "/files/p")]), signed],
    );
    bulk.export(&[]).ok();
    assert_eq!(contents(&bulk), [text]);
}

/// E14: `always` is of the server's own links; a page from elsewhere names nobody who gets the token.
#[test]
fn always_a_token_is_no_token_for_what_a_foreign_page_names() {
    let bulk = Bulk::open();
    let foreign = crate::support::Server::start();
    let text = lines("Patient", 0..2);
    let list = json!({"type": "Patient", "url": foreign.url("/f/1")});
    foreign.on(
        "GET",
        "/m",
        Answer::new(200, "application/json", page(TIME, [list]).to_string()),
    );
    foreign.on("GET", "/f/1", ndjson(&text));
    bulk.status([Answer::redirect(302, &foreign.url("/m"))]);
    bulk.export(&["--file-token", "always"]).ok();
    assert_eq!(foreign.request_to("/f/1").header("Authorization"), None);
    // What the server itself names gets it, whatever the host is called.
    let bulk = Bulk::open();
    let host = bulk.file_host();
    host.on("GET", "/files/p", ndjson(&text));
    bulk.manifest(|manifest| manifest["requiresAccessToken"] = "true".into());
    bulk.entry(
        "output",
        json!({"type": "Patient", "url": host.url("/files/p")}),
    );
    bulk.export(&["--file-token", "always"]).ok();
    assert!(
        host.request_to("/files/p")
            .header("Authorization")
            .is_some()
    );
}

/// A first run with one file here and another one missing, and a second run after another reading.
fn in_two_runs(
    bulk: &Bulk,
    second: impl IntoIterator<Item = serde_json::Value>,
    time: &str,
) -> Run {
    let of = |target: &str| counted(bulk, "Patient", target, 1);
    let first = page(TIME, [of("/files/1"), of("/files/2")]);
    bulk.manifest(|manifest| *manifest = first);
    let refusal = || Answer::outcome(403, "forbidden", "never");
    bulk.server
        .on("GET", "/files/1", ndjson(lines("Patient", 0..1)));
    bulk.server.on("GET", "/files/2", refusal());
    bulk.export(&["--parallel", "1"]).fails(5).says("never");
    assert_eq!(contents(bulk), [lines("Patient", 0..1)]);
    bulk.manifest(|manifest| *manifest = page(time, second));
    bulk.server
        .on("GET", "/files/1", ndjson(lines("Patient", 0..5)));
    bulk.server
        .on("GET", "/files/2", ndjson(lines("Patient", 10..11)));
    bulk.export(&["--parallel", "1"])
}

/// E6, A2: a file grew under its URL.
#[test]
fn a_file_with_another_count_is_another_file() {
    let bulk = Bulk::open();
    let list = [
        counted(&bulk, "Patient", "/files/1", 5),
        counted(&bulk, "Patient", "/files/2", 1),
    ];
    let _ = in_two_runs(&bulk, list, TIME).ok();
    assert_eq!(
        contents(&bulk),
        [lines("Patient", 0..5), lines("Patient", 10..11)]
    );
    let manifest: serde_json::Value =
        serde_json::from_str(&bulk.medplum.read("out/manifest.json")).unwrap();
    for entry in manifest["output"].as_array().unwrap() {
        assert_eq!(entry["count"], entry["resources"], "{manifest:#}");
    }
}

/// A1: what was listed and is listed no more is missing.
#[test]
fn a_file_that_is_listed_no_more_is_missing() {
    let bulk = Bulk::open();
    let shapes: [(&str, Vec<serde_json::Value>); 3] = [
        (
            "only the first",
            vec![counted(&bulk, "Patient", "/files/1", 1)],
        ),
        ("nothing", vec![]),
        (
            "another type",
            vec![counted(&bulk, "Observation", "/files/o", 1)],
        ),
    ];
    for (what, list) in shapes {
        let bulk = Bulk::open();
        let list = list.into_iter().map(|mut entry| {
            let path = entry["url"]
                .as_str()
                .unwrap()
                .rsplit_once("/files")
                .unwrap()
                .1
                .to_owned();
            entry["url"] = bulk.server.url(&format!("/files{path}")).into();
            entry
        });
        let list: Vec<_> = list.collect();
        bulk.server
            .on("GET", "/files/o", ndjson(lines("Observation", 0..1)));
        let of = |target: &str| counted(&bulk, "Patient", target, 1);
        let first = page(TIME, [of("/files/1"), of("/files/2")]);
        bulk.manifest(|manifest| *manifest = first);
        bulk.server
            .on("GET", "/files/1", ndjson(lines("Patient", 0..1)));
        bulk.server.on("GET", "/files/2", refused());
        bulk.export(&["--parallel", "1"]).fails(5);
        bulk.manifest(|manifest| *manifest = page(TIME, list));
        let run = bulk.export(&["--parallel", "1"]);
        assert_eq!(run.code, 5, "{what}\n{run}");
        assert!(run.stderr.contains("lists it no more"), "{what}\n{run}");
        assert_eq!(bulk.deletes(), 0, "{what}");
        // And it stays missing.
        assert_eq!(bulk.export(&["--parallel", "1"]).code, 5, "{what}");
        assert_eq!(bulk.deletes(), 0, "{what}");
    }
}

/// A5: a job that ran again gives the same URLs another time and other content; a folder is of one reading.
#[test]
fn a_reading_of_another_time_is_another_snapshot() {
    let bulk = Bulk::open();
    let list = ["/files/1", "/files/2"].map(|target| entry(&bulk, "Patient", target));
    let _ = in_two_runs(&bulk, list, "2026-02-09T10:00:00.000Z").ok();
    assert_eq!(
        contents(&bulk),
        [lines("Patient", 0..5), lines("Patient", 10..11)]
    );
}

/// A checksum proves what a URL does not.
#[test]
fn a_file_whose_checksum_is_promised_again_is_not_fetched_again() {
    let bulk = Bulk::open();
    let text = lines("Patient", 0..3);
    let promised = |target: &str| {
        let sum = format!("sha256:{:x}", Sha256::digest(&text));
        let mut entry = entry(&bulk, "Patient", target);
        entry["extension"] = json!([{"url": "https://dpc.cms.gov/checksum", "valueString": sum}]);
        entry
    };
    let other = |target: &str| entry(&bulk, "Patient", target);
    readings(
        &bulk,
        [
            page(TIME, [promised("/files/x1"), other("/files/x2")]),
            page(TIME, [other("/files/y2"), promised("/files/y1")]),
        ],
    );
    bulk.server.on("GET", "/files/x1", ndjson(&text));
    bulk.server.on("GET", "/files/x2", refused());
    bulk.server
        .on("GET", "/files/y2", ndjson(lines("Patient", 10..11)));
    bulk.export(&["--parallel", "1"]).ok();
    assert_eq!(contents(&bulk), [text, lines("Patient", 10..11)]);
    assert!(bulk.server.requests_to("/files/y1").is_empty());
    assert_eq!(contents(&bulk), named(&bulk));
}

/// Links that are only signed anew are the same files: what is here stays.
#[test]
fn a_file_that_is_only_signed_anew_is_not_fetched_again() {
    let bulk = Bulk::open();
    let of = |target: &str| entry(&bulk, "Patient", target);
    let sign = |at: &str, n: usize| {
        of(&format!(
            "/files/{at}?X-Amz-Date=2026013{n}T100000Z&X-Amz-Expires=300&X-Amz-Signature={n}&part=1"
        ))
    };
    readings(
        &bulk,
        [
            page(TIME, [sign("a", 0), sign("b", 0)]),
            page(TIME, [sign("b", 1), sign("a", 1)]),
        ],
    );
    let (a, b) = (lines("Patient", 0..3), lines("Patient", 10..13));
    bulk.server.on("GET", "/files/a", ndjson(&a));
    bulk.server
        .on_sequence("GET", "/files/b", [refused(), ndjson(&b)]);
    bulk.export(&["--parallel", "1"]).ok();
    assert_eq!(contents(&bulk), [a, b]);
    assert_eq!(bulk.server.requests_to("/files/a").len(), 1);
}

/// The second net: a server that gives the same bytes for two entries has one file too few.
#[test]
fn the_same_bytes_for_two_entries_are_an_error() {
    let bulk = Bulk::open();
    let text = lines("Patient", 0..3);
    bulk.file("output", "Patient", "/files/1", ndjson(&text));
    bulk.file("output", "Patient", "/files/2", ndjson(&text));
    bulk.export(&[])
        .fails(5)
        .says("the same bytes came for two entries");
    assert_eq!(bulk.deletes(), 0);
    // Empty files are alike, and files of two types may be.
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/1", ndjson(""));
    bulk.file("output", "Patient", "/files/2", ndjson(""));
    bulk.file("output", "Patient", "/files/3", ndjson(&text));
    bulk.file(
        "deleted",
        "Bundle",
        "/files/4",
        ndjson("{\"resourceType\":\"Bundle\"}\n"),
    );
    bulk.file(
        "deleted",
        "Bundle",
        "/files/5",
        ndjson("{\"resourceType\":\"Bundle\"}\n"),
    );
    bulk.export(&[]).ok();
}

/// E18: the fragment is no part of what a URL names.
#[test]
fn one_url_with_two_fragments_is_one_file() {
    let bulk = Bulk::open();
    let text = lines("Patient", 0..3);
    let list =
        ["/files/1#a", "/files/1#b", "/files/1"].map(|target| entry(&bulk, "Patient", target));
    readings(&bulk, [page(TIME, list)]);
    bulk.server.on("GET", "/files/1", ndjson(&text));
    bulk.export(&[]).ok();
    assert_eq!(contents(&bulk), [text]);
    assert_eq!(bulk.server.requests_to("/files/1").len(), 1);
}

/// E18: one URL with two promises cannot keep both.
#[test]
fn one_url_with_two_counts_is_an_error() {
    let bulk = Bulk::open();
    let list = [3, 4].map(|count| counted(&bulk, "Patient", "/files/1", count));
    readings(&bulk, [page(TIME, list)]);
    bulk.server
        .on("GET", "/files/1", ndjson(lines("Patient", 0..3)));
    bulk.export(&[]).fails(5).says("promises");
    assert_eq!(bulk.deletes(), 0);
    assert!(bulk.server.lines().contains(&format!("GET {STATUS}")));
}
