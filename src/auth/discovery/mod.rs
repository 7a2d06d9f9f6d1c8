//! Where a server says that its endpoints are: its SMART configuration, its CapabilityStatement, or its issuer.

pub mod document;
mod error;
pub mod fetch;
mod found;
mod issuer;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use url::Url;

use super::AuthError;
use super::cache::Cache;
use crate::http::{Http, HttpError};
use crate::profile::store::{DISCOVERY, ProfileFile};
use crate::profile::{Key, Profile, ProfileError, urls};
use crate::secret;
use crate::words::of_json;
use document::{Document, Statement, Text};
pub use error::DiscoveryError;
use fetch::{Page, Wanted};
pub use found::Found;
pub use issuer::{fill_from_issuer, is_of, vouches};

/// SMART configurations and documents of issuers are small.
const LARGEST_DOCUMENT: usize = 4 << 20;
/// CapabilityStatements can be some megabytes.
pub const LARGEST_STATEMENT: usize = 16 << 20;
/// Where the legacy extension of a CapabilityStatement stands (SMART App Launch 1.0).
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// What is known of the endpoints: from the profile file while that is fresh, else from the server.
///
/// # Errors
/// As [`ask_server`]. When a server is out of order, what was known before serves on.
pub async fn known(http: &Http, profile: &Profile, cache: &Cache) -> Result<Found, AuthError> {
    let file = cache.store().read(cache.name())?;
    let stored = file.as_ref().and_then(|file| in_file(profile, file));
    if let Some(found) = stored.as_ref().filter(|found| !found.is_old()) {
        return Ok(found.clone());
    }
    match ask_again(http, profile, cache).await {
        Ok(found) => Ok(found),
        Err(error) => match stored {
            Some(stored) if error.is_passing() => {
                http.trace
                    .line(1, &format!("* {error}: what was found before is used"));
                Ok(stored)
            }
            _ => Err(error),
        },
    }
}

/// Asks the server, whatever is known of it, and keeps what it says.
///
/// # Errors
/// As [`ask_server`].
pub async fn ask_again(http: &Http, profile: &Profile, cache: &Cache) -> Result<Found, AuthError> {
    let file = cache.store().read(cache.name())?;
    let is_medplum = file.is_some_and(|file| cache.login_is_medplum(&file));
    let found = ask_server(http, profile, is_medplum).await?;
    keep(http, profile, cache, &found);
    Ok(found)
}

/// What a profile file remembers of the endpoints, of whatever age.
///
/// # Errors
/// The file is broken or cannot be read.
pub fn remembered(profile: &Profile, cache: &Cache) -> Result<Option<Found>, ProfileError> {
    let file = cache.store().read(cache.name())?;
    Ok(file.and_then(|file| in_file(profile, &file)))
}

/// Asks the server, keeps nothing. With `is_medplum` the server is known to be a Medplum server by its login.
///
/// # Errors
/// The server is out of reach or out of order, or names no token endpoint and is not Medplum's.
pub async fn ask_server(
    http: &Http,
    profile: &Profile,
    is_medplum: bool,
) -> Result<Found, AuthError> {
    let mut gaps = Vec::new();
    let mut is_strange = false;
    let mut note = |gap: Gap| {
        is_strange |= gap.is_strange;
        gaps.push(gap.what);
    };
    match from_smart_configuration(http, profile).await? {
        Ok(found) => return Ok(found),
        Err(gap) => note(gap),
    }
    match from_capability_statement(http, profile).await? {
        Ok(found) => return Ok(found),
        Err(gap) => note(gap),
    }
    if !is_strange && (is_medplum || urls::is_medplum(&profile.base_url)) {
        http.trace.line(
            1,
            "* discovery found nothing, so Medplum's own URLs are used",
        );
        return Ok(of_medplum(profile)?);
    }
    Err(DiscoveryError::NothingFound {
        server: profile.fhir_base.to_string(),
        gaps,
        is_strange,
    }
    .into())
}

/// Keeps what was found in the profile file.
pub fn record_in(file: &mut ProfileFile, profile: &Profile, found: &Found) {
    file.set_json(DISCOVERY, &found.to_json(profile));
}

/// Keeps what was found, where there is a profile to keep it in.
fn keep(http: &Http, profile: &Profile, cache: &Cache, found: &Found) {
    let stored = cache.store().update(cache.name(), |file| {
        // A profile that is still to be made does not begin with this.
        if *file != ProfileFile::default() {
            record_in(file, profile, found);
        }
        Ok::<_, ProfileError>(())
    });
    if let Err(error) = stored {
        http.trace
            .line(1, &format!("* the endpoints could not be cached: {error}"));
    }
}

/// Forgets what the profile file remembers of the endpoints.
///
/// # Errors
/// The file cannot be written.
pub fn forget(cache: &Cache) -> Result<(), ProfileError> {
    let file = cache.store().read(cache.name())?;
    if file.is_none_or(|file| file.json(DISCOVERY).is_none()) {
        return Ok(());
    }
    cache.store().update(cache.name(), |file| {
        file.drop_discovery();
        Ok(())
    })
}

fn in_file(profile: &Profile, file: &ProfileFile) -> Option<Found> {
    Found::from_json(profile, &file.json(DISCOVERY)?)
}

/// Where Medplum has its endpoints.
fn of_medplum(profile: &Profile) -> Result<Found, ProfileError> {
    let url = |key, path| urls::join(key, &profile.base_url, path);
    let mut found = Found::at(url(Key::TokenUrl, "oauth2/token")?);
    found.authorize_url = Some(url(Key::AuthorizeUrl, "oauth2/authorize")?);
    Ok(found)
}

