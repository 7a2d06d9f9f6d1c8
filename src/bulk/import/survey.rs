//! The first pass over the files: which ranks lie in which file, how much there is, and where `urn:uuid` lead.

use std::collections::BTreeMap;

use memchr::memmem::Finder;

use super::line::{self, Head};
use super::references::{self, Index};
use super::source::{Input, Piece};
use super::{ImportError, order};

/// What the first pass found.
#[derive(Debug, Default)]
pub struct Survey {
    /// For each file one bit per rank that occurs in it.
    pub ranks: Vec<u64>,
    pub totals: BTreeMap<String, u64>,
    pub has_urns: bool,
}

impl Survey {
    /// How many lines there are.
    pub fn total(&self) -> u64 {
        self.totals.values().sum()
    }
}

/// Reads all files once.
///
/// # Errors
/// A file cannot be read.
pub fn survey(inputs: &[Input]) -> Result<Survey, ImportError> {
    let mut survey = Survey::default();
    let urn = Finder::new("urn:uuid:");
    // Types come in runs, so the last one is counted apart.
    let (mut last, mut number) = (String::new(), 0);
    for input in inputs {
        let mut ranks = 0_u64;
        let mut rank_of_last = None;
        input.visit(&mut |_, piece| {
            let (name, is_deletion) = match &piece {
                Piece::Resource { text, .. } => {
                    survey.has_urns = survey.has_urns || urn.find(text).is_some();
                    (line::type_name(text), false)
                }
                Piece::Bad { .. } => ("".into(), false),
                Piece::Deletion { url } => (line::type_of_url(url).into(), true),
            };
            if *name != *last {
                *survey.totals.entry(std::mem::take(&mut last)).or_default() += number;
                last.push_str(&name);
                number = 0;
                rank_of_last = None;
            }
            number += 1;
            if is_deletion {
                ranks |= 1 << order::rank_of_deletion(&name);
            } else {
                let rank = *rank_of_last.get_or_insert_with(|| order::rank(&name));
                ranks |= 1 << rank;
            }
            Ok(())
        })?;
        survey.ranks.push(ranks);
    }
    *survey.totals.entry(last).or_default() += number;
    survey.totals.retain(|_, number| *number > 0);
    Ok(survey)
}

/// Reads all files for the names that `urn:uuid` references can lead to: a Bundle's full URLs, and ids that are UUIDs.
///
/// # Errors
/// A file cannot be read, or the table not be written.
pub fn index(inputs: &[Input]) -> Result<Index, ImportError> {
    let mut index = Index::default();
    for input in inputs {
        input.visit(&mut |_, piece| {
            let Piece::Resource { text, full_url } = piece else {
                return Ok(());
            };
            let Ok(head) = Head::read(text) else {
                return Ok(());
            };
            names(&head, full_url.as_deref(), &mut |name, target| {
                index.insert(name, target)
            })
            .map_err(|source| ImportError::Disk {
                path: std::env::temp_dir(),
                source,
            })
        })?;
    }
    index.settle().map_err(|source| ImportError::Disk {
        path: std::env::temp_dir(),
        source,
    })?;
    Ok(index)
}

/// Calls `note` for each `urn:uuid` that leads to a resource written under its own id.
pub fn names<E>(
    head: &Head,
    full_url: Option<&str>,
    note: &mut dyn FnMut(&str, &str) -> Result<(), E>,
) -> Result<(), E> {
    let full_url = full_url.filter(|url| references::is_urn(url));
    let Some(id) = head.id.as_deref().or_else(|| full_url.and_then(uuid_of)) else {
        return Ok(());
    };
    let target = format!("{}/{id}", head.resource_type);
    if let Some(full_url) = full_url {
        note(full_url, &target)?;
    }
    if line::is_uuid(id) {
        note(&format!("urn:uuid:{id}"), &target)?;
    }
    Ok(())
}

/// The UUID of a `urn:uuid`, which makes a good id for a resource without one.
pub fn uuid_of(urn: &str) -> Option<&str> {
    urn.strip_prefix("urn:uuid:")
        .filter(|uuid| line::is_uuid(uuid))
}
