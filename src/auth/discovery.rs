//! Where a server's token and authorize endpoints are: SMART, then the CapabilityStatement, then Medplum's defaults.

use reqwest::Method;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::AuthError;
use super::cache::Cache;
use crate::http::{Http, HttpError, Request};
use crate::profile::store::DISCOVERY;
use crate::profile::{Key, Profile, ProfileError, urls};
use crate::secret;

/// Discovery documents are small; CapabilityStatements can be some megabytes.
const LARGEST_DOCUMENT: usize = 32 << 20;
/// Where the legacy extension of a CapabilityStatement stands (SMART App Launch 1.0).
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// What discovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub token_url: Url,
    pub authorize_url: Option<Url>,
}

/// Finds the endpoints, from the profile's cache if they are known for this FHIR base.
///
/// # Errors
/// The server cannot be reached.
pub async fn endpoints(
    http: &Http,
    profile: &Profile,
    cache: &Cache,
) -> Result<Endpoints, AuthError> {
    if let Some(found) = cached(profile, cache)? {
        return Ok(found);
    }
    let found = match from_smart_configuration(http, profile).await? {
        Some(found) => Some(found),
        None => from_capability_statement(http, profile).await?,
    };
    let Some(found) = found else {
        http.trace.line(
            1,
            "* discovery found nothing, so Medplum's default token URL is used",
        );
        return Ok(Endpoints {
            token_url: urls::join(Key::TokenUrl, &profile.base_url, "oauth2/token")?,
            authorize_url: Some(urls::join(
                Key::AuthorizeUrl,
                &profile.base_url,
                "oauth2/authorize",
            )?),
        });
    };
    let entry = json!({
        "fhirBase": profile.fhir_base.as_str(),
        "tokenUrl": found.token_url.as_str(),
        "authorizeUrl": found.authorize_url.as_ref().map(Url::as_str),
    });
    let stored = cache.store().update(cache.name(), |file| {
        file.set_json(DISCOVERY, &entry);
        Ok::<_, ProfileError>(())
    });
    if let Err(error) = stored {
        http.trace
            .line(1, &format!("* the endpoints could not be cached: {error}"));
    }
    Ok(found)
}

fn cached(profile: &Profile, cache: &Cache) -> Result<Option<Endpoints>, ProfileError> {
    let entry = cache
        .store()
        .read(cache.name())?
        .and_then(|file| file.json(DISCOVERY));
    Ok(entry.and_then(|entry| {
        (entry.get("fhirBase")?.as_str()? == profile.fhir_base.as_str()).then_some(())?;
        from_json(profile, entry.get("tokenUrl"), entry.get("authorizeUrl"))
    }))
}

/// `{fhirBase}/.well-known/smart-configuration`, appended to the path (SMART App Launch 2.2, conformance).
async fn from_smart_configuration(
    http: &Http,
    profile: &Profile,
) -> Result<Option<Endpoints>, AuthError> {
    let document = get_json(
        http,
        profile,
        ".well-known/smart-configuration",
        "application/json",
    )
    .await?;
    Ok(document.and_then(|document| {
        from_json(
            profile,
            document.get("token_endpoint"),
            document.get("authorization_endpoint"),
        )
    }))
}

async fn from_capability_statement(
    http: &Http,
    profile: &Profile,
) -> Result<Option<Endpoints>, AuthError> {
    let document = get_json(http, profile, "metadata", "application/fhir+json").await?;
    Ok(document.and_then(|document| {
        let extensions = document.pointer("/rest/0/security/extension")?.as_array()?;
        let uris = extensions
            .iter()
            .find(|extension| extension.get("url").and_then(Value::as_str) == Some(OAUTH_URIS))?
            .get("extension")?
            .as_array()?;
        let uri = |name: &str| {
            uris.iter()
                .find(|uri| uri.get("url").and_then(Value::as_str) == Some(name))
                .and_then(|uri| uri.get("valueUri"))
        };
        from_json(profile, uri("token"), uri("authorize"))
    }))
}

/// Relative URLs are resolved against the FHIR base, although they should not occur.
fn from_json(
    profile: &Profile,
    token: Option<&Value>,
    authorize: Option<&Value>,
) -> Option<Endpoints> {
    let read = |key, value: Option<&Value>| {
        let text = value?.as_str().filter(|text| !text.is_empty())?;
        urls::join(key, &profile.fhir_base, text).ok()
    };
    Some(Endpoints {
        token_url: read(Key::TokenUrl, token)?,
        authorize_url: read(Key::AuthorizeUrl, authorize),
    })
}

/// Reads a document without credentials. Anything but a JSON object with status 200 counts as absent; one redirect
/// on the same host is followed, since servers redirect to add or take away a slash.
async fn get_json(
    http: &Http,
    profile: &Profile,
    path: &str,
    accept: &'static str,
) -> Result<Option<Value>, AuthError> {
    let mut url =
        urls::below(&profile.fhir_base, path).map_err(|error| ProfileError::BadSetting {
            key: Key::BaseUrl,
            value: profile.fhir_base.to_string(),
            reason: error.to_string(),
        })?;
    for _ in 0..2 {
        let request = Request::new(Method::GET, url.clone())
            .header(ACCEPT, HeaderValue::from_static(accept))
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let answer = match http.send(request).await {
            Ok(answer) => answer,
            Err(error @ HttpError::Broken { .. }) => {
                http.trace.line(1, &format!("* discovery: {error}"));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if answer.status.is_redirection()
            && let Some(target) = answer
                .header("location")
                .and_then(|location| url.join(location).ok())
            && target.host() == url.host()
        {
            url = target;
            continue;
        }
        if !answer.status.is_success() {
            return Ok(None);
        }
        return Ok(match answer.body.bytes(LARGEST_DOCUMENT).await {
            Ok(body) => serde_json::from_slice(&body).ok().filter(Value::is_object),
            Err(error) => {
                http.trace.line(
                    1,
                    &format!("* discovery at {}: {error}", secret::url_for_people(&url)),
                );
                None
            }
        });
    }
    Ok(None)
}
