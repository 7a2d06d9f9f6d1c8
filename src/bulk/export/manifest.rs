//! Every published shape of manifest read into one (Bulk Data 2.0, 3.0 and the 4.0 ballot, and what servers make of them).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::sink::promise::Promise;
use crate::{secret, words};

/// The list a file stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Group {
    Output,
    Deleted,
    Error,
}

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    pub group: Group,
    pub resource_type: Option<String>,
    pub url: Url,
    /// The number of resources the server says are in it.
    pub count: Option<u64>,
    /// Whether the token goes with the request.
    pub requires_access_token: bool,
    /// What the server says of its bytes.
    #[serde(default, skip_serializing_if = "Promise::is_empty")]
    pub promise: Promise,
}

/// One page of a manifest.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    pub transaction_time: Option<String>,
    /// The kick-off as the server understood it (gone in Bulk Data 4.0).
    pub request: Option<String>,
    pub requires_access_token: bool,
    pub files: Vec<ManifestFile>,
    pub next: Option<Url>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the job's result at {url} is not a manifest: {found}")]
    NotAManifest { url: String, found: String },
    #[error("the manifest at {url} lists a file without a usable URL: {found}")]
    BadFile { url: String, found: String },
    #[error("the manifest at {url} names a next page that is no URL: {found}")]
    BadNext { url: String, found: String },
    #[error("the manifest's pages lead in a circle at {url}")]
    Loop { url: String },
}

