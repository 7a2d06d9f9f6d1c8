//! Which server is in use, and which layers may speak of it.

use url::Url;

use super::super::{Key, Layer, Layers, ProfileError, Settings, Side, urls};

pub(super) const DEFAULT_BASE: &str = "https://api.medplum.com/";
const DEFAULT_FHIR_PATH: &str = "fhir/R4";

/// The server in use, and the layers as they see it.
pub(super) struct Server<'a> {
    pub layers: &'a Layers,
    pub base: Url,
    pub base_from: Layer,
    /// Where its FHIR interface is, as it is named.
    pub fhir_url_path: &'a str,
    pub fhir_base: Url,
    /// Whether the stored login is one for this server.
    pub login_is_for_it: bool,
}

impl<'a> Server<'a> {
    pub(super) fn of(layers: &'a Layers) -> Result<Self, ProfileError> {
        let named = layers
            .ordered()
            .into_iter()
            .find_map(|(layer, settings)| settings.get(Key::BaseUrl).map(|text| (layer, text)));
        let (base_from, text) = named.unwrap_or((Layer::Default, DEFAULT_BASE));
        let base = urls::parse_base(Key::BaseUrl, text)?;
        let mut server = Self {
            layers,
            fhir_base: base.clone(),
            base,
            base_from,
            fhir_url_path: DEFAULT_FHIR_PATH,
            login_is_for_it: false,
        };
        if let Some((_, path)) = server.value(Key::FhirUrlPath) {
            server.fhir_url_path = path;
        }
        server.fhir_base = urls::fhir_base(&server.base, server.fhir_url_path)?;
        server.login_is_for_it = server.login_is_for_it();
        Ok(server)
    }

    /// The strongest layer's value; layers that speak of another server are passed over.
    pub(super) fn value(&self, key: Key) -> Option<(Layer, &'a str)> {
        self.layers
            .ordered()
            .into_iter()
            .find_map(|(layer, settings)| {
                let value = settings.get(key)?;
                let speaks = match layer {
                    Layer::Flag => true,
                    Layer::EnvFile => self.env_file_may_say(key),
                    _ => self.is_named_by(settings) != Some(false),
                };
                speaks.then_some((layer, value))
            })
    }

    /// Whether a layer names the server in use; `None` when it names none.
    fn is_named_by(&self, settings: &Settings) -> Option<bool> {
        let text = settings.get(Key::BaseUrl)?;
        Some(self.is_at(text))
    }

    fn is_at(&self, base: &str) -> bool {
        urls::parse_base(Key::BaseUrl, base).is_ok_and(|base| urls::same_base(&base, &self.base))
    }

    /// Whether the profile means this server: it names it, or names none and this is the default one.
    pub(super) fn is_profiles(&self) -> bool {
        self.is_named_by(&self.layers.profile)
            .unwrap_or_else(|| self.is_at(DEFAULT_BASE))
    }

    /// By the table of settings. Beside what stands above it the file says no word of sign-in.
    fn env_file_may_say(&self, key: Key) -> bool {
        let file = &self.layers.env_file;
        match key.side() {
            Side::Never => false,
            Side::Freely => self.is_named_by(file) != Some(false),
            // It opens a file here, and reaches no server.
            _ if matches!(key, Key::KeyPassphrase | Key::KeyPassphraseFile) => {
                self.is_meant_by_env_file()
            }
            Side::BesideServer | Side::PathInside => {
                self.is_meant_by_env_file() && !self.stands_above_env_file()
            }
        }
    }

    /// Whether a `.env` file puts the FHIR interface on another server than the base URL, which it does not name, or on
    /// another path of it beside a credential that is not its own: what is asked there says where tokens come from.
    /// That names a server behind the back of whoever named one: what they typed, stored and write would go there.
    pub(super) fn is_led_elsewhere(&self) -> bool {
        let named_by = self.value(Key::FhirUrlPath).map(|(layer, _)| layer);
        let is_usual = || {
            let usual = urls::fhir_base(&self.base, DEFAULT_FHIR_PATH);
            usual.is_ok_and(|usual| usual == self.fhir_base)
        };
        let is_of_others = self.base_from != Layer::EnvFile;
        named_by == Some(Layer::EnvFile)
            && (is_of_others && !urls::same_origin(&self.fhir_base, &self.base)
                || is_of_others && self.layers.are_trusted() && !is_usual()
                || self.others_are_used_at_default() && !is_usual())
    }

    /// Whether what other layers bring goes to the default server, which they mean by naming none: a `.env` file that
    /// names it says nothing new.
    fn others_are_used_at_default(&self) -> bool {
        let layers = self.layers;
        let others = [
            (Layer::Flag, &layers.flags),
            (Layer::Profile, &layers.profile),
            (Layer::Environment, &layers.environment),
        ];
        let brings = |(layer, settings): (Layer, &Settings)| {
            self.is_meant_by(layer)
                && (settings.has_credential() || settings.get(Key::Headers).is_some())
        };
        self.is_at(DEFAULT_BASE) && (self.login_is_for_it || others.into_iter().any(brings))
    }

    /// Whether a login or a credential is stored for this server, or typed or exported together with its name. For whom an assertion
    /// is, who it speaks for and what goes along is then no business of a file that somebody else may have written.
    fn stands_above_env_file(&self) -> bool {
        let (profile, environment) = (&self.layers.profile, &self.layers.environment);
        self.login_is_for_it
            || self.base_from == Layer::Flag && self.layers.flags.has_credential()
            || profile.has_credential() && self.is_meant_by(Layer::Profile)
            || environment.has_credential()
                && self.is_named_by(environment) == Some(true)
                && self.is_meant_by(Layer::Environment)
    }

    fn is_meant_by_env_file(&self) -> bool {
        self.is_at(
            self.layers
                .env_file
                .get(Key::BaseUrl)
                .unwrap_or(DEFAULT_BASE),
        )
    }

    /// Whether the FHIR base is on another server than the base URL, and named by another layer than this one.
    fn has_foreign_fhir_base(&self, settings: &Settings) -> bool {
        !urls::same_origin(&self.fhir_base, &self.base)
            && settings.get(Key::FhirUrlPath) != Some(self.fhir_url_path)
    }

    /// Whether the server in use is the one that a layer's credentials were given for.
    pub(super) fn is_meant_by(&self, layer: Layer) -> bool {
        let layers = self.layers;
        match layer {
            Layer::Flag | Layer::Default => true,
            Layer::Profile => !self.has_foreign_fhir_base(&layers.profile) && self.is_profiles(),
            // What is exported never goes to a server that only a `.env` file names.
            Layer::Environment => {
                !self.has_foreign_fhir_base(&layers.environment)
                    && self
                        .is_named_by(&layers.environment)
                        .unwrap_or(self.base_from != Layer::EnvFile)
            }
            Layer::EnvFile => {
                !self.has_foreign_fhir_base(&layers.env_file)
                    && self.is_meant_by_env_file()
                    && !self.login_is_for_it
            }
        }
    }

    /// A login goes to the server that it was got from, whatever names it, but for a `.env` file.
    fn login_is_for_it(&self) -> bool {
        self.layers.login.as_ref().is_some_and(|login| {
            self.base_from != Layer::EnvFile
                && !self.has_foreign_fhir_base(&self.layers.profile)
                && self.is_named_by(&self.layers.profile) != Some(false)
                && login.is_for(
                    &self.base,
                    &urls::without_end_slash(&self.fhir_base),
                    self.is_profiles(),
                )
        })
    }
}
