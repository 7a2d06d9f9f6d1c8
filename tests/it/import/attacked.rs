//! Lines that somebody made to do harm: each is refused or sent as it is, none takes another along, and all are counted.

use super::basics::import;
use super::identity::resource;
use crate::support::{Medplum, Store};

/// Lines that cannot be sent.
fn bad() -> Vec<Vec<u8>> {
    let text = [
        "\u{feff}{\"resourceType\":\"Patient\",\"id\":\"x\"}",
        "\0",
        "{\"resourceType\":\"Patient\",\"id\":\"x\"}\0",
        "{\"resourceType\":\"Patient\",\"id\":\"a\0b\"}",
        r#"{"resourceType":"Patient","id":"x","id":"y"}"#,
        r#"{"resourceType":"Patient","id":"x","\u0069d":"y"}"#,
        r#"{"resourceType":"Patient","id":"x","\u0072esourceType":"Group"}"#,
        r#"{"resourceType":"Patient","id":"\ud800"}"#,
        r#"{"resourceType":"Patient","id":"x"}{"resourceType":"Patient","id":"y"}"#,
        r#"{"resourceType":"Bundle","type":"batch","type":"history","entry":[{"resource":{"resourceType":"Patient","id":"x"}}]}"#,
        r#"{"resourceType":"Bundle","type":"history","\u0074ype":"batch","entry":[{"resource":{"resourceType":"Patient","id":"x"}}]}"#,
        r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"x"}}"#,
        r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"x"}}],"entry":[{"resource":{"resourceType":"Patient","id":"y"}}]}"#,
        r#"{"resourceType":"Bundle","type":"batch","entry":[],"\u0065ntry":[{"resource":{"resourceType":"Patient","id":"x"}}]}"#,
        r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"x"},"resource":{"resourceType":"Patient","id":"y"}}]}"#,
        r#"[{"resourceType":"Patient","id":"x"}]"#,
        r#""}"#,
    ];
    let mut lines: Vec<Vec<u8>> = text.iter().map(|text| text.as_bytes().to_vec()).collect();
    lines.push(b"{\"resourceType\":\"Patient\",\"id\":\"x\",\"a\":\"\xff\xfe\"}".to_vec());
    lines.push(b"\xff\xfe{\0\"\0r\0".to_vec());
    lines.push(
        [
            b"{\"resourceType\":\"Patient\",\"a\":".to_vec(),
            b"[".repeat(1 << 20),
        ]
        .concat(),
    );
    lines
}

#[test]
fn lines_made_to_do_harm_take_no_other_along() {
    let bad = bad();
    for args in [
        &[][..],
        &["--method", "post"],
        &["--method", "conditional"],
        &[
            "--method",
            "post",
            "--bundle",
            "transaction",
            "--order",
            "auto",
        ],
        &["--order", "given"],
    ] {
        let (store, medplum) = (Store::open(), Medplum::new());
        let mut file = Vec::new();
        for (number, line) in bad.iter().enumerate() {
            file.extend(resource("Patient", &format!("good-{number}"), "").into_bytes());
            file.extend(b"\r\n");
            file.extend(line);
            file.extend(b"\r\n");
        }
        medplum.file("a.ndjson", &file);
        let run = import(
            &medplum,
            &store,
            &[&["a.ndjson", "-o", "json"], args].concat(),
        )
        .fails(5);
        let report = run.json();
        assert_eq!(report["resources"], 2 * bad.len(), "{args:?}");
        assert_eq!(report["created"], bad.len(), "{args:?}");
        assert_eq!(report["refusedHere"], bad.len(), "{args:?}");
        assert_eq!(store.names().len(), bad.len(), "{args:?}");
        // They are kept as they are, each on a line of its own.
        let rejects = std::fs::read(medplum.path("rejects.ndjson")).unwrap();
        let mut kept: Vec<&[u8]> = rejects.split(|byte| *byte == b'\n').collect();
        assert_eq!(kept.pop(), Some(&b""[..]));
        assert_eq!(kept.len(), bad.len(), "{args:?}");
        for line in bad
            .iter()
            .filter(|line| !line.starts_with(b"{\"resourceType\":\"Bundle\""))
        {
            assert!(
                kept.contains(&&line[..]),
                "{}",
                String::from_utf8_lossy(&line[..line.len().min(99)])
            );
        }
    }
}

/// What FHIR has no limit for is the server's to judge.
#[test]
fn what_is_odd_but_json_goes_as_it_is() {
    let (store, medplum) = (Store::open(), Medplum::new());
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let lines = [
        resource("Patient", "number", r#","x":-0.0e-00001,"y":1e-999999"#),
        resource(
            "Patient",
            "long",
            &format!(r#","x":"{}""#, "a".repeat(3 << 20)),
        ),
        resource("Patient", "deep", &format!(r#","x":{}"#, nested(100))),
        resource("Patient", "nul", r#","x":"\u0000""#),
    ];
    medplum.file("a.ndjson", lines.join("\n"));
    import(&medplum, &store, &["a.ndjson"]).ok();
    // Numbers and letters that this test's own server cannot read.
    let odd = [
        resource("Patient", "surrogate", r#","x":{"reference":"\ud800"}"#),
        resource("Patient", "large", r#","x":1e999999"#),
    ];
    medplum.file("b.ndjson", odd.join("\n"));
    import(&medplum, &store, &["b.ndjson", "--dry-run"]).ok();
    for line in &lines {
        let id = line
            .split("\"id\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert_eq!(&store.text(&format!("Patient/{id}")), line);
    }
}
