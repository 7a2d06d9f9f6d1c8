//! Base, FHIR, token and request URLs, joined with or without slashes at either end.

use url::Url;

use super::{Key, ProfileError};

/// A URL that somebody wrote without its scheme: https, but http for this machine, where nothing else is usual.
fn with_scheme(text: &str) -> String {
    let host = text.split(['/', ':']).next().unwrap_or_default();
    let is_here = host == "localhost" || host.starts_with("127.") || text.starts_with("[::1]");
    let scheme = if is_here { "http" } else { "https" };
    format!("{scheme}://{text}")
}

/// Reads a base URL: http or https, a host, no query and no credentials in it.
///
/// # Errors
/// [`ProfileError::BadSetting`] with the reason.
pub fn parse_base(key: Key, text: &str) -> Result<Url, ProfileError> {
    let bad = |reason: &str| ProfileError::BadSetting {
        key,
        value: text.to_owned(),
        reason: reason.to_owned(),
    };
    let lacks_scheme = || {
        bad(&format!(
            "it needs http:// or https:// in front; write {}",
            with_scheme(text.trim())
        ))
    };
    let url = Url::parse(text.trim()).map_err(|error| match error {
        // `example.com/fhir` and `10.0.0.1:8080`.
        url::ParseError::RelativeUrlWithoutBase => lacks_scheme(),
        error => bad(&format!("{error}; write it as https://host/path")),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        // `localhost:8080` reads as a URL of the scheme `localhost`.
        let is_host_and_port =
            url.cannot_be_a_base() && url.path().starts_with(|first: char| first.is_ascii_digit());
        return Err(if is_host_and_port {
            lacks_scheme()
        } else {
            bad("only http and https URLs can be used")
        });
    }
    if !url.has_host() {
        return Err(bad("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ProfileError::BadSetting {
            key,
            value: crate::secret::url_without_query(&url),
            reason:
                "user and password do not belong into a URL; use --client-id and --client-secret"
                    .into(),
        });
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must not hold a query or fragment"));
    }
    Ok(url)
}

/// A path joined below a base, or the URL itself when it is absolute.
///
/// # Errors
/// [`ProfileError::BadSetting`] when the result is no http(s) URL.
pub fn join(key: Key, base: &Url, text: &str) -> Result<Url, ProfileError> {
    let text = text.trim();
    if is_absolute(text) {
        let url = Url::parse(text).map_err(|error| ProfileError::BadSetting {
            key,
            value: text.to_owned(),
            reason: error.to_string(),
        })?;
        if url.has_host() && url.password().is_none() && url.username().is_empty() {
            return Ok(url);
        }
        return Err(ProfileError::BadSetting {
            key,
            value: crate::secret::url_for_people(&url),
            reason: "it must name a host and no user".into(),
        });
    }
    below(base, text).map_err(|error| ProfileError::BadSetting {
        key,
        value: text.to_owned(),
        reason: error.to_string(),
    })
}

/// The FHIR base, which resources are below.
///
/// # Errors
/// [`ProfileError::BadSetting`] when it is no http(s) URL, or has a query.
pub fn fhir_base(base: &Url, text: &str) -> Result<Url, ProfileError> {
    let url = join(Key::FhirUrlPath, base, text)?;
    if url.query().is_none() && url.fragment().is_none() {
        return Ok(url);
    }
    let path = text.split(['?', '#']).next().unwrap_or_default();
    Err(ProfileError::BadSetting {
        key: Key::FhirUrlPath,
        value: format!("{path}…"),
        reason: "resources are below it, so it must not hold a query or fragment".into(),
    })
}

/// The FHIR base itself, with a slash at its end if the user wrote one.
pub fn fhir_root(fhir_base: &Url, text: &str) -> Url {
    let mut root = without_end_slash(fhir_base);
    if text.trim_end().ends_with('/') {
        let path = format!("{}/", root.path().trim_end_matches('/'));
        root.set_path(&path);
    }
    root
}

/// A base URL that is that of FHIR already, in its two parts, as far as its own words say so: the server, and the path
/// below it (`https://h/fhir/R4`, `https://h/baseR4`).
pub fn in_two_parts(base: &Url) -> Option<(Url, String)> {
    let parts: Vec<&str> = base
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let is_of_fhir = |part: &&str| {
        let part = part.to_ascii_lowercase();
        let version = part.strip_prefix("base").unwrap_or(&part);
        part.contains("fhir")
            || matches!(
                version,
                "dstu2" | "stu3" | "r3" | "r4" | "r4b" | "r5" | "r6"
            )
    };
    let at = parts.iter().position(is_of_fhir)?;
    let mut server = base.clone();
    server.set_path(&parts[..at].join("/"));
    Some((server, parts[at..].join("/")))
}

/// Whether a text names a server of its own.
pub fn is_absolute(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// `path` (which may hold a query) below `base`, one slash between them.
///
/// # Errors
/// The two do not make a URL.
pub fn below(base: &Url, path: &str) -> Result<Url, url::ParseError> {
    let base = base.as_str().trim_end_matches('/');
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return Url::parse(base);
    }
    if path.starts_with('?') {
        return Url::parse(&format!("{base}{path}"));
    }
    Url::parse(&format!("{base}/{path}"))
}

/// A URL without the slash at its end; a bare host keeps the one it must have.
pub fn without_end_slash(url: &Url) -> Url {
    let mut trimmed = url.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    trimmed.set_path(&path);
    trimmed
}

/// Whether two URLs name the same server: same scheme, host and port.
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Whether a server is one of Medplum's own.
pub fn is_medplum(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "medplum.com" || host.ends_with(".medplum.com")
}

/// Whether two base URLs are the same but for slashes at the end.
pub fn same_base(one: &Url, other: &Url) -> bool {
    one.as_str().trim_end_matches('/') == other.as_str().trim_end_matches('/')
}

/// The URL of a request as a user names it: relative to the FHIR base; `admin/`, `auth/`, a leading slash or a path
/// that already starts with the FHIR path are relative to the base URL; an absolute URL stands for itself.
///
/// # Errors
/// The text makes no URL.
pub fn request_url(
    base: &Url,
    fhir_base: &Url,
    fhir_path: Option<&str>,
    text: &str,
) -> Result<Url, url::ParseError> {
    let text = text.trim();
    if is_absolute(text) {
        return Url::parse(&escape_query(text));
    }
    let fhir_path = fhir_path
        .map(|path| path.trim_matches('/'))
        .filter(|path| !path.is_empty());
    let starts_with_fhir_path = fhir_path.is_some_and(|path| {
        text.strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    });
    let from_base = text.starts_with('/')
        || text.starts_with("admin/")
        || text.starts_with("auth/")
        || starts_with_fhir_path;
    below(
        if from_base { base } else { fhir_base },
        &escape_query(text),
    )
}

/// Characters that people type into searches and that servers such as Tomcat refuse raw in a request line.
fn escape_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' => out.push_str("%7C"),
            '{' => out.push_str("%7B"),
            '}' => out.push_str("%7D"),
            '^' => out.push_str("%5E"),
            '`' => out.push_str("%60"),
            '\\' => out.push_str("%5C"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn bases_and_paths_join_with_or_without_slashes() {
        for base in ["https://h.example", "https://h.example/"] {
            for path in ["oauth2/token", "/oauth2/token"] {
                assert_eq!(
                    join(Key::TokenUrl, &url(base), path).unwrap().as_str(),
                    "https://h.example/oauth2/token"
                );
            }
        }
        for base in ["https://h.example/ctx", "https://h.example/ctx/"] {
            assert_eq!(
                below(&url(base), "/fhir/").unwrap().as_str(),
                "https://h.example/ctx/fhir/"
            );
        }
        assert_eq!(
            join(
                Key::TokenUrl,
                &url("https://h.example"),
                "https://o.example/t"
            )
            .unwrap()
            .as_str(),
            "https://o.example/t"
        );
    }

    #[test]
    fn a_request_path_is_relative_to_the_fhir_base_unless_it_says_otherwise() {
        let base = url("https://h.example/");
        let fhir = url("https://h.example/fhir/R4");
        let request = |text: &str| {
            request_url(&base, &fhir, Some("fhir/R4/"), text)
                .unwrap()
                .to_string()
        };
        assert_eq!(request("Patient/1"), "https://h.example/fhir/R4/Patient/1");
        assert_eq!(
            request("fhir/R4/Patient"),
            "https://h.example/fhir/R4/Patient"
        );
        assert_eq!(
            request("/fhir/R4/Patient"),
            "https://h.example/fhir/R4/Patient"
        );
        assert_eq!(
            request("fhir/R4B/Patient"),
            "https://h.example/fhir/R4/fhir/R4B/Patient"
        );
        assert_eq!(
            request("admin/projects/1"),
            "https://h.example/admin/projects/1"
        );
        assert_eq!(request("auth/me"), "https://h.example/auth/me");
        assert_eq!(request(""), "https://h.example/fhir/R4");
        assert_eq!(
            request("?_type=Patient"),
            "https://h.example/fhir/R4?_type=Patient"
        );
        assert_eq!(
            request("Patient?identifier:contains=a|b"),
            "https://h.example/fhir/R4/Patient?identifier:contains=a%7Cb"
        );
        assert_eq!(request("https://o.example/x"), "https://o.example/x");
    }

    #[test]
    fn a_base_url_that_is_no_url_is_refused() {
        for text in [
            "not a url",
            "api.example.com",
            "ftp://h.example",
            "https://u:p@h.example",
            "https://h.example?x=1",
        ] {
            assert!(parse_base(Key::BaseUrl, text).is_err(), "{text}");
        }
    }
}
