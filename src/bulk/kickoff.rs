//! The kick-off request: level and parameters as a GET query or as POST Parameters (Bulk Data 3.0, export).

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::BulkError;
use crate::fhir::{Client, FHIR_JSON};
use crate::http::Request;

/// What to export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kickoff {
    /// `""` for the whole system, `Patient`, or `Group/ID`.
    pub level: String,
    /// Resource types; none for all that the server gives.
    pub types: Vec<String>,
    /// Only what changed since this instant.
    pub since: Option<String>,
    /// POST with Parameters instead of GET with a query.
    pub post: bool,
}

impl Kickoff {
    /// The request. Headers exactly as the specification has them: DPC compares `Prefer` whole, BCDA wants the bare
    /// media type in `Accept`.
    ///
    /// # Errors
    /// The level is none.
    pub fn request(&self, client: &Client) -> Result<Request, BulkError> {
        let mut url = self.url(client)?;
        if self.post {
            let body = serde_json::to_vec(&self.parameters()).unwrap_or_default();
            let mut request = headers(Request::new(Method::POST, url))
                .header(CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
            request.body = Some(body.into());
            return Ok(request);
        }
        let query: Vec<String> = self
            .pairs()
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encode(&value)))
            .collect();
        if !query.is_empty() {
            url.set_query(Some(&query.join("&")));
        }
        Ok(headers(Request::new(Method::GET, url)))
    }

    fn url(&self, client: &Client) -> Result<Url, BulkError> {
        let level = self.level.trim().trim_matches('/');
        let level = level
            .strip_suffix("$export")
            .unwrap_or(level)
            .trim_end_matches('/');
        let path = match level.to_ascii_lowercase().as_str() {
            "" | "system" => "$export".to_owned(),
            "patient" => "Patient/$export".to_owned(),
            _ => match level.split_once('/') {
                Some(("Group" | "Patient", id))
                    if !id.is_empty() && !id.contains(['/', '?', '#']) =>
                {
                    format!("{level}/$export")
                }
                _ => {
                    return Err(BulkError::BadRequest(format!(
                        "`{level}` is not an export level: known are Patient, Group/ID, and nothing for the whole system"
                    )));
                }
            },
        };
        crate::profile::urls::below(&client.profile.fhir_base, &path).map_err(|error| {
            BulkError::BadRequest(format!("the level `{level}` makes no URL: {error}"))
        })
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if !self.types.is_empty() {
            // One comma list: BCDA reads only the first `_type`, Oracle Health refuses a second one.
            pairs.push(("_type", self.types.join(",")));
        }
        if let Some(since) = &self.since {
            pairs.push(("_since", since.clone()));
        }
        pairs
    }

    fn parameters(&self) -> Value {
        let mut parameters: Vec<Value> = Vec::new();
        for resource_type in &self.types {
            parameters.push(json!({"name": "_type", "valueString": resource_type}));
        }
        if let Some(since) = &self.since {
            parameters.push(json!({"name": "_since", "valueInstant": since}));
        }
        let mut resource = json!({"resourceType": "Parameters"});
        if !parameters.is_empty() {
            resource["parameter"] = parameters.into();
        }
        resource
    }
}

fn headers(request: Request) -> Request {
    request
        .header(ACCEPT, HeaderValue::from_static(FHIR_JSON))
        .header(
            HeaderName::from_static("prefer"),
            HeaderValue::from_static("respond-async"),
        )
}

/// A value as it stands in the query: everything that could be read as syntax is percent-encoded, the commas of a
/// list and the colons of an instant are not.
fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
        .replace("%2C", ",")
        .replace("%3A", ":")
}

/// Reads `--since`: an instant with its zone, or a date, taken as midnight UTC.
///
/// # Errors
/// The text is neither.
pub fn parse_since(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.parse::<jiff::Timestamp>().is_ok() {
        // As typed: servers compare, and an instant keeps its own zone.
        return Ok(text.to_owned());
    }
    if text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok() {
        return Ok(format!("{text}T00:00:00Z"));
    }
    Err(format!(
        "`{text}` is neither an instant such as 2026-01-31T10:00:00Z nor a date such as 2026-01-31"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_encoded_so_that_no_plus_becomes_a_space() {
        assert_eq!(
            encode("2026-01-01T00:00:00+02:00"),
            "2026-01-01T00:00:00%2B02:00"
        );
        assert_eq!(encode("Patient,Observation"), "Patient,Observation");
        assert_eq!(encode("a b&c=d"), "a%20b%26c%3Dd");
    }

    #[test]
    fn since_is_an_instant_or_a_date() {
        assert_eq!(parse_since("2026-01-31").unwrap(), "2026-01-31T00:00:00Z");
        assert_eq!(
            parse_since("2026-01-31T10:00:00+02:00").unwrap(),
            "2026-01-31T10:00:00+02:00"
        );
        for bad in ["yesterday", "2026-01-31T10:00:00", "2026-13-01", ""] {
            assert!(parse_since(bad).is_err(), "{bad}");
        }
    }
}
