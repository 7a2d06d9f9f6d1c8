//! Credentials, resolved apart from the other settings: each only if the server it would reach is the one that its
//! layer meant. Every value keeps the layer it is from until it is used.

use std::path::{Path, PathBuf};

use super::super::{
    CommandLine, GivenToken, Key, Layer, ProfileError, Settings, Side, Withheld, inside,
    secret_file, typed,
};
use super::server::{DEFAULT_BASE, Server};
use crate::secret::Secret;

/// A value and the layer it is from.
type Found<T> = Option<(Layer, T)>;

/// What proves who the client is.
#[derive(Default)]
pub(super) struct Credentials {
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub client_secret_command: Option<CommandLine>,
    pub access_token: Option<GivenToken>,
    pub access_token_from: Option<Layer>,
    pub client_assertion: Option<GivenToken>,
    pub private_key: Option<Secret>,
    pub private_key_path: Option<PathBuf>,
    pub sign_command: Option<CommandLine>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub subject: Option<GivenToken>,
    pub actor: Option<GivenToken>,
    /// Where the strongest of them is from.
    pub from: Option<(Layer, Key)>,
    /// A key that is used and not of a `.env` file: see [`super::super::OfFolder::lent`].
    pub lent: Option<Key>,
    pub withheld_for: Option<Withheld>,
    /// The files that secrets are in.
    pub files: Vec<PathBuf>,
}

impl Credentials {
    pub(super) fn of(name: &str, server: &Server<'_>) -> Result<Self, ProfileError> {
        let (sources, withheld_for) = sources(name, server);
        let mut search = Search::new(server, sources);
        let mut found = Self {
            client_id: search.client_id.map(str::to_owned),
            ..Self::default()
        };
        search.secret(&mut found)?;
        found.access_token_from = search
            .strongest(Key::ACCESS_TOKENS)
            .map(|(layer, ..)| layer);
        found.access_token = search.token(Key::ACCESS_TOKENS)?;
        found.client_assertion = search.token(Key::CLIENT_ASSERTIONS)?;
        search.private_key(&mut found)?;
        let command = search.text(Key::SignCommand);
        found.sign_command = command
            .map(|(_, text)| CommandLine::read(Key::SignCommand, text))
            .transpose()?;
        found.client_cert = search.file(Key::ClientCert)?;
        found.subject = search.token(Key::SUBJECT_TOKENS)?;
        // These two prove nothing alone, so they do not tell where the credential is from.
        let from = search.from;
        found.client_key = search.file(Key::ClientKey)?;
        found.actor = search.token(Key::ACTOR_TOKENS)?;
        found.from = from;
        found.lent = search.lent;
        found.files = search.files;
        found.withheld_for = withheld_for.filter(|_| from.is_none());
        Ok(found)
    }

    /// Whether they get a token without a person.
    pub(super) fn are_complete(&self) -> bool {
        self.access_token.is_some()
            || self.private_key.is_some()
            || self.private_key_path.is_some()
            || self.client_assertion.is_some()
            || self.sign_command.is_some()
            || self.client_cert.is_some()
            || self.subject.is_some()
            || self.client_id.is_some()
                && (self.client_secret.is_some() || self.client_secret_command.is_some())
    }
}

