//! The conditions of a write: an entity tag (`If-Match`) and a search (`If-None-Exist`). A server takes one that is empty
//! for none, so that an unset variable of a script would write over what was to be kept.

use reqwest::header::HeaderValue;
use url::{Url, form_urlencoded};

/// An entity tag (RFC 9110 §8.8.3); a bare version becomes a weak one, as FHIR's are (R4 §3.1.0.1.3).
pub(super) fn etag(text: &str) -> Result<HeaderValue, String> {
    let text = text.trim();
    let is_version = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
    };
    let bare = text.strip_prefix("W/").unwrap_or(text);
    let tag = if text == "*" || text.split(',').all(|tag| is_tag(tag.trim())) {
        text.to_owned()
    } else if is_version(bare) {
        format!("W/\"{bare}\"")
    } else {
        let what = if text.is_empty() {
            "it is empty"
        } else {
            "it is no entity tag"
        };
        return Err(format!("{what}; write a version as 3 or W/\"3\""));
    };
    tag.parse()
        .map_err(|_| "it is no value of a header".to_owned())
}

fn is_tag(text: &str) -> bool {
    let opaque = text.strip_prefix("W/").unwrap_or(text);
    let inner = opaque
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| {
        inner
            .bytes()
            .all(|byte| byte > b' ' && byte != b'"' && byte != 0x7f)
    })
}

/// The parameters of a search (FHIR R4 §3.1.0.8.1), each with a value; what a header cannot hold is percent-encoded.
pub(super) fn query(text: &str) -> Result<HeaderValue, String> {
    let text = text.trim().trim_start_matches('?');
    if text.is_empty() {
        return Err("it is empty; write a search, such as identifier=sys|123".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("it holds a line break or another control character".to_owned());
    }
    let mut parameters = 0;
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        parameters += 1;
        if value.trim().is_empty() {
            return Err(format!(
                "`{name}` has no value, so that the search would find anything"
            ));
        }
    }
    if parameters == 0 {
        return Err("it holds no parameter".to_owned());
    }
    let mut url = Url::parse("http://query.invalid/").map_err(|error| error.to_string())?;
    url.set_query(Some(text));
    let encoded = url.query().unwrap_or_default();
    encoded
        .parse()
        .map_err(|_| "it is no value of a header".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_version_becomes_an_entity_tag_and_nothing_is_refused() {
        for (text, tag) in [
            ("3", r#"W/"3""#),
            ("W/3", r#"W/"3""#),
            (r#"W/"3""#, r#"W/"3""#),
            (r#""3""#, r#""3""#),
            (r#"W/"3", "4""#, r#"W/"3", "4""#),
            ("*", "*"),
            ("MTY0MDE5OTU5=", r#"W/"MTY0MDE5OTU5=""#),
        ] {
            assert_eq!(etag(text).unwrap(), tag, "{text}");
        }
        for bad in ["", " ", "W/", "\"", "W/\"3", "a b", "3,4", "\"a\nb\"", "ä"] {
            assert!(etag(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_search_keeps_what_a_header_can_hold() {
        for (text, encoded) in [
            ("identifier=sys|123", "identifier=sys|123"),
            ("?name=Zo\u{eb} B&x=1", "name=Zo%C3%AB%20B&x=1"),
            (
                "identifier=http%3A%2F%2Fs%7C1",
                "identifier=http%3A%2F%2Fs%7C1",
            ),
            ("a=1#2", "a=1%232"),
        ] {
            assert_eq!(query(text).unwrap(), encoded, "{text}");
        }
        for bad in [
            "",
            "?",
            " ",
            "&",
            "identifier=",
            "name=x&identifier=",
            "a=1\r\nX: y",
        ] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }
}
