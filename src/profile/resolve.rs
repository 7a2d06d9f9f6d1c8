//! Flag, then profile, then environment, then `.env`, then default: the one place where layers meet.
//!
//! A credential belongs to the layer that names its server. So credentials are resolved apart from the other
//! settings: each only if the server it would reach is the one its layer meant.

use std::path::PathBuf;

use reqwest::header::HeaderMap;
use url::Url;

use super::{
    AuthType, CommandLine, ExchangeSettings, GivenToken, Key, Layer, NetworkSettings, Profile,
    ProfileError, Settings, headers, network, urls,
};
use crate::secret::Secret;

const DEFAULT_BASE: &str = "https://api.medplum.com/";
const DEFAULT_FHIR_PATH: &str = "fhir/R4";

/// What each layer says.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub flags: Settings,
    pub profile: Settings,
    pub environment: Settings,
    pub env_file: Settings,
}

impl Layers {
    fn ordered(&self) -> [(Layer, &Settings); 4] {
        [
            (Layer::Flag, &self.flags),
            (Layer::Profile, &self.profile),
            (Layer::Environment, &self.environment),
            (Layer::EnvFile, &self.env_file),
        ]
    }
}

/// Resolves a profile.
///
/// # Errors
/// [`ProfileError::BadSetting`] for a value that cannot be used.
pub fn resolve(name: &str, layers: &Layers) -> Result<Profile, ProfileError> {
    let resolver = Resolver::new(layers)?;
    let value = |key| resolver.value(key).map(|(_, value)| value.to_owned());
    let base_url = resolver.base.clone();

    let fhir_url_path = resolver.fhir_url_path().1.to_owned();
    let fhir_base = urls::join(Key::FhirUrlPath, &base_url, &fhir_url_path)?;
    let fhir_path = (!urls::is_absolute(&fhir_url_path)).then_some(fhir_url_path);

    let credentials = resolver.credentials()?;
    let auth_type = match resolver.value(Key::AuthType) {
        // An access token typed for this command stands above a stored way to get one.
        Some((layer, _))
            if credentials
                .access_token_from
                .is_some_and(|from| from < layer) =>
        {
            None
        }
        Some((_, text)) => Some(text.parse::<AuthType>()?),
        None => None,
    };
    let endpoint = |key| {
        resolver
            .endpoint(key, &credentials, auth_type)
            .map(|text| urls::join(key, &base_url, text))
            .transpose()
    };
    let token_url = endpoint(Key::TokenUrl)?;
    let authorize_url = endpoint(Key::AuthorizeUrl)?;
    let device_authorization_url = endpoint(Key::DeviceAuthorizationUrl)?;
    let token_url_is_from_env_file = token_url.is_some()
        && resolver
            .value(Key::TokenUrl)
            .is_some_and(|(layer, _)| layer == Layer::EnvFile);
    // A cloned repository's `.env` must not say who may have a token.
    let trust_origins = resolver
        .value(Key::TrustOrigin)
        .filter(|(layer, _)| *layer != Layer::EnvFile)
        .map(|(_, text)| text)
        .unwrap_or_default()
        .split([' ', ','])
        .filter(|text| !text.is_empty())
        .map(|text| urls::parse_base(Key::TrustOrigin, text))
        .collect::<Result<_, _>>()?;
    let profile_server_is_this_one = resolver.is_meant_for(Layer::Profile, &layers.profile);
    Ok(Profile {
        name: name.to_owned(),
        base_from: resolver.base_from,
        fhir_base: urls::without_end_slash(&fhir_base),
        fhir_path,
        token_url,
        authorize_url,
        device_authorization_url,
        auth_type,
        client_id: credentials.client_id,
        client_secret: credentials.client_secret,
        client_secret_command: credentials.client_secret_command,
        client_auth: value(Key::ClientAuth)
            .map(|text| text.parse())
            .transpose()?,
        client_cert: credentials.client_cert,
        client_key: credentials.client_key,
        exchange: ExchangeSettings {
            subject: credentials.subject,
            subject_type: value(Key::SubjectTokenType),
            actor: credentials.actor,
            actor_type: value(Key::ActorTokenType),
            requested_type: value(Key::RequestedTokenType),
            resource: value(Key::Resource),
        },
        access_token: credentials.access_token,
        private_key_path: credentials.private_key_path,
        key_passphrase: value(Key::KeyPassphrase).map(Secret::new),
        key_passphrase_file: value(Key::KeyPassphraseFile).map(PathBuf::from),
        key_id: value(Key::KeyId),
        algorithm: value(Key::Algorithm).map(|text| text.parse()).transpose()?,
        key_url: value(Key::KeyUrl),
        scope: value(Key::Scope),
        audience: value(Key::Audience),
        subject: value(Key::Subject),
        issuer: value(Key::Issuer),
        callback_url: value(Key::CallbackUrl),
        trust_origins,
        headers: resolver.headers()?,
        network: resolver.network()?,
        dpop: match resolver.value(Key::Dpop) {
            Some((_, text)) => network::flag(Key::Dpop, text)?,
            None => false,
        },
        credential_from: credentials.from,
        // The refresh token of a login goes to no URL that a `.env` file names.
        may_use_login: profile_server_is_this_one
            && !token_url_is_from_env_file
            && resolver.names_default_or_profile(&layers.profile),
        withheld_for: credentials.withheld_for,
        base_url,
    })
}

