//! Keycloak, the open identity provider that most people run: started once, shared by all tests named `keycloak_…`, with a
//! FHIR server before it that takes what Keycloak says is good.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::fhir::{PATIENT, protect};
use crate::support::tls::Authority;
use crate::support::{Answer, Medplum, Peer, Server, plain_http};

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
        let url = self.realm("clinic") + "/protocol/openid-connect/token/introspect";
        post_as_admin(&url, &format!("token={token}"))
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
        Front {
            server,
            medplum: Medplum::new(),
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

    /// Runs a command with the profile.
    #[track_caller]
    #[must_use]
    pub fn run(&self, words: &[&str]) -> crate::support::Run {
        self.medplum.run([words, &["-p", "clinic"]].concat())
    }
}

/// As the client that may ask about each token.
fn post_as_admin(url: &str, form: &str) -> Value {
    let client = STANDARD.encode(format!("admin:{SECRET}"));
    let headers = [
        ("Authorization", &*format!("Basic {client}")),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    plain_http::ask("POST", url, &headers, form).is(200).json()
}