/// What a document does not say, or that it is none.
struct Gap {
    what: String,
    /// Whether the answer proves nothing: another server may have given it.
    is_strange: bool,
}

/// `{fhirBase}/.well-known/smart-configuration`, appended to the path (SMART App Launch 2.2, conformance).
async fn from_smart_configuration(
    http: &Http,
    profile: &Profile,
) -> Result<Result<Found, Gap>, AuthError> {
    let url = below_fhir_base(profile, ".well-known/smart-configuration")?;
    let document: Document = match read(http, profile, url.clone(), JSON).await? {
        Ok(document) => document,
        Err(gap) => return Ok(Err(gap)),
    };
    if let Some(found) = Found::from_document(&document, &profile.fhir_base) {
        return Ok(Ok(found));
    }
    if let Some(issuer) = document.issuer.get()
        && let Some((issuers, base)) = issuer::document_of(http, profile, issuer).await?
        && let Some(found) = Found::from_document(&issuers, &base)
    {
        return Ok(Ok(found));
    }
    let what = format!("{} names none", secret::url_for_people(&url));
    Ok(Err(Gap {
        what,
        is_strange: false,
    }))
}

async fn from_capability_statement(
    http: &Http,
    profile: &Profile,
) -> Result<Result<Found, Gap>, AuthError> {
    let url = below_fhir_base(profile, "metadata")?;
    let statement: Statement = match read(http, profile, url.clone(), FHIR_JSON).await? {
        Ok(statement) => statement,
        Err(gap) => return Ok(Err(gap)),
    };
    let named = of_statement(&statement, &profile.fhir_base);
    Ok(named.ok_or_else(|| Gap {
        what: format!("{} names none", secret::url_for_people(&url)),
        is_strange: false,
    }))
}

fn of_statement(statement: &Statement, base: &Url) -> Option<Found> {
    let extensions = &statement.rest.0.first()?.security.extension.0;
    let uris = extensions
        .iter()
        .find(|extension| extension.url.get() == Some(OAUTH_URIS))?;
    let uri = |name: &str| {
        let mut uris = uris.extension.0.iter();
        uris.find(|uri| uri.url.get() == Some(name))
            .map(|uri| &uri.value_uri)
    };
    let url = |text: Option<&Text>| found::url_of(base, text?);
    let mut found = Found::at(url(uri("token"))?);
    found.authorize_url = url(uri("authorize"));
    found.revocation_url = url(uri("revoke"));
    Some(found)
}

const JSON: Wanted = Wanted {
    accept: "application/json",
    largest: LARGEST_DOCUMENT,
    retries: 0,
};
const FHIR_JSON: Wanted = Wanted {
    accept: "application/fhir+json",
    largest: LARGEST_STATEMENT,
    retries: 0,
};

/// Reads a document, or says why there is none. Only a server that says so, by 404 and the like or by a page for
/// people, has none; one that is out of order is an error.
async fn read<T: DeserializeOwned>(
    http: &Http,
    profile: &Profile,
    url: Url,
    wanted: Wanted,
) -> Result<Result<T, Gap>, AuthError> {
    let wanted = Wanted {
        retries: http.network.retries,
        ..wanted
    };
    let page = match fetch::get(http, profile, url, wanted).await {
        Ok(page) => page,
        Err(error @ (HttpError::Encoding { .. } | HttpError::TooLarge { .. })) => {
            return Ok(Err(Gap {
                what: error.to_string(),
                is_strange: true,
            }));
        }
        Err(error) => return Err(error.into()),
    };
    let shown = secret::url_for_people(&page.url);
    if is_out_of_order(page.status) {
        return Err(DiscoveryError::Failed {
            url: shown,
            status: page.status,
            words: words(&page),
        }
        .into());
    }
    let gap = |what: String, is_strange| {
        http.trace.line(1, &format!("* discovery: {what}"));
        Ok(Err(Gap { what, is_strange }))
    };
    if !page.status.is_success() {
        let is_strange = !matches!(page.status.as_u16(), 401 | 403 | 404 | 410);
        return match &page.moved_to {
            Some(target) => {
                let target = secret::url_for_people(target);
                gap(
                    format!("{shown} leads to {target}, which is another server or not https"),
                    is_strange,
                )
            }
            None => gap(format!("{shown} answered {}", page.status), is_strange),
        };
    }
    if page.is_html() {
        return gap(format!("{shown} is a web page"), false);
    }
    // serde would take a list for an object, its elements for the members.
    if !page.text().trim_ascii_start().starts_with(b"{") {
        return gap(format!("{shown} is not the JSON expected: no object"), true);
    }
    serde_json::from_slice(page.text())
        .map(Ok)
        .or_else(|error| {
            let what = of_json(&error);
            gap(format!("{shown} is not the JSON expected: {what}"), true)
        })
}

/// Whether a status says "not now": what would be found tomorrow cannot be known today.
fn is_out_of_order(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

fn words(page: &Page) -> Option<String> {
    serde_json::from_slice::<serde::de::IgnoredAny>(page.text())
        .is_err()
        .then(|| page.words())
        .flatten()
}

fn below_fhir_base(profile: &Profile, path: &str) -> Result<Url, ProfileError> {
    urls::below(&profile.fhir_base, path).map_err(|error| ProfileError::BadSetting {
        key: Key::BaseUrl,
        value: profile.fhir_base.to_string(),
        reason: error.to_string(),
    })
}
