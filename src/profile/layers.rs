//! The layers a setting can come from, and what each says.

use super::Settings;
use super::login::StoredLogin;

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

/// What each layer says.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub flags: Settings,
    pub profile: Settings,
    pub environment: Settings,
    pub env_file: Settings,
    /// The login in the profile file, which stands above `.env`.
    pub login: Option<StoredLogin>,
}

impl Layers {
    /// Whether anything but a `.env` file brings a credential: a login, a secret, a header.
    pub(super) fn are_trusted(&self) -> bool {
        let others = [&self.flags, &self.profile, &self.environment];
        let brings = |settings: &&Settings| {
            settings.has_credential() || settings.get(super::Key::Headers).is_some()
        };
        self.login.is_some() || others.iter().any(brings)
    }

    /// The layers, the strongest first.
    pub(super) fn ordered(&self) -> [(Layer, &Settings); 4] {
        [
            (Layer::Flag, &self.flags),
            (Layer::Profile, &self.profile),
            (Layer::Environment, &self.environment),
            (Layer::EnvFile, &self.env_file),
        ]
    }
}
