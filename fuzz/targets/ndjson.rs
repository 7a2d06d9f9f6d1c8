//! The line checker beside serde_json: the same files are good, the same line is the first bad one, in any chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medplum::fhir::ndjson::Checker;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

fuzz_target!(|data: &[u8]| {
    // The first byte says how the file comes and what is promised.
    let Some((&knob, data)) = data.split_first() else {
        return;
    };
    let chunk = usize::from(knob >> 1).max(1);
    let expected = (knob & 1 == 1).then_some("Patient");
    let found = check(data, chunk, expected);
    assert_eq!(
        found,
        check(data, data.len().max(1), expected),
        "chunks do not matter"
    );
    // Half of a surrogate pair is left open by RFC 8259 §8.2: serde_json takes it in a value and refuses it in a name.
    let has_surrogates = data
        .windows(3)
        .any(|bytes| bytes.eq_ignore_ascii_case(b"\\ud"));
    if has_surrogates {
        return;
    }
    // The checker goes deeper than serde_json, which stops at 128 levels.
    if data
        .iter()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count()
        < 120
    {
        assert_eq!(found, by_the_book(data, expected));
    }
});

/// The number of resources, or the number of the first bad line.
fn check(data: &[u8], chunk: usize, expected: Option<&str>) -> Result<u64, u64> {
    let mut checker = Checker::new(expected);
    for bytes in data.chunks(chunk) {
        checker.feed(bytes).map_err(|error| error.line)?;
    }
    checker
        .finish()
        .map(|summary| summary.resources)
        .map_err(|error| error.line)
}

fn by_the_book(data: &[u8], expected: Option<&str>) -> Result<u64, u64> {
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let mut resources = 0;
    for (line, number) in data.split(|byte| *byte == b'\n').zip(1..) {
        if line.iter().all(|byte| b" \t\r".contains(byte)) {
            continue;
        }
        // serde_json does not look at the bytes of a string that is passed over.
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(number);
        };
        let Ok(Types(types)) = serde_json::from_str(text) else {
            return Err(number);
        };
        match &types[..] {
            [Some(found)] if expected.is_none_or(|expected| expected == found) => resources += 1,
            _ => return Err(number),
        }
    }
    Ok(resources)
}

/// Every `resourceType` of an object's top level; `None` for one that is no string.
struct Types(Vec<Option<String>>);

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Types;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Types, A::Error> {
                let mut types = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "resourceType" {
                        let value = map.next_value::<serde_json::Value>()?;
                        types.push(value.as_str().map(str::to_owned));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Types(types))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
