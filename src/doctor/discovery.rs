//! Whether a FHIR server answers at the base, and where its token endpoint is.

use url::Url;

use super::causes::{Finding, Rank};
use super::{Ending, Examination, Passed, Trouble, fetch, tls};
use crate::auth::discovery::{self, DiscoveryError, Found};
use crate::auth::{AuthError, Endpoints};
use crate::exit;
use crate::http::HttpError;
use crate::profile::urls;
use crate::secret;

/// Where FHIR servers put their base, the most usual first.
const USUAL_PATHS: [&str; 8] = [
    "fhir/R4",
    "fhir",
    "fhir/r4",
    "r4",
    "R4",
    "baseR4",
    "api/FHIR/R4",
    "hapi/fhir",
];

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let client = examination.client;
    let profile = &client.profile;
    let bad_url = |error: url::ParseError| Trouble::new(exit::USAGE, error.to_string());
    let url =
        urls::below(&profile.fhir_base, ".well-known/smart-configuration").map_err(bad_url)?;
    match fetch::document(client, url).await {
        Ok(document) => examination.document = document.unwrap_or_default(),
        Err(HttpError::Broken { .. } | HttpError::Encoding { .. } | HttpError::TooLarge { .. }) => {
        }
        Err(error) => return Err(tls::trouble(&error)),
    }
    if let Some(trouble) = wrong_base(examination).await {
        return Err(trouble);
    }
    if !client.tokens.has_tokens() {
        return Ok(Passed::Done(vec![format!(
            "a FHIR server; no token endpoint is needed for auth: {}",
            client.tokens.describe()
        )]));
    }
    let found = found(examination).await?;
    examination.named_token_url = found.as_ref().map(|found| found.token_url.clone());
    let mut detail = compared(examination, found.as_ref());
    let endpoints = Endpoints::of(profile, found)
        .map_err(|error| Trouble::of(&error).because(error.to_string()))?;
    let url = endpoints.token_url().clone();
    let shown = secret::url_for_people(&url);
    let source = match &profile.token_url {
        Some(_) => "the profile or a flag",
        None if examination.document.token_endpoint.get().is_some() => "the SMART configuration",
        None if examination.document.issuer.get().is_some() => "the issuer",
        None if urls::is_medplum(&profile.base_url) => "Medplum's own",
        None => "the CapabilityStatement",
    };
    detail.insert(0, format!("token URL {shown} (from {source})"));
    if let Some(named) = examination.named_token_url.as_ref().filter(|n| **n != url) {
        let named = secret::url_for_people(named);
        detail.push(format!("the server itself names {named}"));
        examination.findings.push(Finding::new(
            Rank::TokenUrl,
            format!(
                "the token URL in use is {shown}, but the server names {named}: take --token-url out of the profile"
            ),
        ));
    }
    examination.endpoints = Some(endpoints);
    Ok(Passed::Done(detail))
}

/// What the server names; with a token URL that is set it may name nothing.
async fn found(examination: &Examination<'_>) -> Result<Option<Found>, Trouble> {
    let client = examination.client;
    match discovery::ask_server(&client.http, &client.profile, client.is_medplum()).await {
        Ok(found) => Ok(Some(found)),
        Err(AuthError::Discovery(_)) if client.profile.token_url.is_some() => Ok(None),
        Err(AuthError::Http(error)) => Err(tls::trouble(&error)),
        Err(error @ AuthError::Discovery(DiscoveryError::NothingFound { .. })) => {
            Err(Trouble::of(&error).because(format!("{error}; name it with --token-url")))
        }
        Err(error) => Err(Trouble::of(&error)),
    }
}

/// What the profile remembers, where the server says something else now.
fn compared(examination: &mut Examination<'_>, found: Option<&Found>) -> Vec<String> {
    let client = examination.client;
    let Ok(Some(kept)) = client.tokens.remembered() else {
        return Vec::new();
    };
    let Some(found) = found.filter(|_| client.profile.token_url.is_none()) else {
        return Vec::new();
    };
    if kept.token_url == found.token_url {
        return Vec::new();
    }
    let (kept, now) = (
        secret::url_for_people(&kept.token_url),
        secret::url_for_people(&found.token_url),
    );
    examination.notes.push(format!(
        "the profile remembers the token endpoint {kept}, and the server now names {now}; commands ask the server again \
         when the old one is gone, or after a day, or at once after `medplum logout`"
    ));
    vec![format!("the profile remembers {kept}")]
}

