//! `Content-Encoding` as servers really write it: codings that say how a body is packed, and words that say nothing of it.

use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// How a body is packed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) gzip: bool,
    /// A coding that was not offered; the bytes mean nothing then.
    pub(super) unknown: Option<String>,
}

impl Coding {
    /// Reads the codings of all `Content-Encoding` lines.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines: Vec<String> = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
            .collect();
        let codings: Vec<&str> = lines
            .iter()
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|coding| !is_none(coding))
            .collect();
        match codings.as_slice() {
            [] => Self::default(),
            ["gzip" | "x-gzip"] => Self {
                gzip: true,
                unknown: None,
            },
            several => Self {
                gzip: false,
                unknown: Some(several.join(", ")),
            },
        }
    }
}

/// Words that stand there and pack nothing. `aws-chunked` is how an upload was signed: stores keep it with the object and
/// send it with the plain bytes. The others belong into other headers (RFC 9110 §8.4 knows none of them).
fn is_none(coding: &str) -> bool {
    const CHARSETS: [&str; 6] = ["utf-", "iso-8859", "us-ascii", "ascii", "windows-", "latin"];
    let coding = coding.strip_prefix("charset=").unwrap_or(coding);
    matches!(
        coding,
        "" | "identity" | "none" | "null" | "aws-chunked" | "binary" | "8bit" | "7bit" | "utf8"
    ) || CHARSETS.iter().any(|charset| coding.starts_with(charset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Coding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, line.parse().unwrap());
        }
        Coding::of(&headers)
    }

    #[test]
    fn words_that_pack_nothing_are_dropped_and_the_rest_is_undone() {
        for none in [
            "",
            "identity",
            "aws-chunked",
            "none",
            "binary",
            "8bit",
            "UTF-8",
            "utf8",
            "iso-8859-1",
            "aws-chunked, identity",
            " , ",
        ] {
            assert_eq!(of(&[none]), Coding::default(), "{none}");
        }
        for gzip in ["gzip", "X-GZIP", "gzip,aws-chunked", "identity, gzip"] {
            assert!(of(&[gzip]).gzip, "{gzip}");
        }
        assert!(of(&["gzip", "aws-chunked"]).gzip);
        for (unknown, words) in [
            ("br", "br"),
            ("gzip, br", "gzip, br"),
            ("gzip,gzip", "gzip, gzip"),
        ] {
            assert_eq!(of(&[unknown]).unknown.as_deref(), Some(words));
        }
    }
}
