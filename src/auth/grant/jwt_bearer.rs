//! `jwt-bearer`: an assertion as the grant itself (RFC 7523 §2.1), signed with the private key or the client's secret.

use url::Url;

use super::super::AuthError;
use super::super::assertion::{self, Claims, Signer};
use super::super::exchange::TokenRequest;
use super::super::keys::Passphrase;
use crate::profile::{Algorithm, Key, Profile, ProfileError};

/// What signs: the algorithm decides between key and secret, else the key stands first.
pub fn signer(profile: &Profile, passphrase: &Passphrase) -> Result<Option<Signer>, AuthError> {
    let secret = profile.client_secret.as_ref();
    if profile.algorithm != Some(Algorithm::Hs256)
        && let Some(signer) = Signer::with_key(profile, passphrase)?
    {
        return Ok(Some(signer));
    }
    match (profile.algorithm, secret) {
        (Some(algorithm), Some(_)) if algorithm != Algorithm::Hs256 => {
            Err(ProfileError::BadSetting {
                key: Key::Algorithm,
                value: algorithm.name().into(),
                reason: "a client secret signs with HS256 only, and there is no private key".into(),
            }
            .into())
        }
        _ => Ok(secret.map(|secret| {
            Signer::with_secret(secret, profile.key_id.as_deref(), Algorithm::Hs256)
        })),
    }
}

/// The token request without the client's proof.
pub fn request(
    profile: &Profile,
    token_url: &Url,
    signer: &Signer,
) -> Result<TokenRequest, AuthError> {
    let client = profile.client_id.as_deref();
    let assertion = signer.sign(&Claims {
        issuer: profile.issuer.as_deref().or(client).unwrap_or_default(),
        subject: profile.subject.as_deref().unwrap_or_default(),
        audience: &assertion::audience(profile, token_url)?,
    })?;
    Ok(
        TokenRequest::new("urn:ietf:params:oauth:grant-type:jwt-bearer")
            .with("scope", profile.scope.as_deref())
            .with_assertion("assertion", assertion),
    )
}
