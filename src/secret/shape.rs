//! What looks like a token or a key that nobody told us of.

use super::known::{MASK, mask};

/// The shortest run of characters that may be a token nobody told us of.
const SHORTEST_TOKEN: usize = 24;

/// Words of a token endpoint with every secret that this process knows masked, and with what looks like a token: it
/// may quote one that it never sent us.
pub fn mask_tokens(text: &str) -> String {
    let text = mask(text);
    let mut shown = String::with_capacity(text.len());
    for run in text.split_inclusive(|c| !is_token_character(c)) {
        let end = run.trim_end_matches(|c| !is_token_character(c)).len();
        let (word, after) = run.split_at(end);
        let stop = word.trim_end_matches(['.', '-']).len();
        let (word, stop) = word.split_at(stop);
        // The slash is of base64, and it parts the path of a URL.
        if word.contains("//") || word.starts_with('/') {
            let parts = word.split('/');
            let parts: Vec<&str> = parts.map(shown_word).collect();
            shown.push_str(&parts.join("/"));
        } else {
            shown.push_str(shown_word(word));
        }
        shown.push_str(stop);
        shown.push_str(after);
    }
    shown
}

/// RFC 6750 §2.1.
fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '=')
}

fn shown_word(word: &str) -> &str {
    if looks_like_token(word) { MASK } else { word }
}

/// A long run of letters with digits among them. Names that people give have few digits, and UUIDs are the ids by which
/// a vendor finds a request in its log.
pub(super) fn looks_like_token(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let is_jwt = word.starts_with("eyJ") && word.contains('.');
    let is_uuid = word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let is_mixed = count(u8::is_ascii_digit) >= 3 && count(u8::is_ascii_alphabetic) >= 3;
    is_jwt || word.len() >= SHORTEST_TOKEN && is_mixed && !is_uuid
}

/// Whether a text is a key and no path or name: PEM (also one whose line ends are gone), or a JWK.
pub fn is_key(text: &str) -> bool {
    text.contains("-----BEGIN") || text.contains("PRIVATE KEY-----") || text.contains("\"kty\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_token_is_masked_and_other_words_stay() {
        for (text, shown) in [
            (
                "token eyJhbGciOiJSUzM4NCJ9.eyJzdWIi.c2ln is bad.",
                "token ******** is bad.",
            ),
            (
                "old=1//0gYx3kT9fQ2sLmNbV7cX8zAp1Qw5 end",
                "old=1//******** end",
            ),
            ("a1/b2c3d4E5f6G7h8I9j0K1+l2M3==, no", "********, no"),
            (
                "AADSTS700016: Trace ID: 0d4b6c6a-7c4b-4f0e-9d2d-2f8c1a3b4c5d at 2026-11-28 10:00:00Z",
                "AADSTS700016: Trace ID: 0d4b6c6a-7c4b-4f0e-9d2d-2f8c1a3b4c5d at 2026-11-28 10:00:00Z",
            ),
            (
                "org.springframework.security.oauth2.core.OAuth2AuthenticationException",
                "org.springframework.security.oauth2.core.OAuth2AuthenticationException",
            ),
            (
                "https://h.example/fhir/R4/auth/token/introspection-endpoint/of/v1",
                "https://h.example/fhir/R4/auth/token/introspection-endpoint/of/v1",
            ),
        ] {
            assert_eq!(mask_tokens(text), shown);
        }
    }
}
