//! What was configured for one server: settings by name, and the profile they resolve to.

mod algorithm;
mod client_auth;
mod command_line;
pub mod env;
mod error;
pub mod headers;
pub mod held;
mod keyring;
pub mod network;
pub mod resolve;
pub mod store;
pub mod urls;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::header::HeaderMap;
use url::Url;

use crate::secret::{MASK, Secret};
pub use algorithm::Algorithm;
pub use client_auth::ClientAuth;
pub use command_line::CommandLine;
pub use error::ProfileError;
pub use network::NetworkSettings;

/// The profile used when none is named.
pub const DEFAULT_NAME: &str = "default";

/// The public client that every Medplum server of medplum.com knows.
const MEDPLUM_CLIENT_ID: &str = "medplum-cli";

/// Everything that can be set for a server. The order is the one in which settings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    AuthType,
    BaseUrl,
    FhirUrlPath,
    TokenUrl,
    AuthorizeUrl,
    CallbackUrl,
    ClientId,
    ClientSecret,
    ClientSecretFile,
    ClientSecretCommand,
    ClientAuth,
    AccessToken,
    PrivateKeyPath,
    KeyPassphrase,
    KeyPassphraseFile,
    KeyId,
    Algorithm,
    KeyUrl,
    Scope,
    Audience,
    Subject,
    Issuer,
    TrustOrigin,
    Headers,
    CaCert,
    Insecure,
    ConnectTimeout,
    MaxRequestsPerSecond,
    Dpop,
    ClientCert,
    ClientKey,
    DeviceAuthorizationUrl,
    SubjectToken,
    SubjectTokenFile,
    SubjectTokenType,
    ActorToken,
    ActorTokenFile,
    ActorTokenType,
    RequestedTokenType,
    Resource,
}

impl Key {
    /// All settings.
    pub const ALL: [Self; 40] = [
        Self::AuthType,
        Self::BaseUrl,
        Self::FhirUrlPath,
        Self::TokenUrl,
        Self::AuthorizeUrl,
        Self::CallbackUrl,
        Self::ClientId,
        Self::ClientSecret,
        Self::ClientSecretFile,
        Self::ClientSecretCommand,
        Self::ClientAuth,
        Self::AccessToken,
        Self::PrivateKeyPath,
        Self::KeyPassphrase,
        Self::KeyPassphraseFile,
        Self::KeyId,
        Self::Algorithm,
        Self::KeyUrl,
        Self::Scope,
        Self::Audience,
        Self::Subject,
        Self::Issuer,
        Self::TrustOrigin,
        Self::Headers,
        Self::CaCert,
        Self::Insecure,
        Self::ConnectTimeout,
        Self::MaxRequestsPerSecond,
        Self::Dpop,
        Self::ClientCert,
        Self::ClientKey,
        Self::DeviceAuthorizationUrl,
        Self::SubjectToken,
        Self::SubjectTokenFile,
        Self::SubjectTokenType,
        Self::ActorToken,
        Self::ActorTokenFile,
        Self::ActorTokenType,
        Self::RequestedTokenType,
        Self::Resource,
    ];

    /// The ways to give the client secret, of which a profile has one.
    pub const SECRETS: [Self; 3] = [
        Self::ClientSecret,
        Self::ClientSecretFile,
        Self::ClientSecretCommand,
    ];

