//! Bulk Data export by the book: kick-off, status, manifest, files, delete (Bulk Data 3.0).

use std::collections::HashMap;
use std::io::Write;
use std::time::Instant;

use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::store::{Store, Stored, now};
use super::{Asked, Shared, answer, lock, search};

/// The jobs, by number.
pub(super) type Jobs = HashMap<String, Job>;

/// One export: what was found when it was asked for.
pub(super) struct Job {
    request: String,
    transaction_time: String,
    files: Vec<File>,
    /// Looks at the status that still find it running.
    polls_left: u32,
    last_poll: Option<Instant>,
}

struct File {
    list: &'static str,
    resource_type: String,
    lines: Vec<String>,
}

/// Parameters of a kick-off, from a query or from Parameters.
#[derive(Default)]
struct Wanted {
    types: Vec<String>,
    since: Option<String>,
    until: Option<String>,
    patients: Vec<String>,
    filters: Vec<(String, Vec<(String, String)>)>,
}

/// Answers what belongs to exports; `None` for everything else.
pub(super) fn serve(shared: &Shared, asked: &Asked, path: &str) -> Option<Response> {
    if let Some(rest) = path.strip_prefix("bulkdata/") {
        let parts: Vec<&str> = rest.split('/').collect();
        return Some(match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["export", id]) => status(shared, id),
            ("DELETE", ["export", id]) => delete(shared, id),
            ("GET", ["file", id, number]) => file(shared, asked, id, number),
            _ => answer::outcome(404, "not-found", "there is no such job"),
        });
    }
    let level = path.strip_suffix("$export")?.trim_end_matches('/');
    Some(kick_off(shared, asked, level).unwrap_or_else(|problem| *problem))
}

fn kick_off(shared: &Shared, asked: &Asked, level: &str) -> Result<Response, Box<Response>> {
    let refuse = |status: u16, words: &str| Box::new(answer::outcome(status, "invalid", words));
    if !asked
        .header("prefer")
        .split([',', ';'])
        .any(|preference| preference.trim() == "respond-async")
    {
        return Err(refuse(400, "the header `Prefer: respond-async` is needed"));
    }
    if !["application/fhir+json", "*/*"]
        .iter()
        .any(|accepted| asked.header("accept").contains(accepted))
    {
        return Err(refuse(
            400,
            "the header `Accept: application/fhir+json` is needed",
        ));
    }
    let pairs = match asked.method.as_str() {
        "GET" => asked.query.clone(),
        "POST" => {
            parameters(&asked.body).ok_or_else(|| refuse(400, "the body is not Parameters"))?
        }
        _ => return Err(refuse(405, "an export starts with GET or POST")),
    };
    let store = lock(&shared.store);
    let wanted = wanted(
        &pairs,
        &store,
        asked.header("prefer").contains("handling=lenient"),
    )
    .map_err(|words| refuse(400, &words))?;
    let patients: Option<Vec<String>> = match level {
        "" => None,
        "Patient" => Some(store.all("Patient").map(|(id, _)| id.to_owned()).collect()),
        _ => {
            let group = level
                .strip_prefix("Group/")
                .and_then(|id| store.get("Group", id));
            let group = group.ok_or_else(|| {
                Box::new(answer::outcome(
                    404,
                    "not-found",
                    &format!("{level} is unknown"),
                ))
            })?;
            Some(members(group))
        }
    };
    let job = Job {
        request: format!(
            "{}/{level}{}$export",
            shared.fhir_base,
            if level.is_empty() { "" } else { "/" }
        ),
        transaction_time: now(),
        files: files(
            &store,
            &wanted,
            patients.as_deref(),
            shared.options.resources_per_file,
        ),
        polls_left: shared.options.polls,
        last_poll: None,
    };
    let id = format!("{:016x}", fastrand::u64(..));
    lock(&shared.jobs).insert(id.clone(), job);
    let url = format!("{}/bulkdata/export/{id}", shared.fhir_base);
    Ok(answer::with(
        answer::outcome(202, "informational", "the export has begun"),
        "content-location",
        &url,
    ))
}

