//! Assertions: signed statements of who a client is and whom it speaks for (RFC 7523 §3), new for every try.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use url::Url;

use super::AuthError;
use super::keys::{self, KeyError, Passphrase, PublicKey, SignCommand};
use crate::profile::{Algorithm, CommandLine, Key, Profile, urls};
use crate::secret::{self, Secret};

/// How long an assertion is good. Servers take 5 minutes at most; the last one is left to clocks that differ.
const LIFETIME: u64 = 240;
/// How far back `iat` lies: a server whose clock is behind must not see it in its future.
const ISSUED_BEFORE: u64 = 10;
/// A server whose clock differs by more than this, in seconds, may refuse an assertion for its time.
const LARGEST_DIFFERENCE: i64 = 60;

/// What signs assertions: a private key or the client's secret.
pub struct Signer {
    key: Hand,
    header: Header,
    algorithm: Algorithm,
    public: Option<PublicKey>,
}

/// What makes the signature.
enum Hand {
    Here(EncodingKey),
    /// A program that has the key.
    Elsewhere(SignCommand),
}

/// What signs, as far as it may be shown.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The public part; `None` when the client's secret signs.
    pub public: Option<PublicKey>,
    pub kid: Option<String>,
    pub algorithm: Algorithm,
}

/// A signed assertion and what it says, without its signature.
#[derive(Clone, Debug)]
pub struct Assertion {
    pub text: Secret,
    /// Algorithm, key id and claims, for people who look for the reason of a refusal.
    pub about: String,
}

/// Who says what to whom, and by which clock.
#[derive(Clone, Debug)]
pub struct Claims<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    pub audience: &'a str,
    pub clock: Clock,
}

/// A clock: the one here, or a server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How far it is ahead of the one here, in seconds.
    ahead: i64,
}

