//! What an import of the data set is to leave on a server: counts by type, and lines whose references lead somewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;

use super::store::references;
use super::synthea;

const URN: &str = "urn:uuid:";

/// The lines of a data set, and what their references lead to.
pub struct DataSet {
    pub lines: Vec<String>,
    types: HashMap<String, String>,
}

impl DataSet {
    /// Every `step`th line of all files.
    pub fn read(folder: &Path, step: usize) -> Self {
        let files = synthea::files(folder);
        let lines = files.iter().flat_map(|path| synthea::lines(path));
        let lines: Vec<String> = lines.step_by(step).collect();
        let mut types = HashMap::new();
        for line in &lines {
            let (resource_type, id) = synthea::name(line);
            assert!(types.insert(id, resource_type).is_none(), "{line}");
        }
        Self { lines, types }
    }

    /// How many resources there are of each type.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for resource_type in self.types.values() {
            *counts.entry(resource_type.clone()).or_default() += 1;
        }
        counts
    }

    /// A line as it is to arrive: a `urn:uuid` that names a resource of the set leads to its type and id.
    pub fn arrived(&self, line: &str) -> String {
        let mut parts = line.split(URN);
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            match part.get(..36).and_then(|id| self.types.get(id)) {
                Some(resource_type) => text.extend([resource_type, "/"]),
                None => text.push_str(URN),
            }
            text.push_str(part);
        }
        text
    }

    /// The `urn:uuid` that name nothing in the set.
    pub fn dangling(&self) -> usize {
        let rest = self.lines.iter().map(|line| self.arrived(line));
        rest.map(|line| line.matches(URN).count()).sum()
    }

    /// Every reference to a resource of the set, as `Type/id`, among those of `lines` as they are to arrive.
    pub fn resolving(&self, lines: &[String]) -> BTreeSet<String> {
        let values = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(&self.arrived(line)).unwrap());
        let all = values.flat_map(|value| references(&value));
        all.filter(|name| {
            name.split_once('/')
                .is_some_and(|(of, id)| self.types.get(id).is_some_and(|found| found == of))
        })
        .collect()
    }
}
