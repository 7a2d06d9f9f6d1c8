//! Words for people: numbers of things, and what a server said that was not JSON, short enough for an error message.

/// The most of a server's text that an error quotes.
const LONGEST: usize = 300;

/// A number of things: `1 file`, `2 files`. The plural must be the word with an `s`.
pub fn number_of(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// A text or HTML body in one line; `None` when there is nothing to quote.
pub fn of_text(content_type: &str, body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return None;
    }
    if is_html(content_type, text) {
        let title = shortened(&between(text, "<title", "</title>").unwrap_or_default());
        let shown = without_tags(text);
        let shown = shown.strip_prefix(title.as_str()).unwrap_or(&shown).trim();
        let parts: Vec<String> = [title.as_str(), shown]
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| shortened(part))
            .collect();
        return Some(match parts.as_slice() {
            [] => "an HTML page".to_owned(),
            parts => format!("an HTML page, \"{}\"", parts.join(" - ")),
        });
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

/// One line of at most 300 characters.
pub fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let mut short: String = line.chars().take(LONGEST).collect();
    short.push('…');
    short
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
    }
}
