//! Whether a URL is that of a job, by what it answers to a GET, which changes nothing: a DELETE is for jobs alone, and where a
//! URL came from (a folder, a server that lies) does not say what is there.

use std::fmt;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use url::Url;

use super::{Answer, Client, FhirError, Refusal, TokenRule, asynchronous};
use crate::http::{Request, retry};
use crate::words;

/// What is at a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A job: it is not done, brings a manifest, or failed and says so.
    Job,
    /// Nothing any more.
    Gone,
    /// Something that can be read and is no job, in words.
    Other(String),
    /// It cannot be told; what it answers, in words.
    Unknown(String),
}

/// Looks what is at a URL.
///
/// # Errors
/// No answer, no token, or the server refuses this client.
pub async fn of(client: &Client, url: &Url) -> Result<Proof, FhirError> {
    let request = Request::new(Method::GET, url.clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = client.send(request, TokenRule::OwnOrigins).await?;
    let answer = Answer::beginning(Method::GET, answer).await?;
    let status = asynchronous::job_status(answer.status, &answer.headers);
    if status == StatusCode::ACCEPTED {
        return Ok(Proof::Job);
    }
    if status.is_success() {
        return Ok(match what_it_is(&answer.body) {
            What::Manifest => Proof::Job,
            What::Outcome => Proof::Unknown("it brings an OperationOutcome".to_owned()),
            What::Resource(name) => Proof::Other(format!(
                "it brings the resource {}",
                words::shortened(&name)
            )),
            What::Else => Proof::Unknown("it brings no manifest".to_owned()),
        });
    }
    let refusal = Refusal::of_answer(answer);
    match status.as_u16() {
        404 | 410 => Ok(Proof::Gone),
        401 | 403 | 429 => Err(FhirError::Refused(Box::new(refusal))),
        // A job that failed says why (Bulk Data 3.0, response - error). With 4xx so does a search that was refused, whose
        // DELETE may not be.
        _ if refusal.is_outcome && status.is_server_error() => Ok(Proof::Job),
        _ if retry::may_be_on_the_way(status) => Err(FhirError::Refused(Box::new(refusal))),
        _ => Ok(Proof::Unknown(refusal.to_string())),
    }
}

/// What a text is, as far as its beginning tells.
#[derive(Debug, PartialEq, Eq)]
enum What {
    Manifest,
    /// It is kept nowhere, so it is no resource, and says nothing of a job.
    Outcome,
    Resource(String),
    Else,
}

fn what_it_is(body: &[u8]) -> What {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut found = What::Else;
    // It may be cut: what came before that counts.
    let _ = serde_json::Deserializer::from_slice(text).deserialize_map(Top(&mut found));
    found
}

/// The first members of an object that tell what it is.
struct Top<'a>(&'a mut What);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "resourceType" => {
                    let name: String = members.next_value()?;
                    *self.0 = match name.as_str() {
                        "OperationOutcome" => What::Outcome,
                        _ => What::Resource(name),
                    };
                }
                // Bulk Data 3.0, response - output manifest. An `output` other texts have too.
                "transactionTime" | "requiresAccessToken" if *self.0 == What::Else => {
                    *self.0 = What::Manifest;
                    members.next_value::<IgnoredAny>()?;
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_told_from_a_resource_by_how_it_begins() {
        let resource = |name: &str| What::Resource(name.to_owned());
        for (text, expected) in [
            (
                r#"{"transactionTime":"x","output":[{"url":"#,
                What::Manifest,
            ),
            (
                r#"{"extension":{"a":[1]},"output":[],"requiresAccessToken":true}"#,
                What::Manifest,
            ),
            ("\u{feff}{\"transactionTime\":", What::Manifest),
            (r#"{"output":[{"type":{}}]}"#, What::Else),
            (
                r#"{"resourceType":"OperationOutcome","issue":["#,
                What::Outcome,
            ),
            (
                r#"{"resourceType":"Bundle","type":"batch-response"}"#,
                resource("Bundle"),
            ),
            (
                r#"{"resourceType":"Patient","id":"1"}"#,
                resource("Patient"),
            ),
            (
                r#"{"resourceType":"Task","output":[{"type":{}}]}"#,
                resource("Task"),
            ),
            (
                r#"{"id":"1","text":{"transactionTime":"x"},"resourceType":"Patient"}"#,
                resource("Patient"),
            ),
            (
                r#"{"transactionTime":"x","resourceType":"Task"}"#,
                resource("Task"),
            ),
            (r#"{"id":"1","output"#, What::Else),
            ("[]", What::Else),
            ("", What::Else),
            ("<html>", What::Else),
        ] {
            assert_eq!(what_it_is(text.as_bytes()), expected, "{text}");
        }
    }
}
