//! What an export holds: the resources that are wanted, as the lines of files.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::json;

use super::super::answer::{Result, bad_request, not_found, outcome};
use super::super::compartment;
use super::super::store::{Store, Stored};
use super::Level;
use super::file::{File, List};
use super::line::line;
use super::wanted::Wanted;

/// The files of an export; a type that there is nothing of has none.
pub(super) fn files(
    store: &Store,
    level: &Level,
    wanted: &Wanted,
    base: &str,
    per_file: usize,
) -> Result<Vec<File>> {
    let reached = reached(store, level, wanted)?;
    let mut files = Vec::new();
    let mut deleted = Vec::new();
    for resource_type in store.types() {
        let is_wanted = if wanted.types.is_empty() {
            // What is in a document is behind its URL already.
            resource_type != "Binary"
        } else {
            wanted.types.iter().any(|name| name == resource_type)
        };
        if !is_wanted {
            continue;
        }
        let mut lines = Vec::new();
        for (id, stored) in store.all(resource_type) {
            let url = format!("{resource_type}/{id}");
            let is_within = reached
                .as_ref()
                .is_none_or(|reached| reached.contains(&url));
            if !is_within || !is_in_time(stored, wanted) {
                continue;
            }
            if !stored.deleted {
                if passes(resource_type, stored, wanted) {
                    lines.push(line(resource_type, stored, wanted, base));
                }
            } else if wanted.since.is_some() {
                deleted.push(deletion(&url).into());
            }
        }
        add(&mut files, List::Output, resource_type, &lines, per_file);
    }
    add(&mut files, List::Deleted, "Bundle", &deleted, per_file);
    let outcomes: Vec<Arc<str>> = wanted
        .ignored
        .iter()
        .map(|words| outcome(200, "not-supported", words).into())
        .collect();
    let kind = "OperationOutcome";
    add(&mut files, List::Error, kind, &outcomes, per_file);
    Ok(files)
}

fn add(files: &mut Vec<File>, list: List, kind: &str, lines: &[Arc<str>], per_file: usize) {
    for lines in lines.chunks(per_file.max(1)) {
        files.push(File::new(list, kind, lines));
    }
}

/// The relative URLs of what can be exported at a level; `None` for everything.
fn reached(store: &Store, level: &Level, wanted: &Wanted) -> Result<Option<BTreeSet<String>>> {
    let mut patients: HashSet<String> = match level {
        Level::System if wanted.patients.is_empty() => return Ok(None),
        Level::System => {
            return Err(bad_request(
                "the parameter patient is only for exports of patients and groups",
            ));
        }
        Level::Patients => store.all("Patient").map(|(id, _)| id.to_owned()).collect(),
        Level::Group(id) => {
            let group = store.get("Group", id).filter(|group| !group.deleted);
            compartment::members(group.ok_or_else(|| not_found(&format!("Group/{id} is unknown")))?)
        }
    };
    if let Some(stranger) = wanted.patients.iter().find(|id| !patients.contains(*id)) {
        return Err(bad_request(&format!(
            "Patient/{stranger} is not among the patients of this export"
        )));
    }
    if !wanted.patients.is_empty() {
        patients = wanted.patients.iter().cloned().collect();
    }
    Ok(Some(compartment::of(store, &patients)))
}

fn is_in_time(stored: &Stored, wanted: &Wanted) -> bool {
    wanted.since.is_none_or(|since| stored.updated > since)
        && wanted.until.is_none_or(|until| stored.updated <= until)
}

fn passes(resource_type: &str, stored: &Stored, wanted: &Wanted) -> bool {
    let mut filters = wanted
        .filters
        .iter()
        .filter(|(name, _)| name == resource_type)
        .peekable();
    filters.peek().is_none() || filters.any(|(_, query)| query.matches(stored))
}

fn deletion(url: &str) -> String {
    json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": url}}],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_on_many_lines_is_one_line() {
        let mut store = Store::default();
        let now = store.tick();
        let text = "{\"resourceType\":\"Basic\",\"code\":{\n  \"text\": \"two words\"\n}}";
        store.put("Basic", "b", text, now).unwrap();
        let files = files(&store, &Level::System, &Wanted::default(), "", 10).unwrap();
        assert!(
            files[0].text().ends_with("\"id\":\"b\"}\n")
                || files[0].text().matches('\n').count() == 1
        );
        assert!(files[0].text().contains(r#""text":"two words""#));
    }

    #[test]
    fn the_deleted_are_listed_since_a_time_only() {
        let mut store = Store::default();
        let before = store.tick();
        store
            .put("Patient", "p", r#"{"resourceType":"Patient"}"#, before)
            .unwrap();
        store.delete("Patient", "p");
        let lists = |since| -> Vec<List> {
            let wanted = Wanted {
                since,
                ..Wanted::default()
            };
            let files = files(&store, &Level::Patients, &wanted, "", 10).unwrap();
            files.iter().map(|file| file.list).collect()
        };
        assert_eq!(lists(Some(before)), [List::Deleted]);
        assert!(lists(None).is_empty());
    }
}
