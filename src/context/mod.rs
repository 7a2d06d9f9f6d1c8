//! What every command works with: output, the resolved profile, a FHIR client on demand.

mod sources;
mod terminal;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crate::auth::TokenSource;
use crate::auth::cache::Cache;
use crate::auth::endpoints::is_in_the_clear;
use crate::auth::keys::{KeyError, certificate};
use crate::exit::{self, Failure};
use crate::fhir::Client;
use crate::files;
use crate::http::pace::Pace;
use crate::http::{ClientCertificate, Http, Network, Trace};
use crate::output::Output;
use crate::profile::env_file::EnvFile;
use crate::profile::network;
use crate::profile::store::{ProfileFile, Store};
use crate::profile::{DEFAULT_NAME, Key, Layer, Profile, ProfileError, Settings};
use terminal::{OutputTrace, Terminal};

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
    /// The `.env` file, read when it is first asked for, or why it cannot be used.
    env_file: OnceLock<Result<EnvFile, String>>,
    /// Whether it was said what that file gave.
    said: AtomicBool,
    /// Whether a look was had at who can read the secrets.
    warned: AtomicBool,
    pace: OnceLock<Option<Arc<Pace>>>,
    writes: bool,
    /// Whether a person should know which server it is before anything is sent.
    matters_where: bool,
}

impl Context {
    /// The surroundings; nothing is read yet.
    ///
    /// # Errors
    /// There is no place for profiles.
    pub fn new(globals: Globals, output: Output) -> Result<Self, ProfileError> {
        if let Some(time) = globals.network.timeout {
            files::wait_at_most(time);
        }
        Ok(Self {
            output,
            globals,
            store: Store::open()?,
            env_file: OnceLock::new(),
            said: AtomicBool::new(false),
            warned: AtomicBool::new(false),
            pace: OnceLock::new(),
            writes: false,
            matters_where: false,
        })
    }

    /// The same for a command that changes what is on the server.
    #[must_use]
    pub fn to_write(mut self, writes: bool) -> Self {
        self.writes = writes;
        self
    }

    /// The same for a command that leaves something at the server, or signs in there: a `.env` file that names the server
    /// is told.
    #[must_use]
    pub fn at_a_server_that_matters(mut self, matters: bool) -> Self {
        self.matters_where = matters;
        self
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
        self.warn_of_plain_http(profile);
        let pace = self.pace.get_or_init(|| {
            let (layer, rate) = settings.max_requests_per_second?;
            let variable = Key::MaxRequestsPerSecond.variable();
            let set_by = match layer {
                Layer::Environment => variable.to_owned(),
                Layer::EnvFile => format!("{variable} in {}", layer.describe()),
                _ => format!("--max-requests-per-second of {}", layer.describe()),
            };
            Some(Arc::new(Pace::new(rate, set_by)))
        });
        let mut network = Network {
            ca_cert: settings.ca_cert.clone(),
            insecure: settings.insecure_from.is_some(),
            pace: pace.clone(),
            client_cert: self.client_certificate(profile)?,
            ..self.globals.network.clone()
        };
        if let Some(time) = settings.connect_timeout {
            network.connect_timeout = time;
        }
        let trace: Arc<dyn Trace> = Arc::new(OutputTrace(self.output.clone()));
        Ok(Http::new(network, trace)?)
    }

    fn client_certificate(&self, profile: &Profile) -> Result<Option<ClientCertificate>, KeyError> {
        let Some(cert) = &profile.client_cert else {
            return Ok(None);
        };
        let passphrase = self.passphrase_of(profile);
        certificate::read(cert, profile.client_key.as_deref(), &passphrase).map(Some)
    }

    fn warn_of_plain_http(&self, profile: &Profile) {
        let urls = [Some(&profile.fhir_base), profile.token_url.as_ref()];
        if let Some(url) = urls.into_iter().flatten().find(|url| is_in_the_clear(url)) {
            self.output.warn(&format!(
                "{} is not https: anyone on the way can read what is sent there, secrets and tokens too.",
                crate::secret::url_for_people(url)
            ));
        }
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
        // What was begun with a profile stands above the one in use meanwhile.
        let named = self
            .named_profile()?
            .filter(|(layer, _)| *layer != Layer::Profile || profile.is_none())
            .map(|(_, name)| name);
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
        mut profile: Profile,
        file: Option<&ProfileFile>,
    ) -> anyhow::Result<Client> {
        profile.asks.writes = self.writes;
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
