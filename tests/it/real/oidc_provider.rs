//! `oidc-provider`, a certified OAuth server, as a SMART server on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use url::Url;

/// A running provider; it ends when dropped.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    _folder: TempDir,
    pub origin: String,
}

/// The folder of peers, in which this file must be.
#[track_caller]
pub fn peer(file: &str) -> PathBuf {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let path = peers.join(file);
    assert!(
        path.exists(),
        "{} is missing: run tests/run, which installs the peers",
        path.display()
    );
    path
}

/// Chromium under one of its names.
#[track_caller]
pub fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|folder| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name))
        })
        .find(|program| program.is_file())
        .expect("Chromium is missing: run tests/run, which installs it")
}

impl Provider {
    /// Starts it with a config (see the top of `oidc.mjs`) and tokens of this many seconds.
    #[track_caller]
    pub fn start(config: &Value, token_seconds: u32) -> Self {
        peer("node_modules/oidc-provider/package.json");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut child = Command::new("node")
            .arg(peer("oidc.mjs"))
            .args(["--ttl", &token_seconds.to_string(), "--config"])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is missing: run tests/run");
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let origin = line
            .trim()
            .strip_prefix("listening ")
            .unwrap_or_else(|| panic!("oidc.mjs said {line:?}"));
        Self {
            origin: origin.to_owned(),
            child,
            _folder: folder,
        }
    }

    /// The requests it had, and what each token request held.
    pub fn requests(&self) -> Vec<Value> {
        let url = Url::parse(&self.origin).unwrap();
        let address = format!("127.0.0.1:{}", url.port().unwrap());
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /_requests HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// The token requests of one grant, as the provider judged them.
    pub fn grants(&self, grant_type: &str) -> Vec<Value> {
        let is_one =
            |request: &Value| request["token"].is_string() && request["grant_type"] == grant_type;
        self.requests().into_iter().filter(is_one).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
