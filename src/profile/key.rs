//! Every setting there is: its name in a profile file, its variable, where it may stand, and what kind of value it has.

use super::Side;

/// How a value has to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Anybody may see it.
    Plain,
    /// Never shown, and it opens something here only: a passphrase reaches no server.
    Hidden,
    /// It proves who the client is, or names what does, so it must not reach another server.
    Credential,
    /// The same, and the value itself is never shown.
    Secret,
}

/// One row of the table.
struct Facts {
    json: &'static str,
    variable: &'static str,
    side: Side,
    kind: Kind,
}

macro_rules! keys {
    ($($key:ident $json:literal $variable:literal $side:ident $kind:ident;)*) => {
        /// Everything that can be set for a server. The order is the one in which settings are shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Key { $($key),* }

        impl Key {
            /// All settings.
            pub const ALL: &[Self] = &[$(Self::$key),*];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$key => Facts {
                        json: $json,
                        variable: $variable,
                        side: Side::$side,
                        kind: Kind::$kind,
                    },)*
                }
            }
        }
    };
}

// The key in a profile file (the Medplum CLI's where it has one) · its variable · where it may stand in `.env` · its kind.
keys! {
    AuthType               "authType"               "MEDPLUM_AUTH_TYPE"                BesideServer Plain;
    BaseUrl                "baseUrl"                "MEDPLUM_BASE_URL"                 Freely       Plain;
    FhirUrlPath            "fhirUrlPath"            "MEDPLUM_FHIR_URL_PATH"            Freely       Plain;
    TokenUrl               "tokenUrl"               "MEDPLUM_TOKEN_URL"                BesideServer Plain;
    AuthorizeUrl           "authorizeUrl"           "MEDPLUM_AUTHORIZE_URL"            BesideServer Plain;
    CallbackUrl            "callbackUrl"            "MEDPLUM_CALLBACK_URL"             BesideServer Plain;
    ClientId               "clientId"               "MEDPLUM_CLIENT_ID"                BesideServer Plain;
    ClientSecret           "clientSecret"           "MEDPLUM_CLIENT_SECRET"            BesideServer Secret;
    ClientSecretFile       "clientSecretFile"       "MEDPLUM_CLIENT_SECRET_FILE"       PathInside   Credential;
    ClientSecretCommand    "clientSecretCommand"    "MEDPLUM_CLIENT_SECRET_COMMAND"    Never        Credential;
    ClientAuth             "clientAuth"             "MEDPLUM_CLIENT_AUTH"              BesideServer Plain;
    AccessToken            "accessToken"            "MEDPLUM_CLIENT_ACCESS_TOKEN"      BesideServer Secret;
    AccessTokenFile        "accessTokenFile"        "MEDPLUM_ACCESS_TOKEN_FILE"        PathInside   Credential;
    AccessTokenCommand     "accessTokenCommand"     "MEDPLUM_ACCESS_TOKEN_COMMAND"     Never        Credential;
    ClientAssertionFile    "clientAssertionFile"    "MEDPLUM_CLIENT_ASSERTION_FILE"    PathInside   Credential;
    ClientAssertionCommand "clientAssertionCommand" "MEDPLUM_CLIENT_ASSERTION_COMMAND" Never        Credential;
    PrivateKey             "privateKey"             "MEDPLUM_PRIVATE_KEY"              BesideServer Secret;
    PrivateKeyPath         "privateKeyPath"         "MEDPLUM_PRIVATE_KEY_PATH"         PathInside   Credential;
    SignCommand            "signCommand"            "MEDPLUM_SIGN_COMMAND"             Never        Credential;
    KeyPassphrase          "keyPassphrase"          "MEDPLUM_KEY_PASSPHRASE"           BesideServer Hidden;
    KeyPassphraseFile      "keyPassphraseFile"      "MEDPLUM_KEY_PASSPHRASE_FILE"      PathInside   Plain;
    KeyId                  "keyId"                  "MEDPLUM_KEY_ID"                   BesideServer Plain;
    Algorithm              "algorithm"              "MEDPLUM_ALGORITHM"                BesideServer Plain;
    KeyUrl                 "jku"                    "MEDPLUM_JKU"                      BesideServer Plain;
    Scope                  "scope"                  "MEDPLUM_SCOPE"                    Freely       Plain;
    Audience               "audience"               "MEDPLUM_AUDIENCE"                 BesideServer Plain;
    Subject                "subject"                "MEDPLUM_SUBJECT"                  BesideServer Plain;
    Issuer                 "issuer"                 "MEDPLUM_ISSUER"                   BesideServer Plain;
    TrustOrigin            "trustOrigin"            "MEDPLUM_TRUST_ORIGIN"             Never        Plain;
    Headers                "headers"                "MEDPLUM_HEADERS"                  Never        Plain;
    CaCert                 "caCert"                 "MEDPLUM_CA_CERT"                  Never        Plain;
    Insecure               "insecure"               "MEDPLUM_INSECURE"                 Never        Plain;
    ConnectTimeout         "connectTimeout"         "MEDPLUM_CONNECT_TIMEOUT"          Freely       Plain;
    MaxRequestsPerSecond   "maxRequestsPerSecond"   "MEDPLUM_MAX_REQUESTS_PER_SECOND"  Freely       Plain;
    Dpop                   "dpop"                   "MEDPLUM_DPOP"                     Freely       Plain;
    ClientCert             "clientCert"             "MEDPLUM_CLIENT_CERT"              PathInside   Credential;
    ClientKey              "clientKey"              "MEDPLUM_CLIENT_KEY"               PathInside   Credential;
    DeviceAuthorizationUrl "deviceAuthorizationUrl" "MEDPLUM_DEVICE_AUTHORIZATION_URL" BesideServer Plain;
    SubjectToken           "subjectToken"           "MEDPLUM_SUBJECT_TOKEN"            BesideServer Secret;
    SubjectTokenFile       "subjectTokenFile"       "MEDPLUM_SUBJECT_TOKEN_FILE"       PathInside   Credential;
    SubjectTokenCommand    "subjectTokenCommand"    "MEDPLUM_SUBJECT_TOKEN_COMMAND"    Never        Credential;
    SubjectTokenType       "subjectTokenType"       "MEDPLUM_SUBJECT_TOKEN_TYPE"       BesideServer Plain;
    ActorToken             "actorToken"             "MEDPLUM_ACTOR_TOKEN"              BesideServer Secret;
    ActorTokenFile         "actorTokenFile"         "MEDPLUM_ACTOR_TOKEN_FILE"         PathInside   Credential;
    ActorTokenType         "actorTokenType"         "MEDPLUM_ACTOR_TOKEN_TYPE"         BesideServer Plain;
    RequestedTokenType     "requestedTokenType"     "MEDPLUM_REQUESTED_TOKEN_TYPE"     BesideServer Plain;
    Resource               "resource"               "MEDPLUM_RESOURCE"                 BesideServer Plain;
    TokenParams            "tokenParams"            "MEDPLUM_TOKEN_PARAMS"             BesideServer Plain;
    AuthorizeParams        "authorizeParams"        "MEDPLUM_AUTHORIZE_PARAMS"         BesideServer Plain;
    Par                    "par"                    "MEDPLUM_PAR"                      Freely       Plain;
}

