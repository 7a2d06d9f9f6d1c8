//! When to try again and how long to wait: Retry-After, back-off with jitter, and a limit to both.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};

/// The tries of one operation.
#[derive(Clone, Debug)]
pub struct Retry {
    left: u32,
    next: Duration,
    longest: Duration,
}

impl Retry {
    /// `retries` tries after the first, half a second to begin with; no single wait is longer than `longest`.
    pub fn new(retries: u32, longest: Duration) -> Self {
        Self {
            left: retries,
            next: Duration::from_millis(500),
            longest,
        }
    }

    /// The wait before the next try, or `None` when none is left: what the server asked for, else the back-off.
    pub fn wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let backoff = self.next.mul_f64(0.75 + fastrand::f64() * 0.5);
        self.next = (self.next * 2).min(self.longest);
        Some(
            asked
                .map_or(backoff, |asked| asked.max(Duration::from_millis(100)))
                .min(self.longest),
        )
    }
}

/// Whether a request may be sent twice without doing its work twice (RFC 9110 §9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS
    )
}

/// Statuses that say "not now".
pub fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// `Retry-After` as a duration from now: seconds or an HTTP date (RFC 9110 §10.2.3); `None` when absent or odd.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Whether a status may come from what is on the way to a server, and be gone the next time.
pub fn may_be_on_the_way(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 425 => true,
        501 | 505 => false,
        code => (500..600).contains(&code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let read = |text| parse_retry_after(text, now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(
            read("Sun, 22 Nov 2026 10:00:07 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(read("Sun, 22 Nov 2020 10:00:07 GMT"), Some(Duration::ZERO));
        for odd in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn waits_grow_are_bounded_and_end() {
        let mut retry = Retry::new(3, Duration::from_secs(60));
        assert_eq!(
            retry.wait(Some(Duration::from_secs(3600))),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            retry.wait(Some(Duration::ZERO)),
            Some(Duration::from_millis(100))
        );
        assert!(retry.wait(None).unwrap() >= Duration::from_millis(1500));
        assert_eq!(retry.wait(None), None);
    }

    proptest::proptest! {
        #[test]
        fn no_retry_after_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse_retry_after(&text, SystemTime::now());
        }
    }
}
