//! The place where the browser comes back: a listener on loopback, for one answer.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;
use url::{Host, Url};

use super::super::random::unguessable;
use super::answer::{Answer, Awaited, pasted_query};
use super::connection::{self, Incoming, Paths, Reply};
use super::{BrowserError, Person};
use crate::profile::{Key, ProfileError};

/// Beyond this many connections at once the one that has said nothing for longest is dropped.
const MOST_CONNECTIONS: usize = 16;
/// A flood of wrong answers fills no terminal.
const MOST_NOTICES: usize = 3;
/// How often a free port is looked for that is free on both addresses.
const TRIES: usize = 8;

/// Waits on loopback for the browser. With a callback on another machine there is no socket, and the answer is pasted.
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<TcpListener>,
    redirect_uri: String,
    path: String,
    /// The path that the browser is opened at, and where it is sent on to.
    start: Option<(String, Url)>,
}

impl Listener {
    /// Listens where a callback URL points to. `localhost` is both 127.0.0.1 and ::1, since browsers try either; port
    /// 0 is any free port (RFC 8252 §7.3). A callback on another machine, or with https, can only be pasted.
    ///
    /// # Errors
    /// The URL cannot be used, or its port is not free.
    pub(super) async fn bind(callback: &str) -> Result<Self, super::AuthError> {
        let bad = |reason: &str| ProfileError::BadSetting {
            key: Key::CallbackUrl,
            value: callback.to_owned(),
            reason: reason.to_owned(),
        };
        let url = Url::parse(callback).map_err(|error| bad(&error.to_string()))?;
        if url.fragment().is_some() {
            return Err(bad("a redirect URI has no fragment (RFC 6749 §3.1.2)").into());
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("write it as http://localhost:PORT/PATH").into());
        }
        let addresses: Vec<IpAddr> = match url.host() {
            Some(Host::Domain("localhost")) => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Some(Host::Ipv4(address)) if address.is_loopback() => vec![address.into()],
            Some(Host::Ipv6(address)) if address.is_loopback() => vec![address.into()],
            _ => Vec::new(),
        };
        let path = url.path().to_owned();
        if addresses.is_empty() || url.scheme() == "https" {
            return Ok(Self {
                sockets: Vec::new(),
                redirect_uri: callback.to_owned(),
                path,
                start: None,
            });
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let sockets = bind_all(&addresses, port)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => BrowserError::PortInUse {
                    port,
                    callback: callback.to_owned(),
                },
                _ => BrowserError::NoListener {
                    callback: callback.to_owned(),
                    reason: error.to_string(),
                },
            })?;
        let bound = sockets.first().and_then(|socket| socket.local_addr().ok());
        let redirect_uri = match bound {
            Some(bound) if port == 0 => with_port(callback, &url, bound.port()),
            // As it is registered, to the letter.
            _ => callback.to_owned(),
        };
        Ok(Self {
            sockets,
            redirect_uri,
            path,
            start: None,
        })
    }

    /// The redirect URI to send along.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// An address of this listener that leads on to `target`, once: another user of this machine who reads it off a
    /// command line comes second, or is noticed. `None` without a listener.
    pub(super) fn start_at(&mut self, target: &Url) -> Option<Url> {
        let address = self.sockets.first()?.local_addr().ok()?;
        let path = format!("/start/{}", unguessable::<16>());
        let url = Url::parse(&format!("http://{address}{path}")).ok()?;
        self.start = Some((path, target.clone()));
        Some(url)
    }

    /// Waits for the answer to this login, from the browser or pasted. Anything else is refused.
    ///
    /// # Errors
    /// No answer can come any more.
    pub(super) async fn answer(
        self,
        awaited: &Awaited,
        pasted: &mut UnboundedReceiver<String>,
        person: &dyn Person,
    ) -> Result<(Answer, Reply), BrowserError> {
        let mut refused = 0;
        let (sender, mut incoming) = mpsc::channel::<Incoming>(1);
        let (start, target) = self.start.unzip();
        let paths = Arc::new(Paths::new(self.path, start));
        let mut tasks = JoinSet::new();
        for socket in self.sockets {
            tasks.spawn(accept(socket, Arc::clone(&paths), sender.clone()));
        }
        drop(sender);
        let (mut browser_may_come, mut may_be_pasted) = (true, true);
        while browser_may_come || may_be_pasted {
            tokio::select! {
                came = incoming.recv(), if browser_may_come => match came {
                    Some(Incoming::Start { reply, is_first: true }) => {
                        if let Some(target) = target.clone() {
                            tokio::spawn(async move { reply.onward(&target).await });
                        }
                    }
                    Some(Incoming::Start { reply, is_first: false }) => {
                        reply.begun_already().await;
                        return Err(BrowserError::BegunTwice);
                    }
                    Some(Incoming::Back { query, reply }) => match awaited.read(&query) {
                        Ok(answer) => return Ok((answer, reply)),
                        Err(reason) => {
                            refused += 1;
                            if refused <= MOST_NOTICES {
                                person.refused(&format!("An answer was refused: {reason}. Still waiting."));
                            }
                            tokio::spawn(reply.does_not_belong(reason));
                        }
                    },
                    None => browser_may_come = false,
                },
                line = pasted.recv(), if may_be_pasted => match line {
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => match pasted_query(&line).map(|query| awaited.read(query)) {
                        Some(Ok(answer)) => return Ok((answer, Reply::to_nobody())),
                        Some(Err(reason)) => {
                            person.refused(&format!("That address was refused: {reason}. Still waiting."));
                        }
                        None => person.refused("That is not the address the browser ended at. Still waiting."),
                    },
                    None => may_be_pasted = false,
                },
            }
        }
        Err(BrowserError::NoWayBack {
            callback: self.redirect_uri,
        })
    }
}

