//! The check of NDJSON: masks in every way, the state machine and serde_json say the same of every text.

use medplum::fhir::ndjson::Checker;
use medplum_check::{Wanted, Way};

use crate::book::{by_the_book, is_beyond};

/// Lines as servers write them, with what is seldom in them.
pub(crate) const SEEDS: [&str; 6] = [
    concat!(
        r#"{"resourceType":"Patient","id":"a1","meta":{"versionId":"1","lastUpdated":"2026-01-31T10:00:00.000+00:00"},"name":[{"use":"official","family":"O\u0027Neil","given":["Ann","B"]}],"active":true,"extension":[{"url":"http://h.example/x","valueDecimal":-12.50e+3}],"multipleBirthInteger":0}"#,
        "\n",
        r#"{"id":"b","contained":[{"resourceType":"Organization","id":"o"}],"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">\\ a\tb</div>"},"deceasedBoolean":false}"#,
        "\n"
    ),
    concat!(
        r#"{"resourceType": "Patient", "id": "c", "link": [], "address": [{"line": ["1", "2"], "x": null}], "y": {}}"#,
        "\r\n \n",
        r#"{ "a" : [ 1 , 2.0 , 3e1 , [ ] , { } ] , "resourceType" : "Patient" }"#
    ),
    concat!(
        r#"{"resourceType":"Observation","valueQuantity":{"value":0.123456789,"unit":"\u00b5g/l"},"component":[[[[{"a":[{"b":1}]}]]]]}"#,
        "\n\n\n",
        r#"{"resourceType":"Patient"}"#,
        "\n"
    ),
    "{\"resourceType\":\"Patient\",\"name\":\"Jos\u{e9} \u{1f600} \u{4e2d}\"}\n{\"resourceType\":\"Patient\"}",
    r#"{"resource\u0054ype":"Patient","r":"resourceType","resourceTypes":"x","":""}"#,
    "\u{feff}{\"resourceType\":\"Patient\",\"a\":\"\\\\\\\"\\\\\",\"b\":\"\\\\\"}\n\t\n",
];

pub(crate) const WORDS: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "\r",
    "1",
    "-",
    ".",
    "e",
    "0",
    "true",
    "nul",
    "{}",
    "[]",
    "\"\"",
    "\"resourceType\":\"Patient\"",
    "\"resourceType\":",
    "\"r\":1,",
    ",\"a\":",
    "\"a\",",
    "}}",
    "]}",
    "                ",
    // What the masks carry from one word of 64 bytes to the next, and names that only a reader of escapes knows.
    r#""\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"","#,
    r#""resource\u0054ype":"Patient","#,
    r#""\u0072esourceType":{},"#,
    r#"{"resourceType":"Patient"}"#,
];

/// Whether masks alone found all lines good.
pub(crate) fn read(input: &[u8]) -> bool {
    let chunk = input.len() % 97 + 1;
    let mut passed = false;
    for expected in [None, Some("Patient")] {
        let found = check(Checker::new(expected), input, chunk);
        let judged = check(Checker::new(expected).without_masks(), input, input.len());
        assert_eq!(found, judged, "masks do not matter");
        if !is_beyond(input) {
            assert_eq!(
                found,
                by_the_book(input, expected),
                "serde_json says the same"
            );
        }
        let wanted = expected.map_or(Wanted::But(&[]), Wanted::Only);
        // The ways look at no UTF-8.
        let text = std::str::from_utf8(input).unwrap_or_default().as_bytes();
        for (name, way) in Way::ALL {
            let good = medplum_check::good(text, wanted, way);
            let judge = Checker::new(expected).without_masks();
            let judged = check(judge, &text[..good.bytes], text.len());
            assert_eq!(judged, Ok(good.resources), "{name} lets pass what is bad");
            passed |= good.resources > 0 && good.bytes == text.len();
        }
    }
    passed
}

/// The number of resources, or of the first bad line.
fn check(mut checker: Checker, input: &[u8], chunk: usize) -> Result<u64, u64> {
    for bytes in input.chunks(chunk.max(1)) {
        checker.feed(bytes).map_err(|error| error.line)?;
    }
    let summary = checker.finish().map_err(|error| error.line)?;
    Ok(summary.resources)
}
