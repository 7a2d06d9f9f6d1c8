//! Each step that a byte of an export goes through, alone on one core: `check FILE…` prints MB/s, best and median.
//!
//! The steps take turns, so that a busy machine hits all alike. `benches/check` builds and runs it.

#![expect(
    clippy::print_stdout,
    reason = "a program of its own, for whoever measures"
)]

use std::hint::black_box;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use medplum::bulk::digest::Algorithm;
use medplum::fhir::ndjson::Checker;
use medplum_check::Way;
use serde::de::IgnoredAny;

const ROUNDS: usize = 11;
/// As much as a read of a socket brings, and what goes to the disk at a time.
const CHUNKS: [usize; 2] = [64 << 10, 256 << 10];

type Step<'a> = (String, Box<dyn Fn(&[u8]) + 'a>);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = Vec::new();
    for path in std::env::args().skip(1) {
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?).read_to_end(&mut text)?;
        // The files end without a newline.
        text.push(b'\n');
    }
    let packed = pack(&text);
    let steps = steps(&packed);
    let mut speeds: Vec<Vec<f64>> = vec![Vec::new(); steps.len()];
    for _ in 0..ROUNDS {
        for (at, (_, step)) in steps.iter().enumerate() {
            let start = seconds()?;
            step(&text);
            speeds[at].push(text.len() as f64 / 1e6 / (seconds()? - start));
        }
    }
    for ((name, _), mut speeds) in steps.iter().zip(speeds) {
        speeds.sort_by(f64::total_cmp);
        let (best, median) = (speeds[ROUNDS - 1], speeds[ROUNDS / 2]);
        println!("{name}\t{best:.0}\t{median:.0}");
    }
    Ok(())
}

/// Seconds that this thread had a processor, which others on the machine change less than the time of day.
fn seconds() -> Result<f64, Box<dyn std::error::Error>> {
    // The kernel adds up when it may switch.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

/// As servers pack what they send, and `--compress` what it keeps.
fn pack(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

fn unpack(packed: &[u8], length: usize) {
    let mut decoder = MultiGzDecoder::new(Count(0));
    let unpacked = packed
        .chunks(CHUNKS[0])
        .try_for_each(|chunk| decoder.write_all(chunk));
    let count = unpacked.and_then(|()| decoder.finish());
    assert!(
        count.is_ok_and(|count| count.0 == length),
        "it is what was packed"
    );
}

/// Counts bytes.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn steps(packed: &[u8]) -> Vec<Step<'_>> {
    let mut steps: Vec<Step> = vec![
        ("memcpy".to_owned(), Box::new(copy)),
        (
            "utf-8".to_owned(),
            Box::new(|text| assert!(std::str::from_utf8(text).is_ok())),
        ),
        ("serde_json".to_owned(), Box::new(serde)),
        (
            "gunzip".to_owned(),
            Box::new(|text| unpack(packed, text.len())),
        ),
        (
            "gzip".to_owned(),
            Box::new(|text| assert!(!pack(text).is_empty())),
        ),
    ];
    for algorithm in [Algorithm::Blake3, Algorithm::Sha256] {
        let digest = move |text: &[u8]| {
            let mut running = algorithm.begin();
            text.chunks(CHUNKS[0]).for_each(|chunk| running.feed(chunk));
            black_box(running.finish());
        };
        steps.push((algorithm.to_string(), Box::new(digest)));
    }
    for size in CHUNKS {
        let chunk = size >> 10;
        steps.push((
            format!("machine {chunk}"),
            Box::new(move |text| check(Checker::new(None).without_masks(), text, size)),
        ));
        for (name, way) in Way::ALL.into_iter().filter(|(_, way)| way.is_here()) {
            let step = move |text: &[u8]| check(Checker::new(None).by(way), text, size);
            steps.push((format!("{name} {chunk}"), Box::new(step)));
        }
    }
    steps
}

fn check(mut checker: Checker, text: &[u8], size: usize) {
    for chunk in text.chunks(size) {
        assert!(checker.feed(chunk).is_ok(), "the data are good");
    }
    assert!(checker.finish().is_ok_and(|summary| summary.resources > 0));
}

fn serde(text: &[u8]) {
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        assert!(
            serde_json::from_slice::<IgnoredAny>(line).is_ok(),
            "the data are good"
        );
    }
}

fn copy(text: &[u8]) {
    let mut buffer = vec![0; CHUNKS[0]];
    for chunk in text.chunks(CHUNKS[0]) {
        buffer[..chunk.len()].copy_from_slice(chunk);
        let _ = black_box(&mut buffer);
    }
}
