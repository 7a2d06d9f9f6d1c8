//! Flag, then profile, then environment, then `.env`, then default: the one place where layers meet.
//!
//! A credential belongs to the layer that names its server; `server` says which layers speak of the server in use,
//! `credentials` what they may give.

mod credentials;
mod server;

use reqwest::header::HeaderMap;
use url::Url;

pub use super::Layers;
use super::{
    AskSettings, AuthType, ExchangeSettings, Key, Layer, NetworkSettings, OfFolder, Param, Profile,
    ProfileError, Withheld, headers, network, params, typed, urls,
};
use crate::secret::Secret;
use credentials::Credentials;
use server::Server;

/// Resolves a profile.
///
/// # Errors
/// [`ProfileError::BadSetting`] for a value that cannot be used, [`ProfileError::LedElsewhere`].
// Long because every setting has its line.
pub fn resolve(name: &str, layers: &Layers) -> Result<Profile, ProfileError> {
    let server = Server::of(layers)?;
    if server.is_led_elsewhere() {
        return Err(ProfileError::LedElsewhere {
            base: server.base.to_string(),
            fhir_base: server.fhir_base.to_string(),
        });
    }
    let text = |key| server.value(key).map(|(_, value)| value.to_owned());
    let credentials = Credentials::of(name, &server)?;
    let auth_type = auth_type(&server, &credentials)?;
    let endpoint = |key| endpoint(&server, key, &credentials, auth_type);
    let fhir_url_path = server.fhir_url_path;
    let mut secret_files = credentials.files.clone();
    let key_passphrase_file = server
        .value(Key::KeyPassphraseFile)
        .map(|(layer, value)| credentials::path(layer, Key::KeyPassphraseFile, value))
        .transpose()?;
    secret_files.extend(key_passphrase_file.clone());
    let in_use = Key::ALL
        .iter()
        .filter_map(|key| Some((*key, server.value(*key)?.0)));
    let of_folder = OfFolder::new(in_use, credentials.lent);
    Ok(Profile {
        name: name.to_owned(),
        base_from: server.base_from,
        fhir_base: urls::without_end_slash(&server.fhir_base),
        fhir_path: (!urls::is_absolute(fhir_url_path)).then(|| fhir_url_path.to_owned()),
        fhir_root: urls::fhir_root(&server.fhir_base, fhir_url_path),
        token_url: endpoint(Key::TokenUrl)?,
        authorize_url: endpoint(Key::AuthorizeUrl)?,
        device_authorization_url: endpoint(Key::DeviceAuthorizationUrl)?,
        auth_type,
        withheld_for: withheld(name, &server, &credentials),
        client_id: credentials.client_id,
        client_secret: credentials.client_secret,
        client_secret_command: credentials.client_secret_command,
        client_auth: parsed(&server, Key::ClientAuth)?,
        client_cert: credentials.client_cert,
        client_key: credentials.client_key,
        exchange: ExchangeSettings {
            subject: credentials.subject,
            subject_type: text(Key::SubjectTokenType),
            actor: credentials.actor,
            actor_type: text(Key::ActorTokenType),
            requested_type: text(Key::RequestedTokenType),
            resource: text(Key::Resource),
        },
        access_token: credentials.access_token,
        client_assertion: credentials.client_assertion,
        private_key: credentials.private_key,
        private_key_path: credentials.private_key_path,
        sign_command: credentials.sign_command,
        key_passphrase: text(Key::KeyPassphrase).map(Secret::new),
        key_passphrase_file,
        key_id: text(Key::KeyId),
        algorithm: parsed(&server, Key::Algorithm)?,
        key_url: text(Key::KeyUrl),
        scope: text(Key::Scope),
        audience: text(Key::Audience),
        subject: text(Key::Subject),
        issuer: text(Key::Issuer),
        callback_url: text(Key::CallbackUrl),
        trust_origins: trust_origins(&server)?,
        headers: header_map(&server)?,
        network: network_settings(&server)?,
        dpop: switch(&server, Key::Dpop)?,
        asks: AskSettings {
            par: switch(&server, Key::Par)?,
            writes: false,
            token_params: param_list(&server, Key::TokenParams, Key::TokenUrl)?,
            authorize_params: param_list(&server, Key::AuthorizeParams, Key::AuthorizeUrl)?,
        },
        credential_from: credentials.from,
        may_use_login: server.login_is_for_it,
        is_profiles_server: server.is_profiles(),
        secret_files,
        of_folder,
        base_url: server.base,
    })
}

/// A setting that is on or off.
fn switch(server: &Server<'_>, key: Key) -> Result<bool, ProfileError> {
    match server.value(key) {
        Some((_, text)) => network::flag(key, text),
        None => Ok(false),
    }
}

