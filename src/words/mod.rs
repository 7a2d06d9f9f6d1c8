//! Words for people: numbers of things, measures, and what a server said that was not JSON, short enough for an error message.

mod json;
mod markup;
mod measures;

pub use json::{json_error, of_json, what_of_json};
pub use markup::is_html;
use markup::{is_xml, of_page, of_xml};
pub use measures::{size, time};

use crate::foreign::{Foreign, masked_start};

/// A number of things: `1 file`, `2 files`. The plural must be the word with an `s`.
pub fn number_of(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// The type of a FHIR resource that begins so, but of an OperationOutcome: what it holds is somebody's health.
fn resource_in(text: &str) -> Option<&str> {
    let (_, behind) = text.strip_prefix('{')?.split_once("\"resourceType\"")?;
    let name = behind.trim_start().strip_prefix(':')?.trim_start();
    let (name, _) = name.strip_prefix('"')?.split_once('"')?;
    let is_name = name.len() <= 64 && name.chars().all(|letter| letter.is_ascii_alphanumeric());
    (is_name && name != "OperationOutcome").then_some(name)
}

/// A text, XML or HTML body in one line; `None` when there is nothing to quote. Of a resource only its type is said.
pub fn of_text(content_type: &str, body: &[u8]) -> Option<String> {
    let text = masked_start(&String::from_utf8_lossy(body));
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return None;
    }
    if is_html(content_type, text) {
        return Some(of_page(text));
    }
    if is_xml(content_type, text) {
        return Some(of_xml(text));
    }
    if let Some(name) = resource_in(text) {
        return Some(format!("the resource {name}"));
    }
    if text
        .chars()
        .filter(|c| c.is_control() && !c.is_whitespace())
        .count()
        > 2
    {
        return Some("(binary data)".to_owned());
    }
    Some(shortened(text))
}

/// Somebody's words as one short line that steers no terminal.
pub fn shortened(text: &str) -> String {
    Foreign::new(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_title_and_text_is_quoted() {
        assert_eq!(
            of_text("text/html", b"<html><head><title>502 Bad\nGateway</title><style>a {}</style><p>try <b>later</b>").unwrap(),
            "an HTML page, \"502 Bad Gateway - try later\""
        );
        assert_eq!(
            of_text("application/json", b"<!DOCTYPE html><p>").unwrap(),
            "an HTML page"
        );
        assert_eq!(
            of_text("text/plain", b" bad\n credentials ").unwrap(),
            "bad credentials"
        );
        assert_eq!(of_text("", b""), None);
        assert_eq!(
            of_text(
                "application/xml",
                b"<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The token has expired.</Message>\
                  <Token-0>FwoGZXIvYXdzEJr</Token-0></Error>"
            )
            .unwrap(),
            "ExpiredToken - The token has expired."
        );
        assert_eq!(
            of_text("text/xml", b"<a><access_token>x</access_token></a>").unwrap(),
            "an XML document"
        );
    }
}