    /// The key in the `options` object of a profile file; the Medplum CLI's where it has one.
    pub fn json(self) -> &'static str {
        match self {
            Self::AuthType => "authType",
            Self::BaseUrl => "baseUrl",
            Self::FhirUrlPath => "fhirUrlPath",
            Self::TokenUrl => "tokenUrl",
            Self::AuthorizeUrl => "authorizeUrl",
            Self::CallbackUrl => "callbackUrl",
            Self::ClientId => "clientId",
            Self::ClientSecret => "clientSecret",
            Self::ClientSecretFile => "clientSecretFile",
            Self::ClientSecretCommand => "clientSecretCommand",
            Self::ClientAuth => "clientAuth",
            Self::AccessToken => "accessToken",
            Self::PrivateKeyPath => "privateKeyPath",
            Self::KeyPassphrase => "keyPassphrase",
            Self::KeyPassphraseFile => "keyPassphraseFile",
            Self::KeyId => "keyId",
            Self::Algorithm => "algorithm",
            Self::KeyUrl => "jku",
            Self::Scope => "scope",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::Issuer => "issuer",
            Self::TrustOrigin => "trustOrigin",
            Self::Headers => "headers",
            Self::CaCert => "caCert",
            Self::Insecure => "insecure",
            Self::ConnectTimeout => "connectTimeout",
            Self::MaxRequestsPerSecond => "maxRequestsPerSecond",
            Self::Dpop => "dpop",
            Self::ClientCert => "clientCert",
            Self::ClientKey => "clientKey",
            Self::DeviceAuthorizationUrl => "deviceAuthorizationUrl",
            Self::SubjectToken => "subjectToken",
            Self::SubjectTokenFile => "subjectTokenFile",
            Self::SubjectTokenType => "subjectTokenType",
            Self::ActorToken => "actorToken",
            Self::ActorTokenFile => "actorTokenFile",
            Self::ActorTokenType => "actorTokenType",
            Self::RequestedTokenType => "requestedTokenType",
            Self::Resource => "resource",
        }
    }

    /// The environment variable that gives it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::AuthType => "MEDPLUM_AUTH_TYPE",
            Self::BaseUrl => "MEDPLUM_BASE_URL",
            Self::FhirUrlPath => "MEDPLUM_FHIR_URL_PATH",
            Self::TokenUrl => "MEDPLUM_TOKEN_URL",
            Self::AuthorizeUrl => "MEDPLUM_AUTHORIZE_URL",
            Self::CallbackUrl => "MEDPLUM_CALLBACK_URL",
            Self::ClientId => "MEDPLUM_CLIENT_ID",
            Self::ClientSecret => "MEDPLUM_CLIENT_SECRET",
            Self::ClientSecretFile => "MEDPLUM_CLIENT_SECRET_FILE",
            Self::ClientSecretCommand => "MEDPLUM_CLIENT_SECRET_COMMAND",
            Self::ClientAuth => "MEDPLUM_CLIENT_AUTH",
            Self::AccessToken => "MEDPLUM_CLIENT_ACCESS_TOKEN",
            Self::PrivateKeyPath => "MEDPLUM_PRIVATE_KEY_PATH",
            Self::KeyPassphrase => "MEDPLUM_KEY_PASSPHRASE",
            Self::KeyPassphraseFile => "MEDPLUM_KEY_PASSPHRASE_FILE",
            Self::KeyId => "MEDPLUM_KEY_ID",
            Self::Algorithm => "MEDPLUM_ALGORITHM",
            Self::KeyUrl => "MEDPLUM_JKU",
            Self::Scope => "MEDPLUM_SCOPE",
            Self::Audience => "MEDPLUM_AUDIENCE",
            Self::Subject => "MEDPLUM_SUBJECT",
            Self::Issuer => "MEDPLUM_ISSUER",
            Self::TrustOrigin => "MEDPLUM_TRUST_ORIGIN",
            Self::Headers => "MEDPLUM_HEADERS",
            Self::CaCert => "MEDPLUM_CA_CERT",
            Self::Insecure => "MEDPLUM_INSECURE",
            Self::ConnectTimeout => "MEDPLUM_CONNECT_TIMEOUT",
            Self::MaxRequestsPerSecond => "MEDPLUM_MAX_REQUESTS_PER_SECOND",
            Self::Dpop => "MEDPLUM_DPOP",
            Self::ClientCert => "MEDPLUM_CLIENT_CERT",
            Self::ClientKey => "MEDPLUM_CLIENT_KEY",
            Self::DeviceAuthorizationUrl => "MEDPLUM_DEVICE_AUTHORIZATION_URL",
            Self::SubjectToken => "MEDPLUM_SUBJECT_TOKEN",
            Self::SubjectTokenFile => "MEDPLUM_SUBJECT_TOKEN_FILE",
            Self::SubjectTokenType => "MEDPLUM_SUBJECT_TOKEN_TYPE",
            Self::ActorToken => "MEDPLUM_ACTOR_TOKEN",
            Self::ActorTokenFile => "MEDPLUM_ACTOR_TOKEN_FILE",
            Self::ActorTokenType => "MEDPLUM_ACTOR_TOKEN_TYPE",
            Self::RequestedTokenType => "MEDPLUM_REQUESTED_TOKEN_TYPE",
            Self::Resource => "MEDPLUM_RESOURCE",
        }
    }

    /// Whether its value is never shown.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::ClientSecret
                | Self::AccessToken
                | Self::KeyPassphrase
                | Self::SubjectToken
                | Self::ActorToken
        )
    }

    /// Whether a `.env` file may say it. A folder that somebody else filled must not say which program runs, whom to
    /// trust, or what else goes to the server.
    pub fn may_be_in_env_file(self) -> bool {
        !matches!(
            self,
            Self::ClientSecretCommand | Self::Headers | Self::CaCert | Self::Insecure
        )
    }

    /// Whether it proves who the client is, so that it must not reach another server. A passphrase opens a file here
    /// and reaches none.
    pub fn is_credential(self) -> bool {
        matches!(
            self,
            Self::ClientSecret
                | Self::ClientSecretFile
                | Self::ClientSecretCommand
                | Self::AccessToken
                | Self::PrivateKeyPath
                | Self::ClientCert
                | Self::ClientKey
                | Self::SubjectToken
                | Self::SubjectTokenFile
                | Self::ActorToken
                | Self::ActorTokenFile
        )
    }
}

