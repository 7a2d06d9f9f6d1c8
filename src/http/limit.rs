//! A limit on a whole exchange: a server that sends a byte now and then never stands still, and never ends.

use std::time::{Duration, Instant};

use url::Url;

use super::clock;
use super::error::{HttpError, NOT_WHOLE};

/// As long a request that others wait for may take from its first byte to the last of its answer.
pub const LONGEST_EXCHANGE: Duration = Duration::from_secs(60);

/// Does something within a time.
///
/// # Errors
/// [`HttpError::Timeout`], or what it fails with itself.
pub async fn within<T>(
    limit: Duration,
    url: &Url,
    exchange: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    clock::within(limit, exchange).await.unwrap_or_else(|| {
        Err(HttpError::Timeout {
            url: Box::new(url.clone()),
            what: format!("{NOT_WHOLE} within {} s", limit.as_secs()),
        })
    })
}

/// Whether a server that gave no whole answer in time is asked no more: what began at this moment has taken as long as one
/// request may.
pub fn is_over(error: &HttpError, started: Instant) -> bool {
    matches!(error, HttpError::Timeout { .. }) && started.elapsed() >= LONGEST_EXCHANGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_ends_is_ended() {
        let url = Url::parse("https://h.example/token").unwrap();
        let never = std::future::pending::<Result<(), HttpError>>();
        let ended = within(Duration::from_millis(5), &url, never).await;
        assert!(matches!(ended, Err(HttpError::Timeout { .. })), "{ended:?}");
        let done = within(LONGEST_EXCHANGE, &url, async { Ok(1) }).await;
        assert_eq!(done.unwrap(), 1);
    }
}
