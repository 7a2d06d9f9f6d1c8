//! A limit on a whole exchange: a server that sends a byte now and then never stands still, and never ends.

use std::time::Duration;

use url::Url;

use super::HttpError;

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
    // On the heap: whoever waits for it need not be as large as it is.
    tokio::time::timeout(limit, Box::pin(exchange))
        .await
        .unwrap_or_else(|_| {
            Err(HttpError::Timeout {
                url: Box::new(url.clone()),
                what: format!("not whole within {} s", limit.as_secs()),
            })
        })
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
