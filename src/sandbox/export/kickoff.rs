//! The kick-off: what is asked for, in a query or in Parameters, and whether that can be done.

use serde_json::Value;

use super::super::answer::{Answer, FHIR_JSON, Result, bad_request, not_allowed};
use super::super::{Asked, Shared};
use super::Level;
use super::job::Job;
use super::selection;
use super::wanted::{PARAMETERS, Wanted};
use crate::words;

/// Starts an export: all of it is done at once, and the polls are for show.
pub(super) fn start(shared: &Shared, asked: &Asked, level: &Level) -> Result {
    check_headers(asked)?;
    let pairs = match asked.method.as_str() {
        "GET" => asked.query.clone(),
        "POST" => parameters(asked)?,
        method => return Err(not_allowed(method, "GET, POST")),
    };
    let wanted = Wanted::read(&pairs, asked.prefers("handling=lenient"))?;
    let mut store = shared.store_to_change();
    let transaction_time = store.tick();
    let base = asked.fhir_base();
    let files = selection::files(
        &store,
        level,
        &wanted,
        &base,
        shared.options.resources_per_file,
    )?;
    drop(store);
    let job = Job::new(
        format!("{}/{}", asked.base_url, asked.path_and_query),
        transaction_time,
        files,
        shared.options.polls,
    );
    let id = shared.jobs().add(job);
    Ok(
        Answer::outcome(202, "informational", "the export has begun")
            .with("content-location", format!("{base}/bulkdata/export/{id}")),
    )
}

fn check_headers(asked: &Asked) -> Result<()> {
    if !asked.prefers("respond-async") {
        return Err(bad_request("the header `Prefer: respond-async` is needed"));
    }
    let accepted = asked.header("accept");
    let is_accepted = |kind: &&str| accepted.split([',', ';']).any(|item| item.trim() == *kind);
    if ![FHIR_JSON, "application/*", "*/*"].iter().any(is_accepted) {
        return Err(bad_request(
            "the header `Accept: application/fhir+json` is needed",
        ));
    }
    Ok(())
}

/// The parameters of a POST.
fn parameters(asked: &Asked) -> Result<Vec<(String, String)>> {
    let kind = asked.header("content-type");
    let is_json = kind.starts_with(FHIR_JSON) || kind.starts_with("application/json");
    if !is_json && !kind.is_empty() {
        let words = format!("the Content-Type has to be {FHIR_JSON}");
        return Err(Answer::outcome(415, "not-supported", &words));
    }
    let resource: Value = serde_json::from_slice(&asked.body).map_err(|error| {
        let what = words::of_json(&error);
        Answer::outcome(400, "structure", &format!("the body is not JSON: {what}"))
    })?;
    if resource["resourceType"] != "Parameters" {
        return Err(bad_request("the body is not Parameters"));
    }
    let parameters = resource["parameter"].as_array();
    parameters.into_iter().flatten().map(pair).collect()
}

fn pair(parameter: &Value) -> Result<(String, String)> {
    let name = parameter["name"].as_str().unwrap_or_default();
    let value = match PARAMETERS.iter().find(|(known, _)| *known == name) {
        // What is unknown is refused or ignored later, whatever its value is.
        None => return Ok((name.to_owned(), String::new())),
        Some((_, kind)) => parameter
            .get(*kind)
            .ok_or_else(|| bad_request(&format!("the parameter {name} has to have a {kind}")))?,
    };
    let text = value["reference"].as_str().or(value.as_str());
    let text = text.map_or_else(|| value.to_string(), str::to_owned);
    Ok((name.to_owned(), text))
}
