//! Content-Range and what it proves: only a range of bytes that fits is read, and a body goes on only with exactly the
//! bytes that are missing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medplum::http::range::{BrokenOff, Validator, content_range};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue};

// Where the body broke off, how long it is, and the headers of what comes next.
type Case<'a> = (u8, u8, &'a [u8], &'a [u8], &'a [u8]);

fuzz_target!(|case: Case| {
    let (received, whole, range, etag, encoding) = case;
    let text = String::from_utf8_lossy(range);
    let read = content_range(&text);
    if let Some(read) = read {
        assert!(read.first <= read.last && read.whole.is_none_or(|whole| read.last < whole));
        // Written again it is the same.
        let whole = read.whole.map_or("*".to_owned(), |whole| whole.to_string());
        let again = content_range(&format!("bytes {}-{}/{whole}", read.first, read.last));
        assert_eq!(again, Some(read));
    }

    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    };
    add(CONTENT_RANGE, range);
    add(ETAG, etag);
    if !encoding.is_empty() {
        add(CONTENT_ENCODING, encoding);
    }
    let broken = BrokenOff {
        validator: Validator::Etag("\"1\"".to_owned()),
        received: received.into(),
        whole: (whole > 0).then_some(whole.into()),
        encoding: None,
    };
    assert!(!broken.continues(StatusCode::OK, &headers));
    if broken.continues(StatusCode::PARTIAL_CONTENT, &headers) {
        let read = read.expect("nothing goes on without a range");
        assert_eq!(read.first, u64::from(received));
        assert_eq!(read.whole, Some(read.last + 1), "to the very end");
        assert!(whole == 0 || read.whole == Some(whole.into()));
        assert_eq!(etag.trim_ascii(), b"\"1\"");
    }
    // A validator that was taken from headers is that of the same headers.
    if let Some(validator) = Validator::of(&headers) {
        assert!(validator.is_of(&headers) && validator.if_range().is_some());
    }
});
