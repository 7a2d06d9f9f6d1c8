//! The line checker, its state machine alone, its masks in every way, and serde_json: the same files are good, the same
//! line is the first bad one, in any chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medplum::fhir::ndjson::Checker;
use medplum_check::{Wanted, Way};

#[path = "../../tests/long/book.rs"]
mod book;

fuzz_target!(|data: &[u8]| {
    // The first byte says how the file comes and what is promised.
    let Some((&knob, data)) = data.split_first() else {
        return;
    };
    let chunk = usize::from(knob >> 1).max(1);
    let expected = (knob & 1 == 1).then_some("Patient");
    let found = check(Checker::new(expected), data, chunk);
    assert_eq!(
        found,
        check(Checker::new(expected), data, data.len()),
        "chunks do not matter"
    );
    assert_eq!(
        found,
        check(Checker::new(expected).without_masks(), data, chunk),
        "masks do not matter"
    );
    // The ways look at no UTF-8.
    let text = std::str::from_utf8(data).unwrap_or_default().as_bytes();
    for (name, way) in Way::ALL {
        let wanted = expected.map_or(Wanted::But(&[]), Wanted::Only);
        let good = medplum_check::good(text, wanted, way);
        let found = check(
            Checker::new(expected).without_masks(),
            &text[..good.bytes],
            chunk,
        );
        assert_eq!(found, Ok(good.resources), "{name} lets pass what is bad");
    }
    if !book::is_beyond(data) {
        assert_eq!(found, book::by_the_book(data, expected));
    }
});

/// The number of resources, or the number of the first bad line.
fn check(mut checker: Checker, data: &[u8], chunk: usize) -> Result<u64, u64> {
    for bytes in data.chunks(chunk.max(1)) {
        checker.feed(bytes).map_err(|error| error.line)?;
    }
    checker
        .finish()
        .map(|summary| summary.resources)
        .map_err(|error| error.line)
}
