//! A request to the sandbox, with its body read.

use axum::http::HeaderMap;
use bytes::Bytes;

use super::FHIR_PATH;

/// A request with its body read.
pub(super) struct Asked {
    /// `GET` for a HEAD, too: what is sent then is cut off below.
    pub(super) method: String,
    /// `http://127.0.0.1:PORT`, or with localhost, as the client has it: to a client these are two servers.
    pub(super) base_url: String,
    /// Without the slash before it.
    pub(super) path_and_query: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether any Prefer header has a preference (RFC 7240).
    pub(super) fn prefers(&self, preference: &str) -> bool {
        self.headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']))
            .any(|told| told.trim() == preference)
    }

    pub(super) fn fhir_base(&self) -> String {
        format!("{}/{FHIR_PATH}", self.base_url)
    }
}
