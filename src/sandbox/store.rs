//! The resources, as text: digits and key order stay as they were sent.

use std::collections::BTreeMap;

use crate::fhir::object::Object;
use crate::output::json::compact;

/// One version of a resource.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) text: String,
    pub(super) version: u64,
    /// An instant in UTC, so that text order is time order.
    pub(super) updated: String,
    pub(super) deleted: bool,
}

/// All resources by type and id.
#[derive(Debug, Default)]
pub(super) struct Store {
    types: BTreeMap<String, BTreeMap<String, Stored>>,
}

impl Store {
    /// Stores a resource; the server's own id, version and time are put into its text.
    pub(super) fn put(
        &mut self,
        resource_type: &str,
        id: &str,
        text: &str,
        updated: &str,
    ) -> Result<Stored, serde_json::Error> {
        let resources = self.types.entry(resource_type.to_owned()).or_default();
        let version = resources.get(id).map_or(1, |stored| stored.version + 1);
        let mut resource = Object::parse(text)?;
        let meta_text = resource.get("meta").unwrap_or("{}").to_owned();
        let mut meta = Object::parse(&meta_text)?;
        meta.set("versionId", format!("\"{version}\""));
        meta.set("lastUpdated", format!("\"{updated}\""));
        resource.set("id", serde_json::Value::from(id).to_string());
        resource.set("meta", meta.to_string());
        let stored = Stored {
            // One line: it becomes a line of NDJSON.
            text: compact(&resource.to_string()),
            version,
            updated: updated.to_owned(),
            deleted: false,
        };
        resources.insert(id.to_owned(), stored.clone());
        Ok(stored)
    }

    /// Marks a resource as deleted; `false` when there is none.
    pub(super) fn delete(&mut self, resource_type: &str, id: &str, updated: &str) -> bool {
        match self
            .types
            .get_mut(resource_type)
            .and_then(|resources| resources.get_mut(id))
        {
            Some(stored) if !stored.deleted => {
                stored.deleted = true;
                stored.version += 1;
                updated.clone_into(&mut stored.updated);
                true
            }
            _ => false,
        }
    }

    /// A resource, deleted ones too.
    pub(super) fn get(&self, resource_type: &str, id: &str) -> Option<&Stored> {
        self.types.get(resource_type)?.get(id)
    }

    /// All of a type with their ids, deleted ones too.
    pub(super) fn all(&self, resource_type: &str) -> impl Iterator<Item = (&str, &Stored)> {
        self.types
            .get(resource_type)
            .into_iter()
            .flatten()
            .map(|(id, stored)| (id.as_str(), stored))
    }

    /// The types there are.
    pub(super) fn types(&self) -> Vec<String> {
        self.types.keys().cloned().collect()
    }
}

/// The instant now, in UTC and milliseconds.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    format!("{:.3}", now.round(jiff::Unit::Millisecond).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_sent_in_lines_is_kept_as_one_with_its_digits() {
        let text = "{\n  \"resourceType\": \"Basic\",\n  \"x\": 1.00\n}";
        let stored = Store::default()
            .put("Basic", "1", text, "2026-01-01T00:00:00.000Z")
            .unwrap();
        assert!(
            !stored.text.contains('\n') && stored.text.contains("1.00"),
            "{}",
            stored.text
        );
    }
}
