//! Import by the server itself: `$import` with Parameters (HAPI, Azure), polled to its end.

use std::time::SystemTime;

use reqwest::Method as HttpMethod;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::bulk::import::ImportError;
use crate::fhir::asynchronous::{self, Finished, Patience, Progress};
use crate::fhir::{Client, FHIR_JSON, FhirError, Refusal, TokenRule, with_body};
use crate::http::{Request, retry};

/// What the server is to fetch.
#[derive(Clone, Debug)]
pub struct ServerSide {
    /// `TYPE=URL`, or a URL whose file name tells the type.
    pub inputs: Vec<String>,
    /// Azure's `mode`: `InitialLoad` or `IncrementalLoad`.
    pub mode: Option<String>,
    pub patience: Patience,
}

/// Starts the import and waits for its end.
///
/// # Errors
/// An input has no type; the server has no `$import`, refused it or failed.
pub async fn run(
    client: &Client,
    import: &ServerSide,
    started: &mut (dyn FnMut(&Url) + Send),
    watch: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Finished, ImportError> {
    let parameters = parameters(import)?;
    let url = client.url("$import").map_err(ImportError::Stopped)?;
    let request = Request::new(HttpMethod::POST, url).header(
        HeaderName::from_static("prefer"),
        HeaderValue::from_static("respond-async"),
    );
    let request = with_body(request, parameters.to_string().into(), FHIR_JSON);
    let answer = client
        .read_words(request, TokenRule::OwnOrigins)
        .await
        .map_err(ImportError::Stopped)?;
    if !answer.status.is_success() {
        let refusal = Box::new(Refusal::of_answer(answer));
        return Err(match refusal.status.as_u16() {
            400 | 404 | 405 | 501 => ImportError::NoServerSide(refusal),
            _ => ImportError::Stopped(FhirError::Refused(refusal)),
        });
    }
    let wait = retry::retry_after(&answer.headers, SystemTime::now());
    let location = answer
        .header("content-location")
        .and_then(|text| answer.url.join(text).ok())
        // An empty one resolves to the kick-off, and each look at that would be another import.
        .filter(|status| *status != answer.url);
    let Some(status_url) = location else {
        let refusal = Box::new(Refusal::of_answer(answer));
        return Err(ImportError::Strange(format!(
            "it names no status URL ({refusal})"
        )));
    };
    started(&status_url);
    Ok(asynchronous::wait(client, &status_url, wait, import.patience, watch).await?)
}

/// The Parameters of the kick-off: as Azure documents them when a mode is given, else as HAPI does.
fn parameters(import: &ServerSide) -> Result<Value, ImportError> {
    let inputs = import
        .inputs
        .iter()
        .map(|text| input(text))
        .collect::<Result<Vec<_>, _>>()?;
    let first = inputs
        .first()
        .map(|(_, url)| url.join("./").unwrap_or_else(|_| url.clone()));
    let (code, mut parameter) = if let Some(mode) = &import.mode {
        let format = json!({"name": "inputFormat", "valueString": "application/fhir+ndjson"});
        (
            "valueString",
            vec![format, json!({"name": "mode", "valueString": mode})],
        )
    } else {
        let format = json!({"name": "inputFormat", "valueCode": "application/fhir+ndjson"});
        let storage =
            json!({"name": "storageDetail", "part": [{"name": "type", "valueCode": "https"}]});
        (
            "valueCode",
            vec![
                format,
                json!({"name": "inputSource", "valueUri": first}),
                storage,
            ],
        )
    };
    for (resource_type, url) in inputs {
        parameter.push(json!({"name": "input", "part": [
            {"name": "type", code: resource_type},
            {"name": "url", "valueUri": url},
        ]}));
    }
    Ok(json!({"resourceType": "Parameters", "parameter": parameter}))
}

fn input(text: &str) -> Result<(String, Url), ImportError> {
    let bad = |why: &str| {
        ImportError::BadRequest(format!("`{text}` {why}; write it as Patient=https://…"))
    };
    let is_type = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let (named, url) = match text.split_once('=') {
        Some((name, url)) if is_type(name) => (Some(name.to_owned()), url),
        _ => (None, text),
    };
    let url = Url::parse(url).map_err(|_| bad("is no URL that the server can fetch"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("is no URL that the server can fetch"));
    }
    let from_name = || {
        let file = url.path_segments()?.next_back()?;
        file.split(['.', '_', '-'])
            .find(|part| is_type(part))
            .map(str::to_owned)
    };
    let resource_type = named
        .or_else(from_name)
        .ok_or_else(|| bad("does not tell its resource type"))?;
    Ok((resource_type, url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_tell_their_type_by_name_or_in_front() {
        let read = |text| input(text).map(|(kind, url)| (kind, url.to_string()));
        assert_eq!(read("https://h/1.Patient.ndjson").unwrap().0, "Patient");
        assert_eq!(
            read("Group=https://h/x?a=b").unwrap(),
            ("Group".into(), "https://h/x?a=b".into())
        );
        assert!(read("https://h/x.ndjson").is_err() && read("Patient.ndjson").is_err());
    }
}
