//! One connection of a browser: a request head of bounded size, and one page as the answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::page::{self, Page};

/// A head is read no further than this; codes of some servers take 4 kB.
const LARGEST_HEAD: usize = 32 << 10;
/// A browser sends its request at once.
const LONGEST_READ: Duration = Duration::from_secs(2);
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// What arrived.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A redirect at the callback's path.
    Back { query: String, reply: Reply },
    /// The browser at the address that this program opened: once, or once more.
    Start { reply: Reply, is_first: bool },
}

/// The paths that are answered.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) callback: String,
    /// Where the browser was sent to be sent on from there. The address of the server's page holds what another user
    /// of this machine could sign in with, and command lines are for all to read.
    pub(super) start: Option<String>,
    visited: AtomicBool,
}

impl Paths {
    pub(super) fn new(callback: String, start: Option<String>) -> Self {
        Self {
            callback,
            start,
            visited: AtomicBool::new(false),
        }
    }
}

/// A browser that waits for its page, or nobody when the answer was pasted.
#[derive(Debug)]
pub struct Reply(Option<TcpStream>);

impl Reply {
    pub(super) fn to_nobody() -> Self {
        Self(None)
    }

    /// Tells the person that it worked.
    pub async fn signed_in(self, server: &str, profile: &str) {
        self.send(&page::signed_in(server, profile)).await;
    }

    /// Tells the person that it did not, and why.
    pub async fn not_signed_in(self, reason: &str) {
        self.send(&page::not_signed_in(reason)).await;
    }

    /// Sends the browser on to the server's page.
    pub(super) async fn onward(self, target: &url::Url) {
        self.send(&page::onward(target)).await;
    }

    /// Tells whoever comes second that the sign-in is over.
    pub(super) async fn begun_already(self) {
        self.send(&page::begun_already()).await;
    }

    pub(super) async fn does_not_belong(self, reason: &'static str) {
        self.send(&page::does_not_belong(reason)).await;
    }

    async fn send(self, page: &Page) {
        if let Some(stream) = self.0 {
            let _ = tokio::time::timeout(LONGEST_WRITE, write(stream, page)).await;
        }
    }
}

/// Reads one request, unless `dropped` comes first; `None` when it was none that is waited for and has been answered.
pub(super) async fn receive(
    mut stream: TcpStream,
    paths: &Paths,
    dropped: &Notify,
) -> Option<Incoming> {
    let head = tokio::select! {
        head = tokio::time::timeout(LONGEST_READ, read_head(&mut stream)) => head.ok()??,
        () = dropped.notified() => return None,
    };
    match target(&head) {
        Ok((asked, query)) if asked == paths.callback => Some(Incoming::Back {
            query,
            reply: Reply(Some(stream)),
        }),
        Ok((asked, _)) if Some(&asked) == paths.start.as_ref() => Some(Incoming::Start {
            reply: Reply(Some(stream)),
            is_first: !paths.visited.swap(true, Ordering::SeqCst),
        }),
        Ok(_) => {
            Reply(Some(stream))
                .send(&page::refused("404 Not Found"))
                .await;
            None
        }
        Err(page) => {
            Reply(Some(stream)).send(&page).await;
            None
        }
    }
}

/// The head of a request; empty when it is too large.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        head.extend_from_slice(&buffer[..count]);
        if head.len() > LARGEST_HEAD {
            return Some(String::new());
        }
    }
    Some(String::from_utf8(head).unwrap_or_default())
}

/// Path and query of a GET on a loopback host; else the page that refuses it.
fn target(head: &str) -> Result<(String, String), Page> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(page::refused("400 Bad Request"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(page::refused("400 Bad Request"));
    }
    // A name that somebody points to 127.0.0.1 is not ours (DNS rebinding).
    let host = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim());
    if !host.is_some_and(is_loopback) {
        return Err(page::refused("421 Misdirected Request"));
    }
    if method != "GET" {
        return Err(page::refused("405 Method Not Allowed"));
    }
    let (asked, query) = target.split_once('?').unwrap_or((target, ""));
    Ok((asked.to_owned(), query.to_owned()))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn write(mut stream: TcpStream, page: &Page) -> std::io::Result<()> {
    stream.write_all(page.response().as_bytes()).await?;
    stream.shutdown().await?;
    // What is still unread would make the system reset the connection before the page is through.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(head: &str) -> Result<String, String> {
        match target(head) {
            Ok((path, query)) if path == "/cb" => Ok(query),
            Ok(_) => Err("404 ".into()),
            Err(page) => Err(page.status().to_owned()),
        }
    }

    #[test]
    fn only_a_get_of_the_callback_on_loopback_is_an_answer() {
        let host = "Host: localhost:9615\r\n\r\n";
        assert_eq!(
            asks(&format!("GET /cb?code=c&state=s HTTP/1.1\r\n{host}")).unwrap(),
            "code=c&state=s"
        );
        assert_eq!(
            asks("GET /cb HTTP/1.1\r\nhost: [::1]:1\r\n\r\n").unwrap(),
            ""
        );
        assert_eq!(
            asks("GET /cb HTTP/1.1\r\nA: b\r\nHOST: 127.0.0.1\r\n\r\n").unwrap(),
            ""
        );
        for (head, status) in [
            (format!("POST /cb HTTP/1.1\r\n{host}"), "405 "),
            (format!("GET /cb/ HTTP/1.1\r\n{host}"), "404 "),
            (format!("GET /favicon.ico HTTP/1.1\r\n{host}"), "404 "),
            (
                format!("GET http://localhost/cb HTTP/1.1\r\n{host}"),
                "404 ",
            ),
            (format!("GET /cb x HTTP/1.1\r\n{host}"), "400 "),
            (format!("GET /cb HTTP/2.0\r\n{host}"), "400 "),
            ("GET /cb HTTP/1.1\r\n\r\n".into(), "421 "),
            (
                "GET /cb HTTP/1.1\r\nHost: evil.example:9615\r\n\r\n".into(),
                "421 ",
            ),
            (
                "GET /cb HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n".into(),
                "421 ",
            ),
            (String::new(), "400 "),
        ] {
            assert!(asks(&head).unwrap_err().starts_with(status), "{head:?}");
        }
    }
}
