//! Keycloak, the open identity provider that most people run: started once, shared by all tests named `keycloak_…`, with a
//! FHIR server before it that takes what Keycloak says is good.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::oidc_provider::{chromium, peer};
use crate::support::fhir::{PATIENT, protect};
use crate::support::tls::Authority;
use crate::support::{Answer, Medplum, Peer, Run, Server, plain_http};

/// The secret of each client that has one; the realms are in `tests/peers/keycloak`.
pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// The running server, and the authority that its certificate is of, and that it believes of clients.
pub struct Keycloak {
    peer: Peer,
    secure: String,
    pub authority: Authority,
}

/// The server, with which every test keeps to logins of its own; `None`, said on stderr, on a machine without Java.
pub fn keycloak() -> Option<&'static Keycloak> {
    static KEYCLOAK: OnceLock<Keycloak> = OnceLock::new();
    Peer::has_java().then(|| KEYCLOAK.get_or_init(start))
}

fn start() -> Keycloak {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.pair(&["localhost"]);
    let files = [("file", certificate), ("key-file", key)];
    let mut words = Vec::new();
    for (kind, text) in files {
        let path = folder.path().join(kind);
        std::fs::write(&path, text).unwrap();
        words.push(format!("--https-certificate-{kind}={}", path.display()));
    }
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    words.push(format!("--https-trust-store-file={}", trusted.display()));
    // How long it believes that a client has no other keys than those that it fetched.
    words.push("--spi-public-key-storage--infinispan--min-time-between-requests=0".into());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let peer = Peer::keycloak(&words);
    let secure = peer.said("listening https").unwrap();
    Keycloak {
        peer,
        secure: secure.trim_start_matches("listening ").to_owned(),
        authority,
    }
}

impl Keycloak {
    /// A realm's URL, which is its issuer.
    pub fn realm(&self, name: &str) -> String {
        self.peer.url(&format!("/realms/{name}"))
    }

    /// The same over TLS, where it asks for certificates.
    pub fn secure_realm(&self, name: &str) -> String {
        format!("{}/realms/{name}", self.secure)
    }

    /// What Keycloak says of a token of the realm `clinic`.
    pub fn introspect(&self, token: &str) -> Value {
        self.ask_as_admin("token/introspect", &format!("token={token}"))
    }

    /// Changes the realm `clinic` by Keycloak's admin API.
    #[track_caller]
    pub fn administer(&self, path: &str, body: &Value) {
        let token = self.ask_as_admin("token", "grant_type=client_credentials");
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
        ];
        let url = self.peer.url(&format!("/admin/realms/clinic/{path}"));
        plain_http::ask("POST", &url, &headers, &body.to_string()).is(201);
    }

    fn ask_as_admin(&self, endpoint: &str, form: &str) -> Value {
        let url = self.realm("clinic") + "/protocol/openid-connect/" + endpoint;
        let client = STANDARD.encode(format!("admin:{SECRET}"));
        let headers = [
            ("Authorization", &*format!("Basic {client}")),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        plain_http::ask("POST", &url, &headers, form).is(200).json()
    }

    /// A FHIR server whose SMART configuration names this issuer and nothing else, and that asks Keycloak about each token.
    pub fn front(&'static self, issuer: &str) -> Front {
        let server = Server::start();
        protect(&server, "/fhir/R4", |header| {
            let token = header.and_then(|value| value.split_once(' '));
            token.is_some_and(|(_, token)| self.introspect(token)["active"] == true)
        });
        let smart = json!({"issuer": issuer}).to_string();
        let at = "/fhir/R4/.well-known/smart-configuration";
        server.on("GET", at, Answer::new(200, "application/json", smart));
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, PATIENT));
        peer("node_modules/playwright-core/package.json");
        let medplum = Medplum::new();
        // `$USER_OF_REALM` signs in.
        let script = format!(
            "#!/bin/sh\nexec node '{}' --executable '{}' --result '{}' --user \"${{USER_OF_REALM:-practitioner}}\" \"$1\"\n",
            peer("keycloak.mjs").display(),
            chromium().display(),
            medplum.home().join("page.json").display(),
        );
        Front {
            server,
            medplum: medplum.opening_with(&script),
        }
    }
}

/// A FHIR server before Keycloak, and a user with the profile `clinic` for it.
pub struct Front {
    pub server: Server,
    pub medplum: Medplum,
}

impl Front {
    /// Sets the profile to the server and these flags.
    #[track_caller]
    pub fn set_profile(&self, flags: &[&str]) {
        let base = self.server.url("/");
        let args = ["profile", "set", "clinic", "--base-url", &base];
        self.medplum.run([&args[..], flags].concat()).ok();
    }

    /// Signs in by browser; the page that it ended with.
    #[track_caller]
    pub fn log_in(&self, flags: &[&str]) -> Value {
        let (run, page) = self.try_to_log_in(flags);
        assert_eq!(run.code, 0, "{page:#}\n{run}");
        assert_eq!(page["heading"], "You are signed in", "{page:#}\n{run}");
        page
    }

    /// The same, however it ends.
    #[track_caller]
    pub fn try_to_log_in(&self, flags: &[&str]) -> (Run, Value) {
        let run = self.run(&[&["login"], flags].concat());
        (run, page(&self.medplum.home().join("page.json")))
    }

    /// Runs a command with the profile.
    #[track_caller]
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Run {
        self.medplum.run([words, &["-p", "clinic"]].concat())
    }
}

/// A person with Chromium, who opens this address and signs in.
#[track_caller]
pub fn person(address: &str, more: &[&str]) -> Value {
    peer("node_modules/playwright-core/package.json");
    let done = Command::new("node")
        .arg(peer("keycloak.mjs"))
        .args(["--executable", &chromium().display().to_string()])
        .args(more)
        .arg(address)
        .output()
        .unwrap();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// What the browser of a login wrote down in the end.
#[track_caller]
fn page(file: &Path) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(text) = std::fs::read_to_string(file) {
            std::fs::remove_file(file).unwrap();
            return serde_json::from_str(&text).unwrap();
        }
        assert!(Instant::now() < deadline, "the browser wrote no page down");
        thread::sleep(Duration::from_millis(20));
    }
}
