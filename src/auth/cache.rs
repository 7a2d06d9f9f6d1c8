//! Tokens kept in the profile file, each bound to server, client and scope, so that none is used anywhere else.

use std::io::ErrorKind;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::dpop::BoundKey;
use super::{AuthError, Token};
use crate::files::Lock;
use crate::profile::login::StoredLogin;
use crate::profile::store::{ACTIVE_LOGIN, LOGINS, ProfileFile, Store, TOKENS};
use crate::profile::{AuthType, GivenToken, Profile, ProfileError};
use crate::secret::Secret;

/// Tokens of more clients than this in one profile push the oldest out.
const MOST_TOKENS: usize = 20;

/// The tokens of one profile file.
#[derive(Clone, Debug)]
pub struct Cache {
    store: Store,
    name: String,
}

impl Cache {
    /// The tokens in profile `name`.
    pub fn new(store: Store, name: &str) -> Self {
        Self {
            store,
            name: name.to_owned(),
        }
    }

    /// The folder of profiles.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The profile the tokens are in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a login is stored, by this program or by the Medplum CLI.
    pub fn has_login(&self, file: &ProfileFile) -> bool {
        stored_login(file).is_some()
    }

    /// Whether the stored login is one to a Medplum server: only those name a project.
    pub fn login_is_medplum(&self, file: &ProfileFile) -> bool {
        stored_login(file).is_some_and(|login| login.context.contains_key("project"))
    }

    /// The token stored for this profile as it is resolved now, or with `login` the stored login.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn read(&self, profile: &Profile, login: bool) -> Result<Option<Token>, ProfileError> {
        let Some(file) = self.store.read(&self.name)? else {
            return Ok(None);
        };
        Ok(if login {
            stored_login(&file).filter(|_| login_is_of(&file, profile))
        } else {
            bound_token(&file, profile)
        })
    }

    /// Every token in the file that was got from this server for this client, the login first.
    ///
    /// # Errors
    /// The file is broken or cannot be read.
    pub fn all_of(&self, profile: &Profile) -> Result<Vec<Token>, ProfileError> {
        let Some(file) = self.store.read(&self.name)? else {
            return Ok(Vec::new());
        };
        let login = self.read(profile, true)?.filter(|_| profile.may_use_login);
        let binding = binding(profile);
        let is_same = |entry: &Map<String, Value>, key| entry.get(key) == binding.get(key);
        let others = token_entries(&file)
            .iter()
            .filter(|entry| is_same(entry, "server") && is_same(entry, "clientId"))
            .filter_map(from_entry)
            .collect::<Vec<_>>();
        let is_login = |token: &Token| {
            login
                .as_ref()
                .is_some_and(|login| login.access_token == token.access_token)
        };
        let others: Vec<Token> = others
            .into_iter()
            .filter(|token| !is_login(token))
            .collect();
        Ok(login.into_iter().chain(others).collect())
    }

    /// Takes every token and login out of the file; whether there were any.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&self) -> Result<bool, ProfileError> {
        if self.store.read(&self.name)?.is_none() {
            return Ok(false);
        }
        self.store.update(&self.name, |file| {
            let before = file.clone();
            file.drop_tokens();
            Ok(before != *file)
        })
    }

    /// Stores a token beside the others; a login is left as it is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, profile: &Profile, token: &Token) -> Result<(), ProfileError> {
        self.store.update(&self.name, |file| {
            put_token(file, profile, token);
            Ok(())
        })
    }

    /// Puts a renewed token in the place of the login it renews. When another login stands there meanwhile, or none,
    /// the file stays as it is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn renew_login(
        &self,
        profile: &Profile,
        before: &Token,
        token: &Token,
    ) -> Result<(), ProfileError> {
        self.store.update(&self.name, |file| {
            let still_there =
                stored_login(file).is_some_and(|login| login.access_token == before.access_token);
            if still_there {
                put_login(file, profile, token);
            }
            Ok(())
        })
    }

    /// Waits until no other process asks for a token of this profile. Without a place for locks there is none to
    /// take: each process then asks for itself.
    ///
    /// # Errors
    /// The other process took too long.
    pub async fn lock_tokens(&self) -> Result<Option<Lock>, AuthError> {
        let path = self.store.token_lock_path(&self.name);
        let waiting = tokio::task::spawn_blocking(move || {
            Lock::exclusive(&path, "for a token that is being asked for")
        });
        match waiting.await {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(error))
                if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Err(AuthError::Locked(error.to_string()))
            }
            _ => Ok(None),
        }
    }
}

/// What a token is good for.
fn binding(profile: &Profile) -> Map<String, Value> {
    let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
    let mut binding = Map::new();
    binding.insert("server".into(), profile.fhir_base.as_str().into());
    binding.insert(
        "tokenUrl".into(),
        text(profile.token_url.as_ref().map(url::Url::as_str)),
    );
    binding.insert("clientId".into(), text(profile.client_id.as_deref()));
    binding.insert("scope".into(), text(profile.scope.as_deref()));
    binding.insert("audience".into(), text(profile.audience.as_deref()));
    binding.insert("tokenParams".into(), Value::Null);
    binding.insert(
        "authType".into(),
        text(profile.auth_type.map(AuthType::name)),
    );
    if !profile.asks.token_params.is_empty() {
        binding.insert("tokenParams".into(), json!(profile.asks.token_params));
    }
    binding.insert(
        "dpop".into(),
        if profile.dpop {
            true.into()
        } else {
            Value::Null
        },
    );
    binding
}