impl Clock {
    /// The clock that shows this time now.
    pub fn of(time: SystemTime) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let ahead = match time.duration_since(SystemTime::now()) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        };
        Self { ahead }
    }

    /// Whether it differs by so much that assertions made here may be refused.
    pub fn is_another(self) -> bool {
        self.ahead.abs() > LARGEST_DIFFERENCE
    }

    /// How the clock here stands to it, for people.
    pub fn describe(self) -> String {
        let way = if self.ahead > 0 { "behind" } else { "ahead of" };
        format!("{} s {way} the server's", self.ahead.abs())
    }

    /// Seconds since 1970.
    fn now(self) -> Result<u64, KeyError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| KeyError::Signing("the clock stands before 1970".into()))?;
        Ok(now.as_secs().saturating_add_signed(self.ahead))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.header.kid)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs with the private key of the profile; `None` when it has none.
    ///
    /// # Errors
    /// The key cannot be read or used.
    pub fn with_key(profile: &Profile, passphrase: &Passphrase) -> Result<Option<Self>, KeyError> {
        if let Some(command) = &profile.sign_command {
            return Self::elsewhere(profile, command, passphrase).map(Some);
        }
        // A key that is given as it is goes by the name of its variable.
        let named = profile
            .private_key
            .as_ref()
            .map(|_| PathBuf::from(Key::PrivateKey.variable()));
        let Some(path) = named.as_ref().or(profile.private_key_path.as_ref()) else {
            return Ok(None);
        };
        let keys = match &profile.private_key {
            Some(text) => keys::file::parse(path, &lines(text.expose()), passphrase)?,
            None => keys::file::read(path, passphrase)?,
        };
        let (key, algorithm) =
            keys::select(path, keys, profile.key_id.as_deref(), profile.algorithm)?;
        let encoding = key
            .encoding_key()
            .ok_or_else(|| KeyError::Public { path: path.clone() })?;
        let mut signer = Self::new(Hand::Here(encoding), algorithm, Some(key.kid()));
        signer.public = Some(key.public);
        Ok(Some(signer.with_key_url(profile.key_url.as_deref())))
    }

    /// Signs with the client's secret: HS256, HS384 or HS512.
    pub fn with_secret(secret: &Secret, key_id: Option<&str>, algorithm: Algorithm) -> Self {
        let key = EncodingKey::from_secret(secret.expose().as_bytes());
        Self::new(Hand::Here(key), algorithm, key_id.map(str::to_owned))
    }

    /// Has a program sign. The key file, if there is one, has its public key.
    fn elsewhere(
        profile: &Profile,
        command: &CommandLine,
        passphrase: &Passphrase,
    ) -> Result<Self, KeyError> {
        let kid = profile.key_id.as_deref();
        let public = match &profile.private_key_path {
            Some(path) => Some(keys::public(
                path,
                keys::file::read(path, passphrase)?,
                kid,
            )?),
            None => None,
        };
        let command = SignCommand::of(command, public, kid, profile.algorithm)?;
        let (algorithm, kid, public) = (
            command.algorithm,
            command.kid.clone(),
            command.public.clone(),
        );
        let mut signer = Self::new(Hand::Elsewhere(command), algorithm, Some(kid));
        signer.public = public;
        Ok(signer.with_key_url(profile.key_url.as_deref()))
    }

    fn new(key: Hand, algorithm: Algorithm, kid: Option<String>) -> Self {
        let mut header = Header::new(jws(algorithm));
        // The exact spelling is asked for by SMART.
        header.typ = Some("JWT".into());
        header.kid = kid;
        Self {
            key,
            header,
            algorithm,
            public: None,
        }
    }

    /// What signs, for people.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey {
            public: self.public.clone(),
            kid: self.header.kid.clone(),
            algorithm: self.algorithm,
        }
    }

    fn with_key_url(mut self, key_url: Option<&str>) -> Self {
        self.header.jku = key_url.map(str::to_owned);
        self
    }

    /// A new assertion: its own `jti`, its own times.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(&self, claims: &Claims<'_>) -> Result<Assertion, KeyError> {
        let (issued, expires) = lifetime(claims.clock.now()?);
        let said = json!({
            "iss": claims.issuer,
            "sub": claims.subject,
            "aud": claims.audience,
            "jti": unique()?,
            "iat": issued,
            "exp": expires,
        });
        let text = match &self.key {
            Hand::Here(key) => jsonwebtoken::encode(&self.header, &said, key)
                .map_err(|error| KeyError::Signing(error.to_string()))?,
            Hand::Elsewhere(command) => {
                let header = serde_json::to_string(&self.header)
                    .map_err(|error| KeyError::Signing(error.to_string()))?;
                let signed = format!("{}.{}", encode(&header), encode(&said.to_string()));
                let signature = command.sign(signed.as_bytes())?;
                format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
            }
        };
        let kid = self.header.kid.as_deref().unwrap_or("none");
        Ok(Assertion {
            text: Secret::new(text),
            about: format!(
                "alg {}, kid {kid}, iss {}, sub {}, aud {}",
                self.algorithm, claims.issuer, claims.subject, claims.audience
            ),
        })
    }
}

/// When an assertion made at this second was issued and when it ends; also on machines whose clock begins at 1970.
fn lifetime(now: u64) -> (u64, u64) {
    (
        now.saturating_sub(ISSUED_BEFORE),
        now.saturating_add(LIFETIME),
    )
}

