//! What a mask cannot tell: numbers and words, escapes, and the value of `resourceType`.

use crate::Wanted;

const TYPE_KEY: &[u8] = b"resourceType\"";

/// What may follow a number or a word.
const END: u8 = 1;
/// What may follow a backslash, `u` aside.
const ESCAPED: u8 = 2;

static KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let ends = b",]} \t\r";
    let mut at = 0;
    while at < ends.len() {
        kinds[ends[at] as usize] |= END;
        at += 1;
    }
    let escaped = b"\"\\/bfnrt";
    at = 0;
    while at < escaped.len() {
        kinds[escaped[at] as usize] |= ESCAPED;
        at += 1;
    }
    kinds
}

fn is(byte: u8, kind: u8) -> bool {
    KINDS[usize::from(byte)] & kind != 0
}

/// Whether a text begins with a whole number, `true`, `false` or `null`, and something that may follow it.
#[inline]
pub(crate) fn is_scalar(text: &[u8]) -> bool {
    let length = match text.first() {
        Some(b't') => word(text, b"true"),
        Some(b'f') => word(text, b"false"),
        Some(b'n') => word(text, b"null"),
        _ => number(text),
    };
    length.is_some_and(|length| text.get(length).is_some_and(|byte| is(*byte, END)))
}

fn word(text: &[u8], word: &[u8]) -> Option<usize> {
    text.starts_with(word).then_some(word.len())
}

/// The length of a number (RFC 8259 §6).
#[inline]
fn number(text: &[u8]) -> Option<usize> {
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(text, at)?;
    if whole > 1 && text[at] == b'0' {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        at += 1;
        at += digits(text, at)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(text.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at += digits(text, at)?;
    }
    Some(at)
}

/// How many digits stand here, when there are any.
#[inline]
fn digits(text: &[u8], at: usize) -> Option<usize> {
    let text = text.get(at..)?;
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(count)
}

/// Whether what follows a backslash is an escape; it stands at the start of the text.
#[inline]
pub(crate) fn is_escape(text: &[u8]) -> bool {
    match text {
        [b'u', a, b, c, d, ..] => [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()),
        [byte, ..] => is(*byte, ESCAPED),
        [] => false,
    }
}

/// Whether the name at the start of a text is `resourceType`; its quote is behind us.
#[inline]
pub(crate) fn is_type_key(text: &[u8]) -> bool {
    text.starts_with(TYPE_KEY)
}

/// Whether the value of this `resourceType` is a wanted one. The name has no escape in it, and grammar is looked at
/// elsewhere.
pub(crate) fn is_wanted(text: &[u8], wanted: Wanted) -> bool {
    let Some(value) = text.get(TYPE_KEY.len()..).and_then(string_behind_colon) else {
        return false;
    };
    match wanted {
        Wanted::Only(only) => value
            .strip_prefix(only.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'"')),
        Wanted::But([]) => true,
        Wanted::But(refused) => {
            // With an escape in it, any of them could be meant.
            let end = value.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            let Some((name, [b'"', ..])) = end.and_then(|end| value.split_at_checked(end)) else {
                return false;
            };
            refused.iter().all(|refused| refused.as_bytes() != name)
        }
    }
}

fn string_behind_colon(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start().strip_prefix(b":")?;
    text.trim_ascii_start().strip_prefix(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_those_of_rfc_8259() {
        for good in [
            "0,", "-0}", "10]", "1.5 ", "0.0e0,", "-1E+20}", "1e-0,", "true,", "false]", "null\t",
        ] {
            assert!(is_scalar(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "1", "-,", "01,", "-01,", "1.,", ".5,", "1e,", "1e+,", "+1,", "1x,", "1\"", "tru,",
            "truee,", "nul", "NaN,", "0x1,", "1:", "1\n",
        ] {
            assert!(!is_scalar(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn escapes_are_those_of_rfc_8259() {
        for good in ["\"", "\\", "/", "b", "f", "n", "r", "t", "u00e9", "uD800x"] {
            assert!(is_escape(good.as_bytes()), "{good}");
        }
        for bad in ["", "x", "u", "u12", "u12g4", "U0000", "0", "\n", "'"] {
            assert!(!is_escape(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_type_is_wanted_by_its_whole_name() {
        let is = |text: &str, wanted| is_wanted(text.as_bytes(), wanted);
        let one = "resourceType\" : \"Patient\"}";
        assert!(is(one, Wanted::Only("Patient")));
        assert!(is(one, Wanted::But(&[])));
        assert!(is(one, Wanted::But(&["Bundle", "Patien"])));
        for wanted in ["Patien", "PatientX", "Bundle", ""] {
            assert!(!is(one, Wanted::Only(wanted)), "{wanted}");
        }
        assert!(!is(one, Wanted::But(&["Bundle", "Patient"])));
        assert!(!is(
            "resourceType\":\"B\\u0075ndle\"}",
            Wanted::But(&["Bundle"])
        ));
        for other in ["1", "[\"Patient\"]", "null", "{}"] {
            let text = format!("resourceType\":{other}}}");
            assert!(!is(&text, Wanted::But(&[])), "{other}");
        }
    }
}
