//! Going on with a body that broke off: only where a validator and Content-Range prove that the bytes fit (RFC 9110 §14).

use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, HeaderMap};

pub use super::validator::Validator;

/// `Content-Range: bytes FIRST-LAST/WHOLE` (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte, from 0.
    pub first: u64,
    /// The last byte, itself in the range.
    pub last: u64,
    /// The length of the whole; `None` for `*`.
    pub whole: Option<u64>,
}

/// Reads a Content-Range; `None` for anything that is not exactly one range of bytes.
pub fn content_range(text: &str) -> Option<ContentRange> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (unit, rest) = text.trim().split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (range, whole) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let range = ContentRange {
        first: number(first)?,
        last: number(last)?,
        whole: if whole == "*" {
            None
        } else {
            Some(number(whole)?)
        },
    };
    let fits = range.first <= range.last && range.whole.is_none_or(|whole| range.last < whole);
    fits.then_some(range)
}

/// Where a body broke off.
#[derive(Clone, Debug)]
pub struct BrokenOff {
    pub validator: Validator,
    /// How many bytes came, as they were on the wire.
    pub received: u64,
    /// The length of the whole on the wire, when it was said.
    pub whole: Option<u64>,
    /// The encoding on the wire.
    pub encoding: Option<String>,
}

impl BrokenOff {
    /// Whether an answer goes on at exactly that byte, with the same bytes, to the very end. DPC's ranges, whose end
    /// is exclusive, do not pass.
    pub fn continues(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let range = headers
            .get(CONTENT_RANGE)
            .and_then(|value| content_range(value.to_str().ok()?));
        let Some(range) = range else { return false };
        status == StatusCode::PARTIAL_CONTENT
            && self.validator.is_of(headers)
            && encoding(headers) == self.encoding
            && range.first == self.received
            && range.whole == Some(range.last + 1)
            && self.whole.is_none_or(|whole| range.whole == Some(whole))
    }
}

/// The content encoding of an answer, `None` when it is the plain one.
pub fn encoding(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_ENCODING)?.to_str().ok()?;
    let text = text.trim().to_ascii_lowercase();
    (!text.is_empty() && text != "identity").then_some(text)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{ETAG, HeaderName};

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_content_range_is_one_range_of_bytes_that_fits() {
        let read = |text| content_range(text).map(|range| (range.first, range.last, range.whole));
        assert_eq!(read("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(read(" Bytes 0-0/* "), Some((0, 0, None)));
        for odd in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-10/10",
            "bytes 9-5/10",
            "bytes +5-9/10",
            "bytes 5-9",
            "items 5-9/10",
            "bytes 5-9/ten",
            "bytes 5-99999999999999999999/*",
            "bytes 0-1,3-4/10",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_answer_goes_on_only_at_the_same_byte_of_the_same_bytes_to_the_end() {
        let broken = BrokenOff {
            validator: Validator::Etag("\"1\"".into()),
            received: 5,
            whole: Some(10),
            encoding: None,
        };
        let good = [(ETAG, "\"1\""), (CONTENT_RANGE, "bytes 5-9/10")];
        let partial = StatusCode::PARTIAL_CONTENT;
        assert!(broken.continues(partial, &headers(&good)));
        assert!(!broken.continues(StatusCode::OK, &headers(&good)));
        for (name, value) in [
            (ETAG, "\"2\""),
            (CONTENT_RANGE, "bytes 4-9/10"),
            (CONTENT_RANGE, "bytes 5-8/10"),
            (CONTENT_RANGE, "bytes 5-10/11"),
            (CONTENT_RANGE, "bytes 5-9/*"),
            (CONTENT_ENCODING, "gzip"),
        ] {
            let mut bad = headers(&good);
            bad.insert(name, value.parse().unwrap());
            assert!(!broken.continues(partial, &bad), "{value}");
        }
        let without = headers(&good[1..]);
        assert!(!broken.continues(partial, &without));
    }

    proptest::proptest! {
        #[test]
        fn no_content_range_makes_it_panic_or_lie(text in "(bytes )?[0-9*/, -]{0,30}") {
            if let Some(range) = content_range(&text) {
                proptest::prop_assert!(range.first <= range.last);
                proptest::prop_assert!(range.whole.is_none_or(|whole| range.last < whole));
            }
        }
    }
}
