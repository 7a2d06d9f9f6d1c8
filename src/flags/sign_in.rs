//! Where the server is, how to sign in, and what tokens are asked for. A new flag is a row here, and its [`Key`].

use clap::Arg;

use super::flag::Flag;
use crate::profile::{CommandLine, Key};

/// The flags, in the order of `medplum help options`.
pub const FLAGS: &[Flag] = &[
    Flag::text(
        Key::AuthType,
        "auth-type",
        "TYPE",
        "Way to sign in: basic, client-credentials, authorization-code, device-code, jwt-bearer, jwt-assertion, \
         token-exchange",
    ),
    Flag::text(Key::BaseUrl, "base-url", "URL", "Base URL of the server"),
    Flag::text(
        Key::FhirUrlPath,
        "fhir-url-path",
        "PATH",
        "FHIR base, absolute or relative to the base URL [default: fhir/R4]",
    )
    .alias("fhir-url"),
    Flag::text(
        Key::TokenUrl,
        "token-url",
        "URL",
        "Token endpoint, absolute or relative to the base URL; found by discovery when unset",
    ),
    Flag::text(
        Key::AuthorizeUrl,
        "authorize-url",
        "URL",
        "Authorize endpoint, absolute or relative to the base URL; found by discovery when unset",
    ),
    Flag::text(
        Key::CallbackUrl,
        "callback-url",
        "URL",
        "Redirect URL of a login by browser, as registered; port 0 takes any free one [default: http://localhost:9615]",
    ),
    Flag::text(Key::ClientId, "client-id", "ID", "Client id"),
    Flag::text(
        Key::ClientSecret,
        "client-secret",
        "SECRET",
        "Client secret; others can see it in the process list, so prefer --client-secret-file",
    ),
    Flag::path(
        Key::ClientSecretFile,
        "client-secret-file",
        "File that holds the client secret, or - for stdin",
    )
    .not_with(&["client-secret"]),
    Flag::text(
        Key::ClientSecretCommand,
        "client-secret-command",
        "COMMAND",
        "Program that prints the client secret, with its arguments in one text; run without a shell, and only when a \
         token is asked for",
    )
    .more(
        "Quotes keep a word with spaces together: --client-secret-command 'op read \"op://Team vault/epic/secret\"'. \
         A text that begins with [ is a JSON array of strings. It has 30 seconds, and stdin at a terminal. From a .env \
         file it is not taken.",
    )
    .checked(|arg| command(arg, Key::ClientSecretCommand))
    .not_with(&["client-secret", "client-secret-file"]),
    Flag::path(
        Key::ClientAssertionFile,
        "client-assertion-file",
        "File that holds an assertion that somebody else made of who the client is (RFC 7523 §2.2), such as a projected \
         token of Kubernetes; read anew for each token request",
    ),
    Flag::text(
        Key::ClientAssertionCommand,
        "client-assertion-command",
        "COMMAND",
        "Program that prints such an assertion; run for each token request",
    )
    .checked(|arg| command(arg, Key::ClientAssertionCommand))
    .not_with(&["client-assertion-file"]),
    Flag::text(
        Key::ClientAuth,
        "client-auth",
        "WAY",
        "How the client proves itself at the token endpoint: header, raw, post, client_secret_jwt, private_key_jwt, \
         tls_client_auth, none [default: what the server takes, else header]",
    ),
    Flag::path(
        Key::ClientCert,
        "client-cert",
        "Certificate to show in TLS, PEM or PKCS#12; only the server and its token endpoint see it (RFC 8705)",
    ),
    Flag::path(
        Key::ClientKey,
        "client-key",
        "Private key of --client-cert, PEM [default: in the same file]",
    )
    .only_with("client-cert"),
    Flag::text(
        Key::DeviceAuthorizationUrl,
        "device-authorization-url",
        "URL",
        "Where a device asks for its code (RFC 8628); found by discovery when unset",
    ),
    Flag::text(
        Key::SubjectToken,
        "subject-token",
        "TOKEN",
        "Token to exchange; others can see it in the process list, so prefer --subject-token-file",
    ),
    Flag::path(
        Key::SubjectTokenFile,
        "subject-token-file",
        "File that holds the token to exchange; read anew for each exchange",
    )
    .not_with(&["subject-token"]),
    Flag::text(
        Key::SubjectTokenCommand,
        "subject-token-command",
        "COMMAND",
        "Program that prints the token to exchange, or JSON that holds it",
    )
    .checked(|arg| command(arg, Key::SubjectTokenCommand))
    .not_with(&["subject-token", "subject-token-file"]),
    Flag::text(
        Key::SubjectTokenType,
        "subject-token-type",
        "TYPE",
        "What the token to exchange is: access_token, refresh_token, id_token, jwt, saml1, saml2, or a URI \
         [default: access_token]",
    ),
    Flag::text(
        Key::ActorToken,
        "actor-token",
        "TOKEN",
        "Token of who acts for the subject",
    ),
    Flag::path(
        Key::ActorTokenFile,
        "actor-token-file",
        "File that holds the token of who acts; read anew for each exchange",
    )
    .not_with(&["actor-token"]),
    Flag::text(
        Key::ActorTokenType,
        "actor-token-type",
        "TYPE",
        "What the actor's token is [default: access_token]",
    ),
    Flag::text(
        Key::RequestedTokenType,
        "requested-token-type",
        "TYPE",
        "What token-exchange asks for [default: the server's choice]",
    ),
    Flag::text(
        Key::Resource,
        "resource",
        "URL",
        "Where the token that token-exchange asks for is to be used",
    ),
    Flag::text(
        Key::AccessToken,
        "access-token",
        "TOKEN",
        "Access token to use as it is, or - for stdin",
    ),
    Flag::path(
        Key::AccessTokenFile,
        "access-token-file",
        "File that holds an access token, or - for stdin; read anew when it is needed",
    )
    .not_with(&["access-token"]),
    Flag::text(
        Key::AccessTokenCommand,
        "access-token-command",
        "COMMAND",
        "Program that prints an access token, or JSON that holds one, as gcloud and az do; run without a shell when a \
         token is needed",
    )
    .more(
        "The token serves until the JSON says it ends (expires_in, expiry, expires_on), else 5 minutes; a 401 asks for \
         another one once. How the line is read: see --client-secret-command.",
    )
    .checked(|arg| command(arg, Key::AccessTokenCommand))
    .not_with(&["access-token", "access-token-file"]),
    Flag::path(
        Key::PrivateKeyPath,
        "private-key-path",
        "Private key file: PEM, JWK, JWKS or PKCS#12",
    ),
    Flag::text(
        Key::SignCommand,
        "sign-command",
        "COMMAND",
        "Program that signs assertions with a key it has (KMS, PKCS#11): reads the text on stdin, prints the signature",
    )
    .more(
        "Give --algorithm and --key-id with it, or its public key as --private-key-path, which then checks each signature. \
         It prints the signature as bytes or base64, of ECDSA raw or DER, and nothing else. Run without a shell, for 30 \
         seconds. From a .env file it is not taken.",
    )
    .checked(|arg| command(arg, Key::SignCommand)),
    Flag::text(
        Key::KeyUrl,
        "jku",
        "URL",
        "URL of the client's public keys, put into assertions",
    ),
    Flag::text(Key::Scope, "scope", "SCOPE", "Scope to ask for"),
    Flag::text(
        Key::Audience,
        "audience",
        "URL",
        "Audience of assertions, absolute or relative to the base URL [default: the token URL]; with token-exchange, \
         of the token asked for",
    ),
    Flag::text(
        Key::Subject,
        "subject",
        "SUBJECT",
        "Subject of jwt-bearer assertions: the user",
    ),
    Flag::text(
        Key::Issuer,
        "issuer",
        "ISSUER",
        "Issuer of jwt-bearer assertions [default: the client id]",
    ),
    Flag::switch(
        Key::Dpop,
        "dpop",
        "Ask for tokens that are bound to a key, and prove it with every request (DPoP, RFC 9449)",
    ),
    Flag::switch(
        Key::Par,
        "par",
        "Leave the authorization request at the server before the browser opens, where it offers that (PAR, RFC 9126)",
    ),
    Flag::list(
        Key::TokenParams,
        "\n",
        "token-param",
        "NAME=VALUE",
        "Another parameter of every token request, such as audience=https://api.example.com",
    ),
    Flag::list(
        Key::AuthorizeParams,
        "\n",
        "authorize-param",
        "NAME=VALUE",
        "Another parameter of the sign-in page, such as kc_idp_hint=hospital or prompt=login",
    ),
    Flag::list(
        Key::TrustOrigin,
        " ",
        "trust-origin",
        "ORIGIN",
        "Another origin that may have the token, such as https://files.example.com",
    ),
];

/// A program with its arguments, stored so that it is the same one in every folder.
fn command(arg: Arg, key: Key) -> Arg {
    arg.value_parser(move |text: &str| {
        CommandLine::read(key, text).map(|command| command.absolute().to_string())
    })
}
