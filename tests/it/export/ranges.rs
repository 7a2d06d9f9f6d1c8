//! A file that breaks off is gone on with where its bytes are proved to be the same, and begun again where not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::bulk::ndjson;
use crate::support::{Answer, Bulk, Request};

/// Lines of about 100 bytes, each different.
fn lines(count: usize) -> String {
    let line = |n| {
        let filling = "x".repeat(60);
        format!("{{\"resourceType\":\"Patient\",\"id\":\"{n}\",\"text\":\"{filling}\"}}\n")
    };
    (0..count).map(line).collect()
}

/// Where a request wants the file from.
fn from(request: &Request) -> usize {
    let range = request.header("Range");
    range.map_or(0, |range| {
        let from = range
            .strip_prefix("bytes=")
            .and_then(|text| text.strip_suffix('-'));
        from.and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("an open range: {range}"))
    })
}

/// A server by RFC 9110: a range only when If-Range names these bytes.
fn ranged(request: &Request, text: &str, etag: &str) -> Answer {
    let from = from(request);
    if from == 0 || request.header("If-Range") != Some(etag) {
        return ndjson(text).header("ETag", etag);
    }
    let range = format!("bytes {from}-{}/{}", text.len() - 1, text.len());
    Answer::new(206, "application/fhir+ndjson", &text[from..])
        .header("ETag", etag)
        .header("Content-Range", &range)
}