/// Reads one page that came from `url`. What the manifest is made of decides, not its Content-Type.
///
/// # Errors
/// The text is no manifest, or an entry names no file: skipping it would hide data.
pub fn parse(url: &Url, content_type: &str, body: &[u8]) -> Result<Manifest, ManifestError> {
    let shown = secret::url_for_people(url);
    let not_a_manifest = |found: String| ManifestError::NotAManifest {
        url: shown.clone(),
        found,
    };
    let Ok(Value::Object(json)) =
        serde_json::from_slice::<Value>(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
    else {
        return Err(not_a_manifest(
            words::of_text(content_type, body).unwrap_or_else(|| "an empty body".into()),
        ));
    };
    let lists = ["output", "deleted", "error", "outcome"];
    if !lists.iter().any(|list| json.contains_key(*list)) && !json.contains_key("transactionTime") {
        let found = match json.get("resourceType").and_then(Value::as_str) {
            Some(resource_type) => format!("a {resource_type}"),
            None => words::shortened(&String::from_utf8_lossy(body)),
        };
        return Err(not_a_manifest(found));
    }
    // Epic has been seen to say the string "true"; a manifest that does not say is taken to mean no.
    let requires_access_token = match json.get("requiresAccessToken") {
        Some(Value::Bool(required)) => *required,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut manifest = Manifest {
        transaction_time: text("transactionTime"),
        request: text("request"),
        requires_access_token,
        ..Manifest::default()
    };
    for (list, group) in
        lists
            .into_iter()
            .zip([Group::Output, Group::Deleted, Group::Error, Group::Error])
    {
        let items = match json.get(list) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items,
            Some(other) => return Err(not_a_manifest(format!("its `{list}` is {other}"))),
        };
        for item in items {
            let file_url = item
                .get("url")
                .and_then(Value::as_str)
                .and_then(|text| url.join(text).ok());
            let Some(file_url) = file_url.filter(|url| matches!(url.scheme(), "http" | "https"))
            else {
                let found = item.get("url").cloned().unwrap_or(Value::Null);
                return Err(ManifestError::BadFile {
                    url: shown.clone(),
                    found: words::shortened(&found.to_string()),
                });
            };
            manifest.files.push(ManifestFile {
                group,
                resource_type: item.get("type").and_then(Value::as_str).map(str::to_owned),
                url: file_url,
                count: count(item.get("count")),
                requires_access_token,
                promise: Promise::of(item),
            });
        }
    }
    if let Some(link) = next_link(&json) {
        // Passing over it would hide the files of all later pages.
        let next = link
            .as_str()
            .and_then(|link| url.join(link).ok())
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let bad_link = || ManifestError::BadNext {
            url: shown.clone(),
            found: words::shortened(&link.to_string()),
        };
        manifest.next = Some(next.ok_or_else(bad_link)?);
    }
    Ok(manifest)
}

fn count(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The `next` link as it stands there, when there is one. A link that is a single object is read as a list of one.
fn next_link(json: &serde_json::Map<String, Value>) -> Option<&Value> {
    let link = json.get("link")?;
    let links = match link {
        Value::Array(links) => links.as_slice(),
        link => std::slice::from_ref(link),
    };
    let next = |link: &&Value| link.get("relation").and_then(Value::as_str) == Some("next");
    let next = links.iter().find(next)?;
    Some(next.get("url").unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, ManifestError> {
        parse(
            &Url::parse("https://h.example/fhir/job/1").unwrap(),
            "",
            text.as_bytes(),
        )
    }

    #[test]
    fn published_and_odd_shapes_are_read() {
        let manifest = read(
            r#"{"transactionTime":"2026-01-01T00:00:00Z","requiresAccessToken":"true","output":[
            {"type":"Patient","url":"/f/1","count":"2"},{"type":"Patient","url":"https://b.example/2","count":3,"x":1}],
            "deleted":null,"outcome":[{"url":"e"}],"extension":[],"link":[{"relation":"next","url":"?page=2"}]}"#,
        )
        .unwrap();
        assert_eq!(manifest.files.len(), 3);
        assert_eq!(manifest.files[0].url.as_str(), "https://h.example/f/1");
        assert_eq!(manifest.files[0].count, Some(2));
        assert!(manifest.files.iter().all(|file| file.requires_access_token));
        assert_eq!(manifest.files[2].group, Group::Error);
        assert_eq!(
            manifest.next.unwrap().as_str(),
            "https://h.example/fhir/job/1?page=2"
        );
        assert!(read(r#"{"transactionTime":"x"}"#).unwrap().files.is_empty());
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_what_was_found() {
        for (text, found) in [
            ("", "an empty body"),
            ("<html><title>Login</title>", "Login"),
            (
                r#"{"resourceType":"OperationOutcome"}"#,
                "a OperationOutcome",
            ),
            (r#"{"output":"none"}"#, "`output` is"),
            (r#"{"output":[{"type":"Patient"}]}"#, "null"),
            (r#"{"output":[{"url":"s3://bucket/x"}]}"#, "s3://"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(found), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_json_makes_it_panic(text in "\\PC{0,80}") {
            let _ = read(&text);
            let _ = read(&format!(r#"{{"output":[{text}]}}"#));
        }

        #[test]
        fn every_entry_is_a_file_or_the_page_is_refused(
            entries in proptest::collection::vec((0_usize..4, 0_usize..8, proptest::option::of(0_u64..9)), 0..12),
        ) {
            let lists = ["output", "deleted", "error", "outcome"];
            let urls = ["/f/1", "f/2", "?f=3", "https://b.example/4?sig=a%2Fb", "HTTP://h.example/5", "s3://b/6", "", "http://["];
            let mut page = serde_json::json!({"transactionTime": "2026-01-01T00:00:00Z"});
            for (list, url, count) in &entries {
                let entry = serde_json::json!({"type": "Patient", "url": urls[*url], "count": count});
                let items = page.as_object_mut().unwrap().entry(lists[*list]);
                items.or_insert_with(|| serde_json::json!([])).as_array_mut().unwrap().push(entry);
            }
            let is_usable = |url: usize| url != 5 && url != 7;
            match read(&page.to_string()) {
                Err(_) => proptest::prop_assert!(entries.iter().any(|(_, url, _)| !is_usable(*url))),
                Ok(read) => {
                    proptest::prop_assert!(entries.iter().all(|(_, url, _)| is_usable(*url)));
                    let counts = |list: usize| entries.iter().filter(move |entry| entry.0 == list).map(|entry| entry.2);
                    let wanted: Vec<_> = (0..4).flat_map(counts).collect();
                    let found: Vec<_> = read.files.iter().map(|file| file.count).collect();
                    proptest::prop_assert_eq!(found, wanted, "in the order of the lists");
                }
            }
        }
    }
}
