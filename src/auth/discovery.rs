//! Where a server's token and authorize endpoints are: SMART, then the CapabilityStatement, then Medplum's defaults.

use reqwest::Method;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::AuthError;
use super::cache::Cache;
use crate::http::{Http, HttpError, Request};
use crate::profile::store::{DISCOVERY, ProfileFile};
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
    /// Where tokens are given back (RFC 7009).
    pub revocation_url: Option<Url>,
    /// Who signs id_tokens, to the letter.
    pub issuer: Option<String>,
    /// Where a device asks for a code (RFC 8628 §4).
    pub device_url: Option<Url>,
    /// The token endpoint for clients that show a certificate (RFC 8705 §5).
    pub mtls_token_url: Option<Url>,
    /// How clients may prove themselves (RFC 8414 §2); empty when the server does not say.
    pub client_auth: Vec<String>,
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
    let Some(found) = look(http, profile).await? else {
        return defaults(http, profile);
    };
    let stored = cache.store().update(cache.name(), |file| {
        // A profile that is still to be made does not begin with this.
        if *file != ProfileFile::default() {
            put(file, profile, &found);
        }
        Ok::<_, ProfileError>(())
    });
    if let Err(error) = stored {
        http.trace
            .line(1, &format!("* the endpoints could not be cached: {error}"));
    }
    Ok(found)
}

/// Keeps what was found in the profile file.
pub fn put(file: &mut ProfileFile, profile: &Profile, found: &Endpoints) {
    let entry = json!({
        "fhirBase": profile.fhir_base.as_str(),
        "tokenUrl": found.token_url.as_str(),
        "authorizeUrl": found.authorize_url.as_ref().map(Url::as_str),
        "revocationUrl": found.revocation_url.as_ref().map(Url::as_str),
        "issuer": found.issuer,
        "deviceUrl": found.device_url.as_ref().map(Url::as_str),
        "mtlsTokenUrl": found.mtls_token_url.as_ref().map(Url::as_str),
        "clientAuth": found.client_auth,
    });
    file.set_json(DISCOVERY, &entry);
}

/// Where tokens are given back, from SMART or else from the issuer's own document (OpenID Connect Discovery §4).
///
/// # Errors
/// The server cannot be reached.
pub async fn revocation_url(
    http: &Http,
    profile: &Profile,
    cache: &Cache,
) -> Result<Option<Url>, AuthError> {
    let found = endpoints(http, profile, cache).await?;
    let (None, Some(issuer)) = (&found.revocation_url, &found.issuer) else {
        return Ok(found.revocation_url);
    };
    let document = issuers_document(http, profile, issuer).await?;
    Ok(document
        .and_then(|document| url_of(profile, Key::TokenUrl, document.get("revocation_endpoint"))))
}

/// Where a device asks for a code, from SMART or else from the issuer's own document.
///
/// # Errors
/// The server cannot be reached.
pub async fn device_url(
    http: &Http,
    profile: &Profile,
    found: &Endpoints,
) -> Result<Option<Url>, AuthError> {
    let (None, Some(issuer)) = (&found.device_url, &found.issuer) else {
        return Ok(found.device_url.clone());
    };
    let document = issuers_document(http, profile, issuer).await?;
    Ok(document.and_then(|document| {
        let endpoint = document.get("device_authorization_endpoint");
        url_of(profile, Key::DeviceAuthorizationUrl, endpoint)
    }))
}

/// What the issuer says of itself (OpenID Connect Discovery §4).
async fn issuers_document(
    http: &Http,
    profile: &Profile,
    issuer: &str,
) -> Result<Option<Value>, AuthError> {
    let Some(url) = Url::parse(issuer)
        .ok()
        .and_then(|url| urls::below(&url, ".well-known/openid-configuration").ok())
    else {
        return Ok(None);
    };
    let document = get_json(http, profile, url, "application/json").await?;
    let is_the_issuers =
        |document: &Value| document.get("issuer").and_then(Value::as_str) == Some(issuer);
    Ok(document.filter(is_the_issuers))
}

/// Asks the server, keeps nothing: SMART first, then the CapabilityStatement.
///
/// # Errors
/// The server cannot be reached.
pub async fn look(http: &Http, profile: &Profile) -> Result<Option<Endpoints>, AuthError> {
    match from_smart_configuration(http, profile).await? {
        Some(found) => Ok(Some(found)),
        None => from_capability_statement(http, profile).await,
    }
}