/// What one layer (flags, a profile file, the environment) says; nothing is checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<Key, String>);

impl Settings {
    /// The value of a setting, if the layer has one that is not empty.
    pub fn get(&self, key: Key) -> Option<&str> {
        self.0
            .get(&key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Sets or, with `None`, leaves a setting as it is. Secrets are masked in all output from here on.
    pub fn set(&mut self, key: Key, value: Option<String>) {
        if let Some(value) = value {
            if key.is_secret() {
                let _ = Secret::new(value.as_str());
            }
            if key == Key::Headers {
                headers::hide(&value);
            }
            self.0.insert(key, value);
        }
    }

    /// The settings that are there, in the order they are shown.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Whether the layer says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the layer holds anything that proves who the client is.
    pub fn has_credential(&self) -> bool {
        Key::ALL
            .iter()
            .any(|key| key.is_credential() && self.get(*key).is_some())
    }

    /// Whether a value holds a secret: always one of a secret setting, and headers when one of them is.
    pub fn holds_secret(key: Key, value: &str) -> bool {
        key.is_secret() || key == Key::Headers && headers::hold_secret(value)
    }

    /// A value fit to be shown.
    pub fn shown(key: Key, value: &str, show_secrets: bool) -> String {
        if show_secrets {
            value.to_owned()
        } else if key.is_secret() {
            MASK.to_owned()
        } else if key == Key::Headers {
            headers::shown(value)
        } else {
            value.to_owned()
        }
    }
}

/// How a client proves itself to a server: the values of `--auth-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    Basic,
    ClientCredentials,
    AuthorizationCode,
    JwtBearer,
    JwtAssertion,
    DeviceCode,
    TokenExchange,
}

impl AuthType {
    /// All types, as they are spelled on the command line.
    pub const ALL: [(&'static str, Self); 7] = [
        ("basic", Self::Basic),
        ("client-credentials", Self::ClientCredentials),
        ("authorization-code", Self::AuthorizationCode),
        ("jwt-bearer", Self::JwtBearer),
        ("jwt-assertion", Self::JwtAssertion),
        ("device-code", Self::DeviceCode),
        ("token-exchange", Self::TokenExchange),
    ];

    /// The spelling of the command line and the profile file.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, auth_type)| *auth_type == self)
            .map_or("", |(name, _)| name)
    }
}

impl FromStr for AuthType {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, auth_type)| *auth_type)
            .ok_or_else(|| ProfileError::BadSetting {
                key: Key::AuthType,
                value: text.to_owned(),
                reason: format!("known are {}", Self::ALL.map(|(name, _)| name).join(", ")),
            })
    }
}

/// The layers a setting can come from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Flag,
    Profile,
    Environment,
    EnvFile,
    Default,
}

impl Layer {
    /// The layer in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Flag => "a flag",
            Self::Profile => "the profile",
            Self::Environment => "the environment",
            Self::EnvFile => "the .env file here",
            Self::Default => "the default",
        }
    }
}

