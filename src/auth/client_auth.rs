//! The client's proof in a token request: chosen once, from the profile, else from what the server advertises.

use url::Url;

use super::AuthError;
use super::assertion::{self, Claims, Clock, Signer};
use super::credential;
use super::keys::Passphrase;
use super::request::TokenRequest;
use crate::profile::{Algorithm, AuthType, ClientAuth, Key, Profile, ProfileError};

/// The type of an assertion that proves a client (RFC 7523 §2.2).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A way to prove who the client is, with its key read.
#[derive(Debug)]
pub struct ClientProof {
    way: ClientAuth,
    signer: Option<Signer>,
}

impl ClientProof {
    /// Reads the key, if the way needs one. May ask a person for its passphrase.
    ///
    /// # Errors
    /// The profile lacks what the way needs, or the key cannot be used.
    pub fn prepare(
        way: ClientAuth,
        profile: &Profile,
        auth_type: AuthType,
        passphrase: &Passphrase,
    ) -> Result<Self, AuthError> {
        let lacks = |missing| AuthError::Incomplete {
            profile: profile.name.clone(),
            auth_type,
            missing,
        };
        if way != ClientAuth::Public && profile.client_id.is_none() {
            return Err(lacks("a client id"));
        }
        let signer = match way {
            ClientAuth::Public => None,
            ClientAuth::Header | ClientAuth::Raw | ClientAuth::Post => {
                if profile.client_secret.is_none() {
                    return Err(lacks("a client secret (--client-auth says so)"));
                }
                None
            }
            ClientAuth::SecretJwt => match &profile.client_secret {
                Some(secret) => Some(Signer::with_secret(secret, None, of_secret(profile)?)),
                None => return Err(lacks("a client secret (--client-auth says so)")),
            },
            // Somebody else signed it.
            ClientAuth::PrivateKeyJwt if profile.client_assertion.is_some() => None,
            ClientAuth::PrivateKeyJwt => match Signer::with_key(profile, passphrase)? {
                Some(signer) => Some(signer),
                None => return Err(lacks("a private key (--private-key-path)")),
            },
            ClientAuth::Certificate => {
                if profile.client_cert.is_none() {
                    return Err(lacks("a certificate (--client-cert)"));
                }
                None
            }
        };
        Ok(Self { way, signer })
    }

    /// Only the client's name.
    pub fn public() -> Self {
        Self {
            way: ClientAuth::Public,
            signer: None,
        }
    }

    /// How it proves the client.
    pub fn way(&self) -> ClientAuth {
        self.way
    }

    /// Whether it is an assertion that is made here.
    pub(super) fn signs(&self) -> bool {
        matches!(self.way, ClientAuth::SecretJwt | ClientAuth::PrivateKeyJwt)
            && self.signer.is_some()
    }

    /// Puts the proof into a token request. An assertion is new each time.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn add_to(
        &self,
        request: TokenRequest,
        profile: &Profile,
        token_url: &Url,
        clock: Clock,
    ) -> Result<TokenRequest, AuthError> {
        // With token-exchange, and where nothing is signed, the audience is that of the token asked for.
        let audience = match profile.auth_type {
            Some(AuthType::TokenExchange) => token_url.as_str().to_owned(),
            _ if !self.signs() => token_url.as_str().to_owned(),
            _ => assertion::audience(profile, token_url)?,
        };
        self.add_for(&audience, request, profile, clock)
    }

    /// The same for another audience: an assertion for one endpoint must be of no use at another.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn add_for(
        &self,
        audience: &str,
        request: TokenRequest,
        profile: &Profile,
        clock: Clock,
    ) -> Result<TokenRequest, AuthError> {
        let id = profile.client_id.as_deref();
        let secret = profile.client_secret.as_ref();
        let name = id.unwrap_or_default();
        if let Some(secret) = secret {
            secret.hide_as_basic(name);
        }
        if let (ClientAuth::PrivateKeyJwt, Some(given)) = (self.way, &profile.client_assertion) {
            // Its subject may be a workload that the server knows as this client, so the client is named too
            // (RFC 7521 §4.2).
            let assertion = credential::at_hand(Key::ClientAssertionFile, given)?;
            return Ok(request
                .with("client_id", id)
                .with("client_assertion_type", Some(ASSERTION_TYPE))
                .with_secret("client_assertion", assertion));
        }
        Ok(match (self.way, secret, &self.signer) {
            (ClientAuth::Header, Some(secret), _) => {
                request.with_basic(&form_encode(name), &form_encode(secret.expose()))
            }
            (ClientAuth::Raw, Some(secret), _) => request.with_basic(name, secret.expose()),
            (ClientAuth::Post, Some(secret), _) => request
                .with("client_id", id)
                .with_secret("client_secret", secret.clone()),
            (ClientAuth::SecretJwt | ClientAuth::PrivateKeyJwt, _, Some(signer)) => {
                let assertion = signer.sign(&Claims {
                    issuer: name,
                    subject: name,
                    audience,
                    clock,
                })?;
                // The assertion names the client, so no `client_id` goes along.
                request
                    .with("client_assertion_type", Some(ASSERTION_TYPE))
                    .with_assertion("client_assertion", assertion)
            }
            _ => request.with("client_id", id),
        })
    }
}

