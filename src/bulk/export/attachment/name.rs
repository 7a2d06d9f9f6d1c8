//! The file of an attachment. It follows from the URL and the content type alone, so that the next run finds it.

use std::path::{Path, PathBuf};

use url::Url;

use super::essence;
use crate::bulk::export::layout;
use crate::bulk::export::sink::promise::Hash;

const LONGEST_STEM: usize = 80;

/// Content types and what their files are called.
const SUFFIXES: [(&str, &str); 22] = [
    ("application/dicom", "dcm"),
    ("application/fhir+json", "json"),
    ("application/fhir+xml", "xml"),
    ("application/json", "json"),
    ("application/msword", "doc"),
    ("application/pdf", "pdf"),
    ("application/rtf", "rtf"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/xml", "xml"),
    ("application/zip", "zip"),
    ("audio/mpeg", "mp3"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tiff"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/rtf", "rtf"),
    ("text/xml", "xml"),
    ("video/mp4", "mp4"),
];

/// The path below the folder of the export. The end of the URL's path makes it readable, a hash makes it one of its own.
pub(super) fn path(url: &Url, content_type: Option<&str>) -> PathBuf {
    let essence = content_type.map(essence).unwrap_or_default();
    let mut hash = Hash::default();
    hash.feed(url.as_str().as_bytes());
    hash.feed(b"\n");
    hash.feed(essence.as_bytes());
    let hash = hash.finish();
    let segments: Vec<&str> = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let last = &segments[segments.len().saturating_sub(2)..];
    let mut stem = String::new();
    for character in last.join("_").chars().take(LONGEST_STEM) {
        if character.is_ascii_alphanumeric() || character == '-' {
            stem.push(character);
        } else if !stem.ends_with('_') {
            stem.push('_');
        }
    }
    let suffix = SUFFIXES.iter().find(|(name, _)| *name == essence);
    let suffix = suffix.map_or("bin", |(_, suffix)| suffix);
    let stem = stem.trim_matches('_');
    // 80 bits: ten million attachments of one stem have names of their own.
    Path::new(layout::ATTACHMENTS).join(format!("{stem}_{}.{suffix}", &hash[..20]))
}

/// What tells a path from others in memory.
pub(super) fn hash_of(path: &Path) -> u128 {
    let mut hash = Hash::default();
    hash.feed(path.as_os_str().as_encoded_bytes());
    u128::from_str_radix(&hash.finish()[..32], 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_form(name: &str) -> bool {
        let hash = name.strip_prefix("attachments/Binary_a-1_");
        hash.and_then(|hash| hash.strip_suffix(".pdf"))
            .is_some_and(|hash| hash.len() == 20)
    }

    #[test]
    fn a_name_is_readable_safe_and_of_one_url_alone() {
        let name = |url: &str, content_type| {
            let path = path(&Url::parse(url).unwrap(), content_type);
            path.to_str().unwrap().to_owned()
        };
        let pdf = name("https://h/fhir/Binary/a-1", Some("application/pdf; x=1"));
        assert!(has_form(&pdf), "{pdf}");
        let others = [
            name("https://h/fhir/Binary/A-1", Some("application/pdf")),
            name("https://h/fhir/Binary/a-1?v=2", Some("application/pdf")),
            name("https://h/fhir/Binary/a-1", None),
            name("https://h/..%2f..%2fetc/p%00asswd", Some("x/y")),
            name("https://h/", None),
            name(&format!("https://h/{}", "a".repeat(999)), None),
        ];
        let mut all: Vec<_> = others.iter().map(|name| name.to_lowercase()).collect();
        all.push(pdf.to_lowercase());
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7);
        for name in &all {
            assert!(
                name.len() < 120 && name.matches('/').count() == 1 && !name.contains(".."),
                "{name}"
            );
        }
    }
}
