//! The CapabilityStatement, with the token.

use reqwest::Method;
use serde_json::Value;

use super::{Ending, Examination, Trouble, done};
use crate::exit;
use crate::fhir::TokenRule;
use crate::http::Request;

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let client = examination.client;
    let url = client
        .url("metadata")
        .map_err(|error| Trouble::of(&error))?;
    let answer = client
        .read(Request::new(Method::GET, url), TokenRule::OwnOrigins)
        .await
        .and_then(crate::fhir::Answer::checked)
        .map_err(|error| Trouble::of(&error))?;
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    if !matches!(
        text("/resourceType"),
        Some("CapabilityStatement" | "Conformance")
    ) {
        let what = "metadata is no CapabilityStatement";
        let cause = "another program than a FHIR server answers at /metadata: check --base-url";
        return Err(Trouble::new(exit::FAILED, what).because(cause));
    }
    let version = text("/fhirVersion").unwrap_or("of unknown version");
    let software = text("/software/name").map(|name| format!(", {name}"));
    let detail = format!("FHIR {version}{}", software.unwrap_or_default());
    if let Some(page) = &mut examination.metadata {
        page.json = Some(json);
    }
    Ok(done(detail))
}
