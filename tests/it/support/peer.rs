//! Servers that others wrote, from `tests/peers`: started for a test, ended with it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running peer. It ends when its stdin closes, which is when this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    origin: String,
}

impl Peer {
    /// oidc-provider with more settings than its own (the top of `oidc.mjs` says which).
    #[track_caller]
    pub fn oidc(config: &Value) -> Self {
        installed("node_modules/oidc-provider");
        let mut command = Command::new("node");
        command.arg("oidc.mjs");
        Self::configured(command, config)
    }

    /// Authlib's jwt-bearer grant.
    #[track_caller]
    pub fn jwt_bearer(config: &Value) -> Self {
        let python = installed(".venv/bin/python");
        let found = Command::new(&python)
            .args(["-c", "import authlib, flask"])
            .output();
        assert!(
            found.is_ok_and(|output| output.status.success()),
            "Authlib is not installed in tests/peers; run tests/run once"
        );
        let mut command = Command::new(python);
        command.arg("jwt_bearer.py");
        Self::configured(command, config)
    }

    #[track_caller]
    fn configured(mut command: Command, config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, config.to_string()).unwrap();
        command.arg("--config").arg(path);
        Self::start(command)
    }

    #[track_caller]
    fn start(mut command: Command) -> Self {
        let mut child = command
            .current_dir(peers())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; run tests/run once"));
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let Some(origin) = line.trim().strip_prefix("listening ").map(str::to_owned) else {
            let _ = child.kill();
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            panic!("{command:?} did not start: {line}{said}");
        };
        // Nobody reads on; a peer that says much must not stand still.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, origin }
    }

    /// A URL on the peer.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// What `tests/run` installs.
#[track_caller]
fn installed(path: &str) -> PathBuf {
    let path = peers().join(path);
    assert!(
        path.exists(),
        "the peers of the tests are not installed ({} is missing); run tests/run once",
        path.display()
    );
    path
}
