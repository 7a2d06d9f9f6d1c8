//! An id that can stand in a URL: one segment of its path, and never a step to another folder of the server.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// What no id has: they end a segment of a URL, or are read as something else once they are decoded.
const ENDS_A_SEGMENT: [char; 5] = ['/', '\\', '?', '#', '%'];

/// The id of a resource. FHIR's own rule is letters, digits, `-` and `.` (R4, datatypes, id); servers are wider, and an
/// import writes what it is given, so other signs are taken and encoded. `.` and `..` fit FHIR's rule and are refused:
/// `Patient/..` is the server itself (RFC 3986 §5.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(Box<str>);

/// Why a text is no [`Id`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("its id is empty")]
    Empty,
    #[error("its id is `{0}`, which leads elsewhere in a URL")]
    Dots(String),
    #[error("its id `{id}` has {sign:?} in it, which no id has")]
    Sign { id: String, sign: char },
}

impl Id {
    /// An id as resources have it.
    ///
    /// # Errors
    /// It cannot stand in a URL.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let is_wrong = |sign: &char| {
            ENDS_A_SEGMENT.contains(sign) || sign.is_control() || sign.is_whitespace()
        };
        match text {
            "" => Err(BadId::Empty),
            "." | ".." => Err(BadId::Dots(text.to_owned())),
            // `%2e` is a dot for whoever decodes once more.
            _ if is_dots(&decoded(text)) => Err(BadId::Dots(text.to_owned())),
            _ => match text.chars().find(is_wrong) {
                Some(sign) => Err(BadId::Sign {
                    id: text.chars().filter(|sign| !sign.is_control()).collect(),
                    sign,
                }),
                None => Ok(Self(text.into())),
            },
        }
    }

    /// An id as a segment of a URL has it: percent-encoded where that is needed.
    ///
    /// # Errors
    /// It cannot stand in a URL.
    pub fn of_segment(segment: &str) -> Result<Self, BadId> {
        Self::parse(&decoded(segment))
    }

    /// The id as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a segment of a URL.
    pub fn segment(&self) -> Cow<'_, str> {
        percent_encoded(&self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_dots(text: &str) -> bool {
    matches!(text, "." | "..") || text.contains('%') && matches!(&*decoded(text), "." | "..")
}

/// A text with its `%XX` decoded; what is no UTF-8 then stays a sign that no id has.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| {
        let sign = text.as_bytes().get(at).copied().map(char::from);
        sign.and_then(|sign| sign.to_digit(16))
    };
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2))
        {
            out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A text as a part of a URL's path or query (RFC 3986 §2.3): all but unreserved characters are escaped.
pub fn percent_encoded(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_segment_of_a_url() {
        for (id, segment) in [
            ("a-1.B", "a-1.B"),
            ("a_b~c", "a_b~c"),
            ("é|:", "%C3%A9%7C%3A"),
            ("...", "..."),
        ] {
            assert_eq!(Id::parse(id).unwrap().segment(), segment);
            assert_eq!(Id::of_segment(segment).unwrap().as_str(), id);
        }
        assert_eq!(percent_encoded("a|b é"), "a%7Cb%20%C3%A9");
    }

    #[test]
    fn dots_and_what_ends_a_segment_are_no_ids() {
        for bad in [
            "", ".", "..", "%2e", "%2E.", "%2e%2e", "%252e", "%25252e", "a/b", "a\\b", "a?b",
            "a#b", "a%2fb", "%", "a b", "a\n", "a\u{0}", "%ff",
        ] {
            assert!(Id::parse(bad).is_err(), "{bad:?}");
            assert!(Id::of_segment(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_id_leads_out_of_its_folder(text in ".{0,6}|[.%2eE5/]{0,9}") {
            let base = url::Url::parse("https://h/fhir/").unwrap();
            for id in [Id::parse(&text), Id::of_segment(&text)].into_iter().flatten() {
                let url = base.join(&format!("Patient/{}", id.segment())).unwrap();
                proptest::prop_assert!(url.path().starts_with("/fhir/Patient/"), "{}", url);
                proptest::prop_assert_eq!(url.path_segments().unwrap().count(), 3);
                proptest::prop_assert!(url.query().is_none() && url.fragment().is_none());
                proptest::prop_assert!(!url.path().ends_with('/'));
            }
        }
    }
}
