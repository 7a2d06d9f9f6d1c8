//! `medplum sandbox` as a server that tests ask by hand.

use serde_json::Value;

use super::Medplum;
use super::plain_http::{self, Reply};
use super::run::Running;

/// A sandbox that ends with the test, and what it says of itself.
pub struct Sandbox {
    running: Running,
    facts: Value,
}

impl Sandbox {
    /// Starts one with these flags, as this user.
    pub fn start(medplum: &Medplum, flags: &[&str]) -> Self {
        let mut args = vec!["sandbox", "--port", "0", "-o", "json"];
        args.extend(flags);
        let running = medplum.spawn(args);
        running.stdout_line("}");
        let facts = running.stdout_so_far();
        Self {
            running,
            facts: serde_json::from_str(&facts).unwrap(),
        }
    }

    /// What it has printed so far.
    pub fn so_far(&self) -> String {
        self.running.so_far()
    }

    /// One of the facts.
    pub fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    /// The FHIR base, without a slash at its end.
    pub fn fhir_base(&self) -> String {
        format!("{}{}", self.fact("baseUrl"), self.fact("fhirUrlPath"))
    }

    /// A header with a token that is good.
    #[track_caller]
    pub fn bearer(&self) -> String {
        let form = "grant_type=client_credentials";
        let (id, secret) = (self.fact("clientId"), self.fact("clientSecret"));
        let form = format!("{form}&client_id={id}&client_secret={secret}");
        let reply = self.ask_for_token(&[], &form).is(200);
        format!("Bearer {}", reply.json()["access_token"].as_str().unwrap())
    }

    /// Sends a token request.
    #[track_caller]
    pub fn ask_for_token(&self, headers: &[(&str, &str)], form: &str) -> Reply {
        let url = format!("{}oauth2/token", self.fact("baseUrl"));
        let form_type = ("Content-Type", "application/x-www-form-urlencoded");
        plain_http::ask("POST", &url, &[&[form_type], headers].concat(), form)
    }

    /// Makes the profile `sandbox` for a user.
    pub fn set_profile(&self, medplum: &Medplum) {
        let mut args = vec!["profile", "set", "sandbox"];
        args.extend([
            "--base-url",
            self.fact("baseUrl"),
            "--fhir-url-path",
            self.fact("fhirUrlPath"),
        ]);
        args.extend([
            "--client-id",
            self.fact("clientId"),
            "--client-secret",
            self.fact("clientSecret"),
        ]);
        medplum.run(args).ok();
    }
}
