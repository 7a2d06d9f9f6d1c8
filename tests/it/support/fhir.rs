//! A FHIR server behind a token endpoint, and a user with a profile for it.

use super::oauth::{CLIENT_ID, CLIENT_SECRET};
use super::{Answer, Medplum, Run, Server, TokenEndpoint};

/// A patient whose numbers tell a client that rounds from one that does not.
pub const PATIENT: &str =
    r#"{"resourceType":"Patient","id":"1","multipleBirthInteger":2,"active":true}"#;

/// A server with `/fhir/R4` behind a token endpoint at `/oauth2/token`, and the profile `site` for it.
pub struct Site {
    pub server: Server,
    pub tokens: TokenEndpoint,
    pub medplum: Medplum,
}

impl Site {
    /// A site whose profile uses client credentials and names its token URL.
    pub fn open() -> Self {
        let site = Self::without_profile();
        site.set_profile(&[
            "--auth-type",
            "client-credentials",
            "--token-url",
            "oauth2/token",
        ]);
        site
    }

    /// A site nobody has a profile for yet.
    pub fn without_profile() -> Self {
        Self::with_token_endpoint("/oauth2/token")
    }

    /// The same with its token endpoint at another path.
    pub fn with_token_endpoint(path: &str) -> Self {
        let server = Server::start();
        let tokens = TokenEndpoint::on(&server, path);
        let accepting = tokens.clone();
        protect(&server, "/fhir/R4", move |header| accepting.accepts(header));
        names_token_endpoint(&server, "/fhir/R4", path);
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, PATIENT));
        Self {
            server,
            tokens,
            medplum: Medplum::new(),
        }
    }

    /// Sets the profile `site` to the server, the client of the docs page and these flags.
    #[track_caller]
    pub fn set_profile(&self, flags: &[&str]) {
        let base = self.server.url("/");
        let mut args = vec!["profile", "set", "site", "--base-url", &base];
        args.extend(["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]);
        args.extend(flags);
        self.medplum.run(args).ok();
    }

    /// Reads the patient with the profile.
    #[track_caller]
    #[must_use]
    pub fn get(&self) -> Run {
        self.medplum.run(["get", "-p", "site", "Patient/1"])
    }

    /// How often the patient was asked for.
    pub fn gets(&self) -> usize {
        self.server.requests_to("/fhir/R4/Patient/1").len()
    }
}

/// Has a server name its token endpoint in the SMART configuration below a FHIR base.
pub fn names_token_endpoint(server: &Server, base: &str, path: &str) {
    let smart = serde_json::json!({"token_endpoint": server.url(path)}).to_string();
    let target = format!("{base}/.well-known/smart-configuration");
    server.on("GET", &target, Answer::new(200, "application/json", smart));
}

/// Asks for a good token below a path, but for what SMART and FHIR leave open.
pub fn protect(
    server: &Server,
    base: &str,
    accepts: impl Fn(Option<&str>) -> bool + Send + Sync + 'static,
) {
    let base = format!("{base}/");
    server.guard(move |request| {
        let inside = request.path().strip_prefix(&base)?;
        if inside.starts_with(".well-known/")
            || inside == "metadata"
            || accepts(request.header("Authorization"))
        {
            return None;
        }
        let answer = Answer::outcome(401, "login", "a good token is needed");
        Some(answer.header("WWW-Authenticate", r#"Bearer error="invalid_token""#))
    });
}