/// The layers that may give credentials, the strongest first, and what was held back.
fn sources<'a>(name: &str, server: &Server<'a>) -> (Vec<(Layer, &'a Settings)>, Option<Withheld>) {
    let mut sources: Vec<(Layer, &Settings)> = Vec::new();
    let mut withheld = None;
    for (layer, settings) in server.layers.ordered() {
        // Environment credentials complete a profile only if it has none.
        let has_stronger = sources
            .iter()
            .any(|(stronger, settings)| *stronger != Layer::Flag && settings.has_credential());
        if server.is_meant_by(layer) {
            if !has_stronger {
                sources.push((layer, settings));
            }
        } else if settings.has_credential()
            && withheld.is_none()
            && !(layer == Layer::EnvFile && server.login_is_for_it)
        {
            withheld = Some(held_back(name, server, layer, settings));
        }
    }
    (sources, withheld)
}

fn held_back(name: &str, server: &Server<'_>, layer: Layer, settings: &Settings) -> Withheld {
    let named = settings.get(Key::BaseUrl);
    let remedy = match (layer, named) {
        (Layer::Profile, None) => format!(
            "if they are for {base}, let the profile say so: `medplum profile set {name} --update --base-url {base}`",
            base = server.base,
            name = typed(name)
        ),
        _ => "name server and credentials in one place: a profile (-p), flags, or the same environment".into(),
    };
    Withheld {
        owner: format!("{} for {}", layer.describe(), named.unwrap_or(DEFAULT_BASE)),
        remedy,
        is_login: false,
    }
}

/// A walk through the sources, which keeps account of what it found.
struct Search<'a> {
    sources: Vec<(Layer, &'a Settings)>,
    client_id: Option<&'a str>,
    from: Option<(Layer, Key)>,
    lent: Option<Key>,
    files: Vec<PathBuf>,
}

impl<'a> Search<'a> {
    fn new(server: &Server<'a>, sources: Vec<(Layer, &'a Settings)>) -> Self {
        // The client id is public, but one that belongs to another server is of no use.
        let client_id = sources
            .iter()
            .find_map(|(_, settings)| settings.get(Key::ClientId))
            .or_else(|| server.value(Key::ClientId).map(|(_, id)| id));
        Self {
            sources,
            client_id,
            from: None,
            lent: None,
            files: Vec::new(),
        }
    }

    /// The strongest source's value. A secret goes with its own client id, never with another one.
    fn peek(&self, key: Key) -> Found<&'a str> {
        self.sources.iter().find_map(|(layer, settings)| {
            let value = settings.get(key)?;
            let id = settings.get(Key::ClientId);
            let belongs = id.is_none() || id == self.client_id || Key::ACCESS_TOKENS.contains(&key);
            belongs.then_some((*layer, value))
        })
    }

    /// Notes that a credential is used.
    fn note(&mut self, layer: Layer, key: Key) {
        if self.from.is_none_or(|(known, _)| layer < known) {
            self.from = Some((layer, key));
        }
        if key.proves_unseen() && (layer != Layer::EnvFile || key.side() == Side::PathInside) {
            self.lent.get_or_insert(key);
        }
    }

    fn text(&mut self, key: Key) -> Found<&'a str> {
        let (layer, value) = self.peek(key)?;
        self.note(layer, key);
        Some((layer, value))
    }

    fn file(&mut self, key: Key) -> Result<Option<PathBuf>, ProfileError> {
        let Some((layer, value)) = self.text(key) else {
            return Ok(None);
        };
        let path = path(layer, key, value)?;
        self.files.push(path.clone());
        Ok(Some(path))
    }

    /// The strongest layer's stands; in one layer the first of these keys.
    fn strongest(&self, keys: &[Key]) -> Option<(Layer, Key, &'a str)> {
        keys.iter()
            .filter_map(|key| self.peek(*key).map(|(layer, value)| (layer, *key, value)))
            .min_by_key(|(layer, ..)| *layer)
    }

    fn secret(&mut self, found: &mut Credentials) -> Result<(), ProfileError> {
        let Some((layer, key, value)) = self.strongest(Key::SECRETS) else {
            return Ok(());
        };
        self.note(layer, key);
        match key {
            Key::ClientSecretCommand => {
                found.client_secret_command = Some(CommandLine::read(key, value)?);
            }
            Key::ClientSecretFile => {
                let path = path(layer, key, value)?;
                let secret =
                    secret_file::read(&path).map_err(|reason| ProfileError::SecretFile {
                        path: path.clone(),
                        reason,
                    })?;
                self.files.push(path);
                found.client_secret = Some(secret);
            }
            _ => found.client_secret = Some(Secret::new(value)),
        }
        Ok(())
    }

    fn private_key(&mut self, found: &mut Credentials) -> Result<(), ProfileError> {
        match self.strongest(Key::PRIVATE_KEYS) {
            Some((layer, Key::PrivateKey, text)) => {
                self.note(layer, Key::PrivateKey);
                found.private_key = Some(Secret::new(text));
            }
            Some(_) => found.private_key_path = self.file(Key::PrivateKeyPath)?,
            None => {}
        }
        Ok(())
    }

    fn token(&mut self, ways: &[Key]) -> Result<Option<GivenToken>, ProfileError> {
        let Some((layer, key, text)) = self.strongest(ways) else {
            return Ok(None);
        };
        self.note(layer, key);
        if key.is_command() {
            return CommandLine::read(key, text).map(|command| Some(GivenToken::Command(command)));
        }
        if !key.is_path() {
            return Ok(Some(GivenToken::Value(Secret::new(text))));
        }
        let path = path(layer, key, text)?;
        self.files.push(path.clone());
        Ok(Some(GivenToken::File(path)))
    }
}

/// A path as its layer may name it: a `.env` file only one inside its folder, and none that would send a private key or
/// what else lies there.
///
/// # Errors
/// [`ProfileError::BadSetting`].
pub(super) fn path(layer: Layer, key: Key, value: &str) -> Result<PathBuf, ProfileError> {
    if layer != Layer::EnvFile {
        return Ok(PathBuf::from(value));
    }
    let bad = |reason| ProfileError::BadSetting {
        key,
        value: value.to_owned(),
        reason,
    };
    let path = inside(Path::new("."), value).map_err(bad)?;
    if key.is_sent_whole() && !secret_file::is_one_word(&path) {
        let reason = "a .env file has the content of a file sent only if that is one word, as secrets and tokens are";
        return Err(bad(reason.into()));
    }
    Ok(path)
}
