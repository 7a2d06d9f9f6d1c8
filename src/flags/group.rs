//! The groups of flags that many commands take.

/// Flags that belong together: a command takes a group or leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `-p`.
    Profile,
    /// Where the server is and how to sign in.
    SignIn,
    /// How a key is read, by those who sign in and by `keys`.
    Keys,
    /// Whether `.env` is read.
    EnvFile,
    /// The way to a server, as a profile keeps it.
    Network,
    /// How long and how often, for one command; no profile keeps it.
    Patience,
    /// What is printed, and how.
    Output,
}

impl Group {
    /// The heading in `medplum help options`.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Profile => "Profile",
            Self::SignIn | Self::EnvFile => "Server and sign-in",
            Self::Keys => "Keys",
            Self::Network | Self::Patience => "Network",
            Self::Output => "Output",
        }
    }
}