fn parameters(body: &[u8]) -> Option<Vec<(String, String)>> {
    if body.is_empty() {
        return Some(Vec::new());
    }
    let resource: Value = serde_json::from_slice(body).ok()?;
    if resource["resourceType"] != "Parameters" {
        return None;
    }
    let parameters = resource["parameter"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    parameters
        .iter()
        .map(|parameter| {
            let name = parameter["name"].as_str()?.to_owned();
            let (_, value) = parameter
                .as_object()?
                .iter()
                .find(|(key, _)| key.starts_with("value"))?;
            let value = value
                .as_str()
                .or_else(|| value["reference"].as_str())
                .map_or_else(|| value.to_string(), str::to_owned);
            Some((name, value))
        })
        .collect()
}

fn wanted(pairs: &[(String, String)], store: &Store, lenient: bool) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let known = store.types();
    for (name, value) in pairs {
        match name.as_str() {
            "_type" => wanted
                .types
                .extend(value.split(',').map(|name| name.trim().to_owned())),
            "_since" | "_until" => {
                let instant: jiff::Timestamp = value
                    .parse()
                    .map_err(|_| format!("{name} is not an instant: {value}"))?;
                let slot = if name == "_since" {
                    &mut wanted.since
                } else {
                    &mut wanted.until
                };
                *slot = Some(format!("{instant:.3}"));
            }
            "_outputFormat" => {
                let formats = ["application/fhir+ndjson", "application/ndjson", "ndjson"];
                if !formats.contains(&value.as_str()) {
                    return Err(format!("the output format {value} is unknown"));
                }
            }
            "patient" => wanted
                .patients
                .push(value.trim_start_matches("Patient/").to_owned()),
            "_typeFilter" => {
                let (resource_type, query) = value
                    .split_once('?')
                    .ok_or_else(|| format!("_typeFilter is not Type?query: {value}"))?;
                let query = url::form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect();
                wanted.filters.push((resource_type.to_owned(), query));
            }
            "_elements" | "includeAssociatedData" | "allowPartialManifests" => {}
            _ if lenient => {}
            _ => return Err(format!("the parameter {name} is unknown")),
        }
    }
    if let Some(unknown) = wanted
        .types
        .iter()
        .find(|name| !known.contains(name))
        .filter(|_| !lenient)
    {
        return Err(format!("the resource type {unknown} is unknown here"));
    }
    Ok(wanted)
}

fn members(group: &Stored) -> Vec<String> {
    let group: Value = serde_json::from_str(&group.text).unwrap_or_default();
    let members = group["member"].as_array().cloned().unwrap_or_default();
    members
        .iter()
        .filter_map(|member| {
            member
                .pointer("/entity/reference")?
                .as_str()?
                .strip_prefix("Patient/")
                .map(str::to_owned)
        })
        .collect()
}

fn files(
    store: &Store,
    wanted: &Wanted,
    patients: Option<&[String]>,
    per_file: usize,
) -> Vec<File> {
    let mut files = Vec::new();
    let mut deleted = Vec::new();
    for resource_type in store.types() {
        if !wanted.types.is_empty() && !wanted.types.contains(&resource_type) {
            continue;
        }
        let filters: Vec<_> = wanted
            .filters
            .iter()
            .filter(|(of, _)| *of == resource_type)
            .collect();
        let mut lines = Vec::new();
        for (id, stored) in store.all(&resource_type) {
            let in_time = wanted
                .since
                .as_ref()
                .is_none_or(|since| stored.updated > *since)
                && wanted
                    .until
                    .as_ref()
                    .is_none_or(|until| stored.updated <= *until);
            if !in_time {
                continue;
            }
            if stored.deleted {
                if wanted.since.is_some() {
                    deleted.push(deletion(&resource_type, id));
                }
                continue;
            }
            let of_patient = |patients: &[String]| belongs(&resource_type, id, stored, patients);
            let right_patient = patients.is_none_or(of_patient)
                && (wanted.patients.is_empty() || of_patient(&wanted.patients));
            let passes = filters.is_empty()
                || filters
                    .iter()
                    .any(|(_, query)| search::is_match(id, stored, query));
            if right_patient && passes {
                lines.push(stored.text.clone());
            }
        }
        for lines in lines.chunks(per_file.max(1)) {
            files.push(File {
                list: "output",
                resource_type: resource_type.clone(),
                lines: lines.to_vec(),
            });
        }
    }
    if !deleted.is_empty() {
        files.push(File {
            list: "deleted",
            resource_type: "Bundle".into(),
            lines: deleted,
        });
    }
    files
}

