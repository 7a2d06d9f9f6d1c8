//! The CapabilityStatement, with the token.

use reqwest::Method;

use super::{Ending, Examination, Trouble, done};
use crate::auth::discovery::document::Statement;
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
    let statement: Statement = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !matches!(
        statement.resource_type.get(),
        Some("CapabilityStatement" | "Conformance")
    ) {
        let what = "metadata is no CapabilityStatement";
        let cause = "another program than a FHIR server answers at /metadata: check --base-url";
        return Err(Trouble::new(exit::FAILED, what).because(cause));
    }
    let version = statement.fhir_version.get().unwrap_or("of unknown version");
    let software = statement.software.name.get();
    let software = software.map(|name| format!(", {name}"));
    let detail = format!("FHIR {version}{}", software.unwrap_or_default());
    if let Some(page) = &mut examination.metadata {
        page.statement = Some(statement);
    }
    Ok(done(detail))
}
