//! The check beside serde_json, in chunks of every size.

use proptest::prelude::*;

use super::*;

fn check(text: &[u8], expected: Option<&str>, chunk: usize) -> Result<u64, LineError> {
    let mut checker = Checker::new(expected);
    for bytes in text.chunks(chunk.max(1)) {
        checker.feed(bytes)?;
    }
    checker.finish().map(|summary| summary.resources)
}

fn all_chunks(text: &[u8], expected: Option<&str>) -> Result<u64, String> {
    let results: Vec<_> = [1, 2, 3, 7, 64, 1 << 20]
        .into_iter()
        .map(|chunk| check(text, expected, chunk).map_err(|error| error.to_string()))
        .collect();
    // What is quoted of a bad line is as long as what had come of it.
    let verdict = |result: &Result<u64, String>| {
        result
            .clone()
            .map_err(|error| error.split("; it begins").next().map(str::to_owned))
    };
    assert!(
        results
            .iter()
            .all(|result| verdict(result) == verdict(&results[0])),
        "{results:?}"
    );
    results[results.len() - 1].clone()
}

#[test]
fn good_lines_are_counted() {
    for (text, resources) in [
        (&b""[..], 0),
        (b"\n \r\n\t\n", 0),
        (b"{\"resourceType\":\"Patient\"}", 1),
        (b"\xef\xbb\xbf{\"resourceType\":\"Patient\"}\r\n\n{\"id\":\"x\", \"resourceType\" : \"Patient\" }\n", 2),
        ("{\"a\":[1,-0.5e+10,{\"resourceType\":\"Nested\"},true,false,null,\"é\\u00e9\\n\\\"\"],\"resourceType\":\"Patient\"}".as_bytes(), 1),
        (b"{\"\":{},\"b\":[],\"resourceType\":\"Pati\\u0065nt\"}", 1),
    ] {
        assert_eq!(all_chunks(text, Some("Patient")), Ok(resources), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn bad_lines_are_named_with_what_is_wrong() {
    let good = "{\"resourceType\":\"Patient\"}\n";
    for (line, words) in [
        (
            "{\"resourceType\":\"Observation\"}",
            "holds Observation where Patient is promised",
        ),
        ("{\"id\":\"x\"}", "has no resourceType"),
        ("{\"resourceType\":3}", "has no resourceType"),
        (
            "{\"resourceType\":\"Patient\",\"resourceType\":\"Patient\"}",
            "two resourceTypes",
        ),
        (
            "{\"contained\":[{\"resourceType\":\"Patient\"}]}",
            "has no resourceType",
        ),
        ("<html>", "it begins: <html>"),
        ("upstream timed out", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ("{\"a\":1,}", "is not a JSON object"),
        ("{\"a\":01}", "is not a JSON object"),
        ("{\"a\":1.}", "is not a JSON object"),
        ("{\"a\":+1}", "is not a JSON object"),
        ("{\"a\":1e}", "is not a JSON object"),
        ("{\"a\":-}", "is not a JSON object"),
        ("{\"a\":NaN}", "is not a JSON object"),
        ("{\"a\":nul}", "is not a JSON object"),
        ("{\"a\":tru", "is not a JSON object"),
        ("{\"a\" 1}", "is not a JSON object"),
        ("{a:1}", "is not a JSON object"),
        ("{\"a\":[1 2]}", "is not a JSON object"),
        ("{\"a\":[1}}", "is not a JSON object"),
        ("{\"a\":\"\\x\"}", "is not a JSON object"),
        ("{\"a\":\"\\u12g4\"}", "is not a JSON object"),
        ("{\"a\":\"\t\"}", "is not a JSON object"),
        ("{} {}", "is not a JSON object"),
        ("{}x", "is not a JSON object"),
        ("{\"a\":", "is not a JSON object"),
    ] {
        let error = all_chunks(
            format!("{good}\n{line}\n{good}").as_bytes(),
            Some("Patient"),
        )
        .unwrap_err();
        assert!(
            error.starts_with("line 3 ") && error.contains(words),
            "{line}: {error}"
        );
    }
    assert!(
        all_chunks(b"{\"a\":1", None)
            .unwrap_err()
            .contains("cut short")
    );
    assert!(
        all_chunks(b"{\"resourceType\":\"X\"}\n{\"a\":\"\xff\"}\n", None)
            .unwrap_err()
            .contains("line 2 is not UTF-8")
    );
    assert!(
        all_chunks(b"{\"resourceType\":\"\xc3", None)
            .unwrap_err()
            .contains("UTF-8")
    );
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(
        all_chunks(deep.as_bytes(), None)
            .unwrap_err()
            .contains("nested")
    );
}

/// What the check means: the line is UTF-8, an object for serde_json, and has one string `resourceType`.
fn by_the_book(line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else {
        return false;
    };
    let Ok(object) = crate::fhir::object::Object::parse(text) else {
        return false;
    };
    object.string("resourceType").is_some() && text.matches("resourceType").count() == 1
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,20}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((".{0,8}", inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_is_accepted(value in json(), chunk in 1_usize..40) {
        let line = serde_json::json!({"a": value, "resourceType": "X"}).to_string();
        let text = format!("{line}\n{line}");
        prop_assert_eq!(check(text.as_bytes(), Some("X"), chunk).unwrap(), 2);
    }

    #[test]
    fn a_changed_line_is_judged_as_serde_json_judges_it(value in json(), at in any::<prop::sample::Index>(), byte: u8, chunk in 1_usize..40) {
        let mut line = serde_json::json!({"a": value, "resourceType": "X"}).to_string().into_bytes();
        let at = at.index(line.len());
        if byte != b'\n' {
            line[at] = byte;
        }
        // Equal names in the top level are refused here and not there; `by_the_book` counts the name's spellings.
        let escaped = line.windows(2).any(|pair| pair == b"\\u");
        if !escaped {
            prop_assert_eq!(check(&line, None, chunk).is_ok(), by_the_book(&line), "{}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn nothing_makes_it_panic_and_chunks_do_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..60), chunk in 1_usize..20) {
        // A chunk that ends inside a character may hide that it is a bad one until the line has failed otherwise.
        let verdict = |error: LineError| error.line;
        let whole = check(&bytes, None, 1000).map_err(verdict);
        prop_assert_eq!(check(&bytes, None, chunk).map_err(verdict), whole);
    }
}
