//! Retry-After: nothing makes it panic; seconds and dates mean what RFC 9110 §10.2.3 says; every wait is bounded.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use medplum::http::retry::{Retry, retry_after};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

const LONGEST: Duration = Duration::from_secs(60);

fuzz_target!(|data: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let text = value.to_str().map(str::trim).map(str::to_owned);
    let asked = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now);
    if let Ok(text) = text {
        let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(seconds) = is_whole.then(|| text.parse().ok()).flatten() {
            assert_eq!(asked, Some(Duration::from_secs(seconds)));
        } else if let Ok(date) = httpdate::parse_http_date(&text) {
            assert_eq!(asked, Some(date.duration_since(now).unwrap_or_default()));
        }
    }
    let wait = Retry::new(1, LONGEST).wait(asked).unwrap();
    assert!(wait <= LONGEST && wait >= Duration::from_millis(100));
});
