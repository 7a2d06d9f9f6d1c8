//! The kick-off request: level and parameters as a GET query or as POST Parameters (Bulk Data 3.0, export).

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::error::BulkError;
use crate::fhir::id::Id;
use crate::fhir::{Client, FHIR_JSON};
use crate::http::Request;
use crate::secret;

/// How several values of one parameter are written in a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListStyle {
    /// One comma list: BCDA reads only the first `_type`, Oracle Health refuses a second one.
    #[default]
    Comma,
    /// The parameter again for each value (Bulk Data 4.0 allows nothing else).
    Repeat,
}

/// What to export: the parameters of Bulk Data 2.0 and 3.0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter of its own"
)]
pub struct Kickoff {
    /// `""` for the whole system, `Patient`, or `Group/ID`.
    pub level: String,
    /// Resource types; none for all that the server gives.
    pub types: Vec<String>,
    /// Only what changed since this instant.
    pub since: Option<String>,
    /// Only what changed up to this instant.
    pub until: Option<String>,
    /// Which of these two were given as a time ago, such as `2d`, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ago: Vec<(String, String)>,
    /// `Type?query`, each.
    pub type_filters: Vec<String>,
    pub elements: Vec<String>,
    /// Patient ids or references; they make the kick-off a POST.
    pub patients: Vec<String>,
    pub include_associated_data: Vec<String>,
    pub output_format: Option<String>,
    pub organize_output_by: Option<String>,
    pub allow_partial_manifests: bool,
    /// Let the server pass over what it does not know (`Prefer: handling=lenient`).
    pub lenient: bool,
    /// Ask the server to say the job's status apart from the poll's (`Prefer: separate-export-status`).
    pub separate_status: bool,
    /// Parameters of the server's own.
    pub others: Vec<(String, String)>,
    pub list_style: ListStyle,
    /// POST with Parameters instead of GET with a query.
    pub post: bool,
}

impl Kickoff {
    /// Takes the instants over from a kick-off that was asked for in the same words: a time ago is another one later.
    pub fn take_over(&mut self, before: &Self) {
        if self.ago.is_empty() || self.ago != before.ago {
            return;
        }
        for (name, _) in &self.ago {
            match name.as_str() {
                "since" => self.since.clone_from(&before.since),
                _ => self.until.clone_from(&before.until),
            }
        }
    }

