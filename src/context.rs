//! What every command works with: output, the resolved profile, a FHIR client on demand.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::auth::TokenSource;
use crate::auth::cache::Cache;
use crate::auth::keys::{Passphrase, Prompt};
use crate::exit::{self, Failure};
use crate::fhir::Client;
use crate::http::pace::Pace;
use crate::http::{Http, Network, Trace};
use crate::output::Output;
use crate::profile::env::{self, EnvFile};
use crate::profile::network;
use crate::profile::resolve::{self, Layers};
use crate::profile::store::{ProfileFile, Store};
use crate::profile::{DEFAULT_NAME, Key, Layer, Profile, ProfileError, Settings};
use crate::secret::Secret;

/// What was typed that concerns every command.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    pub profile: Option<String>,
    pub settings: Settings,
    /// What is said of the network by flags alone; the rest is in `settings`.
    pub network: Network,
    pub no_env_file: bool,
}

/// The surroundings of a command.
#[derive(Debug)]
pub struct Context {
    pub output: Output,
    pub globals: Globals,
    pub store: Store,
    env_file: EnvFile,
    pace: OnceLock<Option<Arc<Pace>>>,
}

impl Context {
    /// Reads the surroundings; nothing is resolved yet.
    ///
    /// # Errors
    /// There is no place for profiles.
    pub fn new(globals: Globals, output: Output) -> Result<Self, ProfileError> {
        let env_file = if globals.no_env_file {
            EnvFile::default()
        } else {
            env::from_file(Path::new(".env"))
        };
        if let Some(problem) = &env_file.problem {
            output.warn(&format!(
                "The .env file here was read only in part: {problem}."
            ));
        }
        Ok(Self {
            output,
            globals,
            store: Store::open()?,
            env_file,
            pace: OnceLock::new(),
        })
    }

    /// The name of the profile: `-p`, then `MEDPLUM_PROFILE`, then `.env`, then `default`.
    pub fn profile_name(&self) -> String {
        self.named_profile()
            .unwrap_or_else(|| DEFAULT_NAME.to_owned())
    }

    /// The name of the profile, if one was named at all.
    fn named_profile(&self) -> Option<String> {
        let variable = || {
            std::env::var("MEDPLUM_PROFILE")
                .ok()
                .filter(|name| !name.is_empty())
        };
        self.globals
            .profile
            .clone()
            .or_else(variable)
            .or_else(|| self.env_file.profile.clone())
    }

    /// Resolves the profile. One that was named must exist, unless `may_be_new`.
    ///
    /// # Errors
    /// The profile is unknown or broken, or a setting cannot be used.
    pub fn resolve(
        &self,
        may_be_new: bool,
    ) -> Result<(Profile, Option<ProfileFile>), ProfileError> {
        self.resolve_named(&self.profile_name(), may_be_new)
    }

