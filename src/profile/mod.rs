//! What was configured for one server: settings by name, and the profile they resolve to.

mod algorithm;
mod auth_type;
mod client_auth;
mod command_line;
pub mod env;
pub mod env_file;
mod error;
mod file;
pub mod headers;
pub mod held;
mod key;
mod keyring;
mod layers;
pub mod login;
pub mod network;
mod of_folder;
mod params;
mod parts;
pub mod resolve;
pub mod secret_file;
mod settings;
mod side;
pub mod store;
mod typed;
pub mod urls;
mod withheld;

use std::path::PathBuf;

use reqwest::header::HeaderMap;
use url::Url;

use crate::secret::Secret;
pub use algorithm::Algorithm;
pub use auth_type::AuthType;
pub use client_auth::ClientAuth;
pub use command_line::CommandLine;
pub use error::ProfileError;
pub use key::Key;
pub use layers::{Layer, Layers};
pub use network::NetworkSettings;
pub use of_folder::OfFolder;
pub use params::Param;
pub use settings::Settings;
pub use side::{Side, inside};
pub use typed::typed;
pub use withheld::Withheld;

/// The profile used when none is named.
pub const DEFAULT_NAME: &str = "default";

/// The public client that every Medplum server of medplum.com knows.
const MEDPLUM_CLIENT_ID: &str = "medplum-cli";

/// A profile ready for use: every URL absolute, every credential one that belongs to this server.
#[derive(Clone, Debug)]
pub struct Profile {
    pub name: String,
    pub base_url: Url,
    pub base_from: Layer,
    /// The FHIR base, without a slash at its end.
    pub fhir_base: Url,
    /// The same with the slash at its end that the user wrote: some servers take batches there alone.
    pub fhir_root: Url,
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
    pub access_token: Option<GivenToken>,
    /// The assertion that somebody else made of who the client is (RFC 7523 §2.2).
    pub client_assertion: Option<GivenToken>,
    /// The private key, as the text of PEM or JWK; else where its file is.
    pub private_key: Option<Secret>,
    pub private_key_path: Option<PathBuf>,
    /// The program that signs assertions with a key that it has; the key file then has the public part, if any.
    pub sign_command: Option<CommandLine>,
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
    /// What requests hold beside what the standards ask for.
    pub asks: AskSettings,
    /// How its servers are reached, as far as the profile says.
    pub network: NetworkSettings,
    /// Where the credential came from, and which setting it is, when there is one.
    pub credential_from: Option<(Layer, Key)>,
    /// Whether a login is stored in the profile file and belongs to this server.
    pub may_use_login: bool,
    /// Whether the profile file means this server: it names it, or names none and this is the default one.
    pub is_profiles_server: bool,
    /// The credentials that were held back, when some were.
    pub withheld_for: Option<Withheld>,
    /// The files that its secrets are in.
    pub secret_files: Vec<PathBuf>,
    /// What a `.env` file has a part in.
    pub of_folder: OfFolder,
}

impl Profile {
    /// Whether `login` sends a person to the browser: asked for, or nothing else to sign in with.
    pub fn signs_in_by_browser(&self) -> bool {
        let has_other_way = self.access_token.is_some()
            || self.has_private_key()
            || self.client_id.is_some()
                && (self.has_client_secret()
                    || self.client_cert.is_some()
                    || self.client_assertion.is_some());
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

    /// Whether the user named the token endpoint, and no file of a folder that somebody else may have filled.
    pub fn pins_token_url(&self) -> bool {
        self.token_url.is_some() && !self.of_folder.says(Key::TokenUrl)
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

    /// Whether there is a private key, as it is or in a file, or a program that signs with one.
    pub fn has_private_key(&self) -> bool {
        self.private_key.is_some() || self.private_key_path.is_some() || self.sign_command.is_some()
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

/// What token and authorization requests hold beside what the standards ask for.
#[derive(Clone, Debug, Default)]
pub struct AskSettings {
    /// Whether authorization requests are left at the server before the person comes, where it offers that (RFC 9126).
    pub par: bool,
    /// Whether the command changes what is on the server, which takes another scope.
    pub writes: bool,
    /// What goes with every token request.
    pub token_params: Vec<Param>,
    /// What goes with every authorization request.
    pub authorize_params: Vec<Param>,
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

/// A token or an assertion that somebody else made.
#[derive(Clone, Debug)]
pub enum GivenToken {
    Value(Secret),
    /// Read anew each time: such files are replaced before their token ends.
    File(PathBuf),
    /// A program that prints it; it runs when the token is needed, not before.
    Command(CommandLine),
}