/// The way of a profile: what it says itself, else one that the server takes and the profile can, else the usual one.
pub fn choose(profile: &Profile, advertised: &[String]) -> ClientAuth {
    if let Some(way) = profile.client_auth {
        return way;
    }
    let can = |way: ClientAuth| match way {
        ClientAuth::PrivateKeyJwt => {
            profile.has_private_key() || profile.client_assertion.is_some()
        }
        ClientAuth::Certificate => profile.client_cert.is_some(),
        ClientAuth::Public => true,
        _ => profile.client_id.is_some() && profile.has_client_secret(),
    };
    if profile.client_assertion.is_some() {
        return ClientAuth::PrivateKeyJwt;
    }
    let ways = [
        ClientAuth::Header,
        ClientAuth::PrivateKeyJwt,
        ClientAuth::Certificate,
        ClientAuth::Public,
    ];
    let usual = ways.into_iter().find(|way| can(*way));
    let usual = usual.unwrap_or(ClientAuth::Public);
    if usual == ClientAuth::Public || usual.is_among(advertised) {
        return usual;
    }
    let others = [
        ClientAuth::Post,
        ClientAuth::PrivateKeyJwt,
        ClientAuth::Certificate,
        ClientAuth::SecretJwt,
    ];
    let taken = others
        .into_iter()
        .find(|way| can(*way) && way.is_among(advertised));
    taken.unwrap_or(usual)
}

/// The algorithm that a secret signs with.
fn of_secret(profile: &Profile) -> Result<Algorithm, ProfileError> {
    match profile.algorithm {
        None => Ok(Algorithm::Hs256),
        Some(algorithm) if algorithm.is_of_secret() => Ok(algorithm),
        Some(algorithm) => Err(ProfileError::BadSetting {
            key: Key::Algorithm,
            value: algorithm.name().into(),
            reason: "a client secret signs with HS256, HS384 or HS512".into(),
        }),
    }
}

/// Id and secret before they are joined (RFC 6749 §2.3.1).
fn form_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Settings;
    use crate::profile::resolve::{Layers, resolve};

    #[test]
    fn id_and_secret_are_form_encoded_before_base64() {
        assert_eq!(form_encode("a b:c%&+é"), "a+b%3Ac%25%26%2B%C3%A9");
    }

    #[test]
    fn the_way_is_the_profiles_else_one_that_both_sides_can_else_the_usual_one() {
        let way = |pairs: &[(Key, &str)], advertised: &[&str]| {
            let mut flags = Settings::default();
            flags.set(Key::ClientId, Some("id".into()));
            for (key, value) in pairs {
                flags.set(*key, Some((*value).to_owned()));
            }
            let layers = Layers {
                flags,
                ..Layers::default()
            };
            let advertised: Vec<String> = advertised.iter().map(|text| (*text).into()).collect();
            choose(&resolve("x", &layers).unwrap(), &advertised).name()
        };
        let secret = (Key::ClientSecret, "s3cret-s3cret");
        let key = (Key::PrivateKeyPath, "key.pem");
        let cert = (Key::ClientCert, "cert.pem");
        let raw = (Key::ClientAuth, "raw");
        assert_eq!(way(&[], &["client_secret_post"]), "none");
        assert_eq!(way(&[secret, key, cert], &[]), "header");
        assert_eq!(way(&[key, cert], &[]), "private_key_jwt");
        assert_eq!(way(&[cert], &[]), "tls_client_auth");
        assert_eq!(way(&[secret], &["client_secret_post"]), "post");
        let both = ["client_secret_jwt", "client_secret_basic"];
        assert_eq!(way(&[secret], &both), "header");
        assert_eq!(way(&[secret], &["client_secret_jwt"]), "client_secret_jwt");
        assert_eq!(way(&[secret, key], &["private_key_jwt"]), "private_key_jwt");
        let own = ["self_signed_tls_client_auth"];
        assert_eq!(way(&[secret, cert], &own), "tls_client_auth");
        // Nothing that the server takes can be done: it may say more than it means.
        assert_eq!(way(&[secret], &["private_key_jwt"]), "header");
        assert_eq!(way(&[secret, raw], &["client_secret_post"]), "raw");
    }
}