/// What another secret or key of the same client does not match: HMAC-SHA-256 over what proves the client, under a
/// salt of its own, so that the file does not tell whether two profiles have one secret.
fn fingerprint(profile: &Profile, salt: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    let mut add = |value: Option<&str>| match value {
        // The length keeps two values apart from one that is both.
        Some(value) => {
            context.update(&(value.len() as u64).to_be_bytes());
            context.update(value.as_bytes());
        }
        None => context.update(&u64::MAX.to_be_bytes()),
    };
    // The command stands for what it prints: it must not run to find a token.
    match &profile.client_secret_command {
        Some(command) => add(Some(&format!("command {command}"))),
        None => add(profile.client_secret.as_ref().map(Secret::expose)),
    }
    add(profile
        .private_key_path
        .as_ref()
        .and_then(|path| path.to_str()));
    if let Some(command) = &profile.sign_command {
        add(Some(&format!("sign {command}")));
    }
    add(profile.key_id.as_deref());
    if profile.auth_type == Some(AuthType::JwtBearer) {
        // There these say whose token it is.
        add(profile.issuer.as_deref());
        add(profile.subject.as_deref());
    }
    if let Some(cert) = &profile.client_cert {
        add(cert.to_str());
    }
    if let Some(key) = &profile.private_key {
        add(Some(key.expose()));
    }
    // File and command stand for what they give: it is a new one now and then, of the same subject.
    let mut add_given = |token: &Option<GivenToken>| match token {
        Some(GivenToken::Value(token)) => add(Some(token.expose())),
        Some(GivenToken::File(path)) => add(path.to_str()),
        Some(GivenToken::Command(command)) => add(Some(&format!("command {command}"))),
        None => add(None),
    };
    if profile.client_assertion.is_some() {
        add_given(&profile.client_assertion);
    }
    if profile.auth_type == Some(AuthType::TokenExchange) {
        let exchange = &profile.exchange;
        add_given(&exchange.subject);
        add_given(&exchange.actor);
        for text in [
            &exchange.subject_type,
            &exchange.actor_type,
            &exchange.requested_type,
            &exchange.resource,
        ] {
            add(text.as_deref());
        }
    }
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(salt),
        URL_SAFE_NO_PAD.encode(context.sign())
    )
}

/// Whether a stored fingerprint is the one of this profile.
fn is_fingerprint_of(stored: &str, profile: &Profile) -> bool {
    stored
        .split_once('.')
        .and_then(|(salt, _)| URL_SAFE_NO_PAD.decode(salt).ok())
        .is_some_and(|salt| fingerprint(profile, &salt) == stored)
}

fn new_salt() -> [u8; 16] {
    let mut salt = [0; 16];
    // A salt is no secret; without randomness it is just the same one again.
    let _ = rand::fill(&mut salt);
    salt
}

/// Puts a token into a file as its login, for this program and for the Medplum CLI.
pub fn put_login(file: &mut ProfileFile, profile: &Profile, token: &Token) {
    if let Some(before) = stored_login(file) {
        // The login that this one replaces leaves no refresh token behind.
        let mut entries = token_entries(file);
        entries.retain(|entry| access_token_of(entry) != Some(before.access_token.expose()));
        put_entries(file, entries);
    }
    put_token(file, profile, token);
    let mut login = Map::new();
    login.insert("accessToken".into(), token.access_token.expose().into());
    if let Some(refresh_token) = &token.refresh_token {
        login.insert("refreshToken".into(), refresh_token.expose().into());
    }
    for key in ["project", "profile"] {
        if let Some(value) = token.context.get(key) {
            login.insert(key.into(), value.clone());
        }
    }
    let login = Value::Object(login);
    file.set_json(LOGINS, &json!([login]));
    file.set_json(ACTIVE_LOGIN, &login);
}

fn put_token(file: &mut ProfileFile, profile: &Profile, token: &Token) {
    let binding = binding(profile);
    let now = Timestamp::now();
    let mut entries = token_entries(file);
    entries.retain(|entry| {
        let expired = from_entry(entry).is_none_or(|old| {
            old.refresh_token.is_none() && old.lifetime.is_some_and(|(_, until)| until < now)
        });
        !expired && !is_bound_to(entry, &binding, profile)
    });
    let mut entry = binding;
    entry.insert(
        "credential".into(),
        fingerprint(profile, &new_salt()).into(),
    );
    entry.insert("accessToken".into(), token.access_token.expose().into());
    if let Some(refresh_token) = &token.refresh_token {
        entry.insert("refreshToken".into(), refresh_token.expose().into());
    }
    if let Some((issued, until)) = token.lifetime {
        entry.insert("issuedAt".into(), issued.to_string().into());
        entry.insert("expiresAt".into(), until.to_string().into());
    }
    if let Some(key) = &token.bound_to {
        entry.insert("dpopKey".into(), key.text().expose().into());
    }
    if let Some(scope) = &token.scope {
        entry.insert("grantedScope".into(), scope.as_str().into());
    }
    if !token.context.is_empty() {
        entry.insert("context".into(), Value::Object(token.context.clone()));
    }
    entries.push(entry);
    put_entries(file, without_surplus(entries, login_of(file).as_deref()));
}

