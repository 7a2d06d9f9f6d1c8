//! What DocumentReference and DiagnosticReport point to: fetched into files beside the export, or into the resources.

mod fetch;
mod find;
mod index;
mod inline;
mod judge;
mod lines;
mod name;
mod separate;
mod spool;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use url::{Origin, Url};

use super::error::BulkError;
use super::event::{Attachments, Observer};
use super::fetch::gate::Gate;
use super::manifest::Group;
use super::options::{FileToken, How, Mode, Wanted};
use super::state::{Job, Planned};
use crate::fhir::{Client, TokenRule};
use find::Found;

/// Inside a resource nothing larger is kept unless the user says how large it may be.
const LARGEST_INLINE: u64 = 5_000_000;
/// The resource types that have attachments which an export leaves behind.
const TYPES: [&str; 2] = ["DocumentReference", "DiagnosticReport"];
/// As many missing ones are named; the others stand in the index.
const MOST_NAMED: u64 = 20;

/// Why an attachment is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Absent {
    /// It is not wanted.
    LeftOut(String),
    Missing(String),
}

/// What all attachments of an export share.
#[derive(Clone, Debug)]
struct Source {
    client: Client,
    wanted: Wanted,
    gate: Arc<Gate>,
    /// Whether hashes are checked.
    verify: bool,
    /// Origins other than the profile's own to which the manifest sent the token.
    trusted: HashSet<Origin>,
}

/// Fetches the attachments of all resources that are here.
///
/// # Errors
/// What stops the whole export: the disk, or no token.
pub async fn all(
    client: &Client,
    job: &mut Job,
    wanted: &Wanted,
    how: How,
    observer: &Arc<dyn Observer>,
) -> Result<Attachments, BulkError> {
    // What is stated of files may be overruled for them alone.
    let as_stated = match how.file_token {
        FileToken::Never => FileToken::Never,
        FileToken::Auto | FileToken::Always => FileToken::Auto,
    };
    let mut trusted = HashSet::new();
    for planned in job.each() {
        let link = planned?.file.link;
        if link.token_rule(client, as_stated, job.is_read()) == TokenRule::FirstRequest {
            trusted.insert(link.url().origin());
        }
    }
    let source = Source {
        client: client.clone(),
        wanted: wanted.clone(),
        gate: Arc::new(Gate::new(how.parallel)),
        verify: how.verify,
        trusted,
    };
    match wanted.mode {
        Mode::Download => separate::all(&source, job, observer).await,
        Mode::Inline => inline::all(&source, job, how, observer).await,
    }
}

impl Source {
    /// Where an attachment is, or why nobody asks there.
    fn address(&self, found: &Found) -> Result<Url, Absent> {
        if found.url.starts_with('#') {
            return Err(Absent::LeftOut("it is contained in the resource".into()));
        }
        if found.data.is_some() {
            // It is in the resource itself; this names it.
            let url = Url::parse(&found.url);
            return url.map_err(|_| Absent::LeftOut("its URL is no web address".into()));
        }
        // `\\server\share\x.pdf`, which URL parsers take for a host to be asked.
        if found.url.contains('\\') {
            return Err(Absent::LeftOut("its URL is a path of a file system".into()));
        }
        let base = &self.client.profile.fhir_base;
        // FHIR R4 §2.24.0.8: relative to the service base, as references are.
        let mut folder = base.clone();
        if !folder.path().ends_with('/') {
            folder.set_path(&format!("{}/", base.path()));
        }
        match folder.join(&found.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
            _ => Err(Absent::LeftOut("its URL is no web address".into())),
        }
    }

    /// The address of an attachment that is wanted, as far as the resource tells.
    fn wants(&self, found: &Found) -> Result<Url, Absent> {
        if let Some(content_type) = &found.content_type {
            self.wants_type(content_type)?;
        }
        if let Some(size) = found.size {
            self.wants_size(size)?;
        }
        self.address(found)
    }

    fn wants_type(&self, content_type: &str) -> Result<(), Absent> {
        if self.wanted.types.is_empty() {
            return Ok(());
        }
        let essence = essence(content_type);
        let is_wanted = self.wanted.types.iter().any(|wanted| {
            let wanted = wanted.to_ascii_lowercase();
            match wanted.strip_suffix('*') {
                Some(kind) => essence.starts_with(kind),
                None => essence == wanted,
            }
        });
        if is_wanted {
            Ok(())
        } else {
            Err(Absent::LeftOut(format!("it is of type {essence}")))
        }
    }

    fn wants_size(&self, size: u64) -> Result<(), Absent> {
        match self.largest() {
            Some(largest) if size > largest => Err(Absent::LeftOut(format!(
                "it is larger than {largest} bytes"
            ))),
            _ => Ok(()),
        }
    }

    fn largest(&self) -> Option<u64> {
        let by_default = (self.wanted.mode == Mode::Inline).then_some(LARGEST_INLINE);
        self.wanted.largest.or(by_default)
    }

    /// What a resource points to was written by many hands: the token goes to the profile's own origins, and to those
    /// that the manifest itself sent it to, never to another one because a resource names it.
    fn token_rule(&self, url: &Url) -> TokenRule {
        if self.trusted.contains(&url.origin()) {
            TokenRule::FirstRequest
        } else {
            TokenRule::OwnOrigins
        }
    }
}

impl Attachments {
    /// Counts one that is not here, and names the first few.
    fn count(&mut self, absent: &Absent, what: &str, resource: &str, observer: &dyn Observer) {
        match absent {
            Absent::LeftOut(_) => self.left_out += 1,
            Absent::Missing(reason) => {
                self.missing += 1;
                if self.missing <= MOST_NAMED {
                    observer.warning(&format!("{what} of {resource} is missing: {reason}"));
                }
            }
        }
    }
}

/// The files that may hold resources with attachments, with their place in the manifest.
fn files(job: &Job) -> Result<Vec<(usize, PathBuf)>, BulkError> {
    let may_hold = |planned: &Planned| {
        let of_type = planned.file.resource_type.as_deref();
        // With `organizeOutputBy` a file of one type holds resources of others.
        let is_mixed = job.is_mixed();
        planned.file.group == Group::Output
            && (is_mixed || of_type.is_none_or(|name| TYPES.contains(&name)))
    };
    let mut files = Vec::new();
    for (index, planned) in job.each().enumerate() {
        let planned = planned?;
        if may_hold(&planned)
            && let Some(file) = job.exported(&planned)
        {
            files.push((index, file.path));
        }
    }
    Ok(files)
}

/// A content type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}
