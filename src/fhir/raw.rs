//! Resources as the text they came in: `1.00` stays `1.00` because no number is ever read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A Bundle whose resources are left as text (FHIR R4, Bundle).
#[derive(Debug, Deserialize)]
pub struct Bundle<'a> {
    #[serde(rename = "resourceType", borrow)]
    pub resource_type: Cow<'a, str>,
    #[serde(rename = "type", borrow, default)]
    pub bundle_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub link: Vec<Link<'a>>,
    #[serde(borrow, default)]
    pub entry: Vec<Entry<'a>>,
}

/// A link between pages.
#[derive(Debug, Deserialize)]
pub struct Link<'a> {
    #[serde(borrow, default)]
    pub relation: Cow<'a, str>,
    #[serde(borrow, default)]
    pub url: Cow<'a, str>,
}

/// One entry of a Bundle.
#[derive(Debug, Deserialize)]
pub struct Entry<'a> {
    #[serde(rename = "fullUrl", borrow, default)]
    pub full_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub search: Option<Search<'a>>,
}

/// Why an entry is in a search's result.
#[derive(Debug, Deserialize)]
pub struct Search<'a> {
    #[serde(borrow, default)]
    pub mode: Option<Cow<'a, str>>,
}

/// Type and id of a resource.
#[derive(Debug, Deserialize)]
pub struct Identity<'a> {
    #[serde(rename = "resourceType", borrow)]
    pub resource_type: Cow<'a, str>,
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
}

impl<'a> Bundle<'a> {
    /// Reads a Bundle; another resource is an error.
    ///
    /// # Errors
    /// The text is not JSON or not a Bundle.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let bundle: Self = serde_json::from_str(text)?;
        if bundle.resource_type != "Bundle" {
            return Err(serde::de::Error::custom(format!(
                "it is a {}",
                bundle.resource_type
            )));
        }
        Ok(bundle)
    }

    /// The URL of the next page, if there is one.
    pub fn next_link(&self) -> Option<&str> {
        self.link
            .iter()
            .find(|link| link.relation == "next")
            .map(|link| link.url.as_ref())
    }

    /// The resources that answer the search: everything but outcomes about the search itself.
    pub fn resources(&self) -> impl Iterator<Item = &'a RawValue> {
        self.entry.iter().filter_map(|entry| {
            let mode = entry
                .search
                .as_ref()
                .and_then(|search| search.mode.as_deref());
            entry.resource.filter(|_| mode != Some("outcome"))
        })
    }

    /// What a server says about the search itself.
    pub fn outcomes(&self) -> impl Iterator<Item = &'a RawValue> {
        self.entry.iter().filter_map(|entry| {
            let mode = entry
                .search
                .as_ref()
                .and_then(|search| search.mode.as_deref());
            entry.resource.filter(|_| mode == Some("outcome"))
        })
    }
}

impl<'a> Identity<'a> {
    /// Reads type and id out of a resource's text.
    ///
    /// # Errors
    /// The text is no resource.
    pub fn of(resource: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundles_resources_keep_their_digits() {
        let text = r#"{"resourceType":"Bundle","link":[{"relation":"self","url":"a"},{"relation":"next","url":"b"}],
            "entry":[{"resource":{"resourceType":"Observation","id":"1","valueQuantity":{"value":1.00}}},
            {"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}},{}]}"#;
        let bundle = Bundle::parse(text).unwrap();
        assert_eq!(bundle.next_link(), Some("b"));
        let resources: Vec<_> = bundle.resources().map(RawValue::get).collect();
        assert_eq!(resources.len(), 1);
        assert!(resources[0].contains("1.00"));
        assert_eq!(Identity::of(resources[0]).unwrap().id.as_deref(), Some("1"));
        assert_eq!(bundle.outcomes().count(), 1);
        assert!(Bundle::parse(r#"{"resourceType":"Patient"}"#).is_err());
    }
}
