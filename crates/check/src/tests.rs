//! All ways beside serde_json: what is passed is good, and what servers write is passed.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Good, Wanted, Way, good};

#[path = "../../../tests/long/book.rs"]
mod book;

/// Pieces of lines, good ones and bad ones.
const PIECES: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\t",
    "\r",
    "\n",
    "0",
    "1",
    "-",
    ".",
    "e",
    "true",
    "nul",
    "null",
    "{}",
    "[]",
    "\"\"",
    "é",
    "\u{1}",
    "\\u00e9",
    "\\\"",
    "\"a\":",
    ",\"b\":[",
    "\"resourceType\":",
    "\"X\"",
    "\"resourceType\":\"X\"",
    "{\"resourceType\":\"X\"}\n",
    "{\"resourceType\":\"X\",",
    "}\n",
    "                 ",
];

/// What all ways say, which is the same.
fn by_all(text: &[u8], wanted: Wanted) -> Good {
    let found = good(text, wanted, Way::Scalar);
    for (name, way) in Way::ALL {
        assert_eq!(
            good(text, wanted, way),
            found,
            "{name} and scalar of {}",
            text.escape_ascii()
        );
    }
    found
}

/// What is passed are whole lines, and serde_json finds as many resources in them.
fn is_sound(text: &str) -> Good {
    let mut last = Good::default();
    for (wanted, expected) in [(Wanted::Only("X"), Some("X")), (Wanted::But(&[]), None)] {
        last = by_all(text.as_bytes(), wanted);
        let passed = &text.as_bytes()[..last.bytes];
        assert!(passed.is_empty() || passed.ends_with(b"\n"), "{text:?}");
        let lines = passed.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(last.lines, lines as u64, "{text:?}");
        if !book::is_beyond(passed) {
            assert_eq!(
                book::by_the_book(passed, expected),
                Ok(last.resources),
                "{text:?}"
            );
        }
    }
    last
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,90}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec(("[a-zA-Z_é]{0,8}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A line as a server writes it: tight, or with spaces as Python has them; with any line end.
fn line() -> impl Strategy<Value = String> {
    (value(), 0..70_usize, any::<bool>(), any::<bool>()).prop_map(
        |(value, before, is_spaced, has_return)| {
            let line = json!({"id": "x".repeat(before), "a": value, "resourceType": "X"});
            let text = if is_spaced {
                spaced(&line)
            } else {
                line.to_string()
            };
            text + if has_return { "\r\n" } else { "\n" }
        },
    )
}

fn spaced(value: &Value) -> String {
    let join = |items: Vec<String>| items.join(", ");
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), spaced(value))
            };
            format!("{{{}}}", join(members.iter().map(member).collect()))
        }
        Value::Array(items) => format!("[{}]", join(items.iter().map(spaced).collect())),
        plain => plain.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_line_as_servers_write_it_never_needs_the_judge(lines in prop::collection::vec(line(), 1..4)) {
        let text = lines.concat();
        let all = Good { bytes: text.len(), lines: lines.len() as u64, resources: lines.len() as u64 };
        prop_assert_eq!(is_sound(&text), all);
    }

    #[test]
    fn of_pieces_in_any_order_nothing_bad_is_passed(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        is_sound(&pieces.concat());
    }

    #[test]
    fn of_a_line_with_one_change_nothing_bad_is_passed(
        line in line(), at in any::<prop::sample::Index>(), cut in 0..4_usize, piece in prop::sample::select(&PIECES[..])
    ) {
        let mut text: Vec<char> = line.chars().collect();
        let from = at.index(text.len());
        text.splice(from..(from + cut).min(text.len()), piece.chars());
        text.push('\n');
        is_sound(&String::from_iter(text));
    }

    #[test]
    fn all_ways_say_the_same_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        by_all(&bytes, Wanted::But(&[]));
    }
}

/// Lines as Synthea writes them: a resource's usual members, narrative with escapes, decimals, `contained` and `extension`.
#[test]
fn resources_of_synthea_never_need_the_judge() {
    let text = concat!(
        r#"{"resourceType":"X","id":"129c6ec5","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Generated by <a href=\"https://github.com/synthetichealth/synthea\">Synthea</a>.\n</div>"},"extension":[{"url":"disability-adjusted-life-years","valueDecimal":0.24960903926380428}],"name":[{"use":"official","family":"Núñez","given":["José"],"prefix":["Mr."]}],"multipleBirthBoolean":false}"#,
        "\n",
        r#"{"resourceType":"X","status":"final","valueQuantity":{"value":-1.2E-5,"unit":"mm[Hg]"},"component":[],"contained":[{"resourceType":"Coverage","id":"c"}],"issued":"1998-05-01T09:14:33.477-04:00"}"#,
        "\n\n",
    );
    let all = Good {
        bytes: text.len(),
        lines: 3,
        resources: 2,
    };
    assert_eq!(is_sound(text), all);
}

#[test]
fn what_is_seldom_or_bad_is_for_the_judge() {
    let good_line = "{\"resourceType\":\"X\"}\n";
    for line in [
        r#"{"resourceType":"Y"}"#,
        r#"{"id":"x"}"#,
        r#"{"resourceType":"X","resourceType":"X"}"#,
        r#"{"resource\u0054ype":"X"}"#,
        r#"{"resourceType":"X"} {}"#,
        r#"{"resourceType":"X","a":[1}]"#,
        r#"{"resourceType":"X","a":"\x"}"#,
        r#"[{"resourceType":"X"}]"#,
        "{\"resourceType\":\"X\",\"a\":\"\t\"}",
        &format!(
            "{{\"resourceType\":\"X\",\"a\":{}{}}}",
            "[".repeat(70),
            "]".repeat(70)
        ),
    ] {
        let text = format!("{good_line}{line}\n{good_line}");
        // What ends in the word of the doubt is for the judge too.
        let found = by_all(text.as_bytes(), Wanted::Only("X"));
        assert!(found.bytes <= good_line.len(), "{line}");
    }
}
