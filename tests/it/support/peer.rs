//! Peers: servers and clients that others wrote, as `tests/peers/NOTES.md` tells of them. `tests/run` installs them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::medplum::Invocation;
use super::run::Stream;
use super::{Medplum, plain_http};

/// A peer that is not ready by then is none. Those in Java need ten seconds of a free machine, and a busy one gives them minutes.
const PATIENCE: Duration = Duration::from_secs(420);

/// A server that runs until it is dropped, or until the tests end: it ends when its stdin does.
#[derive(Debug)]
pub struct Peer {
    origin: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Stream,
}

impl Peer {
    /// Medplum's FHIR router; its base is `/fhir/R4`.
    pub fn router(args: &[&str]) -> Self {
        Self::start(&node("fhir-router.mjs"), args)
    }

    /// `oidc-provider` with a small SMART server behind it; its base is `/fhir/R4`.
    pub fn oidc(args: &[&str]) -> Self {
        Self::start(&node("oidc.mjs"), args)
    }

    /// `oidc-provider` with more settings than its own (the top of `oidc.mjs` says which).
    pub fn oidc_with(config: &Value) -> Self {
        Self::configured(&node("oidc.mjs"), config)
    }

    /// `oidc-provider` with DPoP and a FHIR server that checks proofs with `jose`; its base is `/fhir/R4`.
    pub fn dpop(config: &Value) -> Self {
        Self::configured(&node("dpop.mjs"), config)
    }

    /// Authlib's jwt-bearer grant.
    pub fn jwt_bearer(config: &Value) -> Self {
        let words = [python("python"), folder().join("jwt_bearer.py")];
        Self::configured(&words.map(PathBuf::into_os_string), config)
    }

    /// idpyoidc's token exchange, which knows these public keys of its client; its base is `/fhir/R4`.
    pub fn token_exchange(keys: &[Value]) -> Self {
        let words = [python("python"), folder().join("token_exchange.py")];
        let config = json!({"jwks": {"keys": keys}});
        Self::configured(&words.map(PathBuf::into_os_string), &config)
    }

    fn configured(words: &[OsString], config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        // It has read the file when it says that it listens.
        Self::start(words, &["--config", &path.display().to_string()])
    }

    /// `sekmet-fhir`, which exports in bulk; its base is `/fhir`.
    pub fn sekmet(args: &[&str]) -> Self {
        let words = [python("python"), folder().join("sekmet-server.py")];
        Self::start(&words.map(PathBuf::into_os_string), args)
    }

    /// Whether the peers in Java are to run here: `tests/run` says when they cannot.
    pub fn has_java() -> bool {
        let without = std::env::var_os("MEDPLUM_TEST_WITHOUT_JAVA").is_some();
        if without {
            eprintln!("left out: there is no Java 17 with javac and Maven here");
        }
        !without
    }

    /// HAPI's JPA server; its base is `/fhir`, and `/NAME` for each `--also NAME`.
    pub fn hapi(args: &[&str]) -> Self {
        let _ = installed("hapi/target/.installed");
        let classes = folder().join("hapi/target/classes.jsa");
        let arguments = format!("@{}", folder().join("hapi/target/arguments.txt").display());
        let words = [
            "java".into(),
            format!("-XX:SharedArchiveFile={}", classes.display()),
            arguments,
            "peer.Hapi".into(),
        ];
        Self::start(&words.map(OsString::from), args)
    }

    /// Keycloak with the realms of its import files; the words are for its `start`.
    pub fn keycloak(args: &[&str]) -> Self {
        let _ = installed("keycloak/target/.installed");
        let arguments = folder().join("keycloak/target/arguments.txt");
        let arguments = format!("@{}", arguments.display());
        let words = ["java".into(), arguments, "peer.Keycloak".into()];
        Self::start(&words.map(OsString::from), args)
    }

    fn start(words: &[OsString], args: &[&str]) -> Self {
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {words:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        let mut peer = Self {
            origin: String::new(),
            child,
            stdin,
            stdout,
        };
        let line = peer.said("listening http");
        let line = line.unwrap_or_else(|| panic!("{words:?} is not ready:\n{}", stderr.text()));
        line.trim_start_matches("listening ")
            .clone_into(&mut peer.origin);
        peer
    }

    /// The first line of its stdout with this text, waiting for it.
    pub fn said(&self, text: &str) -> Option<String> {
        self.stdout.line(text, Instant::now() + PATIENCE)
    }

    /// An absolute URL on this peer.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The requests that a peer had.
    pub fn requests(&self) -> Vec<Value> {
        let requests = self.get_json("/_requests");
        serde_json::from_value(requests).unwrap()
    }

    /// What it answers here.
    pub fn get_json(&self, path: &str) -> Value {
        let reply = plain_http::ask("GET", &self.url(path), &[], "");
        serde_json::from_slice(&reply.body).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stdin = None;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Medplum {
    /// Prepares the Medplum CLI with these arguments, on the machine and with the profiles of this user.
    pub fn medplum_cli<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(
        &self,
        args: I,
    ) -> Invocation<'_> {
        let mut words = node("node_modules/@medplum/cli/dist/cjs/index.cjs");
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.program(words)
    }

    /// Prepares smart-fetch with these arguments.
    pub fn smart_fetch<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(
        &self,
        args: I,
    ) -> Invocation<'_> {
        let mut words = vec![python("smart-fetch").into_os_string()];
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self.program(words)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

fn node(script: &str) -> Vec<OsString> {
    let _ = installed("node_modules/.installed");
    vec!["node".into(), folder().join(script).into_os_string()]
}

fn python(program: &str) -> PathBuf {
    let _ = installed(".venv/.installed");
    folder().join(".venv/bin").join(program)
}

fn installed(stamp: &str) -> PathBuf {
    let path = folder().join(stamp);
    assert!(
        path.is_file(),
        "{} is missing: the peers of the tests are not installed. Run tests/run, which installs them",
        path.display()
    );
    path
}
