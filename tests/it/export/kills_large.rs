//! One large file through several kills: each run goes on where the last one was durable, and the bytes are the server's.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bulk::ndjson;
use crate::support::{Answer, Bulk};

const ETAG: &str = "\"1\"";
const LINES: usize = 260_000;
const FILE: &str = "out/Patient_files_p.ndjson";
const MARK: &str = "out/.medplum-export/parts/Patient_files_p.ndjson.mark";

/// About 250 MiB of lines, for three marks of 64 and time to be killed behind the last, each different.
fn text() -> Vec<u8> {
    let filling = "x".repeat(950);
    let mut text = Vec::new();
    for id in 0..LINES {
        let line =
            format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\",\"text\":\"{filling}\"}}\n");
        text.extend_from_slice(line.as_bytes());
    }
    text
}

#[test]
fn a_large_file_whose_download_is_killed_goes_on_where_it_was_durable() {
    let mut rng = fastrand::Rng::with_seed(3);
    let bulk = Bulk::open();
    let text = Arc::new(text());
    let url = bulk.server.url("/files/p");
    bulk.entry(
        "output",
        serde_json::json!({"type": "Patient", "url": url, "count": LINES}),
    );
    let starts = Arc::new(Mutex::new(Vec::new()));
    let (whole, asked) = (Arc::clone(&text), Arc::clone(&starts));
    bulk.server.handler(move |request| {
        request.path().strip_prefix("/files/p")?;
        let range = request
            .header("Range")
            .map(|range| range.trim_matches(|c: char| !c.is_ascii_digit()));
        let from: usize = range.map_or(0, |from| from.parse().unwrap());
        asked.lock().unwrap().push(from);
        if from == 0 || request.header("If-Range") != Some(ETAG) {
            return Some(ndjson(&*whole).header("ETag", ETAG));
        }
        let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
        let rest = Answer::new(206, "application/fhir+ndjson", &whole[from..]);
        Some(rest.header("ETag", ETAG).header("Content-Range", &range))
    });

    // Each time as soon as more of it is durable, or a moment later: the bytes go on coming.
    for _ in 0..3 {
        let before = fs::read(bulk.medplum.path(MARK)).ok();
        let mut running = bulk.command(&[]).spawn();
        let end = Instant::now() + Duration::from_secs(50);
        loop {
            let mark = fs::read(bulk.medplum.path(MARK)).ok();
            if mark.is_some() && mark != before {
                break;
            }
            assert!(
                !running.has_ended() && Instant::now() < end,
                "{}",
                running.so_far()
            );
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(rng.u64(0..10_000)));
        running.kill_at_once();
        let run = running.finish().fails(137);
        assert!(!bulk.medplum.path(FILE).exists(), "{run}");
    }
    let run = bulk.export(&[]).ok();
    let file = fs::read(bulk.medplum.path(FILE)).unwrap();
    assert!(file == *text, "the bytes are others\n{run}");
    let starts = starts.lock().unwrap();
    assert_eq!((starts.len(), starts[0]), (4, 0), "{starts:?}");
    assert!(starts.is_sorted_by(|one, next| one < next), "{starts:?}");
    assert_eq!((bulk.kick_offs(), bulk.deletes()), (1, 1));
    assert!(!bulk.medplum.path(MARK).exists());
}