/// One socket on each address. On a machine without IPv6 the other address is enough.
async fn bind_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let mut last = None;
    for _ in 0..if port == 0 { TRIES } else { 1 } {
        let mut sockets: Vec<TcpListener> = Vec::new();
        let mut taken = false;
        for address in addresses {
            let port = match sockets.first().map(TcpListener::local_addr) {
                Some(first) => first?.port(),
                None => port,
            };
            match TcpListener::bind(SocketAddr::new(*address, port)).await {
                Ok(socket) => sockets.push(socket),
                // Somebody else there would get the answer.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    taken = true;
                    last = Some(error);
                }
                Err(error) => last = Some(error),
            }
        }
        if !taken && !sockets.is_empty() {
            return Ok(sockets);
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// The callback with another port, and otherwise as it was written: no slash is added at its end.
fn with_port(text: &str, url: &Url, port: u16) -> String {
    let mut url = url.clone();
    let _ = url.set_port(Some(port));
    let mut shown = String::from(url);
    if !text.ends_with('/') && shown.ends_with('/') {
        shown.pop();
    }
    shown
}

/// Serves the connections of one socket, some at a time, so that idle ones (browsers open them on suspicion, another
/// user of this machine to be in the way) hold up no other.
async fn accept(socket: TcpListener, paths: Arc<Paths>, sender: mpsc::Sender<Incoming>) {
    let mut connections = JoinSet::new();
    let mut reading: VecDeque<Weak<Notify>> = VecDeque::new();
    loop {
        let stream: TcpStream = match socket.accept().await {
            Ok((stream, peer)) if peer.ip().is_loopback() => stream,
            Ok(_) => continue,
            Err(_) => {
                // Out of file handles, for example: try again when some connection has ended.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        reading.retain(|one| one.strong_count() > 0);
        while reading.len() >= MOST_CONNECTIONS
            && let Some(oldest) = reading.pop_front()
        {
            if let Some(oldest) = oldest.upgrade() {
                oldest.notify_one();
            }
        }
        let dropped = Arc::new(Notify::new());
        reading.push_back(Arc::downgrade(&dropped));
        let (paths, sender) = (Arc::clone(&paths), sender.clone());
        connections.spawn(async move {
            let received = connection::receive(stream, &paths, &dropped).await;
            drop(dropped);
            if let Some(incoming) = received {
                let _ = sender.send(incoming).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_is_put_in_without_touching_the_rest() {
        for (callback, expected) in [
            ("http://localhost:0", "http://localhost:7"),
            ("http://localhost:0/", "http://localhost:7/"),
            ("http://127.0.0.1:0/a/b", "http://127.0.0.1:7/a/b"),
            ("http://[::1]:0/cb/", "http://[::1]:7/cb/"),
        ] {
            let url = Url::parse(callback).unwrap();
            assert_eq!(with_port(callback, &url, 7), expected);
        }
    }

    #[tokio::test]
    async fn sockets_are_on_loopback_only() {
        let listener = Listener::bind("http://localhost:0/cb").await.unwrap();
        assert!(!listener.sockets.is_empty());
        for socket in &listener.sockets {
            assert!(socket.local_addr().unwrap().ip().is_loopback());
        }
        let elsewhere = Listener::bind("https://app.example/cb").await.unwrap();
        assert!(elsewhere.sockets.is_empty());
        assert_eq!(elsewhere.redirect_uri(), "https://app.example/cb");
        for bad in [
            "localhost:9615",
            "http://localhost:1/#x",
            "ftp://localhost/",
        ] {
            assert!(Listener::bind(bad).await.is_err(), "{bad}");
        }
    }
}