/// Where Medplum has its endpoints.
///
/// # Errors
/// The base URL takes no path.
pub fn defaults(http: &Http, profile: &Profile) -> Result<Endpoints, AuthError> {
    http.trace.line(
        1,
        "* discovery found nothing, so Medplum's default URLs are used",
    );
    let url = |key, path| urls::join(key, &profile.base_url, path);
    Ok(Endpoints {
        token_url: url(Key::TokenUrl, "oauth2/token")?,
        authorize_url: Some(url(Key::AuthorizeUrl, "oauth2/authorize")?),
        revocation_url: None,
        issuer: None,
        device_url: None,
        mtls_token_url: None,
        client_auth: Vec::new(),
    })
}

fn cached(profile: &Profile, cache: &Cache) -> Result<Option<Endpoints>, ProfileError> {
    let entry = cache
        .store()
        .read(cache.name())?
        .and_then(|file| file.json(DISCOVERY));
    Ok(entry.and_then(|entry| {
        (entry.get("fhirBase")?.as_str()? == profile.fhir_base.as_str()).then_some(())?;
        let names = ["tokenUrl", "authorizeUrl", "revocationUrl", "issuer"];
        let mut found = from_json(profile, names.map(|name| entry.get(name)))?;
        found.device_url = url_of(profile, Key::TokenUrl, entry.get("deviceUrl"));
        found.mtls_token_url = url_of(profile, Key::TokenUrl, entry.get("mtlsTokenUrl"));
        found.client_auth = texts(entry.get("clientAuth"));
        Some(found)
    }))
}

/// `{fhirBase}/.well-known/smart-configuration`, appended to the path (SMART App Launch 2.2, conformance).
async fn from_smart_configuration(
    http: &Http,
    profile: &Profile,
) -> Result<Option<Endpoints>, AuthError> {
    let url = below_fhir_base(profile, ".well-known/smart-configuration")?;
    let document = get_json(http, profile, url, "application/json").await?;
    Ok(document.and_then(|document| {
        let names = [
            "token_endpoint",
            "authorization_endpoint",
            "revocation_endpoint",
            "issuer",
        ];
        let mut found = from_json(profile, names.map(|name| document.get(name)))?;
        found.add_from(profile, &document);
        Some(found)
    }))
}

impl Endpoints {
    /// Takes what only some documents name.
    fn add_from(&mut self, profile: &Profile, document: &Value) {
        let url = |pointer| url_of(profile, Key::TokenUrl, document.pointer(pointer));
        self.device_url = url("/device_authorization_endpoint");
        self.mtls_token_url = url("/mtls_endpoint_aliases/token_endpoint");
        self.client_auth = texts(document.get("token_endpoint_auth_methods_supported"));
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

async fn from_capability_statement(
    http: &Http,
    profile: &Profile,
) -> Result<Option<Endpoints>, AuthError> {
    let url = below_fhir_base(profile, "metadata")?;
    let document = get_json(http, profile, url, "application/fhir+json").await?;
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
        from_json(
            profile,
            [uri("token"), uri("authorize"), uri("revoke"), None],
        )
    }))
}

/// The endpoints for tokens, authorization and revocation, and the issuer.
fn from_json(profile: &Profile, values: [Option<&Value>; 4]) -> Option<Endpoints> {
    let [token, authorize, revoke, issuer] = values;
    Some(Endpoints {
        token_url: url_of(profile, Key::TokenUrl, token)?,
        authorize_url: url_of(profile, Key::AuthorizeUrl, authorize),
        revocation_url: url_of(profile, Key::TokenUrl, revoke),
        issuer: issuer.and_then(Value::as_str).map(str::to_owned),
        device_url: None,
        mtls_token_url: None,
        client_auth: Vec::new(),
    })
}

/// Relative URLs are resolved against the FHIR base, although they should not occur.
fn url_of(profile: &Profile, key: Key, value: Option<&Value>) -> Option<Url> {
    let text = value?.as_str().filter(|text| !text.is_empty())?;
    urls::join(key, &profile.fhir_base, text).ok()
}

fn below_fhir_base(profile: &Profile, path: &str) -> Result<Url, ProfileError> {
    urls::below(&profile.fhir_base, path).map_err(|error| ProfileError::BadSetting {
        key: Key::BaseUrl,
        value: profile.fhir_base.to_string(),
        reason: error.to_string(),
    })
}

/// Reads a document without a token. Anything but a JSON object with status 200 counts as absent; one redirect
/// on the same host is followed, since servers redirect to add or take away a slash.
async fn get_json(
    http: &Http,
    profile: &Profile,
    mut url: Url,
    accept: &'static str,
) -> Result<Option<Value>, AuthError> {
    for _ in 0..2 {
        let mut request = Request::new(Method::GET, url.clone())
            .header(ACCEPT, HeaderValue::from_static(accept))
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        profile.add_headers(&mut request.headers, &request.url);
        request.shows_certificate = profile.is_own(&request.url);
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