struct Resolver<'a> {
    layers: &'a Layers,
    base: Url,
    base_from: Layer,
}

#[derive(Default)]
struct Credentials {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    client_secret_command: Option<CommandLine>,
    access_token: Option<Secret>,
    access_token_from: Option<Layer>,
    private_key_path: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    subject: Option<GivenToken>,
    actor: Option<GivenToken>,
    from: Option<Layer>,
    withheld_for: Option<String>,
}

impl Credentials {
    /// Whether they get a token without a person.
    fn are_complete(&self) -> bool {
        self.access_token.is_some()
            || self.private_key_path.is_some()
            || self.client_cert.is_some()
            || self.subject.is_some()
            || self.client_id.is_some()
                && (self.client_secret.is_some() || self.client_secret_command.is_some())
    }
}

impl<'a> Resolver<'a> {
    fn new(layers: &'a Layers) -> Result<Self, ProfileError> {
        let named = layers
            .ordered()
            .into_iter()
            .find_map(|(layer, settings)| settings.get(Key::BaseUrl).map(|text| (layer, text)));
        let (base_from, text) = named.unwrap_or((Layer::Default, DEFAULT_BASE));
        Ok(Self {
            layers,
            base: urls::parse_base(Key::BaseUrl, text)?,
            base_from,
        })
    }

    /// The strongest layer's value; layers that speak of another server are passed over.
    fn value(&self, key: Key) -> Option<(Layer, &'a str)> {
        self.layers
            .ordered()
            .into_iter()
            .find_map(|(layer, settings)| {
                let value = settings.get(key)?;
                let speaks =
                    layer == Layer::Flag || self.names_this_server(settings) != Some(false);
                speaks.then_some((layer, value))
            })
    }

    /// Whether a layer names the server in use; `None` when it names none.
    fn names_this_server(&self, settings: &Settings) -> Option<bool> {
        let text = settings.get(Key::BaseUrl)?;
        Some(
            urls::parse_base(Key::BaseUrl, text)
                .is_ok_and(|base| urls::same_base(&base, &self.base)),
        )
    }

    /// The FHIR base as the strongest layer names it.
    fn fhir_url_path(&self) -> (Layer, &'a str) {
        self.value(Key::FhirUrlPath)
            .unwrap_or((Layer::Default, DEFAULT_FHIR_PATH))
    }

