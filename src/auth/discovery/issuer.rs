//! What an issuer says of itself (OpenID Connect Discovery §4, RFC 8414 §3). It is believed only about itself.

use url::Url;

use super::super::AuthError;
use super::document::Document;
use super::found::{Found, url_of};
use super::{JSON, read};
use crate::http::Http;
use crate::profile::{Profile, urls};

/// The document of an issuer, which must name it to the letter, and the URL that relative ones in it start from.
pub(super) async fn document_of(
    http: &Http,
    profile: &Profile,
    issuer: &str,
) -> Result<Option<(Document, Url)>, AuthError> {
    let Ok(base) = Url::parse(issuer) else {
        return Ok(None);
    };
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Ok(None);
    }
    if profile.fhir_base.scheme() == "https" && base.scheme() != "https" {
        http.trace.line(
            1,
            "* the issuer is not asked: it is not https, and the FHIR server is",
        );
        return Ok(None);
    }
    for url in addresses(&base) {
        if let Ok(document) = read::<Document>(http, profile, url, JSON).await?
            && document.issuer.get() == Some(issuer)
        {
            return Ok(Some((document, base)));
        }
    }
    Ok(None)
}

/// Below the issuer (OpenID Connect Discovery §4), and between its host and its path (RFC 8414 §3).
fn addresses(issuer: &Url) -> Vec<Url> {
    let openid = urls::below(issuer, ".well-known/openid-configuration").ok();
    let mut oauth = issuer.clone();
    let path = issuer.path().trim_end_matches('/');
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    openid.into_iter().chain([oauth]).collect()
}

/// Takes the endpoints that the SMART configuration does not name from the issuer that it names, if that one is of the
/// same token endpoint.
///
/// # Errors
/// The issuer is out of reach or out of order.
pub async fn fill_from_issuer(
    http: &Http,
    profile: &Profile,
    found: &mut Found,
) -> Result<(), AuthError> {
    let Some(issuer) = found.issuer.clone() else {
        return Ok(());
    };
    if let Some((document, base)) = document_of(http, profile, &issuer).await? {
        let named = url_of(&base, &document.token_endpoint);
        if named.is_none_or(|named| named == found.token_url) {
            found.fill(&document, &base);
        }
    }
    Ok(())
}

/// Whether an issuer is at a token endpoint, or says itself that it is its own. One that cannot be asked does not.
pub async fn is_of(http: &Http, profile: &Profile, issuer: &str, token: &Url) -> bool {
    if Url::parse(issuer).is_ok_and(|issuer| urls::same_origin(&issuer, token)) {
        return true;
    }
    let document = document_of(http, profile, issuer).await.ok().flatten();
    document.is_some_and(|(document, base)| {
        url_of(&base, &document.token_endpoint).as_ref() == Some(token)
    })
}

/// Whether the server of a sign-in page says that a token endpoint is its own, by the document of an issuer at the same
/// origin. Any other server could name the page too, and would get the code for it (RFC 9207 §1: mix-up).
///
/// # Errors
/// The issuer is out of reach or out of order.
pub async fn vouches(
    http: &Http,
    profile: &Profile,
    issuer: Option<&str>,
    authorize: &Url,
    token: &Url,
) -> Result<bool, AuthError> {
    let of_page = |issuer: &&str| {
        Url::parse(issuer).is_ok_and(|issuer| urls::same_origin(&issuer, authorize))
    };
    let Some(issuer) = issuer.filter(of_page) else {
        return Ok(false);
    };
    let Some((document, base)) = document_of(http, profile, issuer).await? else {
        return Ok(false);
    };
    Ok(
        url_of(&base, &document.token_endpoint).as_ref() == Some(token)
            && url_of(&base, &document.authorization_endpoint).as_ref() == Some(authorize),
    )
}
