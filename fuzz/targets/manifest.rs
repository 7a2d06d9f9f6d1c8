//! The manifest reader: nothing makes it panic, and no file of a manifest that it takes is passed over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medplum::bulk::export::{manifest, page};
use serde_json::Value;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let url = Url::parse("https://h.example/fhir/job/1").unwrap();
    let content_type = if data.len() % 2 == 0 {
        "application/json"
    } else {
        "text/html"
    };
    let Ok((read, files)) = page::parse(&url, content_type, data) else {
        return;
    };
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let json: Value = serde_json::from_slice(text).expect("only JSON is taken for a manifest");
    let listed: usize = ["output", "deleted", "error", "outcome"]
        .into_iter()
        .filter_map(|list| json[list].as_array().map(Vec::len))
        .sum();
    assert_eq!(files.len(), listed, "every entry is a file");
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    assert!(files.iter().all(|file| is_web(&file.link.url())));
    assert!(read.next.as_ref().is_none_or(is_web));
    let mut links = json["link"].as_array().into_iter().flatten();
    let has_next = links.any(|link| link["relation"] == "next");
    assert_eq!(
        read.next.is_some(),
        has_next,
        "no later page is passed over"
    );
    // What is stored between two runs is read as it was written.
    for file in &files {
        let stored = serde_json::to_string(file).unwrap();
        let again: manifest::ManifestFile = serde_json::from_str(&stored).unwrap();
        assert_eq!(&again, file);
    }
});
