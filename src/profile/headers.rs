//! Headers given with `-H`, as a setting: one `Name: value` a line. A name without a value takes a header away.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::ProfileError;
use crate::secret::{self, MASK, Secret};

/// Shorter values of unknown headers are masked where headers are shown, and not in every text.
const STANDS_OUT: usize = 8;

/// A header, or the wish to have none of that name.
type Header = (HeaderName, Option<HeaderValue>);

/// Reads one `Name: value` or `Name:`.
///
/// # Errors
/// [`ProfileError::BadHeader`] with the name alone: the rest may be a secret.
fn parse(line: &str) -> Result<Header, ProfileError> {
    let read = || {
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.trim().parse().ok()?;
        if value.trim().is_empty() {
            return Some((name, None));
        }
        let mut value: HeaderValue = value.trim().parse().ok()?;
        value.set_sensitive(!secret::is_harmless_header(&name));
        Some((name, Some(value)))
    };
    read().ok_or_else(|| {
        let is_of_a_name = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
        ProfileError::BadHeader(line.chars().take_while(is_of_a_name).collect())
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// The headers of several settings, the weakest first; a later one replaces an earlier one of its name.
///
/// # Errors
/// A line is no header.
pub(super) fn map(texts: &[&str]) -> Result<HeaderMap, ProfileError> {
    let mut headers = HeaderMap::new();
    for line in texts.iter().flat_map(|text| lines(text)) {
        match parse(line)? {
            (name, Some(value)) => headers.insert(name, value),
            (name, None) => headers.remove(name),
        };
    }
    Ok(headers)
}

/// One setting of two, to be stored: what is given replaces what is stored of the same name, or takes it away.
pub(super) fn merged(stored: &str, given: &str) -> String {
    let name = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    };
    let mut kept: Vec<&str> = Vec::new();
    for line in lines(stored).chain(lines(given)) {
        kept.retain(|other| name(other) != name(line));
        if line
            .split_once(':')
            .is_some_and(|(_, value)| !value.trim().is_empty())
        {
            kept.push(line.trim());
        }
    }
    kept.join("\n")
}

/// Whether one of the headers may be a secret.
pub(super) fn hold_secret(text: &str) -> bool {
    lines(text).any(is_secret)
}

/// Of a header that is not known nobody can tell, and a line whose name cannot be read may be anything.
fn is_secret(line: &str) -> bool {
    parse(line).map_or(true, |(name, _)| !secret::is_harmless_header(&name))
}

/// Whether a value is long enough to be told from the words around it. Of a header whose name says that it is a secret
/// every value is.
fn stands_out(line: &str, value: &str) -> bool {
    parse(line).map_or(true, |(name, _)| secret::is_sensitive_header(&name))
        || value.len() >= STANDS_OUT
}

/// Has the secrets in it masked in all output from here on.
pub(super) fn hide(text: &str) {
    for line in lines(text).filter(|line| is_secret(line)) {
        let value = line.split_once(':').map_or(line, |(_, value)| value).trim();
        if !stands_out(line, value) {
            continue;
        }
        let _ = Secret::new(value);
        // `Authorization: Scheme credential`: the credential may be shown alone.
        if let Some((_, credential)) = value.split_once(' ') {
            let _ = Secret::new(credential.trim());
        }
    }
}

/// The headers with their secrets masked.
pub(super) fn shown(text: &str) -> String {
    let line = |line| match str::split_once(line, ':') {
        Some((name, _)) if is_secret(line) => format!("{}: {MASK}", name.trim()),
        None => MASK.to_owned(),
        _ => line.to_owned(),
    };
    lines(text).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_or_removes_what_is_stored_whatever_the_case_of_its_name() {
        let stored = "X-Tenant: a\nOcp-Apim-Subscription-Key: one";
        assert_eq!(
            merged(stored, "x-tenant: b"),
            "Ocp-Apim-Subscription-Key: one\nx-tenant: b"
        );
        assert_eq!(merged(stored, "X-TENANT:\nocp-apim-subscription-key: "), "");
        let both = map(&[stored, "X-Tenant:\nX-More: 1"]).unwrap();
        let names: Vec<&str> = both.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["ocp-apim-subscription-key", "x-more"]);
    }

    #[test]
    fn only_secrets_are_masked() {
        for name in [
            "Authorization",
            "Ocp-Apim-Subscription-Key",
            "X-Api-Key",
            "Cookie",
            "X-Site-Secret",
            // Nobody knows it.
            "X-Site",
        ] {
            let text = format!("X-Tenant: a\n{name}: hidden-value");
            assert!(hold_secret(&text), "{name}");
            assert_eq!(shown(&text), format!("X-Tenant: a\n{name}: {MASK}"));
        }
        assert!(!hold_secret("X-Tenant: a"));
        assert_eq!(shown("no header"), MASK);
    }

    #[test]
    fn a_line_that_is_no_header_is_named_without_its_value() {
        let error = map(&["X Api Key: hidden-value"]).unwrap_err().to_string();
        assert!(
            error.contains("`X`") && !error.contains("hidden"),
            "{error}"
        );
    }
}
