//! A person at a browser: catches the URL that a login opens, and visits the address that the server sends back to.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

use super::Medplum;
use super::run::Running;

const PATIENCE: Duration = Duration::from_secs(20);

impl Medplum {
    /// A machine on which `$BROWSER` writes down what it is to open.
    pub fn with_browser() -> Self {
        let medplum = Self::new();
        let program = medplum.home().join("browser");
        let notes = medplum.home().join("opened");
        // A rename, so that nobody reads half a line.
        let script = format!(
            "#!/bin/sh\nprintf '%s' \"$*\" > '{0}.new'\nmv '{0}.new' '{0}'\n",
            notes.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        medplum.env("BROWSER", program)
    }

    /// The page of the server that a login opened, waiting for it.
    #[track_caller]
    pub fn opened(&self, login: &Running) -> String {
        followed(&self.noted(login))
    }

    /// The address that a login gave to the browser, waiting for it.
    #[track_caller]
    pub fn noted(&self, login: &Running) -> String {
        let notes = self.home().join("opened");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(url) = fs::read_to_string(&notes) {
                fs::remove_file(&notes).unwrap();
                return url;
            }
            assert!(
                Instant::now() < deadline,
                "no browser was opened\n{}",
                login.so_far()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Where an address of the login's own listener leads; another address is itself.
fn followed(url: &str) -> String {
    let parsed = Url::parse(url).unwrap();
    if !parsed.path().starts_with("/start/") {
        return url.to_owned();
    }
    let page = visit(&parsed);
    assert_eq!(page.status, 302, "{}", page.head);
    let location = page
        .head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "));
    location.unwrap().to_owned()
}

/// What a browser got.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Visits a URL and waits for its page.
#[track_caller]
pub fn visit(url: &Url) -> Page {
    let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    request(
        url,
        &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"),
    )
}

/// Sends these bytes to the server of a URL and reads to the end.
#[track_caller]
pub fn request(url: &Url, bytes: &str) -> Page {
    let mut stream = connect(url);
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or((answer.as_str(), ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Page {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Connects to the listener of a callback.
#[track_caller]
pub fn connect(url: &Url) -> TcpStream {
    let address: SocketAddr = match url.host().unwrap() {
        url::Host::Ipv6(address) => (address, url.port().unwrap()).into(),
        _ => ([127, 0, 0, 1], url.port().unwrap()).into(),
    };
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
