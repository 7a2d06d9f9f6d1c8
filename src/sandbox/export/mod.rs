//! Bulk Data export by the book: kick-off, status, manifest, files, delete (Bulk Data 3.0).

mod file;
mod job;
mod kickoff;
mod line;
mod selection;
mod wanted;

use super::answer::{Answer, Result, not_allowed, not_found};
use super::{Asked, Shared};

pub(super) use job::Jobs;

/// Answers what belongs to exports; `None` for everything else.
pub(super) fn serve(shared: &Shared, asked: &Asked, path: &str) -> Option<Result> {
    if let Some(rest) = path.strip_prefix("bulkdata/") {
        let parts: Vec<&str> = rest.split('/').collect();
        return Some(match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["export", id]) => job::status(shared, asked, id),
            ("DELETE", ["export", id]) => job::delete(shared, id),
            ("GET", ["file", id, name]) => file::download(shared, asked, id, name),
            (method, ["export", _]) => Err(not_allowed(method, "GET, DELETE")),
            (method, ["file", _, _]) => Err(not_allowed(method, "GET")),
            _ => Err(no_such_job()),
        });
    }
    let level = path.strip_suffix("$export")?;
    let level = match level.split('/').collect::<Vec<_>>().as_slice() {
        [""] => Level::System,
        ["Patient", ""] => Level::Patients,
        ["Group", id, ""] => Level::Group((*id).to_owned()),
        _ => return None,
    };
    Some(kickoff::start(shared, asked, &level))
}

/// Whose data are exported.
#[derive(Debug)]
enum Level {
    System,
    Patients,
    Group(String),
}

fn no_such_job() -> Answer {
    not_found("there is no such export, or not any more")
}
