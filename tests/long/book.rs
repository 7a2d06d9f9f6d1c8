//! What the check of NDJSON means, said with serde_json: a line is UTF-8, an object, and has one string `resourceType`.
//!
//! It stops at 128 levels and refuses half of a surrogate pair in a name (RFC 8259 §8.2 leaves that open); the check does
//! neither, so [`is_beyond`] says of which texts the two may differ.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Whether serde_json's own limits may decide about a text.
pub(crate) fn is_beyond(data: &[u8]) -> bool {
    let brackets = data.iter().filter(|byte| matches!(byte, b'[' | b'{'));
    brackets.count() >= 120
        || data
            .windows(3)
            .any(|bytes| bytes.eq_ignore_ascii_case(b"\\ud"))
}

/// The number of resources in NDJSON, or the number of the first bad line.
pub(crate) fn by_the_book(data: &[u8], expected: Option<&str>) -> Result<u64, u64> {
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