/// A profile ready for use: every URL absolute, every credential one that belongs to this server.
#[derive(Clone, Debug)]
pub struct Profile {
    pub name: String,
    pub base_url: Url,
    pub base_from: Layer,
    /// The FHIR base, without a slash at its end.
    pub fhir_base: Url,
    /// The part of the FHIR base after the base URL, `fhir/R4`; `None` when the FHIR base was given whole.
    pub fhir_path: Option<String>,
    pub token_url: Option<Url>,
    pub authorize_url: Option<Url>,
    /// Where a device asks for a code (RFC 8628 §3.1).
    pub device_authorization_url: Option<Url>,
    pub auth_type: Option<AuthType>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    /// The program that prints the client's secret; it runs when a token is asked for, not before.
    pub client_secret_command: Option<CommandLine>,
    /// How the client proves itself at the token endpoint; else what the server takes decides.
    pub client_auth: Option<ClientAuth>,
    /// The certificate the client shows in TLS (RFC 8705), as PEM; its key may stand in the same file.
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub access_token: Option<Secret>,
    pub private_key_path: Option<PathBuf>,
    /// What opens an encrypted key; the file stands before the value.
    pub key_passphrase: Option<Secret>,
    pub key_passphrase_file: Option<PathBuf>,
    pub key_id: Option<String>,
    /// The JWS algorithm asked for; else the key decides.
    pub algorithm: Option<Algorithm>,
    /// Where the client's public keys are (`jku`).
    pub key_url: Option<String>,
    pub scope: Option<String>,
    pub audience: Option<String>,
    pub subject: Option<String>,
    pub issuer: Option<String>,
    pub callback_url: Option<String>,
    /// What is exchanged for a token (RFC 8693).
    pub exchange: ExchangeSettings,
    pub trust_origins: Vec<Url>,
    /// What goes with every request to the profile's own origins.
    pub headers: HeaderMap,
    /// Whether tokens are bound to a key (RFC 9449).
    pub dpop: bool,
    /// How its servers are reached, as far as the profile says.
    pub network: NetworkSettings,
    /// Where the credential came from, when there is one.
    pub credential_from: Option<Layer>,
    /// Whether a login stored in the profile file belongs to this server.
    pub may_use_login: bool,
    /// The server that credentials were held back for, when some were.
    pub withheld_for: Option<String>,
}

impl Profile {
    /// Whether `login` sends a person to the browser: asked for, or nothing else to sign in with.
    pub fn signs_in_by_browser(&self) -> bool {
        let has_other_way = self.access_token.is_some()
            || self.private_key_path.is_some()
            || self.client_id.is_some() && (self.has_client_secret() || self.client_cert.is_some());
        match self.auth_type {
            Some(auth_type) => auth_type == AuthType::AuthorizationCode,
            None => !has_other_way,
        }
    }

    /// Whether only a person can sign in, and what is stored of it serves every other command.
    pub fn needs_person(&self) -> bool {
        matches!(
            self.auth_type,
            Some(AuthType::AuthorizationCode | AuthType::DeviceCode)
        )
    }

    /// Whether a URL is on one of the profile's own origins.
    pub fn is_own(&self, url: &Url) -> bool {
        [&self.base_url, &self.fhir_base]
            .into_iter()
            .chain(&self.trust_origins)
            .any(|own| urls::same_origin(own, url))
    }

    /// Adds the profile's headers to a request that goes to one of its own origins.
    pub fn add_headers(&self, headers: &mut HeaderMap, url: &Url) {
        if self.is_own(url) {
            for (name, value) in &self.headers {
                headers.insert(name.clone(), value.clone());
            }
        }
    }

    /// Whether there is a client secret, or a program that prints it.
    pub fn has_client_secret(&self) -> bool {
        self.client_secret.is_some() || self.client_secret_command.is_some()
    }

    /// The client of a login by browser: the profile's, or on Medplum's own servers the one that all users share.
    pub fn login_client_id(&self) -> Option<&str> {
        let shared = urls::is_medplum(&self.base_url).then_some(MEDPLUM_CLIENT_ID);
        self.client_id.as_deref().or(shared)
    }
}

/// What a token exchange says (RFC 8693 §2.1).
#[derive(Clone, Debug, Default)]
pub struct ExchangeSettings {
    pub subject: Option<GivenToken>,
    pub subject_type: Option<String>,
    pub actor: Option<GivenToken>,
    pub actor_type: Option<String>,
    pub requested_type: Option<String>,
    pub resource: Option<String>,
}

/// A token that somebody else made.
#[derive(Clone, Debug)]
pub enum GivenToken {
    Value(Secret),
    /// Read anew for each exchange: such files are replaced before their token ends.
    File(PathBuf),
}