/// What is wrong with the base, unless a FHIR server was found there.
async fn wrong_base(examination: &Examination<'_>) -> Option<Trouble> {
    let page = examination.metadata.as_ref()?;
    let wants_login = matches!(page.status.as_u16(), 401 | 403);
    let document = &examination.document;
    let is_smart = document.token_endpoint.get().is_some() || document.issuer.get().is_some();
    if page.is_capability_statement() || wants_login || is_smart {
        return None;
    }
    let base = &examination.client.profile.fhir_base;
    let shown = secret::url_for_people(base);
    if let Some(target) = &page.moved_to {
        let target = secret::url_for_people(target);
        let trouble = Trouble::new(exit::FAILED, format!("{shown}/metadata leads to {target}"));
        return Some(trouble.because(format!(
            "the server has moved, or wants https: it sends readers of {shown}/metadata to {target}, and credentials \
             do not follow; set --base-url to where it leads"
        )));
    }
    let (code, said) = match (page.status.as_u16(), page.is_html) {
        (404 | 410, _) => (exit::NOT_FOUND, "is not there (404)".to_owned()),
        (status, true) => (
            exit::FAILED,
            format!("is a web page, not FHIR (status {status})"),
        ),
        (status, false) => {
            let words = page.words.clone().unwrap_or_default();
            (
                exit::FAILED,
                format!("is no CapabilityStatement (status {status}) {words}"),
            )
        }
    };
    let trouble = Trouble::new(code, format!("{shown}/metadata {}", said.trim()));
    if page.status.is_server_error() {
        return Some(trouble.perhaps(vec![
            "the server is down or overloaded: try again later".into(),
            "the base URL leads to a gateway that knows no such server".into(),
        ]));
    }
    let right = sibling(examination).await;
    Some(trouble.because(match right {
        Some((base, path)) => format!(
            "the base URL is wrong: no FHIR server answers at {shown}, but one does at {base}/{path}; set \
             --base-url {base} --fhir-url-path {path}"
        ),
        None => format!(
            "the base URL is wrong: no FHIR server answers at {shown}, nor at the usual paths beside it; the vendor \
             names the base, set it with --base-url and --fhir-url-path"
        ),
    }))
}

/// A FHIR base near the one that was set: its base URL and path.
async fn sibling(examination: &Examination<'_>) -> Option<(String, String)> {
    let profile = &examination.client.profile;
    let mut origin = profile.base_url.clone();
    origin.set_path("/");
    for root in [&profile.base_url, &origin] {
        let root = urls::without_end_slash(root);
        let own = root
            .path()
            .trim_matches('/')
            .rsplit_once('/')
            .map(|(_, last)| last);
        for path in USUAL_PATHS.into_iter().chain(own) {
            if let Some(found) = try_base(examination, &root, path).await {
                return Some(found);
            }
        }
        // The base URL may be the FHIR base already.
        let mut parent = root.clone();
        if let Some((above, last)) = root
            .path()
            .rsplit_once('/')
            .filter(|(_, last)| !last.is_empty())
        {
            parent.set_path(above);
            if let Some(found) = try_base(examination, &parent, last).await {
                return Some(found);
            }
        }
    }
    None
}

async fn try_base(
    examination: &Examination<'_>,
    root: &Url,
    path: &str,
) -> Option<(String, String)> {
    let base = urls::below(root, path).ok()?;
    if urls::same_base(&base, &examination.client.profile.fhir_base) {
        return None;
    }
    let url = urls::below(&base, "metadata").ok()?;
    let page = fetch::get(examination.client, url).await.ok()?;
    page.is_capability_statement().then(|| {
        let root = root.as_str().trim_end_matches('/').to_owned();
        (root, path.to_owned())
    })
}