impl Key {
    /// The ways to give the client secret.
    pub const SECRETS: &[Self] = &[
        Self::ClientSecret,
        Self::ClientSecretFile,
        Self::ClientSecretCommand,
    ];
    /// The ways to give an access token.
    pub const ACCESS_TOKENS: &[Self] = &[
        Self::AccessToken,
        Self::AccessTokenFile,
        Self::AccessTokenCommand,
    ];
    /// The ways to give the token to exchange.
    pub const SUBJECT_TOKENS: &[Self] = &[
        Self::SubjectToken,
        Self::SubjectTokenFile,
        Self::SubjectTokenCommand,
    ];
    /// The ways to give the token of who acts.
    pub const ACTOR_TOKENS: &[Self] = &[Self::ActorToken, Self::ActorTokenFile];
    /// The ways to give an assertion that somebody else made.
    pub const CLIENT_ASSERTIONS: &[Self] =
        &[Self::ClientAssertionFile, Self::ClientAssertionCommand];
    /// The ways to give the private key.
    pub const PRIVATE_KEYS: &[Self] = &[Self::PrivateKey, Self::PrivateKeyPath];
    /// What is given in one of several ways: a profile has one of each, the first of them if a layer gives more.
    pub const ALTERNATIVES: &[&[Self]] = &[
        Self::SECRETS,
        Self::ACCESS_TOKENS,
        Self::SUBJECT_TOKENS,
        Self::ACTOR_TOKENS,
        Self::CLIENT_ASSERTIONS,
        Self::PRIVATE_KEYS,
    ];

    /// Whether its value is a program with its arguments.
    pub fn is_command(self) -> bool {
        self.json().ends_with("Command")
    }

    /// Whether its value names a file.
    pub fn is_path(self) -> bool {
        self.side() == Side::PathInside || self == Self::CaCert
    }

    /// Whether it proves who the client is and stays here. Whoever may name what gets a secret or a token has it; a key
    /// is worth something to others only by what it signed or opened elsewhere.
    pub fn proves_unseen(self) -> bool {
        matches!(
            self,
            Self::PrivateKey | Self::PrivateKeyPath | Self::SignCommand | Self::ClientCert
        )
    }

    /// Whether its value names a file whose content goes to a server as it is; of keys and certificates that is never so.
    pub fn is_sent_whole(self) -> bool {
        self.side() == Side::PathInside
            && !matches!(
                self,
                Self::PrivateKeyPath | Self::KeyPassphraseFile | Self::ClientCert | Self::ClientKey
            )
    }

    /// The key in the `options` object of a profile file.
    pub fn json(self) -> &'static str {
        self.facts().json
    }

    /// The environment variable that gives it.
    pub fn variable(self) -> &'static str {
        self.facts().variable
    }

    /// Where it may stand in a `.env` file.
    pub fn side(self) -> Side {
        self.facts().side
    }

    /// Whether its value is never shown.
    pub fn is_secret(self) -> bool {
        matches!(self.facts().kind, Kind::Secret | Kind::Hidden)
    }

    /// The environment variables that may hold secrets: programs that this one starts do not get them.
    pub fn secret_variables() -> impl Iterator<Item = &'static str> {
        let keys = Self::ALL.iter().copied();
        let of_lines = [Self::Headers, Self::TokenParams, Self::AuthorizeParams];
        keys.filter(move |key| key.is_secret() || of_lines.contains(key))
            .map(Self::variable)
    }

    /// Whether it proves who the client is, so that it must not reach another server. A passphrase opens a file here
    /// and reaches none.
    pub fn is_credential(self) -> bool {
        matches!(self.facts().kind, Kind::Secret | Kind::Credential)
    }
}