/// What goes along to an endpoint: as a header it is of the layers that mean this server, and where a `.env` file says where
/// the endpoint is, of none that is stored or exported.
fn param_list(server: &Server<'_>, key: Key, endpoint: Key) -> Result<Vec<Param>, ProfileError> {
    let named_by = server.value(endpoint).map(|(layer, _)| layer);
    let text = server.value(key).filter(|(layer, _)| {
        server.is_meant_by(*layer)
            && (named_by != Some(Layer::EnvFile) || matches!(layer, Layer::Flag | Layer::EnvFile))
    });
    params::read(key, text.map_or("", |(_, text)| text))
}

/// A setting that is one of a few words.
fn parsed<T: std::str::FromStr<Err = ProfileError>>(
    server: &Server<'_>,
    key: Key,
) -> Result<Option<T>, ProfileError> {
    server.value(key).map(|(_, text)| text.parse()).transpose()
}

fn auth_type(
    server: &Server<'_>,
    credentials: &Credentials,
) -> Result<Option<AuthType>, ProfileError> {
    match server.value(Key::AuthType) {
        // An access token typed for this command stands above a stored way to get one.
        Some((layer, _))
            if credentials
                .access_token_from
                .is_some_and(|from| from < layer) =>
        {
            Ok(None)
        }
        Some((_, text)) => text.parse().map(Some),
        None => Ok(None),
    }
}

/// An endpoint: from a `.env` file only if the server or the credential is from there too. A login by browser has no
/// credential of a file, so its code and its refresh token go to no URL that only a `.env` names.
fn endpoint(
    server: &Server<'_>,
    key: Key,
    credentials: &Credentials,
    auth_type: Option<AuthType>,
) -> Result<Option<Url>, ProfileError> {
    let Some((layer, text)) = server.value(key) else {
        return Ok(None);
    };
    let is_for_file_credential = credentials
        .from
        .is_some_and(|(layer, _)| layer == Layer::EnvFile)
        && credentials.are_complete()
        && !matches!(
            auth_type,
            Some(AuthType::AuthorizationCode | AuthType::DeviceCode)
        );
    let may_name_it =
        layer != Layer::EnvFile || server.base_from == Layer::EnvFile || is_for_file_credential;
    may_name_it
        .then(|| urls::join(key, &server.base, text))
        .transpose()
}

/// What was held back: credentials, or the login of a server that the environment does not name.
fn withheld(name: &str, server: &Server<'_>, credentials: &Credentials) -> Option<Withheld> {
    let login = || {
        let login = server.layers.login.as_ref()?;
        let is_held_back = credentials.from.is_none()
            && server.base_from == Layer::Environment
            && !server.login_is_for_it;
        is_held_back.then(|| Withheld {
            owner: match &login.server {
                Some(of) => format!("the login for {of}"),
                None => format!("the login of profile `{name}`, which names no server"),
            },
            remedy: format!(
                "sign in to {base} with `medplum login -p {name} --base-url {base}`, or choose another profile with -p",
                name = typed(name),
                base = server.base
            ),
            is_login: true,
        })
    };
    credentials.withheld_for.clone().or_else(login)
}

fn trust_origins(server: &Server<'_>) -> Result<Vec<Url>, ProfileError> {
    let origins = server.value(Key::TrustOrigin).map(|(_, text)| text);
    origins
        .unwrap_or_default()
        .split([' ', ','])
        .filter(|text| !text.is_empty())
        .map(|text| urls::parse_base(Key::TrustOrigin, text))
        .collect()
}

/// Headers of all layers that mean this server; the stronger layer's stand.
fn header_map(server: &Server<'_>) -> Result<HeaderMap, ProfileError> {
    let layers = server.layers.ordered().into_iter();
    let mut texts: Vec<&str> = layers
        .filter(|(layer, _)| server.is_meant_by(*layer))
        .filter_map(|(_, settings)| settings.get(Key::Headers))
        .collect();
    texts.reverse();
    headers::map(&texts)
}

fn network_settings(server: &Server<'_>) -> Result<NetworkSettings, ProfileError> {
    // Whom to trust for one server says nothing of another one.
    let trusted = |key| {
        let layers = server.layers.ordered().into_iter();
        layers
            .filter(|(layer, _)| server.is_meant_by(*layer))
            .find_map(|(layer, settings)| settings.get(key).map(|value| (layer, value)))
    };
    NetworkSettings::read(
        trusted(Key::CaCert),
        trusted(Key::Insecure),
        server.value(Key::ConnectTimeout),
        server.value(Key::MaxRequestsPerSecond),
    )
}

#[cfg(test)]
mod tests;
