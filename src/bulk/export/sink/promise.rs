//! What a manifest promises of a file beside its count: a SHA-256 and a length (AB2D and DPC extensions, `fileSize` of
//! Bulk Data 4.0).

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bulk::digest::{Algorithm, Digest};

/// What a manifest promises of a file's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promise {
    /// SHA-256 in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Length in bytes. Whether of the lines or of their compressed form is not said anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

impl Promise {
    /// Reads an item of a manifest. An extension is known by the last part of its URL, whoever defines it.
    pub fn of(item: &Value) -> Self {
        let mut promise = Self {
            sha256: None,
            length: item.get("fileSize").and_then(length),
        };
        let extensions = item.get("extension").and_then(Value::as_array);
        for extension in extensions.into_iter().flatten() {
            let url = extension.get("url").and_then(Value::as_str);
            let name = url.and_then(|url| url.rsplit('/').next());
            let value = extension
                .as_object()
                .and_then(|all| all.iter().find(|(key, _)| key.starts_with("value")));
            match (name, value) {
                (Some("checksum"), Some((_, value))) => {
                    promise.sha256 = value.as_str().and_then(sha256).or(promise.sha256);
                }
                (Some("file_length"), Some((_, value))) => {
                    promise.length = length(value).or(promise.length);
                }
                _ => {}
            }
        }
        promise
    }

    /// Whether nothing is promised.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Compares the promise with what came: the digest (a SHA-256, where one is promised)
    /// and length of the lines, and the bytes that were on the wire.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check(&self, digest: Option<Digest>, length: u64, wire: u64) -> Result<(), String> {
        if let Some(promised) = self.length
            && promised != length
            && promised != wire
        {
            return Err(format!(
                "the manifest promises {promised} bytes and {length} came"
            ));
        }
        let Some(promised) = &self.sha256 else {
            return Ok(());
        };
        let digest = digest.filter(|digest| digest.algorithm == Algorithm::Sha256);
        match digest.map(|digest| digest.hex()) {
            Some(found) if found == *promised => Ok(()),
            Some(found) => Err(format!(
                "the manifest promises the SHA-256 {promised} and the file has {found}"
            )),
            None => Err(format!(
                "the manifest promises the SHA-256 {promised} and none was made of the file"
            )),
        }
    }
}

fn sha256(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).trim();
    let is_hash = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| hex.to_ascii_lowercase())
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A running SHA-256.
#[derive(Clone)]
pub struct Hash(Context);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hash {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash in lower-case hex.
    pub fn finish(self) -> String {
        let digest = self.0.finish();
        digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn the_promises_of_ab2d_dpc_and_the_ballot_are_read() {
        for (item, length) in [
            (
                json!({"extension": [{"url": "https://ab2d.cms.gov/checksum", "valueString": format!("sha256:{HASH}")},
                    {"url": "https://ab2d.cms.gov/file_length", "valueDecimal": 4}]}),
                Some(4),
            ),
            (
                json!({"extension": [{"url": "https://dpc.cms.gov/checksum", "valueString": format!("sha256:{}", HASH.to_uppercase())},
                    {"url": "https://dpc.cms.gov/file_length", "valueString": "4"}]}),
                Some(4),
            ),
            (
                json!({"fileSize": 4, "extension": [{"url": "x/checksum", "valueString": HASH}]}),
                Some(4),
            ),
            (
                json!({"extension": [{"url": "x/checksum", "valueString": HASH}, {"x": 1}, 2]}),
                None,
            ),
        ] {
            let promise = Promise::of(&item);
            assert_eq!(promise.sha256.as_deref(), Some(HASH), "{item}");
            assert_eq!(promise.length, length, "{item}");
        }
        for item in [
            json!({}),
            json!(1),
            json!({"extension": {"checksum": HASH}}),
            json!({"extension": [{"url": "x/checksum", "valueString": "md5:1"}]}),
        ] {
            assert!(Promise::of(&item).is_empty(), "{item}");
        }
    }

    #[test]
    fn a_file_is_held_to_its_promise() {
        let test = Digest::of_hex(Algorithm::Sha256, HASH);
        let promise = Promise {
            sha256: Some(HASH.into()),
            length: Some(4),
        };
        assert!(promise.check(test, 4, 9).is_ok());
        // Some state the length of what is on the wire.
        assert!(promise.check(test, 40, 4).is_ok());
        let words = promise.check(test, 5, 5).unwrap_err();
        assert!(words.contains("4 bytes and 5"), "{words}");
        let zeros = "0".repeat(64);
        let other = Digest::of_hex(Algorithm::Sha256, &zeros);
        let words = promise.check(other, 4, 4).unwrap_err();
        assert!(words.contains("the file has 000"), "{words}");
        for none in [None, Digest::of_hex(Algorithm::Blake3, HASH)] {
            let words = promise.check(none, 4, 4).unwrap_err();
            assert!(words.contains("none was made"), "{words}");
        }
    }
}
