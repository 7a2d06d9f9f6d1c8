//! What a token endpoint answered: read as JSON or as a form, its tokens known from then on, and of its words only those
//! that are for people.

use std::borrow::Cow;
use std::fmt;

use reqwest::StatusCode;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::foreign::Foreign;
use crate::secret::{self, Secret};
use crate::words;

/// Answers are small; anything larger is not one.
pub(super) const LARGEST: usize = 1 << 20;
/// More members than this no answer has; the rest is passed over.
const MOST_FIELDS: usize = 100;
/// The longest object or list that is kept, of `project` or `fhirContext` for example: it takes many times its length,
/// which a text does not.
const LONGEST_VALUE: usize = 16 << 10;
/// The media type of a form (RFC 6749, appendix B).
const FORM: &str = "application/x-www-form-urlencoded";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An answer of a token, device authorization or revocation endpoint.
#[derive(Debug)]
pub struct TokenAnswer {
    status: StatusCode,
    content_type: String,
    length: usize,
    /// Its members, when it is an object or a form.
    fields: Option<Map<String, Value>>,
    /// What it says when it is neither, and no success.
    text: Option<Foreign>,
    is_page: bool,
}

impl TokenAnswer {
    /// Reads an answer. Every token in it is masked in all that is said from now on.
    pub fn read(status: StatusCode, content_type: &str, body: &[u8]) -> Self {
        let json = body.strip_prefix(BOM).unwrap_or(body);
        let is_form = content_type
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM));
        let fields = match serde_json::from_slice::<Fields>(json) {
            Ok(fields) => Some(fields.0),
            Err(_) if is_form => Some(form(body)),
            Err(_) => None,
        };
        if let Some(fields) = &fields {
            remember(fields);
        }
        let start = String::from_utf8_lossy(&body[..body.len().min(1024)]);
        let is_page = fields.is_none() && words::is_html(content_type, &start);
        // Of a success that holds no token nothing is quoted: the token may well be in it, in a form nobody expects.
        let is_for_people = fields.is_none() && !status.is_success() && !looks_like_data(json);
        Self {
            status,
            content_type: content_type.to_owned(),
            length: body.len(),
            text: is_for_people
                .then(|| words::of_text(content_type, body))
                .flatten()
                .and_then(|text| Foreign::some(&secret::mask_tokens(&text))),
            fields,
            is_page,
        }
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The members of the object or form.
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        self.fields.as_ref()
    }

    /// A member that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.fields.as_ref()?.get(key)?.as_str()
    }

    /// The OAuth error code (RFC 6749 §5.2).
    pub fn code(&self) -> Option<Foreign> {
        Foreign::some(&secret::mask_tokens(self.text("error")?))
    }

    /// Whether it is a web page.
    pub fn is_page(&self) -> bool {
        self.is_page
    }

    /// The words for people in it, else what kind of answer it is.
    pub fn words(&self) -> Option<Foreign> {
        let said = self.text("error_description").or_else(|| {
            let message = || self.text("message").or_else(|| self.outcome());
            (!self.status.is_success()).then(message).flatten()
        });
        if let Some(said) = said {
            return Foreign::some(&secret::mask_tokens(said));
        }
        if self.text.is_some() {
            return self.text.clone();
        }
        if self.text("error").is_some() || self.length == 0 {
            return None;
        }
        Some(self.kind())
    }

    /// Some token endpoints answer with an OperationOutcome (Medplum).
    fn outcome(&self) -> Option<&str> {
        let issue = self.fields.as_ref()?.get("issue")?.get(0)?;
        let text = issue
            .pointer("/details/text")
            .or_else(|| issue.get("diagnostics"))?;
        text.as_str()
    }

    /// What may be said of any answer.
    fn kind(&self) -> Foreign {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        let kind = match kind.trim() {
            "" => "no content type",
            kind => kind,
        };
        let bytes = words::number_of(self.length, "byte");
        Foreign::new(&match &self.fields {
            Some(_) => format!("{kind}, {bytes}"),
            None if self.is_page => format!("an HTML page, {bytes}"),
            None => format!("{kind}, {bytes}, no JSON object"),
        })
    }
}

/// Whether a body that cannot be read was meant for programs.
fn looks_like_data(body: &[u8]) -> bool {
    matches!(
        body.trim_ascii_start().first(),
        Some(b'{' | b'[' | b'"' | b'\'')
    )
}

