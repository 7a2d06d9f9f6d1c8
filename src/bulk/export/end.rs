//! The one place that deletes a job at the server.

use url::Url;

use super::error::BulkError;
use super::state::{GivenUp, Whole};
use crate::fhir::Client;
use crate::fhir::asynchronous;

/// Deletes the job of an export that is whole.
///
/// # Errors
/// The server does not; the URL is none of a job.
pub(super) async fn of_whole(client: &Client, whole: &Whole) -> Result<(), BulkError> {
    match whole.status_url() {
        Some(status_url) => delete(client, status_url).await,
        None => Ok(()),
    }
}

/// Deletes the jobs of exports that were given up.
///
/// # Errors
/// The server does not; a URL is none of a job.
pub async fn of_given_up(client: &Client, given_up: &GivenUp) -> Result<(), BulkError> {
    for status_url in given_up.status_urls() {
        delete(client, status_url).await?;
    }
    Ok(())
}

async fn delete(client: &Client, status_url: &Url) -> Result<(), BulkError> {
    if is_resource(&client.profile.fhir_base, status_url) {
        return Err(BulkError::NoJobUrl {
            url: crate::secret::url_for_people(status_url),
        });
    }
    Ok(asynchronous::delete(client, status_url).await?)
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
        .map(|part| {
            let mut decoded = url::form_urlencoded::parse(part.as_bytes());
            decoded
                .next()
                .map_or_else(|| part.to_owned(), |(name, _)| name.into_owned())
        });
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