/// The entries that are kept: expired ones go first, then the oldest, and never the login's, whose key, scope and
/// identity are nowhere else.
fn without_surplus(
    mut entries: Vec<Map<String, Value>>,
    login: Option<&str>,
) -> Vec<Map<String, Value>> {
    let newest = entries.len().saturating_sub(1);
    for only_expired in [true, false] {
        let mut surplus = entries.len().saturating_sub(MOST_TOKENS);
        let mut at = 0;
        entries.retain(|entry| {
            let is_last = at == newest;
            at += 1;
            let is_kept = is_last
                || access_token_of(entry).is_some() && access_token_of(entry) == login
                || only_expired && from_entry(entry).is_some_and(|token| !token.has_expired());
            if is_kept || surplus == 0 {
                return true;
            }
            surplus -= 1;
            false
        });
    }
    entries
}

/// The access token of the login in a file.
fn login_of(file: &ProfileFile) -> Option<String> {
    let login = file.json(ACTIVE_LOGIN)?;
    Some(login.get("accessToken")?.as_str()?.to_owned())
}

fn put_entries(file: &mut ProfileFile, entries: Vec<Map<String, Value>>) {
    file.set_json(
        TOKENS,
        &Value::Array(entries.into_iter().map(Value::Object).collect()),
    );
}

fn access_token_of(entry: &Map<String, Value>) -> Option<&str> {
    entry.get("accessToken").and_then(Value::as_str)
}

fn token_entries(file: &ProfileFile) -> Vec<Map<String, Value>> {
    match file.json(TOKENS) {
        Some(Value::Array(entries)) => entries
            .into_iter()
            .filter_map(|entry| match entry {
                Value::Object(entry) => Some(entry),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn is_bound_to(
    entry: &Map<String, Value>,
    binding: &Map<String, Value>,
    profile: &Profile,
) -> bool {
    let same = binding
        .iter()
        .all(|(key, value)| entry.get(key).unwrap_or(&Value::Null) == value);
    let credential = entry.get("credential").and_then(Value::as_str);
    same && credential.is_some_and(|stored| is_fingerprint_of(stored, profile))
}

fn bound_token(file: &ProfileFile, profile: &Profile) -> Option<Token> {
    let binding = binding(profile);
    token_entries(file)
        .iter()
        .find(|entry| is_bound_to(entry, &binding, profile))
        .and_then(from_entry)
}

fn from_entry(entry: &Map<String, Value>) -> Option<Token> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let time = |key: &str| text(key).and_then(|text| text.parse::<Timestamp>().ok());
    let bound_to = match entry.get("dpopKey") {
        // Without its key the token is worth nothing.
        Some(key) => Some(BoundKey::parse(key.as_str()?)?),
        None => None,
    };
    Some(Token {
        access_token: Secret::new(text("accessToken")?),
        bound_to,
        refresh_token: text("refreshToken").map(Secret::new),
        lifetime: time("issuedAt").zip(time("expiresAt")),
        lifetime_is_stated: true,
        id_token: None,
        scope: text("grantedScope").map(str::to_owned),
        context: match entry.get("context") {
            Some(Value::Object(context)) => context.clone(),
            _ => Map::new(),
        },
    })
}

/// Whether the stored login was got from the server in use, for the client that the profile names now. Of a login that
/// the Medplum CLI stored, only the profile knows.
fn login_is_of(file: &ProfileFile, profile: &Profile) -> bool {
    StoredLogin::of(file).is_some_and(|login| {
        let client = login.client_id.as_deref();
        (client.is_none() || client == profile.login_client_id())
            && login.is_for(
                &profile.base_url,
                &profile.fhir_base,
                profile.is_profiles_server,
            )
    })
}

/// The login as the Medplum CLI stores it. When this program stored it too, the better known one.
fn stored_login(file: &ProfileFile) -> Option<Token> {
    let login = file.json(ACTIVE_LOGIN)?;
    let Value::Object(login) = login else {
        return None;
    };
    let access_token = login.get("accessToken")?.as_str()?;
    let known = token_entries(file)
        .iter()
        .find(|entry| access_token_of(entry) == Some(access_token))
        .and_then(from_entry);
    known.or_else(|| {
        let mut token = Token::opaque(Secret::new(access_token));
        token.refresh_token = login
            .get("refreshToken")
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(Secret::new);
        for key in ["project", "profile"] {
            if let Some(value) = login.get(key) {
                token.context.insert(key.into(), value.clone());
            }
        }
        Some(token)
    })
}
