//! Where a profile and its settings come from, and what a person is told of that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Context, Terminal};
use crate::auth::keys::Passphrase;
use crate::profile::env_file::{self, EnvFile};
use crate::profile::login::StoredLogin;
use crate::profile::resolve::{self, Layers};
use crate::profile::store::ProfileFile;
use crate::profile::{DEFAULT_NAME, Key, Layer, Profile, ProfileError, env, inside, secret_file};
use crate::secret::Secret;

/// The file of settings in the working folder.
const ENV_FILE: &str = ".env";

impl Context {
    /// The `.env` file of the working folder; what is odd about it is said once.
    ///
    /// # Errors
    /// [`ProfileError::EnvFile`]: it is there and cannot be used.
    fn env_file(&self) -> Result<&EnvFile, ProfileError> {
        let file = self.env_file.get_or_init(|| {
            if self.globals.no_env_file {
                return Ok(EnvFile::default());
            }
            let file = env_file::read(Path::new(ENV_FILE))?;
            for warning in &file.warnings {
                self.output.warn(&format!("The .env file here: {warning}."));
            }
            Ok(file)
        });
        file.as_ref()
            .map_err(|reason| ProfileError::EnvFile(reason.clone()))
    }

    /// The name of the profile: `-p`, then `MEDPLUM_PROFILE`, then the one in use, then `.env`, then `default`.
    ///
    /// # Errors
    /// A source that may name it cannot be read.
    pub fn profile_name(&self) -> Result<String, ProfileError> {
        Ok(self
            .named_profile()?
            .map_or_else(|| DEFAULT_NAME.to_owned(), |(_, name)| name))
    }

    /// The name of the profile and what names it, if one was named at all.
    pub(super) fn named_profile(&self) -> Result<Option<(Layer, String)>, ProfileError> {
        if let Some(name) = &self.globals.profile {
            return Ok(Some((Layer::Flag, name.clone())));
        }
        if let Some(name) = env::variable(env_file::PROFILE)? {
            return Ok(Some((Layer::Environment, name)));
        }
        if let Some(name) = self.store.in_use()? {
            return Ok(Some((Layer::Profile, name)));
        }
        let of_file = self.env_file()?.profile.clone();
        Ok(of_file.map(|name| (Layer::EnvFile, name)))
    }

    /// The profile that is used here when a command names none, if that can be told.
    pub fn profile_in_use(&self) -> Option<String> {
        self.profile_name().ok()
    }

    /// Resolves the profile. One that was named must exist, unless `may_be_new`.
    ///
    /// # Errors
    /// The profile is unknown or broken, or a setting cannot be used.
    pub fn resolve(
        &self,
        may_be_new: bool,
    ) -> Result<(Profile, Option<ProfileFile>), ProfileError> {
        self.resolve_named(&self.profile_name()?, may_be_new)
    }

    pub(super) fn resolve_named(
        &self,
        name: &str,
        may_be_new: bool,
    ) -> Result<(Profile, Option<ProfileFile>), ProfileError> {
        let file = self.store.read(name)?;
        self.say_mended();
        let exists = file.as_ref().is_some_and(ProfileFile::has_options);
        if !exists && name != DEFAULT_NAME && !may_be_new {
            return Err(self.store.unknown(name));
        }
        let layers = Layers {
            flags: self.globals.settings.clone(),
            profile: file.as_ref().map(ProfileFile::settings).unwrap_or_default(),
            environment: env::from_process()?,
            env_file: self.env_file()?.settings.clone(),
            login: file.as_ref().and_then(StoredLogin::of),
        };
        let profile = resolve::resolve(name, &layers)?;
        self.say_what_env_file_gave(&profile)?;
        self.warn_of_open_secrets(&profile);
        Ok((profile, file))
    }

    /// A secret's file that others can read serves all the same: whose it is and how to close it is said, once.
    fn warn_of_open_secrets(&self, profile: &Profile) {
        if self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        for path in &profile.secret_files {
            if let Some(mode) = secret_file::open_to_others(path) {
                let path = path.display();
                self.output.warn(&format!(
                    "Other users of this machine can read the secret in {path} (mode {mode:04o}); `chmod 600 {path}` ends that."
                ));
            }
        }
    }

    /// Somebody else may have filled the folder: what is taken from its file is said, once.
    fn say_what_env_file_gave(&self, profile: &Profile) -> Result<(), ProfileError> {
        if self.said.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        if let Some((Layer::EnvFile, name)) = self.named_profile()?
            && name == profile.name
        {
            self.output
                .note(&format!("Profile {name} is named by the .env file here"));
        }
        match (profile.credential_from, profile.base_from) {
            (Some((Layer::EnvFile, key)), _) => self.output.note(&format!(
                "The credentials for {} are from the .env file here ({})",
                profile.base_url,
                key.variable()
            )),
            (Some(_), Layer::EnvFile) => self.output.note(&format!(
                "The server {}, which gets the credentials, is named by the .env file here ({})",
                profile.base_url,
                Key::BaseUrl.variable()
            )),
            _ => self.say_where(profile),
        }
        Ok(())
    }

    /// Names the server of a command that leaves something there, if a `.env` file chose it.
    fn say_where(&self, profile: &Profile) {
        let chosen = [Key::BaseUrl, Key::FhirUrlPath].into_iter();
        let by = chosen
            .filter(|key| profile.of_folder.says(*key))
            .find(|_| self.matters_where);
        if let Some(key) = by {
            self.output.note(&format!(
                "The server {} is named by the .env file here ({})",
                profile.fhir_base,
                key.variable()
            ));
        }
    }

    /// Tells of profiles that others could read, each once.
    pub fn say_mended(&self) {
        for mended in self.store.take_mended() {
            let path = mended.path.display();
            self.output.note(&match mended.problem {
                None => format!(
                    "Other users of this machine could read {path}; now only you can. Secrets in it may be known."
                ),
                Some(problem) => format!(
                    "Other users of this machine can read {path}, and that cannot be changed: {problem}"
                ),
            });
        }
    }

    /// Where passphrases come from for keys that no profile names.
    ///
    /// # Errors
    /// A source cannot be read, or a `.env` file names a file outside its folder.
    pub fn passphrase(&self) -> Result<Passphrase, ProfileError> {
        let environment = env::from_process()?;
        let layers = [
            (Layer::Flag, &self.globals.settings),
            (Layer::Environment, &environment),
            (Layer::EnvFile, &self.env_file()?.settings),
        ];
        let value = |key| {
            let mut found = layers.iter();
            found.find_map(|(layer, settings)| Some((*layer, settings.get(key)?)))
        };
        let file = value(Key::KeyPassphraseFile).map(|(layer, path)| match layer {
            Layer::EnvFile => {
                inside(Path::new("."), path).map_err(|reason| ProfileError::BadSetting {
                    key: Key::KeyPassphraseFile,
                    value: path.to_owned(),
                    reason,
                })
            }
            _ => Ok(path.into()),
        });
        Ok(Passphrase {
            file: file.transpose()?,
            value: value(Key::KeyPassphrase).map(|(_, value)| Secret::new(value)),
            prompt: Some(Arc::new(Terminal(self.output.clone()))),
        })
    }

    /// Where the passphrase of a profile's key comes from.
    pub fn passphrase_of(&self, profile: &Profile) -> Passphrase {
        Passphrase {
            file: profile.key_passphrase_file.clone(),
            value: profile.key_passphrase.clone(),
            prompt: Some(Arc::new(Terminal(self.output.clone()))),
        }
    }
}