/// The text of a key as it was before a variable took it: many keep line ends as `\\n`.
fn lines(text: &str) -> Cow<'_, str> {
    if text.contains("-----BEGIN ") {
        Cow::Owned(text.replace("\\r", "").replace("\\n", "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A part of a JWS (RFC 7515 §3.1).
fn encode(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// Whom an assertion is for: an absolute URI word for word, a path joined to the base URL, else the token URL. What a
/// `.env` file says must be of the server that gets the assertion, or that server could play it at another one. So could
/// a token endpoint that the FHIR server named: its assertions are for its own server or for that one.
///
/// # Errors
/// The path makes no URL; [`AuthError::MixedByFolder`]; [`AuthError::ForAnother`].
pub(super) fn audience(profile: &Profile, token_url: &Url) -> Result<String, AuthError> {
    let audience = match profile.audience.as_deref() {
        None => return Ok(token_url.as_str().to_owned()),
        Some(absolute) if absolute.contains("://") || absolute.starts_with("urn:") => {
            absolute.to_owned()
        }
        Some(path) => urls::join(Key::Audience, &profile.base_url, path)?.into(),
    };
    let is_of_folder = profile.of_folder.says(Key::Audience) && profile.of_folder.lent().is_some();
    let is_at = |url: Url| urls::same_origin(&url, token_url);
    if is_of_folder && !Url::parse(&audience).is_ok_and(is_at) {
        return Err(AuthError::MixedByFolder {
            key: Key::Audience,
            named: audience.into(),
            token: secret::url_for_people(token_url),
        });
    }
    let is_users = profile.pins_token_url()
        || profile.token_url.is_some() && profile.of_folder.lent().is_none();
    let is_of_either = |url: Url| is_at(url.clone()) || urls::same_origin(&url, &profile.fhir_base);
    if !is_users && !Url::parse(&audience).is_ok_and(is_of_either) {
        return Err(AuthError::ForAnother {
            audience: audience.into(),
            token: secret::url_for_people(token_url),
        });
    }
    Ok(audience)
}

/// 128 random bits as 32 characters; Epic takes 151 at most.
fn unique() -> Result<String, KeyError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| KeyError::Signing("no randomness".into()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn jws(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Settings;
    use crate::profile::resolve::{Layers, resolve};

    #[test]
    fn a_clock_that_begins_at_1970_makes_assertions_too() {
        assert_eq!(lifetime(0), (0, 240));
        assert_eq!(lifetime(9), (0, 249));
        assert_eq!(lifetime(1_000), (990, 1_240));
        let behind = Clock { ahead: i64::MIN };
        assert_eq!(behind.now().unwrap(), 0);
    }

    #[test]
    fn the_audience_is_the_token_url_a_path_below_the_base_or_an_absolute_uri_word_for_word() {
        let token_url = Url::parse("https://sso.example/token").unwrap();
        for (set, audience) in [
            (None, "https://sso.example/token"),
            (
                Some("/oauth2/token"),
                "https://api.example/ctx/oauth2/token",
            ),
            (Some("oauth2/token"), "https://api.example/ctx/oauth2/token"),
            (Some("https://other.example"), "https://other.example"),
            (
                Some("https://other.example:443/t/"),
                "https://other.example:443/t/",
            ),
            (Some("urn:example:server"), "urn:example:server"),
        ] {
            let mut flags = Settings::default();
            flags.set(Key::BaseUrl, Some("https://api.example/ctx/".into()));
            flags.set(Key::TokenUrl, Some(token_url.to_string()));
            flags.set(Key::Audience, set.map(str::to_owned));
            let layers = Layers {
                flags,
                ..Layers::default()
            };
            let profile = resolve("x", &layers).unwrap();
            assert_eq!(super::audience(&profile, &token_url).unwrap(), audience);
        }
    }

    #[test]
    fn a_token_endpoint_that_was_found_gets_no_assertion_that_is_good_at_another_server() {
        let found = Url::parse("https://sso.example/token").unwrap();
        for (audience, is_signed) in [
            ("https://sso.example", true),
            ("https://sso.example:443/realm", true),
            ("https://fhir.example/r4", true),
            ("realm", true),
            ("https://idp.example/oauth2/token", false),
            ("https://sso.example:8443/token", false),
            ("http://sso.example/token", false),
            ("urn:example:server", false),
        ] {
            for pinned in [None, Some("https://sso.example/token")] {
                let mut flags = Settings::default();
                flags.set(Key::BaseUrl, Some("https://fhir.example/".into()));
                flags.set(Key::Audience, Some(audience.into()));
                flags.set(Key::TokenUrl, pinned.map(str::to_owned));
                let layers = Layers {
                    flags,
                    ..Layers::default()
                };
                let profile = resolve("x", &layers).unwrap();
                let made = super::audience(&profile, &found);
                assert_eq!(made.is_ok(), is_signed || pinned.is_some(), "{audience}");
            }
        }
    }
}