fn form(body: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(body)
        .take(MOST_FIELDS)
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect()
}

/// Has the tokens and codes of an answer masked from now on, wherever they stand in it.
fn remember(fields: &Map<String, Value>) {
    for (name, value) in fields {
        match value {
            Value::String(text) if is_secret(name) => drop(Secret::new(text.as_str())),
            Value::Object(inner) => remember(inner),
            Value::Array(items) => items.iter().filter_map(Value::as_object).for_each(remember),
            _ => {}
        }
    }
}

/// Whether the member of this name is not to be shown.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_word = matches!(
        name.as_str(),
        "token_type" | "issued_token_type" | "user_code"
    );
    let parts = ["token", "secret", "assertion", "password", "device_code"];
    !is_word && parts.iter().any(|part| name.contains(part))
}

/// The members of a JSON object, as many and as long as an answer may have; the rest is never built.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if fields.len() >= MOST_FIELDS && !fields.contains_key(&*name) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw = members.next_value::<&RawValue>()?.get();
            let is_small = raw.len() <= LONGEST_VALUE || raw.starts_with('"');
            if is_small && let Ok(value) = serde_json::from_str(raw) {
                fields.insert(name.into_owned(), value);
            }
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, content_type: &str, body: &str) -> TokenAnswer {
        let status = StatusCode::from_u16(status).unwrap();
        TokenAnswer::read(status, content_type, body.as_bytes())
    }

    #[test]
    fn objects_and_forms_are_read_with_or_without_a_bom() {
        for (kind, body) in [
            ("application/json", r#"{"access_token":"t-12345"}"#),
            ("", "\u{feff}{\"access_token\":\"t-12345\"}"),
            (
                "application/x-www-form-urlencoded; charset=UTF-8",
                "access_token=t%2D12345&scope=a",
            ),
        ] {
            assert_eq!(
                read(200, kind, body).text("access_token"),
                Some("t-12345"),
                "{body}"
            );
        }
    }

    #[test]
    fn nothing_of_a_success_that_cannot_be_read_is_quoted() {
        for body in [
            "access_token=canary-1&x=y",
            r#"{"access_token":"canary-1","#,
            r#"[{"access_token":"canary-1"}]"#,
            r#"{"access_token":"canary-1","n":NaN}"#,
            "canary-1",
            "<?xml version='1.0'?><t>canary-1</t>",
            "<html><title>canary-1</title>",
            "{'access_token':'canary-1'}",
        ] {
            for status in [200, 201] {
                let words = read(status, "text/plain", body).words().unwrap();
                assert!(!words.contains("canary"), "{body}: {words}");
                assert!(words.contains("bytes"), "{words}");
            }
        }
    }

    #[test]
    fn tokens_that_came_are_masked_in_the_words_beside_them() {
        let answer = read(
            400,
            "application/json",
            r#"{"error":"invalid_grant","error_description":"rt-canary-2 was used, take rt-canary-3","refresh_token":"rt-canary-3",
                "tokens":[{"old_token":"rt-canary-2"}]}"#,
        );
        assert_eq!(
            answer.words().unwrap().as_str(),
            "******** was used, take ********"
        );
        let answer = read(
            400,
            "text/plain",
            "token eyJhbGciOiJSUzM4NCJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl is bad",
        );
        assert_eq!(answer.words().unwrap().as_str(), "token ******** is bad");
    }

    #[test]
    fn an_answer_of_any_size_builds_no_more_than_an_answer_has() {
        let many: String =
            (0..50_000).fold(String::new(), |all, at| all + &format!("\"k{at}\":[[]],"));
        let long = format!(
            "{{\"a\":[{}0],{many}\"access_token\":\"t\"}}",
            "0,".repeat(100_000)
        );
        let answer = read(200, "application/json", &long);
        assert_eq!(answer.fields().unwrap().len(), MOST_FIELDS);
        assert!(answer.fields().unwrap().get("a").is_none());
        let deep = format!(
            "{{\"a\":{},\"access_token\":\"t-12345\"}}",
            "[".repeat(400_000) + &"]".repeat(400_000)
        );
        assert_eq!(read(200, "", &deep).text("access_token"), Some("t-12345"));
    }
}
