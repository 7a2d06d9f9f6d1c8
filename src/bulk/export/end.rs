//! The one place that deletes a job at the server. The status URL of a state may be anybody's word: what is there is looked at
//! before anything is deleted, unless this run itself has read the job's manifest there.

use url::Url;

use super::error::BulkError;
use super::state::{GivenUp, Whole};
use crate::fhir::Client;
use crate::fhir::asynchronous;
use crate::fhir::proof::{self, Proof};

/// Deletes the job of an export that is whole. Where its manifest was not read in this run, the folder alone says that the
/// URL is one of a job.
///
/// # Errors
/// The server does not; the URL is none of a job.
pub(super) async fn of_whole(client: &Client, whole: &Whole) -> Result<(), BulkError> {
    match whole.status_url() {
        Some(status_url) if whole.is_read() => delete(client, status_url).await,
        Some(status_url) => delete_if_job(client, status_url, false).await,
        None => Ok(()),
    }
}

/// Deletes the jobs of exports that were given up. One that the user named may be one that says nothing of itself.
///
/// # Errors
/// The server does not; a URL is none of a job.
pub async fn of_given_up(
    client: &Client,
    given_up: &GivenUp,
    named: Option<&Url>,
) -> Result<(), BulkError> {
    for status_url in given_up.status_urls() {
        delete_if_job(client, status_url, named == Some(status_url)).await?;
    }
    Ok(())
}

/// Deletes a job that the user named.
///
/// # Errors
/// The server does not; the URL is none of a job.
pub async fn of_named(client: &Client, status_url: &Url) -> Result<(), BulkError> {
    delete_if_job(client, status_url, true).await
}

/// Deletes the job that a kick-off of this run began.
pub(super) async fn of_accepted(client: &Client, status_url: &Url) -> Result<(), BulkError> {
    delete(client, status_url).await
}

/// Deletes what proves to be a job; a job that is gone has ended.
async fn delete_if_job(client: &Client, status_url: &Url, is_named: bool) -> Result<(), BulkError> {
    check(client, status_url)?;
    let found = match proof::of(client, status_url).await? {
        Proof::Job => return delete(client, status_url).await,
        Proof::Gone => return Ok(()),
        Proof::Unknown(_) if is_named => return delete(client, status_url).await,
        Proof::Other(found) | Proof::Unknown(found) => found,
    };
    Err(BulkError::NoJobThere {
        url: crate::secret::url_for_people(status_url),
        found,
    })
}

async fn delete(client: &Client, status_url: &Url) -> Result<(), BulkError> {
    check(client, status_url)?;
    Ok(asynchronous::delete(client, status_url).await?)
}

/// Refuses what reads like the address of a resource, or of what runs a server.
fn check(client: &Client, status_url: &Url) -> Result<(), BulkError> {
    let profile = &client.profile;
    if is_resource(&profile.fhir_base, status_url)
        || is_of_the_server(&profile.base_url, status_url)
    {
        return Err(BulkError::NoJobUrl {
            url: crate::secret::url_for_people(status_url),
        });
    }
    Ok(())
}

/// Whether a URL is one by which a server is run, and no job of it: there are no others that a DELETE means something to
/// (Medplum's `admin/projects/ID/members/ID`).
fn is_of_the_server(base: &Url, url: &Url) -> bool {
    let below = url.path().strip_prefix(base.path().trim_end_matches('/'));
    let first = below.and_then(|below| below.split('/').find(|part| !part.is_empty()));
    let first = first.map(|part| decoded(part).to_ascii_lowercase());
    base.origin() == url.origin()
        && first.is_some_and(|first| matches!(&*first, "admin" | "auth" | "oauth2"))
}

/// A part of a path without percent-encoding.
fn decoded(part: &str) -> String {
    let mut decoded = url::form_urlencoded::parse(part.as_bytes());
    let name = decoded.next().map(|(name, _)| name.into_owned());
    name.unwrap_or_else(|| part.to_owned())
}

/// Whether a URL below the FHIR base is that of a resource. A folder that came from elsewhere, or a server that lies, has
/// nobody's data deleted. A Task stands for a job at some servers.
fn is_resource(fhir_base: &Url, url: &Url) -> bool {
    if fhir_base.origin() != url.origin() {
        return false;
    }
    let base = fhir_base.path().trim_end_matches('/');
    let Some(below) = url.path().strip_prefix(base) else {
        return false;
    };
    let mut parts = below
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decoded);
    let is_type = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.chars().all(|letter| letter.is_ascii_alphabetic())
    };
    let resource_type = parts.next();
    let Some(resource_type) = resource_type.filter(|name| is_type(name) && name != "Task") else {
        return false;
    };
    // `Patient` with a query is a deletion by search.
    match parts.next() {
        None => true,
        Some(id) => !id.starts_with('$') && (parts.next().is_none() || resource_type == "Patient"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_a_server_is_no_job() {
        let base = Url::parse("https://h/api/").unwrap();
        let is = |url: &str| is_of_the_server(&base, &base.join(url).unwrap());
        assert!(is("admin/projects/1/members/2") && is("%61dmin/x") && is("oauth2/x"));
        assert!(!is("/admin/1") && !is("https://other/api/admin/1") && !is("fhir/R4/bulkstatus/1"));
    }

    #[test]
    fn a_resource_is_told_from_a_job() {
        let base = Url::parse("https://h/fhir/R4/").unwrap();
        let is = |url: &str| is_resource(&base, &base.join(url).unwrap());
        for url in [
            "Patient/1",
            "%50atient/1",
            "/fhir/R4/Patient/1?x=y",
            "Patient?_id=1",
            "Observation/a/",
        ] {
            assert!(is(url), "{url}");
        }
        for url in [
            "bulkstatus/1",
            "$export-poll-status?_jobId=1",
            "Task/1",
            "/jobs/1",
            "https://other/fhir/R4/Patient/1",
            "Patient/$export-status/1",
            "Group/1/$export/2",
            "_operations/export/1",
        ] {
            assert!(!is(url), "{url}");
        }
    }
}
