//! What the server itself says of a token and of who signed in: introspection (RFC 7662), userinfo (OpenID Connect Core §5.3).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue};
use serde_json::{Map, Value};

use super::applicant::Applicant;
use super::assertion::Clock;
use super::cache::Cache;
use super::endpoints::Endpoint;
use super::request::TokenRequest;
use super::whole::Whole;
use super::{AuthError, Authorization, Endpoints, Token, discovery, secret_command};
use crate::foreign::Foreign;
use crate::http::{Http, Request, clock};
use crate::profile::Profile;

/// A server that does not answer must not keep anybody waiting: what is known here is said anyway.
const LONGEST: Duration = Duration::from_secs(15);

/// What one endpoint said.
#[derive(Debug)]
pub enum Answered {
    /// The server has no such endpoint that may have the token.
    NotOffered,
    /// Why there is no answer.
    Failed(String),
    Said(Map<String, Value>),
}

/// What a server says.
#[derive(Debug)]
pub struct Said {
    pub introspection: Answered,
    pub userinfo: Answered,
    /// Why nobody could be asked, if that is so.
    nobody: Option<String>,
}

impl Said {
    fn nothing(why: String) -> Self {
        Self {
            introspection: Answered::NotOffered,
            userinfo: Answered::NotOffered,
            nobody: Some(why),
        }
    }

    /// Why it is not known whether the server takes the token; `None` when it said so.
    pub fn unknown(&self) -> Option<&str> {
        if let Answered::Said(said) = &self.introspection
            && said.get("active").is_some_and(Value::is_boolean)
        {
            return None;
        }
        match (&self.nobody, &self.introspection, &self.userinfo) {
            (_, _, Answered::Said(_)) => None,
            (Some(why), ..) => Some(why),
            (None, Answered::NotOffered, Answered::NotOffered) => {
                Some("the server offers no introspection and no userinfo that may have the token")
            }
            (None, Answered::Said(_), _) => Some("the server does not say whether it is active"),
            (None, ..) => Some("what the server answers does not tell"),
        }
    }
}

/// Asks. Failures are told, not raised: the token may be good all the same.
pub(super) async fn ask(
    http: &Http,
    profile: &Profile,
    cache: &Cache,
    applicant: &Applicant,
    token: (&Token, Option<Authorization>),
) -> Said {
    let asking = try_to_ask(http, profile, cache, applicant, token);
    match clock::within(LONGEST, asking).await {
        Some(Ok(said)) => said,
        Some(Err(error)) => Said::nothing(Foreign::new(&error.to_string()).to_string()),
        None => Said::nothing(format!("no answer within {} s", LONGEST.as_secs())),
    }
}

async fn try_to_ask(
    http: &Http,
    profile: &Profile,
    cache: &Cache,
    applicant: &Applicant,
    (token, authorization): (&Token, Option<Authorization>),
) -> Result<Said, AuthError> {
    let found = discovery::known(http, profile, cache).await?;
    let endpoints = Endpoints::of(profile, Some(found))?;
    let introspection = match endpoints.introspection() {
        Some(at) if profile.client_id.is_some() => {
            let asked = introspect(http, profile, applicant, (&endpoints, &at), token).await;
            asked.unwrap_or_else(|error| Answered::Failed(error.to_string()))
        }
        _ => Answered::NotOffered,
    };
    let userinfo = match (endpoints.userinfo(), authorization) {
        (Some(at), Some(authorization)) => {
            let mut request = Request::new(Method::GET, at.url().clone())
                .header(ACCEPT, HeaderValue::from_static("application/json"));
            authorization.put_on(&mut request)?;
            request.shows_certificate = true;
            let asked = answered(http, request).await;
            asked.unwrap_or_else(|error| Answered::Failed(error.to_string()))
        }
        _ => Answered::NotOffered,
    };
    Ok(Said {
        introspection,
        userinfo,
        nobody: None,
    })
}

/// The client proves itself, as RFC 7662 §2.1 asks, with an assertion for this endpoint alone.
async fn introspect(
    http: &Http,
    profile: &Profile,
    applicant: &Applicant,
    (endpoints, at): (&Endpoints, &Endpoint),
    token: &Token,
) -> Result<Answered, AuthError> {
    let profile = &*secret_command::with_secret(profile).await?;
    let proof = applicant.proof_of_login(profile, endpoints).await?;
    let request = TokenRequest::form()
        .with_secret("token", token.access_token.clone())
        .with("token_type_hint", Some("access_token"));
    let request = proof.add_for(at.url().as_str(), request, profile, Clock::default())?;
    answered(http, request.into_http(at)).await
}

async fn answered(http: &Http, request: Request) -> Result<Answered, AuthError> {
    let answer = Whole::of(http, request).await?;
    if !answer.status.is_success() {
        return Ok(Answered::Failed(format!("answered {}", answer.status)));
    }
    Ok(match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(said)) => Answered::Said(said),
        // A signed answer (RFC 9701) among them.
        _ => Answered::Failed("answered something that is no JSON object".into()),
    })
}

/// What an introspection says, as one line: whether the token is good, whose it is, what it may do, until when.
pub fn as_line(said: &Map<String, Value>) -> String {
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let mut parts = vec![
        match said.get("active").and_then(Value::as_bool) {
            Some(true) => "active",
            Some(false) => "not active, or not for this client to know",
            None => "nothing of whether it is active",
        }
        .to_owned(),
    ];
    for (member, name) in [
        ("client_id", "client"),
        ("scope", "scope"),
        ("sub", "sub"),
        ("username", "user"),
        ("fhirUser", "fhirUser"),
        ("patient", "patient"),
    ] {
        if let Some(value) = text(member) {
            parts.push(format!("{name} {}", Foreign::new(value).as_str()));
        }
    }
    let until = said.get("exp").and_then(Value::as_f64);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds that are no time are none below"
    )]
    let until = until.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    parts.extend(until.map(|until| format!("until {until}")));
    parts.join(", ")
}
