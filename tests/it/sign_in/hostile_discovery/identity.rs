//! Who signs in: every auth type, `client-credentials` and the types with a person in their variants.

use crate::support::Request;
use crate::support::keys::key;

/// A way to sign in. What is named comes from the user, who then needs no discovery for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    SecretInHeader,
    SecretInBody,
    SecretJwt,
    KeyJwt,
    Certificate,
    JwtAssertion,
    JwtBearer,
    TokenExchange,
    /// By browser, with the request left at the server before.
    Pushed,
    BrowserAtNamedPage,
    Device,
    DeviceAtNamedEndpoint,
    Basic,
    GivenToken,
}

use Identity::{
    Basic, BrowserAtNamedPage, Certificate, Device, DeviceAtNamedEndpoint, GivenToken,
    JwtAssertion, JwtBearer, KeyJwt, Pushed, SecretInBody, SecretInHeader, SecretJwt,
    TokenExchange,
};

impl Identity {
    pub(super) const ALL: [Self; 14] = [
        SecretInHeader,
        SecretInBody,
        SecretJwt,
        KeyJwt,
        Certificate,
        JwtAssertion,
        JwtBearer,
        TokenExchange,
        Pushed,
        BrowserAtNamedPage,
        Device,
        DeviceAtNamedEndpoint,
        Basic,
        GivenToken,
    ];

    /// The flags of its profile; `named` is where the user's own endpoints are, `pair` a certificate with its key.
    pub(super) fn flags(self, named: &str, pair: &str) -> Vec<String> {
        let private_key = key("rsa.jwk");
        let page = format!("{named}/authorization_endpoint");
        let device = format!("{named}/device_authorization_endpoint");
        let secret = ["--client-secret", "secret-of-ours-of-thirty-two-bytes-x"];
        let person = ["--callback-url", "http://localhost:0/"];
        let (has_secret, more): (bool, Vec<&str>) = match self {
            SecretInHeader => (true, vec!["--client-auth", "header"]),
            SecretInBody => (true, vec!["--client-auth", "post"]),
            SecretJwt => (true, vec!["--client-auth", "client_secret_jwt"]),
            KeyJwt => (
                false,
                vec![
                    "--client-auth",
                    "private_key_jwt",
                    "--private-key-path",
                    &private_key,
                ],
            ),
            Certificate => (
                false,
                vec!["--client-auth", "tls_client_auth", "--client-cert", pair],
            ),
            JwtAssertion => (false, vec!["--private-key-path", &private_key]),
            JwtBearer => (true, vec!["--subject", "user-7"]),
            TokenExchange => (true, vec!["--subject-token", "subject-token-of-ours"]),
            Pushed => (true, person.to_vec()),
            BrowserAtNamedPage => (true, [&person[..], &["--authorize-url", &page]].concat()),
            Device | Basic => (true, vec![]),
            DeviceAtNamedEndpoint => (true, vec!["--device-authorization-url", &device]),
            GivenToken => (false, vec!["--access-token", "access-token-of-ours"]),
        };
        let mut flags = match self.auth_type() {
            Some(auth_type) => vec!["--auth-type", auth_type],
            None => vec![],
        };
        flags.extend(secret.iter().filter(|_| has_secret));
        flags.extend(more);
        flags.into_iter().map(str::to_owned).collect()
    }

    fn auth_type(self) -> Option<&'static str> {
        Some(match self {
            SecretInHeader | SecretInBody | SecretJwt | KeyJwt | Certificate => {
                "client-credentials"
            }
            JwtAssertion => "jwt-assertion",
            JwtBearer => "jwt-bearer",
            TokenExchange => "token-exchange",
            Pushed | BrowserAtNamedPage => "authorization-code",
            Device | DeviceAtNamedEndpoint => "device-code",
            Basic => "basic",
            GivenToken => return None,
        })
    }

    /// Whether its authorization requests are to be left at the server.
    pub(super) fn pushes(self) -> bool {
        self == Pushed
    }

    /// Whether its tokens come from a token endpoint.
    pub(super) fn asks_for_tokens(self) -> bool {
        !matches!(self, Basic | GivenToken)
    }

    /// Whether a person takes part.
    pub(super) fn is_person(self) -> bool {
        matches!(
            self,
            Pushed | BrowserAtNamedPage | Device | DeviceAtNamedEndpoint
        )
    }

    /// How its requests to the FHIR server begin their `Authorization`.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Basic => "Basic ",
            _ => "Bearer access-token-of-ours",
        }
    }

    /// Whether a request at the token endpoint holds what it proves itself by.
    pub(super) fn is_proved_by(self, request: &Request) -> bool {
        let form = request.form();
        let has = |name: &str, value: &str| {
            let mut values = form.iter().filter(|(field, _)| field == name);
            values.any(|(_, text)| text.starts_with(value))
        };
        let has_basic = || {
            let header = request.header("Authorization").unwrap_or_default();
            header.starts_with("Basic ")
        };
        match self {
            SecretInHeader => has_basic(),
            SecretInBody => has("client_secret", "secret-of-ours"),
            SecretJwt | KeyJwt | JwtAssertion => has("client_assertion", "ey"),
            Certificate => has("client_id", "client"),
            JwtBearer => has("assertion", "ey"),
            TokenExchange => has_basic() && has("subject_token", "subject-token-of-ours"),
            Pushed | BrowserAtNamedPage => has_basic() && has("code", "code-of-ours"),
            Device | DeviceAtNamedEndpoint => has_basic() && has("device_code", "device-code"),
            Basic | GivenToken => false,
        }
    }
}
