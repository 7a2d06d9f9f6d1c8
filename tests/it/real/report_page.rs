//! The page of `bulk report --html` as Chromium shows it.

use serde_json::{Value, json};

use super::oidc_provider::{chromium, peer};
use crate::support::bulk::{OBSERVATIONS, ndjson, outcome};
use crate::support::{Answer, Bulk};

/// What Chromium makes of a page; `MEDPLUM_TEST_SCREENSHOTS` names a folder for pictures.
fn shown(bulk: &Bulk, page: &str) -> Value {
    peer("node_modules/playwright-core/package.json");
    let mut words = vec!["node".to_owned(), peer("page.mjs").display().to_string()];
    words.extend(["--executable".to_owned(), chromium().display().to_string()]);
    if let Ok(folder) = std::env::var("MEDPLUM_TEST_SCREENSHOTS") {
        words.extend(["--screenshots".to_owned(), format!("{folder}/report")]);
    }
    words.push(bulk.medplum.path(page).display().to_string());
    bulk.medplum.program(words).run().ok().json()
}

#[test]
fn the_page_of_a_report_shows_table_and_charts_loads_nothing_and_runs_nothing() {
    const HOSTILE: &str = "<script>alert(1)</script>";
    let bulk = Bulk::with_three_files();
    bulk.file(
        "output",
        HOSTILE,
        "/files/h",
        ndjson(format!("{}\n", json!({"resourceType": HOSTILE}))),
    );
    let words = outcome("warning").replace(
        "some warning",
        "<img src=http://evil.example/x onerror=alert(2)>",
    );
    bulk.file("error", "OperationOutcome", "/files/e", ndjson(words));
    bulk.server.on_sequence(
        "GET",
        "/files/o",
        [
            Answer::outcome(429, "throttled", "\"><script>alert(3)</script>")
                .header("Retry-After", "1"),
            Answer::outcome(503, "transient", "busy").header("Retry-After", "1"),
            ndjson(OBSERVATIONS),
        ],
    );
    bulk.server.on(
        "GET",
        "/files/c",
        Answer::outcome(403, "forbidden", "<svg onload=alert(4)>"),
    );
    bulk.export(&["--elements", "<b>y</b>"]).fails(5);
    bulk.medplum
        .run(["bulk", "report", "out", "--html", "report.html"])
        .ok();
    let shown = shown(&bulk, "report.html");
    for nothing in ["requests", "console", "errors", "overflow"] {
        assert_eq!(shown[nothing], json!([]), "{nothing}: {shown:#}");
    }
    assert_eq!(
        (&shown["dialogs"], &shown["active"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(shown["heading"], bulk.server.url("/fhir/R4"));
    assert_eq!(shown["result"], "Partial: 1 of 5 files are missing.");
    assert_ne!(
        shown["light"], shown["dark"],
        "it follows the reader's colours"
    );
    let charts = shown["charts"].as_array().unwrap();
    assert_eq!(charts.len(), 3, "{shown:#}");
    for (chart, (label, bars)) in charts.iter().zip([
        ("Resources by type", 3),
        ("Bytes a second", 48),
        ("Failed tries", 3),
    ]) {
        assert!(
            chart["label"].as_str().unwrap().starts_with(label),
            "{chart}"
        );
        assert_eq!(chart["bars"], bars, "{chart}");
        assert!(chart["drawn"].as_f64().unwrap() > 10_000.0, "{chart}");
    }
    let rows = shown["rows"].as_array().unwrap();
    let row = |name: &str| {
        rows.iter()
            .find(|row| row[0] == name)
            .unwrap_or_else(|| panic!("{name} in {shown:#}"))
    };
    let header = shown["header"].as_array().unwrap();
    let cell = |name: &str, column: &str| {
        let at = header.iter().position(|title| title == column);
        let at = at.unwrap_or_else(|| panic!("{column} in {header:?}"));
        &row(name)[at]
    };
    assert_eq!(cell(HOSTILE, "Files"), "1");
    assert_eq!(cell("Condition", "Missing"), "1");
    assert_eq!(cell("Observation", "Failed tries"), "429, 503");
    assert_eq!(cell("total", "Resources"), "5");
    let text = shown["text"].as_str().unwrap();
    for words in [
        "<img src=http://evil.example/x onerror=alert(2)>",
        "<svg onload=alert(4)>",
        "<b>y</b>",
        "medplum bulk resume",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}
