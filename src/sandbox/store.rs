//! The resources, as text: digits and key order stay as they were sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;

use crate::fhir::object::Object;

/// One version of a resource.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) text: Arc<str>,
    pub(super) version: u64,
    pub(super) updated: Timestamp,
    pub(super) deleted: bool,
}

/// All resources by type and id.
#[derive(Debug, Default)]
pub(super) struct Store {
    types: BTreeMap<String, BTreeMap<String, Stored>>,
    /// What stood there before each change of the transaction that runs.
    undo: Option<Vec<(String, String, Option<Stored>)>>,
    latest: Option<Timestamp>,
}

impl Stored {
    pub(super) fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }

    /// The resource to look into; its digits are kept in `text` only.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Store {
    /// The instant now in milliseconds, later than any it gave before: what follows an export belongs to the next one.
    pub(super) fn tick(&mut self) -> Timestamp {
        let now = Timestamp::now();
        let now = now.round(Unit::Millisecond).unwrap_or(now);
        let now = self.latest.map_or(now, |latest| {
            now.max(latest + SignedDuration::from_millis(1))
        });
        self.latest = Some(now);
        now
    }

    /// Stores a resource; the server's own id, version and time are put into its text.
    pub(super) fn put(
        &mut self,
        resource_type: &str,
        id: &str,
        text: &str,
        updated: Timestamp,
    ) -> Result<Stored, serde_json::Error> {
        let before = self.get(resource_type, id);
        let version = before.map_or(1, |stored| stored.version + 1);
        let mut resource = Object::parse(text)?;
        let meta_text = resource.get("meta").unwrap_or("{}").to_owned();
        let mut meta = Object::parse(&meta_text)?;
        meta.set("versionId", format!("\"{version}\""));
        meta.set("lastUpdated", format!("\"{updated:.3}\""));
        resource.set("id", Value::from(id).to_string());
        resource.set("meta", meta.to_string());
        let stored = Stored {
            text: resource.to_string().into(),
            version,
            updated,
            deleted: false,
        };
        self.remember(resource_type, id);
        let resources = self.types.entry(resource_type.to_owned()).or_default();
        resources.insert(id.to_owned(), stored.clone());
        Ok(stored)
    }

    /// Stores a resource whose text is as it has to be already.
    pub(super) fn load(&mut self, resource_type: &str, id: &str, text: &str, updated: Timestamp) {
        let stored = Stored {
            text: text.into(),
            version: 1,
            updated,
            deleted: false,
        };
        let resources = self.types.entry(resource_type.to_owned()).or_default();
        resources.insert(id.to_owned(), stored);
    }

    /// Marks a resource as deleted; `false` when there is none.
    pub(super) fn delete(&mut self, resource_type: &str, id: &str) -> bool {
        if self
            .get(resource_type, id)
            .is_none_or(|stored| stored.deleted)
        {
            return false;
        }
        self.remember(resource_type, id);
        let now = self.tick();
        let resources = self.types.get_mut(resource_type);
        if let Some(stored) = resources.and_then(|resources| resources.get_mut(id)) {
            stored.deleted = true;
            stored.version += 1;
            stored.updated = now;
        }
        true
    }

    /// A resource, deleted ones too.
    pub(super) fn get(&self, resource_type: &str, id: &str) -> Option<&Stored> {
        self.types.get(resource_type)?.get(id)
    }

    /// All of a type by id, deleted ones too.
    pub(super) fn all(&self, resource_type: &str) -> impl Iterator<Item = (&str, &Stored)> {
        self.types
            .get(resource_type)
            .into_iter()
            .flatten()
            .map(|(id, stored)| (id.as_str(), stored))
    }

    /// The types there are.
    pub(super) fn types(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// Begins a transaction: from here on, changes can be undone.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// Ends a transaction, its changes kept.
    pub(super) fn commit(&mut self) {
        self.undo = None;
    }

    /// Ends a transaction as if it had never been.
    pub(super) fn roll_back(&mut self) {
        for (resource_type, id, before) in self.undo.take().unwrap_or_default().into_iter().rev() {
            let resources = self.types.entry(resource_type).or_default();
            match before {
                Some(stored) => resources.insert(id, stored),
                None => resources.remove(&id),
            };
        }
        self.types.retain(|_, resources| !resources.is_empty());
    }

    fn remember(&mut self, resource_type: &str, id: &str) {
        let before = self.get(resource_type, id).cloned();
        if let Some(undo) = &mut self.undo {
            undo.push((resource_type.to_owned(), id.to_owned(), before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_keeps_its_text_but_for_id_and_meta() {
        let mut store = Store::default();
        let now = store.tick();
        let text = r#"{"resourceType":"Basic","meta":{"source":"x"},"big":12345678901234567890,"n":{"d": 1.00}}"#;
        let stored = store.put("Basic", "b", text, now).unwrap();
        assert_eq!(
            *stored.text,
            *format!(
                r#"{{"resourceType":"Basic","meta":{{"source":"x","versionId":"1","lastUpdated":"{now:.3}"}},"big":12345678901234567890,"n":{{"d": 1.00}},"id":"b"}}"#
            )
        );
        assert!(store.tick() > now);
    }

    #[test]
    fn a_transaction_that_fails_leaves_nothing_behind() {
        let mut store = Store::default();
        let now = store.tick();
        store.put("Basic", "old", r#"{"a":1}"#, now).unwrap();
        store.begin();
        store.put("Basic", "old", r#"{"a":2}"#, now).unwrap();
        store.put("Basic", "new", "{}", now).unwrap();
        store.delete("Basic", "old");
        store.put("List", "l", "{}", now).unwrap();
        store.roll_back();
        let old = store.get("Basic", "old").unwrap();
        assert!(old.text.contains(r#""a":1"#) && old.version == 1 && !old.deleted);
        assert!(store.get("Basic", "new").is_none());
        assert_eq!(store.types().collect::<Vec<_>>(), ["Basic"]);
    }
}
