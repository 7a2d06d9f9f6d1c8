//! The rows of a report: what each file is counted in.

use std::collections::BTreeMap;
use std::path::Path;

use super::story::{self, Fetch, Story};
use super::{Files, Missing, Report, Row, deletions};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::manifest::Group;
use crate::bulk::export::state::Planned;
use crate::secret;
use crate::words::{self, number_of};

/// The list and the name of the row that a file of this kind counts in.
fn row_of(group: Group, resource_type: Option<String>) -> (&'static str, String) {
    match group {
        Group::Output => (
            "output",
            resource_type.unwrap_or_else(|| "mixed".to_owned()),
        ),
        Group::Deleted => ("deleted", "(deletions)".to_owned()),
        Group::Error => ("error", "(reports)".to_owned()),
    }
}

impl Report {
    fn count_deletions(
        &mut self,
        folder: &Path,
        path: &Path,
        deletions: &mut BTreeMap<String, u64>,
    ) {
        match deletions::count(&folder.join(path)) {
            Ok(found) => found.into_iter().for_each(|(name, count)| {
                *deletions.entry(name).or_default() += count;
            }),
            Err(error) => self.unknown.push(format!(
                "The deletions in {} cannot be counted: {error}",
                path.display()
            )),
        }
    }

    pub(super) fn count(&mut self, files: &Files, story: &Story) -> Result<(), BulkError> {
        let mut rows: BTreeMap<(Group, String), (Row, Option<story::Span>)> = BTreeMap::new();
        let mut deletions: BTreeMap<String, u64> = BTreeMap::new();
        let mut whole: Option<story::Span> = None;
        let mut unchecked = 0;
        for planned in files.each() {
            let planned = planned?;
            let group = planned.file.group;
            let resource_type = planned.file.resource_type.as_deref().map(words::shortened);
            let (list, name) = row_of(group, resource_type);
            let (row, span) = rows.entry((group, name.clone())).or_default();
            row.name = name;
            row.list = Some(list);
            let fetch = story.file(&planned.path);
            if let Some(fetch) = fetch {
                for (code, count) in &fetch.errors {
                    *row.errors.entry(code.clone()).or_default() += count;
                }
                story::widen(span, fetch.span());
                story::widen(&mut whole, fetch.span());
            }
            let Some(done) = files.here(&planned) else {
                row.missing += 1;
                self.missing.push(missing(&planned, fetch));
                continue;
            };
            row.files += 1;
            unchecked += u64::from(done.counted().is_none());
            row.resources += done.counted().unwrap_or_default();
            row.bytes += done.bytes;
            self.outcomes.add(&done.outcomes);
            if group == Group::Deleted {
                self.count_deletions(&files.folder, &planned.path, &mut deletions);
            }
        }
        if unchecked > 0 {
            self.unknown.push(format!(
                "{} came without checks: the content was not counted.",
                number_of(unchecked, "file")
            ));
        }
        for (name, count) in deletions {
            let (row, _) = rows.entry((Group::Output, name.clone())).or_default();
            row.name = name;
            row.list = Some("output");
            row.deleted = count;
        }
        self.add_up(rows.into_values(), whole);
        Ok(())
    }

    fn add_up(
        &mut self,
        rows: impl Iterator<Item = (Row, Option<story::Span>)>,
        whole: Option<story::Span>,
    ) {
        "total".clone_into(&mut self.total.name);
        for (mut row, span) in rows {
            row.seconds = span.map(|(from, to)| story::seconds(from, to));
            self.total.add(&row);
            self.types.push(row);
        }
        self.total.seconds = whole.map(|(from, to)| story::seconds(from, to));
    }
}

impl Row {
    fn add(&mut self, row: &Self) {
        self.files += row.files;
        self.missing += row.missing;
        self.bytes += row.bytes;
        self.deleted += row.deleted;
        if row.list == Some("output") {
            self.resources += row.resources;
        }
        for (code, count) in &row.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }
}

fn missing(planned: &Planned, fetch: Option<&Fetch>) -> Missing {
    Missing {
        path: planned.path.display().to_string(),
        url: secret::url_without_query(&planned.file.link.url()),
        resource_type: planned.file.resource_type.as_deref().map(words::shortened),
        reason: fetch.and_then(|fetch| fetch.reason.clone()),
    }
}
