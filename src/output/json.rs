//! JSON made readable without being changed: digits, escapes and key order stay as they came.

/// What is nested deeper is for no person to read, and its indentation would be many times as long as itself.
const DEEPEST: usize = 200;

/// Valid JSON text, indented by two spaces; strings and numbers are copied byte for byte. What is nested without measure stays
/// as it came.
pub fn indent(text: &str) -> String {
    if is_deeper_than(DEEPEST, text) {
        return text.trim().to_owned();
    }
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    let mut depth = 0_usize;
    let mut rest = text.trim();
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '"' => string_length(rest),
            '{' | '[' => {
                let inner = rest[1..].trim_start();
                out.push(character);
                if inner.starts_with(['}', ']']) {
                    out.push_str(&inner[..1]);
                    rest = &inner[1..];
                    continue;
                }
                depth += 1;
                new_line(&mut out, depth);
                rest = inner;
                continue;
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                1
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
                rest = &rest[1..];
                continue;
            }
            ':' => {
                out.push_str(": ");
                rest = &rest[1..];
                continue;
            }
            space if space.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            _ => scalar_length(rest),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// Valid JSON text on one line: white space between the tokens taken out, all else kept.
pub fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let length = if rest.starts_with('"') {
            string_length(rest)
        } else {
            rest.find(['"', ' ', '\t', '\r', '\n'])
                .unwrap_or(rest.len())
        };
        out.push_str(&rest[..length]);
        rest = rest[length..].trim_start_matches([' ', '\t', '\r', '\n']);
    }
    out
}

fn is_deeper_than(deepest: usize, text: &str) -> bool {
    let (mut depth, mut rest) = (0_usize, text);
    while let Some(at) = rest.find(['"', '{', '[', '}', ']']) {
        rest = &rest[at..];
        let length = match rest.as_bytes()[0] {
            b'"' => string_length(rest),
            b'{' | b'[' => {
                depth += 1;
                1
            }
            _ => {
                depth = depth.saturating_sub(1);
                1
            }
        };
        if depth > deepest {
            return true;
        }
        rest = &rest[length..];
    }
    false
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// The length in bytes of the string literal that `text` starts with, quotes included.
pub(crate) fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn scalar_length(text: &str) -> usize {
    text.find([',', '}', ']', ' ', '\t', '\r', '\n'])
        .unwrap_or(text.len())
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_escapes_and_key_order_are_kept() {
        let text = r#"{"b":1.00,"a":[1e2,12345678901234567890,"\u00e9 \"x\" {,}"],"e":{},"f":[ ]}"#;
        assert_eq!(
            indent(text),
            "{\n  \"b\": 1.00,\n  \"a\": [\n    1e2,\n    12345678901234567890,\n    \"\\u00e9 \\\"x\\\" {,}\"\n  ],\n  \"e\": {},\n  \"f\": []\n}"
        );
        assert_eq!(compact(&indent(text)), text.replace("[ ]", "[]"));
    }

    #[test]
    fn what_is_nested_without_measure_grows_no_longer() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(indent(&deep), deep);
        assert!(indent(r#"[["[[[[",{"a":"]"}]]"#).lines().count() > 5);
    }

    proptest::proptest! {
        #[test]
        fn indenting_equals_serde_json_for_what_it_writes(text in "[a-z\"\\\\{}\\[\\],: é\n]{0,20}", number: i64, flag: bool) {
            let value = serde_json::json!({"k": [text, number, flag, null], "o": {"n": {}}});
            let compacted = serde_json::to_string(&value).unwrap();
            proptest::prop_assert_eq!(indent(&compacted), serde_json::to_string_pretty(&value).unwrap());
            proptest::prop_assert_eq!(compact(&indent(&compacted)), compacted);
        }
    }
}
