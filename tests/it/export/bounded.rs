//! What is foreign is bounded when it is read: no answer of the server costs more than a small multiple of what is kept.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::support::bulk::{PATIENTS, STATUS, gzip, ndjson};
use crate::support::readings::{TIME, entry, lines, page, readings};
use crate::support::{Answer, Bulk, Run};

/// The most that an export may have in memory.
const MOST: u64 = 48 << 20;
const LARGE: usize = 100 << 20;

/// Exports and holds it to the memory it may take.
#[track_caller]
fn export(bulk: &Bulk, args: &[&str]) -> Run {
    let all = [&["bulk", "export", "-p", "site", "-d", "out"], args].concat();
    let (run, peak) = bulk.medplum.measured(&all);
    assert!(
        peak <= MOST,
        "{} MB\n{}",
        peak >> 20,
        &run.stderr[..run.stderr.len().min(4000)]
    );
    run
}

/// Zeros that are small on the wire.
fn bomb(before: &str, bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(before.as_bytes()).unwrap();
    let block = vec![b' '; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

fn large(status: u16) -> Answer {
    Answer::new(status, "application/json", vec![b'x'; LARGE])
}

fn packed(status: u16) -> Answer {
    Answer::new(status, "application/json", bomb("", LARGE)).header("Content-Encoding", "gzip")
}

/// E11, G1: kick-off, polls, refusals, and the answer to a DELETE.
#[test]
fn no_answer_to_a_kick_off_or_a_poll_fills_the_memory() {
    for body in [large, packed] {
        let bulk = Bulk::open();
        let refused = body(400);
        bulk.server
            .guard(move |request| request.path().ends_with("$export").then(|| refused.clone()));
        export(&bulk, &[]).fails(1);
        assert_eq!(bulk.kick_offs(), 1);
    }
    let bulk = Bulk::open();
    bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
    let accepted = large(202).header("Content-Location", &bulk.server.url(STATUS));
    bulk.server.guard(move |request| {
        request
            .path()
            .ends_with("$export")
            .then(|| accepted.clone())
    });
    bulk.status([large(202).header("Retry-After", "1"), packed(503)]);
    bulk.server
        .guard(|request| (request.method == "DELETE").then(|| large(500)));
    export(&bulk, &["--retries", "0"])
        .ok()
        .says("could not be deleted");
    assert_eq!(bulk.names().len(), 1);
}

/// E11: what is no manifest is read no further than its first words, and asked for once.
#[test]
fn a_result_that_is_no_manifest_is_not_read_to_its_end() {
    for answer in [large(200), packed(200)] {
        let bulk = Bulk::open();
        bulk.status([answer]);
        export(&bulk, &[]).fails(1).says("manifest");
        assert_eq!(bulk.server.requests_to(STATUS).len(), 1);
    }
}

/// E11: an entry, a member that nobody asks for, blanks without end.
#[test]
fn a_manifest_with_a_large_part_is_refused_once() {
    let long = "x".repeat(LARGE);
    for text in [
        format!(r#"{{"output":[{{"type":"Patient","url":"{long}"}}]}}"#),
        format!(r#"{{"transactionTime":"{long}","output":[]}}"#),
        format!(r#"{{"output":[],"other":"{long}"}}"#),
        format!("{{\"output\":[],\"other\":{}", "[".repeat(LARGE)),
    ] {
        let bulk = Bulk::open();
        bulk.status([Answer::new(200, "application/json", text)]);
        let run = export(&bulk, &[]).fails(1);
        assert!(run.stderr.contains("too large"), "{run}");
        assert_eq!(bulk.server.requests_to(STATUS).len(), 1, "it is lasting");
    }
    let bulk = Bulk::open();
    let blanks = bomb(r#"{"output":["#, 2 << 30);
    bulk.status([Answer::new(200, "application/json", blanks).header("Content-Encoding", "gzip")]);
    export(&bulk, &[]).fails(1).says("too large");
}

/// E11: 100,000 entries, some of which are fetched, and the list read again once. It cost 178 MB to list them alone.
#[test]
fn a_manifest_of_a_hundred_thousand_files_costs_what_is_kept_of_it() {
    let bulk = Bulk::open();
    let url = bulk.server.url("/files");
    let signature = "s".repeat(8);
    let entry = |n: usize| {
        format!(
            r#"{{"type":"Observation","count":1,"url":"{url}/export/job-1/part-{n:06}.ndjson?sig={signature}"}}"#
        )
    };
    let entries = (0..100_000).map(entry).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"transactionTime":"{TIME}","requiresAccessToken":true,"output":[{entries}]}}"#
    );
    bulk.server.guard(move |request| {
        (request.method == "GET" && request.path() == STATUS)
            .then(|| Answer::new(200, "application/json", &text))
    });
    // The token is over for good once some files are here.
    bulk.server.guard(|request| {
        let name = request.path().strip_prefix("/files/export/job-1/part-")?;
        let number: usize = name.trim_end_matches(".ndjson").parse().unwrap();
        Some(match number {
            0..30 => ndjson(lines("Observation", number..number + 1)),
            _ => Answer::outcome(401, "login", "over"),
        })
    });
    let token = bulk.medplum.run(["token", "-p", "site"]).ok().stdout;
    // One at a time: each that fails in vain would have the list read once more.
    let args = [
        "--access-token",
        token.trim(),
        "--retries",
        "0",
        "--parallel",
        "1",
    ];
    let all = [&["bulk", "export", "-p", "site", "-d", "out"], &args[..]].concat();
    let (run, peak) = bulk.medplum.measured(&all);
    let said = &run.stderr[..run.stderr.len().min(2000)];
    assert_eq!(run.code, 3, "{said}");
    assert!(peak <= MOST, "{} MB\n{said}", peak >> 20);
    assert!(bulk.names().len() >= 20, "{}", bulk.names().len());
}

/// E15, G2: pages without end.
#[test]
fn pages_without_end_are_bounded_by_the_time_to_wait() {
    let bulk = Bulk::open();
    bulk.server.guard(|request| {
        if request.method != "GET" || request.path() != STATUS {
            return None;
        }
        let number: usize = request.target.rsplit_once('=').map_or(0, |(_, number)| number.parse().unwrap());
        let next = format!("1?page={}", number + 1);
        let page = json!({"transactionTime": TIME, "output": [], "link": [{"relation": "next", "url": next}]});
        Some(Answer::new(200, "application/json", page.to_string()))
    });
    export(&bulk, &["--max-wait", "1s"])
        .fails(6)
        .says("was not done after");
    let few = bulk.server.requests_to(STATUS).len();
    assert!(few > 1, "{few} pages");
}

/// G4: a file of 400 MB where 40 bytes are promised is not read to its end, twice.
#[test]
fn a_file_that_is_longer_than_promised_is_read_only_so_far() {
    for promise in [json!({"count": 1}), json!({"fileSize": 40})] {
        let bulk = Bulk::open();
        let mut listed = entry(&bulk, "Patient", "/files/p");
        listed
            .as_object_mut()
            .unwrap()
            .extend(promise.as_object().unwrap().clone());
        readings(&bulk, [page(TIME, [listed])]);
        let text = lines("Patient", 0..200_000);
        let length = text.len();
        // It would stall before its end: who waits for that waits for ever.
        bulk.server
            .on("GET", "/files/p", ndjson(text).stall_at(length - 10));
        let run = export(&bulk, &["--read-timeout", "5"][..0]);
        assert_eq!(run.code, 5, "{run}");
        assert!(run.stderr.contains("more came"), "{run}");
        assert!(bulk.names().is_empty(), "{:?}", bulk.names());
    }
}

/// G5: links that are refused for good and fresh at each reading.
#[test]
fn fresh_links_are_asked_for_a_bounded_number_of_times() {
    let bulk = Bulk::open();
    let read = std::sync::atomic::AtomicUsize::new(0);
    let url = bulk.server.url("/files");
    bulk.server.guard(move |request| {
        if request.method != "GET" || request.path() != STATUS {
            return None;
        }
        let signature = read.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let listed = (0..60)
            .map(|n| json!({"type": "Patient", "url": format!("{url}/{n}?sig={signature}")}));
        Some(Answer::new(
            200,
            "application/json",
            page(TIME, listed).to_string(),
        ))
    });
    bulk.server.guard(|request| {
        let number: usize = request.path().strip_prefix("/files/")?.parse().unwrap();
        Some(match number {
            0 => ndjson(PATIENTS),
            _ => Answer::outcome(403, "forbidden", "never"),
        })
    });
    export(&bulk, &[]).fails(5).says("59 of 60 files");
    let looks = bulk.server.requests_to(STATUS).len();
    assert!((2..=20).contains(&looks), "{looks} readings");
}

/// A log of many failed requests is summed up as it is read.
#[test]
fn a_report_of_many_failures_is_small_in_memory() {
    let bulk = Bulk::with_three_files();
    bulk.export(&[]).ok();
    let state: serde_json::Value =
        serde_json::from_str(&bulk.medplum.read("out/.medplum-export/job.json")).unwrap();
    let id = state["exportId"].as_str().unwrap();
    let mut log = bulk.medplum.read("out/log.ndjson");
    for n in 0..60_000 {
        log += &json!({"exportId": id, "timestamp": "2026-01-31T10:00:00.000Z", "eventId": "download_error", "eventDetail": {
            "fileUrl": "http://h/f", "code": 500, "message": format!("it failed in its own way, which is number {n}"),
            "_path": format!("Patient.{n:06}.ndjson"), "_retryIn": 500,
        }}).to_string();
        log.push('\n');
    }
    bulk.medplum.file("out/log.ndjson", log);
    let (run, peak) = bulk
        .medplum
        .measured(&["bulk", "report", "out", "-o", "json"]);
    let report = run.ok().json();
    assert_eq!(
        report["errors"][0]["count"], 60_000,
        "{:#}",
        report["errors"]
    );
    assert!(peak <= MOST, "{} MB", peak >> 20);
    assert!(gzip(b"").len() < 40);
}

/// What both exports had recorded was in memory as a whole, and once more as text while their files moved.
#[test]
fn an_export_of_many_files_is_replaced_in_little_memory() {
    let bulk = Bulk::with_three_files();
    bulk.export(&["--keep"]).ok();
    let list = "out/.medplum-export/done.ndjson";
    let mut text = bulk.medplum.read(list);
    let line = text.lines().next().unwrap().to_owned();
    for number in 0..30_000 {
        text += &line.replace("_files_", &format!("_{number}_"));
        text.push('\n');
    }
    bulk.medplum.file(list, text);
    let args = "bulk export -p site -d out --keep --overwrite --file-names medplum";
    let args: Vec<&str> = args.split(' ').collect();
    let (run, peak) = bulk.medplum.measured(&args);
    let run = run.ok();
    assert!(peak < 52 << 20, "{} MB\n{}", peak >> 20, run.stderr);
    assert_eq!(bulk.names().len(), 3);
}
