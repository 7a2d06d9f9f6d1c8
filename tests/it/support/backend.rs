//! A FHIR server whose token endpoint takes assertions, and a user who signs in there.

use serde_json::json;

use super::assertions::{Assertions, Client};
use super::fhir::{PATIENT, protect};
use super::keys::public_jwk;
use super::{Answer, Medplum, Run, Server};

/// The key id under which the endpoint knows the RSA key of the tests.
pub const KID: &str = "the-registered-kid";

/// A server with `/fhir/R4` behind an endpoint for assertions at `/oauth2/token`.
pub struct Backend {
    pub server: Server,
    pub tokens: Assertions,
    pub medplum: Medplum,
}

impl Backend {
    /// A server of SMART backend services that knows the three keys of the tests.
    pub fn smart() -> Self {
        let keys = json!({"keys": [
            public_jwk("rsa.jwk", KID),
            public_jwk("p256.jwk", "p256"),
            public_jwk("p384.jwk", "p384"),
        ]});
        Self::of(Client {
            id: "backend-client".to_owned(),
            keys,
            ..Client::default()
        })
    }

    /// A server of the jwt-bearer grant.
    pub fn bearer() -> Self {
        Self::of(Client {
            id: "bearer-client".to_owned(),
            secret: Some("bearer-secret-of-32-characters-!".to_owned()),
            user: Some(("https://issuer.example".to_owned(), "john_doe".to_owned())),
            ..Client::default()
        })
    }

    /// A server that knows this client.
    pub fn of(client: Client) -> Self {
        let server = Server::start();
        let tokens = Assertions::on(&server, "/oauth2/token", client);
        let accepting = tokens.clone();
        protect(&server, "/fhir/R4", move |header| accepting.accepts(header));
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, PATIENT));
        Self {
            server,
            tokens,
            medplum: Medplum::new(),
        }
    }

    /// Sets the profile `site` to the server, with these flags.
    #[track_caller]
    pub fn set_profile(&self, flags: &[&str]) -> Run {
        let base = self.server.url("/");
        let mut args = vec!["profile", "set", "site", "--base-url", &base];
        args.extend(["--token-url", "oauth2/token"]);
        args.extend(flags);
        self.medplum.run(args).ok()
    }

    /// Sets the profile of the SMART client with the key in this file, and these flags besides. The key goes by the
    /// registered id unless the flags name one.
    #[track_caller]
    pub fn set_key(&self, key: &str, flags: &[&str]) {
        let mut all = vec!["--auth-type", "jwt-assertion"];
        all.extend(["--client-id", "backend-client", "--private-key-path", key]);
        if !flags.contains(&"--key-id") {
            all.extend(["--key-id", KID]);
        }
        all.extend(flags);
        self.set_profile(&all);
    }

    /// Sets the profile of the jwt-bearer client, and these flags besides.
    #[track_caller]
    pub fn set_bearer(&self, flags: &[&str]) {
        let mut all = vec!["--auth-type", "jwt-bearer", "--client-id", "bearer-client"];
        all.extend(["--client-secret", "bearer-secret-of-32-characters-!"]);
        all.extend([
            "--subject",
            "john_doe",
            "--issuer",
            "https://issuer.example",
        ]);
        all.extend(flags);
        self.set_profile(&all);
    }

    /// Reads the patient with the profile.
    #[track_caller]
    pub fn get(&self) -> Run {
        self.medplum.run(["get", "-p", "site", "Patient/1"])
    }
}