    /// The request. Headers exactly as the specification has them: DPC compares `Prefer` whole, BCDA wants the bare
    /// media type in `Accept`.
    ///
    /// # Errors
    /// The level is none.
    pub fn request(&self, client: &Client) -> Result<Request, BulkError> {
        let mut url = self.url(client)?;
        if self.is_post() {
            let body = serde_json::to_vec(&self.parameters()).unwrap_or_default();
            let mut request = self
                .with_headers(Request::new(Method::POST, url))
                .header(CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
            request.body = Some(body.into());
            return Ok(request);
        }
        let query: Vec<String> = self
            .pairs()
            .into_iter()
            .map(|(name, value)| format!("{}={}", encode(&name), encode_of(&name, &value)))
            .collect();
        if !query.is_empty() {
            url.set_query(Some(&query.join("&")));
        }
        Ok(self.with_headers(Request::new(Method::GET, url)))
    }

    /// The kick-off's URL with all parameters but the patients', fit to be shown; `None` when there is none.
    pub fn shown_url(&self, client: &Client) -> Option<Url> {
        let mut url = self.url(client).ok()?;
        let pairs = self.pairs();
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        secret::url_for_people(&url).parse().ok()
    }

    /// All parameters but the patients', fit to be shown.
    pub fn shown_pairs(&self) -> Vec<(String, String)> {
        let Ok(mut url) = Url::parse("http://localhost/") else {
            return Vec::new();
        };
        url.query_pairs_mut().extend_pairs(self.pairs());
        let shown: Option<Url> = secret::url_for_people(&url).parse().ok();
        let pairs = shown.iter().flat_map(Url::query_pairs);
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// Whether it is a POST with Parameters.
    pub fn is_post(&self) -> bool {
        self.post || !self.patients.is_empty()
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
                Some(("Group" | "Patient", id)) if Id::of_segment(id).is_ok() => {
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

    fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        for (name, values) in [
            ("_type", &self.types),
            ("_elements", &self.elements),
            ("includeAssociatedData", &self.include_associated_data),
        ] {
            match self.list_style {
                ListStyle::Comma if !values.is_empty() => add(name, &values.join(",")),
                _ => values.iter().for_each(|value| add(name, value)),
            }
        }
        for (name, value) in [
            ("_since", &self.since),
            ("_until", &self.until),
            ("_outputFormat", &self.output_format),
            ("organizeOutputBy", &self.organize_output_by),
        ] {
            if let Some(value) = value {
                add(name, value);
            }
        }
        // A filter may hold commas, so this one is repeated in every style.
        for filter in &self.type_filters {
            add("_typeFilter", filter);
        }
        if self.allow_partial_manifests {
            add("allowPartialManifests", "true");
        }
        for (name, value) in &self.others {
            add(name, value);
        }
        pairs
    }

    fn parameters(&self) -> Value {
        let strings = |name: &str, kind: &str, values: &[String]| {
            let parameter = |value: &String| json!({"name": name, kind: value});
            values.iter().map(parameter).collect::<Vec<_>>()
        };
        let one = |value: &Option<String>| value.clone().into_iter().collect::<Vec<_>>();
        let mut parameters = [
            strings("_type", "valueString", &self.types),
            strings("_since", "valueInstant", &one(&self.since)),
            strings("_until", "valueInstant", &one(&self.until)),
            strings("_outputFormat", "valueString", &one(&self.output_format)),
            strings("_elements", "valueString", &self.elements),
            strings(
                "includeAssociatedData",
                "valueCode",
                &self.include_associated_data,
            ),
            strings("_typeFilter", "valueString", &self.type_filters),
            strings(
                "organizeOutputBy",
                "valueString",
                &one(&self.organize_output_by),
            ),
        ]
        .concat();
        for patient in &self.patients {
            let reference = if patient.contains('/') {
                patient.clone()
            } else {
                format!("Patient/{patient}")
            };
            parameters.push(json!({"name": "patient", "valueReference": {"reference": reference}}));
        }
        if self.allow_partial_manifests {
            parameters.push(json!({"name": "allowPartialManifests", "valueBoolean": true}));
        }
        for (name, value) in &self.others {
            parameters.push(json!({"name": name, "valueString": value}));
        }
        let mut resource = json!({"resourceType": "Parameters"});
        if !parameters.is_empty() {
            resource["parameter"] = parameters.into();
        }
        resource
    }

    fn with_headers(&self, request: Request) -> Request {
        let preference = match (self.lenient, self.separate_status) {
            (false, false) => "respond-async",
            (true, false) => "respond-async, handling=lenient",
            (false, true) => "respond-async, separate-export-status",
            (true, true) => "respond-async, handling=lenient, separate-export-status",
        };
        request
            .header(ACCEPT, HeaderValue::from_static(FHIR_JSON))
            .header(
                HeaderName::from_static("prefer"),
                HeaderValue::from_static(preference),
            )
    }
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

/// The value of a parameter. Servers that take a list of filters split at commas, so those within one are encoded.
fn encode_of(name: &str, value: &str) -> String {
    let value = encode(value);
    if name == "_typeFilter" {
        return value.replace(',', "%2C");
    }
    value
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

    /// All fields, so that a new one does not compile before it is tried here.
    fn full() -> Kickoff {
        let text = |text: &str| text.to_owned();
        Kickoff {
            level: text("Group/all"),
            types: vec![text("Patient"), text("Observation")],
            since: Some(text("2026-01-01T00:00:00+01:00")),
            until: Some(text("2026-02-01T00:00:00Z")),
            ago: Vec::new(),
            type_filters: vec![
                text("Observation?code=a,b&status=final"),
                text("Patient?active=true"),
            ],
            elements: vec![text("id")],
            patients: Vec::new(),
            include_associated_data: vec![text("LatestProvenanceResources"), text("_y")],
            output_format: Some(text("application/fhir+ndjson")),
            organize_output_by: Some(text("Patient")),
            allow_partial_manifests: true,
            lenient: false,
            separate_status: false,
            others: vec![(text("_x"), text("1 2"))],
            list_style: ListStyle::default(),
            post: false,
        }
    }

    /// A name that `secret::url` does not know is masked in the report, the log and every error.
    #[test]
    fn what_was_asked_for_is_shown_to_people() {
        let mut kickoff = full();
        kickoff.others.clear();
        for (name, value) in kickoff.pairs() {
            let url = format!("https://h.example/fhir/$x/job?{name}={}", encode(&value));
            let shown = crate::secret::url_for_people(&Url::parse(&url).unwrap());
            assert_eq!(shown, url, "{name}");
        }
    }

    #[test]
    fn all_parameters_stand_in_query_and_in_parameters() {
        let text = |text: &str| text.to_owned();
        let mut kickoff = full();
        let query = |kickoff: &Kickoff| {
            let pairs = kickoff.pairs().into_iter();
            pairs
                .map(|(name, value)| format!("{name}={}", encode_of(&name, &value)))
                .collect::<Vec<_>>()
                .join("&")
        };
        assert_eq!(
            query(&kickoff),
            "_type=Patient,Observation&_elements=id&includeAssociatedData=LatestProvenanceResources,_y\
             &_since=2026-01-01T00:00:00%2B01:00&_until=2026-02-01T00:00:00Z\
             &_outputFormat=application%2Ffhir%2Bndjson&organizeOutputBy=Patient\
             &_typeFilter=Observation%3Fcode%3Da%2Cb%26status%3Dfinal&_typeFilter=Patient%3Factive%3Dtrue\
             &allowPartialManifests=true&_x=1%202"
        );
        kickoff.list_style = ListStyle::Repeat;
        assert!(query(&kickoff).starts_with("_type=Patient&_type=Observation&"));
        kickoff.patients = vec![text("1"), text("Patient/2")];
        let parameters = kickoff.parameters();
        let of = |name: &str| {
            let all = parameters["parameter"].as_array().unwrap().iter();
            all.filter(|parameter| parameter["name"] == name)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(of("_type").len(), 2);
        assert_eq!(of("includeAssociatedData")[1]["valueCode"], "_y");
        assert_eq!(of("_since")[0]["valueInstant"], "2026-01-01T00:00:00+01:00");
        assert_eq!(
            of("_typeFilter")[0]["valueString"],
            "Observation?code=a,b&status=final"
        );
        assert_eq!(of("patient")[0]["valueReference"]["reference"], "Patient/1");
        assert_eq!(of("patient")[1]["valueReference"]["reference"], "Patient/2");
        assert_eq!(of("allowPartialManifests")[0]["valueBoolean"], true);
    }
}
