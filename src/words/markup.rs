//! What a page or an XML document says for people: without tags, scripts, and what is no word.

use super::shortened;

/// Where stores (S3, Google Cloud Storage, Azure) and SOAP services put their words for people; beside them may stand
/// what is none, such as the token of the request.
const XML_WORDS: [&str; 4] = ["code", "message", "faultcode", "faultstring"];

pub(super) fn of_page(text: &str) -> String {
    let title = shortened(&between(text, "<title", "</title>").unwrap_or_default());
    let shown = without_tags(text);
    let shown = shown.strip_prefix(title.as_str()).unwrap_or(&shown).trim();
    let parts: Vec<String> = [title.as_str(), shown]
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| shortened(part))
        .collect();
    match parts.as_slice() {
        [] => "an HTML page".to_owned(),
        parts => format!("an HTML page, \"{}\"", parts.join(" - ")),
    }
}

/// What an XML document says for people: a store's code and message, an OperationOutcome's text.
pub(super) fn of_xml(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for name in XML_WORDS {
        parts.extend(between(text, &format!("<{name}>"), &format!("</{name}>")));
    }
    if text.contains("<OperationOutcome") {
        for name in ["text", "diagnostics"] {
            let value = text
                .split_once(&format!("<{name} value=\""))
                .and_then(|(_, rest)| rest.split_once('"'));
            parts.extend(value.map(|(value, _)| value.to_owned()));
        }
    }
    if parts.is_empty() {
        return "an XML document".to_owned();
    }
    shortened(&without_tags(&parts.join(" - ")))
}

/// Whether a body is XML that is no page.
pub(super) fn is_xml(content_type: &str, text: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind == "application/xml"
        || kind == "text/xml"
        || kind.ends_with("+xml")
        || text.starts_with("<?xml")
}

/// Whether a body is a web page, whatever it calls itself.
pub fn is_html(content_type: &str, text: &str) -> bool {
    let start = text
        .trim_start()
        .get(..15)
        .unwrap_or(text)
        .to_ascii_lowercase();
    content_type.starts_with("text/html")
        || start.starts_with("<!doctype html")
        || start.starts_with("<html")
}

/// The text a person would see of a page, roughly: no tags, scripts or styles.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        text.push(' ');
        let tag = rest[start..]
            .get(..8)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let end = ["script", "style"]
            .iter()
            .find(|name| tag[1.min(tag.len())..].starts_with(**name))
            .map_or(">".to_owned(), |name| format!("</{name}>"));
        match rest[start..].find(&end) {
            Some(length) => rest = &rest[start + length + end.len()..],
            None => return text.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text inside the first element that starts with `open`.
fn between(text: &str, open: &str, close: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find(open)?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find(close)?;
    Some(text.get(start..end)?.trim().to_owned()).filter(|text| !text.is_empty())
}
