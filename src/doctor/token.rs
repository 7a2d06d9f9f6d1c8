//! The token itself: asked for anew, never shown.

use super::causes::{self, Finding, Rank};
use super::{Ending, Examination, Trouble, done, fetch, skipped, tls};
use crate::auth::{AuthError, Endpoints, TokenRefusal, Way, grant};
use crate::profile::{AuthType, ClientAuth, typed};

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let tokens = &examination.client.tokens;
    if !tokens.has_tokens() {
        return Ok(skipped(match tokens.way() {
            Way::Anonymous => "no credentials are configured: requests go out without".to_owned(),
            Way::GivenToken => "an access token was given".to_owned(),
            way => format!("none is needed for auth: {}", way.name()),
        }));
    }
    let token = match tokens.token_anew(examination.endpoints.as_ref()).await {
        Ok(token) => token,
        Err(AuthError::Refused(refusal)) => return Err(refused(examination, &refusal)),
        Err(AuthError::Http(error)) => return Err(tls::trouble(&error)),
        Err(error @ (AuthError::NoLogin { .. } | AuthError::Expired { .. })) => {
            let profile = typed(&examination.client.profile.name);
            let cause = format!("{error}; log in with `medplum login -p {profile}`");
            return Err(Trouble::of(&error).because(cause));
        }
        Err(error) => return Err(Trouble::of(&error)),
    };
    let from = if tokens.has_grant() {
        "a new token"
    } else {
        "the stored login"
    };
    let life = match token.lifetime {
        Some((_, until)) => {
            let left = until.duration_since(jiff::Timestamp::now()).as_secs();
            let stated = if token.lifetime_is_stated {
                ""
            } else {
                " (assumed: the server does not say)"
            };
            format!("good for {left} s{stated}")
        }
        None => "the server does not say for how long".to_owned(),
    };
    let bound = match token.bound_to {
        Some(_) => ", bound to a key (DPoP)",
        None => "",
    };
    examination.token = Some(token);
    Ok(done(format!("{from}, {life}{bound}")))
}

/// The cause that is proved first, else all that it may be.
fn refused(examination: &mut Examination<'_>, refusal: &TokenRefusal) -> Trouble {
    let error = AuthError::Refused(Box::new(TokenRefusal {
        words: refusal.words.clone(),
        code: refusal.code.clone(),
        signed: refusal.signed.clone(),
        moved_to: refusal.moved_to.clone(),
        url: refusal.url.clone(),
        ..*refusal
    }));
    let trouble = Trouble::of(&error);
    if let Some(cause) = causes::stated(examination, refusal) {
        return trouble.because(cause);
    }
    if refusal.status.is_server_error() {
        return trouble.perhaps(causes::candidates(examination, refusal));
    }
    // The clock of the endpoint itself is the one that counts.
    if let (Some(date), Some((_, claims))) = (refusal.date, &examination.assertion) {
        let clock = causes::clock(claims, fetch::seconds_ahead(date));
        let others = examination.findings.drain(..);
        let others = others.filter(|finding| finding.rank != Rank::Clock);
        examination.findings = clock
            .into_iter()
            .chain(others.collect::<Vec<_>>())
            .collect();
    }
    examination.findings.extend(client_auth(examination));
    examination.findings.sort_by_key(|finding| finding.rank);
    if examination.findings.is_empty() {
        return trouble.perhaps(causes::candidates(examination, refusal));
    }
    let cause = examination.findings.remove(0).text;
    let others = examination.findings.drain(..).map(|finding| finding.text);
    examination.notes.extend(others);
    trouble.because(cause)
}

/// Whether the server says that it wants the client's proof in another way.
fn client_auth(examination: &Examination<'_>) -> Option<Finding> {
    let profile = &examination.client.profile;
    let taken = examination
        .document
        .token_endpoint_auth_methods_supported
        .0
        .as_ref()?;
    let grant = grant::of(profile)?;
    let way = match grant.auth_type() {
        AuthType::JwtAssertion => ClientAuth::PrivateKeyJwt.method(),
        AuthType::JwtBearer => return None,
        _ => {
            let endpoints = examination.endpoints.as_ref();
            let advertised = endpoints.map(Endpoints::client_auth).unwrap_or_default();
            grant.client_auth(profile, advertised).method()
        }
    };
    (!taken.is_empty() && !taken.iter().any(|taken| taken == way)).then(|| {
        let text = format!(
            "client authentication: the client proves itself by {way}, and the server takes {}; choose with \
             --client-auth or --auth-type",
            taken.join(", ")
        );
        Finding::new(Rank::ClientAuth, text)
    })
}
