//! `DIR/attachments.ndjson`: a line for each attachment that says which file it is, or why there is none.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::judge::Judge;
use super::lines::{self as long, Lines, Short};
use super::{Absent, Source, files, find, name};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::event::{Attachments, Observer};
use crate::bulk::export::layout;
use crate::bulk::export::log::detail;
use crate::bulk::export::state::Job;
use crate::place;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    resource: &'a str,
    element: &'a str,
    /// The file and line the resource stands in.
    file: &'a Path,
    line: u64,
    /// Without its query, which may hold a signature.
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// As in `manifest.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'a str>,
}

/// What an entry is made of beside the resource.
struct Known<'a> {
    source: &'a Source,
    job: &'a Job,
    absent: &'a HashMap<PathBuf, Absent>,
    judge: &'a mut Judge,
    summary: &'a mut Attachments,
    observer: &'a dyn Observer,
}

/// Writes it whole. What a resource says of its content is compared here, where all that point to it are seen.
///
/// # Errors
/// The disk.
pub(super) fn write(
    source: &Source,
    job: &mut Job,
    absent: &HashMap<PathBuf, Absent>,
    judge: &mut Judge,
    summary: &mut Attachments,
    observer: &dyn Observer,
) -> Result<(), BulkError> {
    let path = job.folder().join(layout::ATTACHMENT_INDEX);
    let failed = |source| BulkError::disk(&path, source);
    let mut writer = BufWriter::new(job.draft()?);
    let mut known = Known {
        source,
        job,
        absent,
        judge,
        summary,
        observer,
    };
    for (_, file) in files(job)? {
        let shown = file.strip_prefix(std::path::absolute(job.folder()).unwrap_or_default());
        let shown = shown.unwrap_or(&file);
        known.lines_of(&file, shown, &mut writer).map_err(failed)?;
    }
    let made = writer
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    job.put(layout::ATTACHMENT_INDEX, made)
}

impl Known<'_> {
    fn lines_of(&mut self, file: &Path, shown: &Path, writer: &mut impl Write) -> io::Result<()> {
        let mut lines = Lines::of(file)?;
        while let Some(line) = lines.next_short()? {
            let Short::Line(line) = line else {
                let entry = Entry {
                    resource: "",
                    element: "",
                    file: shown,
                    line: lines.number,
                    url: String::new(),
                    content_type: None,
                    path: None,
                    bytes: None,
                    digest: None,
                    left_out: None,
                    missing: Some(long::TOO_LONG),
                };
                serde_json::to_writer(&mut *writer, &entry)?;
                writer.write_all(b"\n")?;
                continue;
            };
            let Some(of_line) = find::in_line(&line) else {
                continue;
            };
            for found in &of_line.attachments {
                let at = (shown, lines.number);
                self.entry_of(&of_line.resource, found, at, writer)?;
            }
        }
        Ok(())
    }

    /// One attachment, which file it is or why there is none.
    fn entry_of(
        &mut self,
        resource: &str,
        found: &find::Found,
        (file, line): (&Path, u64),
        writer: &mut impl Write,
    ) -> io::Result<()> {
        let job = self.job;
        let content_type = found.content_type.as_deref();
        let wanted = self.source.wants(found);
        let path = wanted
            .as_ref()
            .ok()
            .map(|url| name::path(url, content_type));
        let why = match (&wanted, &path) {
            (Err(why), _) => Some(why),
            (Ok(_), Some(path)) => self.absent.get(path),
            _ => None,
        };
        let refused = match &path {
            Some(path) if why.is_none() => self.judge.judge(job.folder(), path, found)?.err(),
            _ => None,
        };
        if let Some(refused) = &refused {
            self.summary
                .count(refused, &found.element, resource, self.observer);
        }
        let why = why.or(refused.as_ref());
        let there = path.filter(|_| why.is_none());
        let bytes = there
            .as_ref()
            .and_then(|path| place::length(&job.folder().join(path)));
        let record = there.as_ref().and_then(|path| job.record_of(path));
        let digest = record.and_then(|made| made.digest);
        let (left_out, missing) = match why {
            Some(Absent::LeftOut(why)) => (Some(detail::without_queries(why)), None),
            Some(Absent::Missing(why)) => (None, Some(detail::without_queries(why))),
            None => (None, None),
        };
        let entry = Entry {
            resource,
            element: &found.element,
            file,
            line,
            url: without_query(self.source, found),
            content_type,
            path: there.map(|path| path.to_string_lossy().replace('\\', "/")),
            bytes,
            digest: digest.map(|digest| digest.as_json()),
            left_out: left_out.as_deref(),
            missing: missing.as_deref(),
        };
        serde_json::to_writer(&mut *writer, &entry)?;
        writer.write_all(b"\n")?;
        Ok(())
    }
}

fn without_query(source: &Source, found: &find::Found) -> String {
    match source.address(found) {
        Ok(_) if found.data.is_some() => "data:".to_owned(),
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        // `ftp://user:password@…`, `data:…`
        Err(_) => detail::without_queries(&found.url)
            .chars()
            .take(60)
            .collect(),
    }
}