    fn resolve_named(
        &self,
        name: &str,
        may_be_new: bool,
    ) -> Result<(Profile, Option<ProfileFile>), ProfileError> {
        let file = self.store.read(name)?;
        self.say_mended();
        let exists = file.as_ref().is_some_and(ProfileFile::has_options);
        if !exists && name != DEFAULT_NAME && !may_be_new {
            return Err(ProfileError::Unknown(name.to_owned()));
        }
        let layers = Layers {
            flags: self.globals.settings.clone(),
            profile: file.as_ref().map(ProfileFile::settings).unwrap_or_default(),
            environment: env::from_process(),
            env_file: self.env_file.settings.clone(),
        };
        Ok((resolve::resolve(name, &layers)?, file))
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
    pub fn passphrase(&self) -> Passphrase {
        let environment = env::from_process();
        let layers = [
            &self.globals.settings,
            &environment,
            &self.env_file.settings,
        ];
        let value = |key| layers.iter().find_map(|settings| settings.get(key));
        Passphrase {
            file: value(Key::KeyPassphraseFile).map(PathBuf::from),
            value: value(Key::KeyPassphrase).map(Secret::new),
            prompt: Some(Arc::new(Terminal(self.output.clone()))),
        }
    }

    /// Where the passphrase of a profile's key comes from.
    pub fn passphrase_of(&self, profile: &Profile) -> Passphrase {
        Passphrase {
            file: profile.key_passphrase_file.clone(),
            value: profile.key_passphrase.clone(),
            prompt: Some(Arc::new(Terminal(self.output.clone()))),
        }
    }

    /// The HTTP client with the network settings of a profile.
    ///
    /// # Errors
    /// A certificate file or a proxy cannot be used.
    pub fn http(&self, profile: &Profile) -> anyhow::Result<Http> {
        let settings = &profile.network;
        if let Some(layer) = settings.insecure_from {
            self.warn_of_insecurity(layer, &profile.name);
        }
        let pace = self.pace.get_or_init(|| {
            let rate = settings.max_requests_per_second?;
            Some(Arc::new(Pace::new(rate)))
        });
        let mut network = Network {
            ca_cert: settings.ca_cert.clone(),
            insecure: settings.insecure_from.is_some(),
            pace: pace.clone(),
            client_cert: profile.client_cert.clone().map(|cert| {
                let key = profile.client_key.clone().unwrap_or_else(|| cert.clone());
                (cert, key)
            }),
            ..self.globals.network.clone()
        };
        if let Some(time) = settings.connect_timeout {
            network.connect_timeout = time;
        }
        let trace: Arc<dyn Trace> = Arc::new(OutputTrace(self.output.clone()));
        Ok(Http::new(network, trace)?)
    }

    /// Tells, when `--insecure` is about to be stored, what that means.
    pub fn warn_of_stored_insecurity(&self, profile: &str) {
        let says_so = self.globals.settings.get(Key::Insecure);
        if says_so.is_some_and(|text| network::flag(Key::Insecure, text).unwrap_or(false)) {
            self.output.warn(&format!(
                "Certificates will not be checked by any command with profile {profile}; `medplum profile set {profile} \
                 --update --insecure=false` ends that."
            ));
        }
    }

    fn warn_of_insecurity(&self, layer: Layer, profile: &str) {
        let by = match layer {
            Layer::Profile => format!("profile {profile} says --insecure"),
            Layer::Environment => Key::Insecure.variable().to_owned(),
            _ => "--insecure".to_owned(),
        };
        self.output.warn(&format!(
            "Certificates are not checked ({by}): anyone on the way can read the token."
        ));
    }

    /// A client for the profile.
    ///
    /// # Errors
    /// The profile cannot be resolved or used.
    pub fn fhir(&self) -> anyhow::Result<Client> {
        let (profile, file) = self.resolve(false)?;
        self.client_for(profile, file.as_ref())
    }

    /// A client for the profile that something was begun with, unless another one is named now.
    ///
    /// # Errors
    /// As [`Context::fhir`].
    pub fn fhir_as_begun(&self, profile: Option<&str>) -> anyhow::Result<Client> {
        let named = self.named_profile();
        let name = named.as_deref().or(profile).unwrap_or(DEFAULT_NAME);
        let (profile, file) = self.resolve_named(name, false)?;
        self.client_for(profile, file.as_ref())
    }

    /// A client for a profile that is resolved already.
    ///
    /// # Errors
    /// The profile's credentials are incomplete.
    pub fn client_for(
        &self,
        profile: Profile,
        file: Option<&ProfileFile>,
    ) -> anyhow::Result<Client> {
        let http = self.http(&profile)?;
        if let Some(proxy) = http.proxy(&profile.fhir_base) {
            let (address, variable) = (proxy.address(), proxy.variable);
            self.output
                .trace(1, &format!("* proxy {address} (from {variable})"));
        }
        let cache = Cache::new(self.store.clone(), &profile.name);
        let is_medplum = file.is_some_and(|file| cache.login_is_medplum(file));
        let tokens = TokenSource::for_profile(&profile, file, &http, cache)?
            .with_prompt(Arc::new(Terminal(self.output.clone())));
        self.output.trace(
            1,
            &format!(
                "* profile {}, FHIR base {} (from {}), auth: {}",
                profile.name,
                profile.fhir_base,
                profile.base_from.describe(),
                tokens.describe()
            ),
        );
        if profile.base_from == Layer::Default && tokens.is_anonymous() {
            let names = self.store.names().unwrap_or_default();
            let hint = match names.join(", ") {
                none if none.is_empty() => "make a profile with `medplum profile set NAME --base-url URL …`, or sign in to Medplum with `medplum login`".to_owned(),
                names => format!("choose a profile with -p NAME (there are {names}), or give --base-url URL"),
            };
            let problem = "Not logged in, and no server is named";
            return Err(Failure::new(exit::NOT_ALLOWED, problem).hint(hint).into());
        }
        let mut client = Client::new(http, profile, tokens);
        if is_medplum && client.profile.may_use_login {
            client.set_medplum();
        }
        Ok(client)
    }
}

/// The person at the terminal, if there is one.
#[derive(Debug)]
struct Terminal(Output);

impl Prompt for Terminal {
    fn passphrase(&self, key: &Path) -> Option<io::Result<String>> {
        if !io::stdin().is_terminal() || !self.0.stderr_is_terminal {
            return None;
        }
        let question = format!("Passphrase of {}: ", key.display());
        Some(
            self.0
                .progress
                .suspend(|| rpassword::prompt_password(question)),
        )
    }
}

/// The request trace on stderr.
#[derive(Debug)]
struct OutputTrace(Output);

impl Trace for OutputTrace {
    fn line(&self, level: u8, text: &str) {
        self.0.trace(level, text);
    }

    fn notice(&self, text: &str) {
        self.0.note(text);
    }
}
