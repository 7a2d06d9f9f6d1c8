//! How the client shows who it is: with its secret in the header or in the body, never both (RFC 6749 §2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::Asked;
use super::super::answer::{Answer, Result};
use super::{Form, error};

pub(in super::super) const ID: &str = "demo-client";
pub(in super::super) const SECRET: &str = "demo-secret";

/// Passes the client's requests, and refuses all others.
pub(super) fn authenticate(asked: &Asked, form: &Form) -> Result<()> {
    let header = asked.header("authorization");
    let in_body = form.get("client_secret");
    if !header.is_empty() && in_body.is_some() {
        let words = "the client shows its secret in the header and in the body";
        return Err(error(400, "invalid_request", words));
    }
    let (id, secret) = match (basic(header), in_body) {
        (Some((id, secret)), _) => (form_decoded(&id), form_decoded(&secret)),
        (None, Some(secret)) => (
            form.get("client_id").unwrap_or_default().to_owned(),
            secret.to_owned(),
        ),
        (None, None) => return Err(invalid("the client does not show who it is")),
    };
    // Beside the header, an id in the body is allowed, but no other one.
    let is_other = form.get("client_id").is_some_and(|told| told != id);
    if is_other || !is_right(&id, &secret) {
        return Err(invalid("client id or client secret is wrong"));
    }
    Ok(())
}

/// Whether a header is HTTP Basic of the client; a FHIR server that takes it decodes nothing more.
pub(super) fn is_basic(authorization: &str) -> bool {
    basic(authorization).is_some_and(|(id, secret)| is_right(&id, &secret))
}

/// What follows a scheme, whose name may be written in any way (RFC 9110 §11.1).
pub(super) fn credentials<'a>(authorization: &'a str, scheme: &str) -> Option<&'a str> {
    let (told, rest) = authorization.split_once(' ')?;
    told.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(credentials(authorization, "Basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// Both halves are form-encoded before they are put together.
fn form_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn is_right(id: &str, secret: &str) -> bool {
    (id, secret) == (ID, SECRET)
}

fn invalid(words: &str) -> Answer {
    error(401, "invalid_client", words).with("www-authenticate", "Basic realm=\"sandbox\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_found_however_it_is_written() {
        let header = format!("basic {}", STANDARD.encode("demo-client:demo-secret"));
        assert!(is_basic(&header));
        assert!(!is_basic("Basic x") && !is_basic("") && !is_basic("Bearer x"));
        assert_eq!(form_decoded("a%2Bb+c"), "a+b c");
        assert_eq!(form_decoded("a%3D%26"), "a=&");
    }
}