/// A site with one file of patients, which each try gets from this server.
fn site(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Bulk {
    let bulk = Bulk::open();
    let url = bulk.server.url("/files/p");
    bulk.entry(
        "output",
        serde_json::json!({"type": "Patient", "url": url, "count": 1000}),
    );
    let tries = AtomicUsize::new(0);
    bulk.server.handler(move |request| {
        (request.path() == "/files/p")
            .then(|| answer(tries.fetch_add(1, Ordering::SeqCst), request))
    });
    bulk
}

/// Where each request for the file began.
fn starts(bulk: &Bulk) -> Vec<usize> {
    bulk.server
        .requests_to("/files/p")
        .iter()
        .map(from)
        .collect()
}

fn only_file(bulk: &Bulk) -> String {
    let files = bulk.files();
    assert_eq!(files.len(), 1, "{:?}", bulk.names());
    String::from_utf8(files[0].1.clone()).unwrap()
}

#[test]
fn a_body_that_breaks_off_goes_on_at_the_byte_where_it_broke() {
    let text = lines(1000);
    let whole = text.clone();
    let bulk = site(move |tries, request| {
        let answer = ranged(request, &whole, "\"1\"");
        match tries {
            0 => answer.reset_after(30_000),
            1 => answer.cut_body_at(20_000),
            _ => answer,
        }
    });
    bulk.export(&[]).ok().says("Trying again");
    assert_eq!(only_file(&bulk), text);
    let starts = starts(&bulk);
    assert_eq!(starts.len(), 3, "{starts:?}");
    assert!(
        starts[0] == 0 && starts[1] > 0 && starts[2] == starts[1] + 20_000,
        "{starts:?}"
    );
}

#[test]
fn gzip_on_the_wire_goes_on_inside_its_stream() {
    let text = lines(1000);
    let packed = crate::support::bulk::gzip(text.as_bytes());
    let bulk = site(move |tries, request| {
        let from = from(request);
        let answer = if from == 0 {
            ndjson(&packed)
        } else {
            let range = format!("bytes {from}-{}/{}", packed.len() - 1, packed.len());
            Answer::new(206, "application/fhir+ndjson", &packed[from..])
                .header("Content-Range", &range)
        };
        let answer = answer
            .header("ETag", "\"gz\"")
            .header("Content-Encoding", "gzip");
        if tries == 0 {
            answer.cut_body_at(1000)
        } else {
            answer
        }
    });
    bulk.export(&[]).ok();
    assert_eq!(only_file(&bulk), text);
    assert_eq!(starts(&bulk), [0, 1000]);
}

/// Each server sends the second part in a way that proves nothing.
#[test]
fn without_proof_that_the_bytes_are_the_same_the_file_is_begun_again() {
    type Second = fn(&str, usize) -> Answer;
    let table: [(&str, Second); 6] = [
        ("another version", |text, from| {
            part(text, from, from, text.len()).header("ETag", "\"2\"")
        }),
        ("no version", |text, from| {
            part(text, from, from, text.len())
        }),
        ("another place", |text, from| {
            part(text, from - 1, from - 1, text.len()).header("ETag", "\"1\"")
        }),
        ("an end that is exclusive, as at DPC", |text, from| {
            part(text, from, from, text.len() + 1).header("ETag", "\"1\"")
        }),
        ("no Content-Range", |text, from| {
            Answer::new(206, "application/fhir+ndjson", &text[from..]).header("ETag", "\"1\"")
        }),
        ("416", |_, _| {
            Answer::outcome(416, "processing", "no such range")
        }),
    ];
    for (name, second) in table {
        let text = lines(1000);
        let whole = text.clone();
        let bulk = site(move |tries, request| match (tries, from(request)) {
            (0, _) => ndjson(&whole).header("ETag", "\"1\"").cut_body_at(30_000),
            (_, 0) => ndjson(&whole).header("ETag", "\"1\""),
            (_, from) => second(&whole, from),
        });
        bulk.export(&[]).ok();
        assert_eq!(only_file(&bulk), text, "{name}");
        assert_eq!(starts(&bulk), [0, 30_000, 0], "{name}");
    }
}

fn part(text: &str, from: usize, said: usize, whole: usize) -> Answer {
    let range = format!("bytes {said}-{}/{whole}", text.len() - 1);
    Answer::new(206, "application/fhir+ndjson", &text[from..]).header("Content-Range", &range)
}

#[test]
fn a_weak_or_missing_validator_means_that_no_range_is_asked_for() {
    for etag in ["W/\"1\"", ""] {
        let text = lines(1000);
        let whole = text.clone();
        let bulk = site(move |tries, _| {
            let mut answer = ndjson(&whole);
            if !etag.is_empty() {
                answer = answer.header("ETag", etag);
            }
            if tries == 0 {
                answer.cut_body_at(30_000)
            } else {
                answer
            }
        });
        bulk.export(&[]).ok();
        assert_eq!(only_file(&bulk), text);
        assert_eq!(starts(&bulk), [0, 0]);
    }
}

/// A large file is made durable as it comes; a kill costs only what came since.
#[test]
fn after_an_interruption_a_large_file_goes_on_where_it_was_marked() {
    let text = lines(60_000);
    let whole = text.clone();
    let bulk = site(move |tries, request| {
        let answer = ranged(request, &whole, "\"1\"");
        if tries == 0 {
            answer.stall_at(3_000_000)
        } else {
            answer
        }
    });
    bulk.manifest(|manifest| manifest["output"][0]["count"] = 60_000.into());
    let running = bulk.command(&[]).spawn();
    bulk.server.wait_for("/files/p");
    wait_for_bytes(&bulk, 3_000_000);
    running.interrupt();
    running.finish().fails(130).says("to go on");
    bulk.export(&[]).ok();
    assert_eq!(only_file(&bulk), text);
    let starts = starts(&bulk);
    assert!(
        starts.len() == 2 && starts[1] >= 2_500_000 && starts[1] <= 3_000_000,
        "{starts:?}"
    );
    assert!(!bulk.medplum.path("out/.medplum-export/parts").exists());
}

/// Waits until this many bytes are in the part on disk, give or take what is buffered.
fn wait_for_bytes(bulk: &Bulk, bytes: u64) {
    let part = bulk
        .medplum
        .path("out/.medplum-export/parts/Patient_files_p.ndjson.part");
    for _ in 0..600 {
        let there = std::fs::metadata(&part).map_or(0, |file| file.len());
        if there + (300 << 10) >= bytes {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the bytes did not come");
}

#[test]
fn a_file_that_changed_between_two_runs_is_fetched_whole() {
    let (old, new) = (lines(60_000), lines(60_001));
    let text = new.clone();
    let versions = Mutex::new(vec![(new, "\"2\""), (old, "\"1\"")]);
    let bulk = site(move |tries, request| {
        let mut versions = versions.lock().unwrap();
        let (whole, etag) = if tries == 0 {
            versions.pop().unwrap()
        } else {
            versions[0].clone()
        };
        let answer = ranged(request, &whole, etag);
        if tries == 0 {
            answer.stall_at(3_000_000)
        } else {
            answer
        }
    });
    bulk.manifest(|manifest| manifest["output"][0]["count"] = 60_001.into());
    let running = bulk.command(&[]).spawn();
    bulk.server.wait_for("/files/p");
    wait_for_bytes(&bulk, 3_000_000);
    running.interrupt();
    running.finish().fails(130);
    bulk.export(&[]).ok();
    assert_eq!(only_file(&bulk), text);
}

/// The rest that comes without a length may be cut short too.
#[test]
fn a_rest_without_a_length_that_ends_early_is_no_whole_file() {
    let text = lines(1000);
    let bulk = site(move |number, request| {
        let answer = ranged(request, &text, "\"e\"");
        match number {
            0 => answer.reset_after(50_000),
            // At the end of a line, so that only the length tells.
            1 => {
                let from = from(request);
                let lines = text[from..].match_indices('\n').nth(5).unwrap().0 + 1;
                answer.cut_body_at(lines).until_close()
            }
            _ => answer,
        }
    });
    bulk.export(&[]).ok();
    assert_eq!(only_file(&bulk), lines(1000));
    assert!(starts(&bulk).len() >= 3, "{:?}", starts(&bulk));
}

/// A proxy with a time limit, and a server that knows no ranges: the same bytes come again and again.
#[test]
fn a_file_that_never_gets_any_further_is_given_up() {
    let text = "x".repeat(18 << 20);
    let bulk = site(move |number, _| {
        let end = if number % 2 == 0 { 3 << 20 } else { 5 << 20 };
        ndjson(&text).header("ETag", "\"e\"").reset_after(end)
    });
    let args = ["--no-verify", "--retries", "1"];
    bulk.export(&args).fails(5);
    assert!(starts(&bulk).len() < 10, "{:?}", starts(&bulk));
}