    /// Whether the FHIR base is on another server than the base URL, and named by another layer than this one.
    fn has_foreign_fhir_base(&self, settings: &Settings) -> bool {
        let (_, path) = self.fhir_url_path();
        let fhir_base = urls::join(Key::FhirUrlPath, &self.base, path);
        !fhir_base.is_ok_and(|fhir_base| urls::same_origin(&fhir_base, &self.base))
            && settings.get(Key::FhirUrlPath) != Some(path)
    }

    /// Whether the server in use is the one a layer's credentials were given for.
    fn is_meant_for(&self, layer: Layer, settings: &Settings) -> bool {
        if layer != Layer::Flag && self.has_foreign_fhir_base(settings) {
            return false;
        }
        layer == Layer::Flag
            || self.names_this_server(settings).unwrap_or(match layer {
                Layer::EnvFile => true,
                // What is stored or exported never goes to a server that only a `.env` file names.
                _ => self.base_from != Layer::EnvFile,
            })
    }

    /// A login stored without a server is one for the default server.
    fn names_default_or_profile(&self, profile: &Settings) -> bool {
        profile.get(Key::BaseUrl).is_some()
            || matches!(self.base_from, Layer::Default | Layer::Environment)
    }

    /// A token or authorize URL: from a `.env` file only if the server or the credential is from there too. A login by
    /// browser has no credential of a file, so its code and its refresh token go to no URL that only a `.env` names.
    fn endpoint(
        &self,
        key: Key,
        credentials: &Credentials,
        auth_type: Option<AuthType>,
    ) -> Option<&'a str> {
        let (layer, text) = self.value(key)?;
        let is_for_file_credential = credentials.from == Some(Layer::EnvFile)
            && credentials.are_complete()
            && !matches!(
                auth_type,
                Some(AuthType::AuthorizationCode | AuthType::DeviceCode)
            );
        let may_name_it =
            layer != Layer::EnvFile || self.base_from == Layer::EnvFile || is_for_file_credential;
        may_name_it.then_some(text)
    }

    fn credentials(&self) -> Result<Credentials, ProfileError> {
        let mut found = Credentials::default();
        let mut sources: Vec<(Layer, &Settings)> = Vec::new();
        for (layer, settings) in self.layers.ordered() {
            let weaker_than_one_found = sources
                .iter()
                .any(|(stronger, settings)| *stronger != Layer::Flag && settings.has_credential());
            if self.is_meant_for(layer, settings) {
                // Environment credentials complete a profile only if it has none.
                if !weaker_than_one_found {
                    sources.push((layer, settings));
                }
            } else if settings.has_credential() && found.withheld_for.is_none() {
                let server = settings.get(Key::BaseUrl).unwrap_or(DEFAULT_BASE);
                found.withheld_for = Some(format!("{} for {server}", layer.describe()));
            }
        }
        found.client_id = self.public_client_id(&sources).map(str::to_owned);
        let belongs = |settings: &Settings| {
            // A secret goes with its own client id, never with another one.
            settings
                .get(Key::ClientId)
                .is_none_or(|id| Some(id) == found.client_id.as_deref())
        };
        let pick = |key: Key| {
            sources.iter().find_map(|(layer, settings)| {
                let value = settings.get(key)?;
                (key == Key::AccessToken || belongs(settings)).then_some((*layer, value))
            })
        };
        // Of the ways to give the secret, the strongest layer's stands; in one layer the first of these.
        let secret = Key::SECRETS
            .into_iter()
            .filter_map(|key| pick(key).map(|(layer, value)| (layer, (key, value))))
            .min_by_key(|(layer, _)| *layer);
        let token = pick(Key::AccessToken);
        let key = pick(Key::PrivateKeyPath);
        let cert = pick(Key::ClientCert);
        // The value stands before the file of the same layer.
        let given = |value: Key, file: Key| {
            let value =
                pick(value).map(|(layer, text)| (layer, GivenToken::Value(Secret::new(text))));
            let file = pick(file).map(|(layer, path)| (layer, GivenToken::File(path.into())));
            value
                .into_iter()
                .chain(file)
                .min_by_key(|(layer, _)| *layer)
        };
        let subject = given(Key::SubjectToken, Key::SubjectTokenFile);
        found.actor = given(Key::ActorToken, Key::ActorTokenFile).map(|(_, token)| token);
        found.client_cert = cert.map(|(_, path)| PathBuf::from(path));
        found.client_key = pick(Key::ClientKey).map(|(_, path)| PathBuf::from(path));
        found.from = [
            token.map(|(layer, _)| layer),
            secret.map(|(layer, _)| layer),
            key.map(|(layer, _)| layer),
            cert.map(|(layer, _)| layer),
            subject.as_ref().map(|(layer, _)| *layer),
        ]
        .into_iter()
        .flatten()
        .min();
        found.subject = subject.map(|(_, token)| token);
        found.access_token_from = token.map(|(layer, _)| layer);
        found.access_token = token.map(|(_, value)| Secret::new(value));
        match secret.map(|(_, given)| given) {
            Some((Key::ClientSecretCommand, text)) => {
                found.client_secret_command = Some(text.parse()?);
            }
            Some((Key::ClientSecretFile, path)) => found.client_secret = Some(read_secret(path)?),
            Some((_, value)) => found.client_secret = Some(Secret::new(value)),
            None => {}
        }
        found.private_key_path = key.map(|(_, value)| PathBuf::from(value));
        if found.from.is_some() {
            found.withheld_for = None;
        }
        Ok(found)
    }

    /// Headers of all layers that mean this server; the stronger layer's stand.
    fn headers(&self) -> Result<HeaderMap, ProfileError> {
        let mut texts: Vec<&str> = self
            .layers
            .ordered()
            .into_iter()
            .filter(|(layer, settings)| self.is_meant_for(*layer, settings))
            .filter_map(|(_, settings)| settings.get(Key::Headers))
            .collect();
        texts.reverse();
        headers::map(&texts)
    }

    fn network(&self) -> Result<NetworkSettings, ProfileError> {
        // Whom to trust for one server says nothing of another one.
        let trusted = |key| {
            self.layers
                .ordered()
                .into_iter()
                .filter(|(layer, settings)| self.is_meant_for(*layer, settings))
                .find_map(|(layer, settings)| settings.get(key).map(|value| (layer, value)))
        };
        NetworkSettings::read(
            trusted(Key::CaCert),
            trusted(Key::Insecure),
            self.value(Key::ConnectTimeout),
            self.value(Key::MaxRequestsPerSecond),
        )
    }

    /// The client id is public, but one that belongs to another server is of no use.
    fn public_client_id(&self, sources: &[(Layer, &'a Settings)]) -> Option<&'a str> {
        sources
            .iter()
            .find_map(|(_, settings)| settings.get(Key::ClientId))
            .or_else(|| self.value(Key::ClientId).map(|(_, id)| id))
    }
}

/// A secret kept in a file of its own; the newline at its end does not belong to it.
fn read_secret(path: &str) -> Result<Secret, ProfileError> {
    let failed = |reason: String| ProfileError::SecretFile {
        path: PathBuf::from(path),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(failed("it is empty".into())),
        secret => Ok(Secret::new(secret)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(Key, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in pairs {
            settings.set(*key, Some((*value).to_owned()));
        }
        settings
    }

    fn secret(profile: &Profile) -> Option<&str> {
        profile.client_secret.as_ref().map(Secret::expose)
    }

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";

    #[test]
    fn the_stronger_layer_wins() {
        let layers = Layers {
            flags: settings(&[(Key::Scope, "flag")]),
            profile: settings(&[(Key::Scope, "profile"), (Key::FhirUrlPath, "/api/v2/")]),
            environment: settings(&[(Key::FhirUrlPath, "env"), (Key::Audience, "env")]),
            env_file: settings(&[(Key::Audience, "file"), (Key::BaseUrl, A)]),
        };
        let profile = resolve("x", &layers).unwrap();
        assert_eq!(profile.scope.as_deref(), Some("flag"));
        assert_eq!(profile.fhir_base.as_str(), "https://a.example/api/v2");
        assert_eq!(profile.audience.as_deref(), Some("env"));
        let nothing = resolve("x", &Layers::default()).unwrap();
        assert_eq!(
            nothing.fhir_base.as_str(),
            "https://api.medplum.com/fhir/R4"
        );
    }

    #[test]
    fn environment_credentials_complete_a_profile_that_has_none() {
        let mut layers = Layers {
            profile: settings(&[(Key::BaseUrl, A), (Key::ClientId, "id")]),
            environment: settings(&[(Key::ClientSecret, "env-secret")]),
            ..Layers::default()
        };
        assert_eq!(secret(&resolve("x", &layers).unwrap()), Some("env-secret"));
        // The environment names another client, or another server.
        layers.environment =
            settings(&[(Key::ClientSecret, "env-secret"), (Key::ClientId, "other")]);
        assert_eq!(secret(&resolve("x", &layers).unwrap()), None);
        layers.environment = settings(&[(Key::ClientSecret, "env-secret"), (Key::BaseUrl, B)]);
        assert_eq!(secret(&resolve("x", &layers).unwrap()), None);
        // The profile has one of its own.
        layers
            .profile
            .set(Key::ClientSecret, Some("own-secret".into()));
        layers.environment = settings(&[
            (Key::ClientSecret, "env-secret"),
            (Key::AccessToken, "env-token"),
        ]);
        let profile = resolve("x", &layers).unwrap();
        assert_eq!(secret(&profile), Some("own-secret"));
        assert!(profile.access_token.is_none());
    }

    #[test]
    fn stored_and_exported_credentials_do_not_follow_a_server_named_elsewhere() {
        let stored = settings(&[(Key::ClientId, "id"), (Key::ClientSecret, "own-secret")]);
        let from_env_file = Layers {
            profile: stored.clone(),
            env_file: settings(&[(Key::BaseUrl, B)]),
            ..Layers::default()
        };
        let profile = resolve("x", &from_env_file).unwrap();
        assert_eq!(secret(&profile), None);
        assert!(!profile.may_use_login);
        assert!(profile.withheld_for.is_some());

        let exported = Layers {
            environment: stored.clone(),
            env_file: settings(&[(Key::BaseUrl, B)]),
            ..Layers::default()
        };
        assert_eq!(secret(&resolve("x", &exported).unwrap()), None);

        let mut named = stored;
        named.set(Key::BaseUrl, Some(A.into()));
        let by_flag = Layers {
            flags: settings(&[(Key::BaseUrl, B)]),
            profile: named.clone(),
            ..Layers::default()
        };
        assert_eq!(secret(&resolve("x", &by_flag).unwrap()), None);
        let mut login = named.clone();
        login.set(Key::ClientSecret, Some(String::new()));
        let token_url_from_env_file = Layers {
            profile: named,
            env_file: settings(&[(Key::TokenUrl, "https://b.example/token")]),
            ..Layers::default()
        };
        // Nor does the refresh token of a login, which is no credential of a layer.
        let with_login = Layers {
            profile: login,
            ..token_url_from_env_file.clone()
        };
        let profile = resolve("x", &with_login).unwrap();
        assert!(profile.may_use_login && profile.token_url.is_none());
        assert!(
            resolve("x", &token_url_from_env_file)
                .unwrap()
                .token_url
                .is_none()
        );
    }

    #[test]
    fn a_whole_env_file_works_by_itself_beside_a_stale_profile() {
        let layers = Layers {
            profile: settings(&[(Key::ClientId, "old"), (Key::ClientSecret, "own-secret")]),
            env_file: settings(&[
                (Key::BaseUrl, B),
                (Key::ClientId, "new"),
                (Key::ClientSecret, "file-secret"),
            ]),
            ..Layers::default()
        };
        let profile = resolve("x", &layers).unwrap();
        assert_eq!(
            (profile.client_id.as_deref(), secret(&profile)),
            (Some("new"), Some("file-secret"))
        );
    }
}
