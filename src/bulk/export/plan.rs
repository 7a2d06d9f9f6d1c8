//! What the manifest lists, and where each file goes: those that are known keep their names.

use std::sync::Arc;

use url::Url;

use super::ask::start_job;
use super::error::BulkError;
use super::event::Observer;
use super::names::Names;
use super::open::Work;
use super::options::Options;
use super::same::matched;
use super::state::{About, Phase, Planned};
use super::wait::read_manifest;
use crate::fhir::Client;
use crate::fhir::asynchronous::AsyncError;

/// Brings the job to where its manifest is known, from wherever it is.
pub(super) async fn list_files(
    client: &Client,
    options: &Options,
    observer: &Arc<dyn Observer>,
    work: &mut Work,
) -> Result<Url, BulkError> {
    let (status_url, first_wait) = start_job(client, options, observer, work).await?;
    let job = &mut work.job;
    if job.is_complete() {
        return Ok(status_url);
    }
    let patience = options.patience;
    let log = Some(&*work.log);
    let manifest = read_manifest(client, &status_url, first_wait, patience, observer, log).await;
    let manifest = match manifest {
        Ok(manifest) => manifest,
        // The links that are known may still be good although the status page is gone.
        Err(BulkError::Async(AsyncError::Gone(_))) if job.state.phase == Phase::Fetching => {
            return Ok(status_url);
        }
        Err(error) => return Err(error),
    };
    let known = std::mem::take(&mut job.planned);
    let style = &job.state.style;
    let mut names = Names::new(style.names, style.compress);
    // No other file takes the name that one had before, whether it is listed again or not.
    let before = known.iter().map(|known| &known.path);
    for path in before.chain(job.done.keys()) {
        names.keep(path);
    }
    let places = matched(&known, &manifest.files);
    let planned = manifest.files.into_iter().zip(places).map(|(file, place)| {
        let path = match place {
            Some(place) => known[place].path.clone(),
            None => names.path(&file),
        };
        Planned { file, path }
    });
    let about = About {
        request: manifest.request,
        requires_access_token: manifest.requires_access_token,
    };
    job.plan(planned.collect(), manifest.transaction_time, about)?;
    Ok(status_url)
}
