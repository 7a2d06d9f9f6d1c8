//! What a request goes out with: the header, and what renews or proves the token in it.

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::dpop::{Nonces, Prover};
use super::{AuthError, Token};
use crate::http::{Request, Response};
use crate::profile::{Key, ProfileError};
use crate::secret::{MASK, Secret};

/// What to put on a request.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The value of the `Authorization` header, marked sensitive.
    pub header: HeaderValue,
    /// The token in it, when a new one can be had.
    pub(super) renewable: Option<Secret>,
    /// When that token was issued, as far as is known.
    pub(super) issued: Option<Timestamp>,
    /// The token in it and what proves that it is ours, when it is bound to a key.
    bound: Option<(Secret, Prover)>,
}

impl Authorization {
    /// HTTP Basic (RFC 7617), the same for every request.
    pub(super) fn basic(credential: &Secret) -> Result<Self, ProfileError> {
        Self::fixed("Basic", credential)
    }

    /// A bearer token that somebody else made; a file or a program may have another one when it is refused.
    pub(super) fn given(token: &Secret, may_change: bool) -> Result<Self, ProfileError> {
        Ok(Self {
            renewable: may_change.then(|| token.clone()),
            ..Self::fixed("Bearer", token)?
        })
    }

    fn fixed(scheme: &str, credential: &Secret) -> Result<Self, ProfileError> {
        Ok(Self {
            header: header(scheme, credential)?,
            renewable: None,
            issued: None,
            bound: None,
        })
    }

    /// A token of ours, with what proves it when it is bound to a key.
    pub(super) fn of_token(token: Token, nonces: &Nonces) -> Result<Self, ProfileError> {
        let scheme = match token.bound_to {
            Some(_) => "DPoP",
            None => "Bearer",
        };
        let prover = token.bound_to.map(|key| Prover::new(key, nonces));
        Ok(Self {
            header: header(scheme, &token.access_token)?,
            issued: token.lifetime.map(|(issued, _)| issued),
            bound: prover.map(|prover| (token.access_token.clone(), prover)),
            renewable: Some(token.access_token),
        })
    }

    /// Puts it on a request, with a new proof when the token is bound to a key.
    ///
    /// # Errors
    /// The proof cannot be made.
    pub fn put_on(&self, request: &mut Request) -> Result<(), AuthError> {
        request.headers.insert(AUTHORIZATION, self.header.clone());
        if let Some((token, prover)) = &self.bound {
            prover.sign_with(token, request)?;
        }
        Ok(())
    }

    /// Takes the nonce of an answer. Whether the server wants the same request again with it.
    pub fn wants_nonce(&self, answer: &Response) -> bool {
        self.bound.as_ref().is_some_and(|(_, prover)| {
            prover.server_wants_nonce(&answer.url, answer.status, &answer.headers)
        })
    }
}

/// The value of an `Authorization` header, marked sensitive. A token is of visible ASCII (RFC 6749 appendix A.12): others
/// would steer the terminal that `medplum token` prints to.
pub(super) fn header(scheme: &str, credential: &Secret) -> Result<HeaderValue, ProfileError> {
    let is_token = credential
        .expose()
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte));
    let value = HeaderValue::from_str(&format!("{scheme} {}", credential.expose()));
    let mut value = value
        .ok()
        .filter(|_| is_token)
        .ok_or_else(|| ProfileError::BadSetting {
            key: Key::AccessToken,
            value: MASK.into(),
            reason: "it holds characters that no token has".into(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}
