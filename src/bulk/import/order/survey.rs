//! The first pass over the files: which ranks lie in which file, how much there is, and where `urn:uuid` lead.

use std::collections::{BTreeMap, HashSet};
use std::io;

use crate::bulk::import::ImportError;
use crate::bulk::import::order::links::{Links, Scan};
use crate::bulk::import::order::names::{Names, Naming, Scope, is_urn, uuid_of};
use crate::bulk::import::order::rank;
use crate::bulk::import::order::references::Index;
use crate::bulk::import::piece::Piece;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::read::line::{self, Head};

/// What the first pass found.
#[derive(Debug, Default)]
pub struct Survey {
    /// For each file one bit per rank that occurs in it.
    pub ranks: Vec<u64>,
    pub totals: BTreeMap<String, u64>,
    pub links: Links,
    /// The first resource that is written behind its deletion: in another order it would be gone in the end.
    pub rewritten: Option<String>,
}

/// Reads all files once.
///
/// # Errors
/// A file cannot be read.
pub fn survey(inputs: &[Input], scan: &Scan) -> Result<Survey, ImportError> {
    let mut survey = Survey::default();
    // Types come in runs, so the last one is counted apart.
    let (mut last, mut number) = (String::new(), 0);
    let mut deleted = HashSet::new();
    for input in inputs {
        let mut ranks = 0_u64;
        let mut rank_of_last = None;
        input.visit_checked(&mut |_, piece| {
            let (name, is_deletion) = match &piece {
                Piece::Resource {
                    text,
                    full_url,
                    loses_condition,
                    ..
                } => {
                    survey.links.lost_conditions += u64::from(*loses_condition);
                    let needs_name = || {
                        full_url.is_some() && Head::read(text).is_ok_and(|head| head.id.is_none())
                    };
                    if !deleted.is_empty() && survey.rewritten.is_none() {
                        survey.rewritten = name_of(text).filter(|name| deleted.contains(name));
                    }
                    survey.links.add(scan.links(text, input.source.as_deref()));
                    survey.links.has_urns = survey.links.has_urns || needs_name();
                    (line::type_name(text), false)
                }
                Piece::Bad { .. } => ("".into(), false),
                Piece::Deletion { url } => {
                    // What else the URL says is how it is deleted.
                    deleted.extend(url.split('?').next().map(str::to_owned));
                    (line::type_of_url(url).into(), true)
                }
            };
            if *name != *last {
                *survey.totals.entry(std::mem::take(&mut last)).or_default() += number;
                last.push_str(&name);
                number = 0;
                rank_of_last = None;
            }
            number += 1;
            if is_deletion {
                ranks |= 1 << rank::rank_of_deletion(&name);
            } else {
                let rank = *rank_of_last.get_or_insert_with(|| rank::rank(&name));
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

/// `Type/id` of a resource that has an id.
fn name_of(text: &[u8]) -> Option<String> {
    let head = Head::read(text).ok()?;
    Some(format!("{}/{}", head.resource_type, head.id?))
}

/// Reads all files for the names that references can lead to. With ids that are kept they lead to where resources will
/// be written, else to what is to come.
///
/// # Errors
/// A file cannot be read, or the table not be written.
pub fn index(inputs: &[Input], naming: Naming) -> Result<Index, ImportError> {
    let mut index = Index::default();
    for (file, input) in inputs.iter().enumerate() {
        input.visit(&mut |_, piece| {
            let Piece::Resource {
                text,
                full_url,
                bundle,
                ..
            } = piece
            else {
                return Ok(());
            };
            let Ok(head) = Head::read(text) else {
                return Ok(());
            };
            let scope = Scope { file, bundle };
            note(&mut index, scope, &head, full_url.as_deref(), naming)
                .map_err(ImportError::temporary)
        })?;
    }
    index.settle().map_err(ImportError::temporary)?;
    Ok(index)
}

/// Notes what references call a resource.
///
/// # Errors
/// The table cannot be written.
pub fn note(
    index: &mut Index,
    scope: Scope,
    head: &Head,
    full_url: Option<&str>,
    naming: Naming,
) -> io::Result<()> {
    let full_url = full_url.filter(|url| !naming.keeps_ids || is_urn(url));
    let id = head.id.as_deref();
    let names = Names::new(scope, &head.resource_type, id, full_url, naming);
    if !naming.keeps_ids {
        return index.note_coming(&names);
    }
    match id.or_else(|| full_url.and_then(uuid_of)) {
        Some(at) => index.note(
            &names,
            &format!("{}/{at}", head.resource_type),
            id.is_some(),
        ),
        None => Ok(()),
    }
}