/// Whether a resource is of the patients, or of nobody in particular and pointed at by what is.
fn belongs(resource_type: &str, id: &str, stored: &Stored, patients: &[String]) -> bool {
    match resource_type {
        "Patient" => patients.iter().any(|patient| patient == id),
        "Group" => false,
        "Practitioner" | "Organization" | "Location" => true,
        _ => {
            let resource: Value = serde_json::from_str(&stored.text).unwrap_or_default();
            let reference = ["/subject/reference", "/patient/reference"]
                .iter()
                .find_map(|pointer| resource.pointer(pointer)?.as_str());
            reference
                .and_then(|reference| reference.strip_prefix("Patient/"))
                .is_some_and(|of| patients.iter().any(|patient| patient == of))
        }
    }
}

fn deletion(resource_type: &str, id: &str) -> String {
    json!({"resourceType": "Bundle", "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": format!("{resource_type}/{id}")}}]})
    .to_string()
}

fn status(shared: &Shared, id: &str) -> Response {
    let mut jobs = lock(&shared.jobs);
    let Some(job) = jobs.get_mut(id) else {
        return answer::outcome(404, "not-found", "there is no such job");
    };
    let too_soon = job
        .last_poll
        .is_some_and(|last| last.elapsed().as_millis() < 500);
    job.last_poll = Some(Instant::now());
    if too_soon && job.polls_left > 0 {
        return answer::with(
            answer::outcome(429, "throttled", "look again in a second"),
            "retry-after",
            "1",
        );
    }
    if job.polls_left > 0 {
        let done = 100 - 100 * job.polls_left / (shared.options.polls + 1);
        job.polls_left -= 1;
        let running = answer::with(answer::empty(202), "retry-after", "1");
        return answer::with(running, "x-progress", &format!("{done}% complete"));
    }
    let list = |list: &str| -> Vec<Value> {
        job.files
            .iter()
            .enumerate()
            .filter(|(_, file)| file.list == list)
            .map(|(number, file)| {
                let url = format!(
                    "{}/bulkdata/file/{id}/{}.{}.ndjson",
                    shared.fhir_base,
                    number + 1,
                    file.resource_type
                );
                json!({"type": file.resource_type, "url": url, "count": file.lines.len()})
            })
            .collect()
    };
    let manifest = json!({
        "transactionTime": job.transaction_time,
        "request": job.request,
        "requiresAccessToken": true,
        "output": list("output"),
        "deleted": list("deleted"),
        "error": [],
    });
    let expires = httpdate::fmt_http_date(
        std::time::SystemTime::now() + std::time::Duration::from_secs(3600),
    );
    answer::with(
        answer::typed(200, "application/json", manifest.to_string()),
        "expires",
        &expires,
    )
}

fn file(shared: &Shared, asked: &Asked, id: &str, name: &str) -> Response {
    let jobs = lock(&shared.jobs);
    let number = name
        .split('.')
        .next()
        .and_then(|number| number.parse::<usize>().ok());
    let file = jobs
        .get(id)
        .zip(number)
        .and_then(|(job, number)| job.files.get(number.checked_sub(1)?));
    let Some(file) = file else {
        return answer::outcome(404, "not-found", "there is no such file");
    };
    let mut text = file.lines.join("\n");
    text.push('\n');
    drop(jobs);
    let gzip = asked
        .header("accept-encoding")
        .split(',')
        .any(|coding| coding.trim().starts_with("gzip"));
    if !gzip {
        return answer::typed(200, "application/fhir+ndjson", text);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    match encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
    {
        Ok(packed) => answer::with(
            answer::typed(200, "application/fhir+ndjson", packed),
            "content-encoding",
            "gzip",
        ),
        Err(error) => answer::outcome(500, "exception", &error.to_string()),
    }
}

fn delete(shared: &Shared, id: &str) -> Response {
    match lock(&shared.jobs).remove(id) {
        Some(_) => answer::outcome(202, "informational", "the job and its files are gone"),
        None => answer::outcome(404, "not-found", "there is no such job"),
    }
}
