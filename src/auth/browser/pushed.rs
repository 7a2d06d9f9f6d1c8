//! An authorization request that is left at the server before the person comes: PAR (RFC 9126).

use url::Url;

use super::super::assertion::Clock;
use super::super::client_auth::ClientProof;
use super::super::grant::authorization_code::AuthorizationRequest;
use super::super::refusal::refusal;
use super::super::request::TokenRequest;
use super::super::whole::Whole;
use super::super::{AuthError, Endpoints};
use super::BrowserError;
use crate::http::Http;
use crate::profile::{ClientAuth, Profile};
use crate::secret;

/// Leaves the request at the server where that is asked for, and says there where the person goes.
///
/// # Errors
/// The server wants it and names no place for it, or refused it.
pub(super) async fn push(
    http: &Http,
    profile: &Profile,
    endpoints: &Endpoints,
    proof: &ClientProof,
    authorize_url: &Url,
    asked: &mut AuthorizationRequest,
) -> Result<(), AuthError> {
    if !profile.asks.par && !endpoints.wants_pushed() {
        return Ok(());
    }
    let Some(at) = endpoints.pushed() else {
        return Err(BrowserError::NotPushed {
            server: secret::url_for_people(endpoints.token_url()),
        }
        .into());
    };
    let client_id = profile.client_id.as_deref().unwrap_or_default();
    let mut params = asked.params();
    // Some proofs name the client themselves, and a parameter stands once in a request (RFC 6749 §3.2).
    let is_named = matches!(
        proof.way(),
        ClientAuth::Public | ClientAuth::Post | ClientAuth::Certificate
    );
    params.retain(|(name, _)| name != "client_id" || !is_named);
    let request = TokenRequest::form().with_pairs(params);
    // RFC 9126 §2: the audience is the one of the token endpoint.
    let request = proof.add_to(request, profile, endpoints.token_url(), Clock::default())?;
    let signed = request.signed().map(str::to_owned);
    let answer = Whole::of(http, request.into_http(&at)).await?;
    let said = answer.read();
    let handle = said
        .text("request_uri")
        .filter(|_| answer.status.is_success());
    let Some(handle) = handle.filter(|handle| !handle.is_empty()) else {
        return Err(refusal(
            at.url(),
            answer.date_and_target(at.url()),
            &said,
            signed,
        ));
    };
    let mut url = authorize_url.clone();
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("request_uri", handle);
    asked.url = url;
    Ok(())
}
