//! The command line: global options, the tree of commands, and the way from one to the other.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::commands::{
    auth_help, bulk, completions, demo, doctor, duration, keys, login, logout, profile, rest,
    sandbox, token, whoami,
};
use crate::context::{Context, Globals};
use crate::exit;
use crate::http::Network;
use crate::output::{Color, Format, Output};
use crate::profile::{CommandLine, Key, Settings};

/// Connect to FHIR servers: sign in, read and write, export and import in bulk
#[derive(Debug, Parser)]
#[command(
    name = "medplum",
    version,
    max_term_width = 100,
    after_help = "How to sign in, with recipes for Epic, Oracle Health and others: medplum help auth\n\
                  Settings come from flags, then the profile, then MEDPLUM_… variables, then ./.env, then defaults.\n\
                  Exit codes: 0 done, 1 failed, 2 usage, 3 not allowed, 4 not found, 5 partial, 6 network, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Store, show and remove the settings of servers
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Whoami(whoami::WhoamiArgs),
    Token(token::TokenArgs),
    Doctor(doctor::DoctorArgs),
    Get(rest::get::GetArgs),
    Post(rest::write::PostArgs),
    Put(rest::write::PutArgs),
    Patch(rest::write::PatchArgs),
    Delete(rest::delete::DeleteArgs),
    /// Export and import data in bulk
    #[command(subcommand)]
    Bulk(bulk::BulkCommand),
    /// Make and show the keys that jwt-assertion signs with
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    Sandbox(sandbox::SandboxArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    #[command(name = "auth")]
    AuthHelp(auth_help::AuthHelpArgs),
}

/// Options that work before and after the command
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Profile to use [env: MEDPLUM_PROFILE]
    #[arg(short, long, global = true, value_name = "NAME")]
    profile: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Server and sign-in")]
struct ServerArgs {
    /// Way to sign in: basic, client-credentials, authorization-code, device-code, jwt-bearer, jwt-assertion,
    /// token-exchange
    #[arg(long, global = true, value_name = "TYPE")]
    auth_type: Option<String>,
    /// Base URL of the server
    #[arg(long, global = true, value_name = "URL")]
    base_url: Option<String>,
    /// FHIR base, absolute or relative to the base URL [default: fhir/R4]
    #[arg(long, visible_alias = "fhir-url", global = true, value_name = "PATH")]
    fhir_url_path: Option<String>,
    /// Token endpoint, absolute or relative to the base URL; found by discovery when unset
    #[arg(long, global = true, value_name = "URL")]
    token_url: Option<String>,
    /// Authorize endpoint, absolute or relative to the base URL; found by discovery when unset
    #[arg(long, global = true, value_name = "URL")]
    authorize_url: Option<String>,
    /// Redirect URL of a login by browser, as registered; port 0 takes any free one [default: http://localhost:9615]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    callback_url: Option<String>,
    /// Client id
    #[arg(long, global = true, value_name = "ID")]
    client_id: Option<String>,
    /// Client secret; others can see it in the process list, so prefer --client-secret-file
    #[arg(long, global = true, value_name = "SECRET")]
    client_secret: Option<String>,
    /// File that holds the client secret, or - for stdin
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "client_secret"
    )]
    client_secret_file: Option<String>,
    /// Program that prints the client secret, with its arguments in one text; run without a shell, and only when a
    /// token is asked for
    ///
    /// Quotes keep a word with spaces together: --client-secret-command 'op read "op://Team vault/epic/secret"'.
    /// A text that begins with [ is a JSON array of strings. It has 30 seconds, and stdin at a terminal. From a .env
    /// file it is not taken.
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        conflicts_with_all = ["client_secret", "client_secret_file"],
        hide_short_help = true
    )]
    client_secret_command: Option<CommandLine>,
    /// How the client proves itself at the token endpoint: header, raw, post, client_secret_jwt, private_key_jwt,
    /// tls_client_auth, none [default: what the server takes, else header]
    #[arg(long, global = true, value_name = "WAY", hide_short_help = true)]
    client_auth: Option<String>,
    /// Certificate to show in TLS, PEM; only the server and its token endpoint see it (RFC 8705)
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    client_cert: Option<String>,
    /// Private key of --client-cert, PEM [default: in the same file]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "client_cert",
        hide_short_help = true
    )]
    client_key: Option<String>,
    /// Where a device asks for its code (RFC 8628); found by discovery when unset
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    device_authorization_url: Option<String>,
    /// Token to exchange; others can see it in the process list, so prefer --subject-token-file
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    subject_token: Option<String>,
    /// File that holds the token to exchange; read anew for each exchange
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "subject_token",
        hide_short_help = true
    )]
    subject_token_file: Option<String>,
    /// What the token to exchange is: access_token, refresh_token, id_token, jwt, saml1, saml2, or a URI
    /// [default: access_token]
    #[arg(long, global = true, value_name = "TYPE", hide_short_help = true)]
    subject_token_type: Option<String>,
    /// Token of who acts for the subject
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    actor_token: Option<String>,
    /// File that holds the token of who acts; read anew for each exchange
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "actor_token",
        hide_short_help = true
    )]
    actor_token_file: Option<String>,
    /// What the actor's token is [default: access_token]
    #[arg(long, global = true, value_name = "TYPE", hide_short_help = true)]
    actor_token_type: Option<String>,
    /// What token-exchange asks for [default: the server's choice]
    #[arg(long, global = true, value_name = "TYPE", hide_short_help = true)]
    requested_token_type: Option<String>,
    /// Where the token that token-exchange asks for is to be used
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    resource: Option<String>,
    /// Access token to use as it is
    #[arg(long, global = true, value_name = "TOKEN")]
    access_token: Option<String>,
    /// Private key file: PEM, JWK or JWKS
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    private_key_path: Option<String>,
    /// File that holds the passphrase of an encrypted key [env: MEDPLUM_KEY_PASSPHRASE has the passphrase itself]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    key_passphrase_file: Option<String>,
    /// Key id of the private key [default: the JWK's, else its thumbprint]
    #[arg(long, global = true, value_name = "KID", hide_short_help = true)]
    key_id: Option<String>,
    /// Signature of assertions: RS256, RS384, RS512, ES256, ES384, HS256, HS384, HS512 [default: by the key]
    #[arg(long, global = true, value_name = "ALG", hide_short_help = true)]
    algorithm: Option<String>,
    /// URL of the client's public keys, put into assertions
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    jku: Option<String>,
    /// Scope to ask for
    #[arg(long, global = true, value_name = "SCOPE")]
    scope: Option<String>,
    /// Audience of assertions, absolute or relative to the base URL [default: the token URL]; with token-exchange, of
    /// the token asked for
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    audience: Option<String>,
    /// Subject of jwt-bearer assertions: the user
    #[arg(long, global = true, value_name = "SUBJECT", hide_short_help = true)]
    subject: Option<String>,
    /// Issuer of jwt-bearer assertions [default: the client id]
    #[arg(long, global = true, value_name = "ISSUER", hide_short_help = true)]
    issuer: Option<String>,
    /// Ask for tokens that are bound to a key, and prove it with every request (DPoP, RFC 9449)
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_short_help = true
    )]
    dpop: Option<bool>,
    /// Another origin that may have the token, such as https://files.example.com
    #[arg(long, global = true, value_name = "ORIGIN", hide_short_help = true)]
    trust_origin: Vec<String>,
    /// Leave the .env file of the working folder unread
    #[arg(long, global = true, hide_short_help = true)]
    no_env_file: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Shape of the result
    #[arg(short = 'o', long, global = true, value_enum, value_name = "FORMAT")]
    format: Option<FormatArg>,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Trace requests on stderr; twice for headers. Secrets are masked
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    color: ColorArg,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
struct NetworkArgs {
    /// Add a header to requests to the server; `profile set` stores it, and 'NAME:' takes it away
    #[arg(
        short = 'H',
        long = "header",
        global = true,
        value_name = "NAME: VALUE"
    )]
    headers: Vec<String>,
    /// Longest time for one request, such as 90 or 5m; none by default
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, hide_short_help = true)]
    timeout: Option<Duration>,
    /// Longest time to connect [default: 10s]
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true)]
    connect_timeout: Option<String>,
    /// Longest time without a byte
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, default_value = "60s", hide_short_help = true)]
    read_timeout: Duration,
    /// How often to repeat a request that may be repeated
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 3,
        hide_short_help = true
    )]
    retries: u32,
    /// Most requests that begin in a second, of all kinds together; none by default
    #[arg(long, global = true, value_name = "N", hide_short_help = true)]
    max_requests_per_second: Option<String>,
    /// Trust the certificates in this PEM file too
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    ca_cert: Option<String>,
    /// Check no certificates; for tests only. In a profile it warns at every command, and --insecure=false ends it
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_short_help = true
    )]
    insecure: Option<bool>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Json,
    Ndjson,
    Table,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

/// Parses the command line.
///
/// # Errors
/// The exit code after help, version or a usage error was printed.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // clap prints help to stdout and errors to stderr; a closed pipe is fine.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 })
    })
}

impl Cli {
    /// The output as the options ask for.
    pub fn output(&self) -> Output {
        let args = &self.global.output;
        let format = args.format.map(|format| match format {
            FormatArg::Json => Format::Json,
            FormatArg::Ndjson => Format::Ndjson,
            FormatArg::Table => Format::Table,
        });
        let color = match args.color {
            ColorArg::Auto => Color::Auto,
            ColorArg::Always => Color::Always,
            ColorArg::Never => Color::Never,
        };
        Output::new(format, args.quiet, args.verbose, color)
    }
}

impl GlobalArgs {
    fn into_globals(self) -> Result<Globals, exit::Failure> {
        let (server, network) = (self.server, self.network);
        let mut settings = Settings::default();
        let (mut secret, mut secret_file) = (server.client_secret, server.client_secret_file);
        if secret_file.as_deref() == Some("-") {
            secret_file = None;
            let text = std::io::read_to_string(std::io::stdin()).map_err(|error| {
                exit::Failure::usage(format!("cannot read the client secret from stdin: {error}"))
            })?;
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            if text.is_empty() {
                return Err(exit::Failure::usage("stdin holds no client secret"));
            }
            secret = Some(text);
        }
        let secret_command = server
            .client_secret_command
            .map(|command| command.absolute().to_string());
        if let Some(header) = network
            .headers
            .iter()
            .find(|header| header.contains(['\r', '\n']))
        {
            // One header a line is how they are stored.
            let name = header.split(':').next().unwrap_or_default().lines().next();
            return Err(exit::Failure::usage(format!(
                "the header `{}` holds a line break",
                name.unwrap_or_default()
            )));
        }
        let trust_origin = (!server.trust_origin.is_empty()).then(|| server.trust_origin.join(" "));
        let absolute = |path: Option<String>| {
            path.map(|path| {
                std::path::absolute(&path).map_or(path, |path| path.to_string_lossy().into_owned())
            })
        };
        for (key, value) in [
            (Key::AuthType, server.auth_type),
            (Key::BaseUrl, server.base_url),
            (Key::FhirUrlPath, server.fhir_url_path),
            (Key::TokenUrl, server.token_url),
            (Key::AuthorizeUrl, server.authorize_url),
            (Key::CallbackUrl, server.callback_url),
            (Key::ClientId, server.client_id),
            (Key::ClientSecret, secret),
            (Key::ClientSecretFile, absolute(secret_file)),
            (Key::ClientSecretCommand, secret_command),
            (Key::ClientAuth, server.client_auth),
            (Key::ClientCert, absolute(server.client_cert)),
            (Key::ClientKey, absolute(server.client_key)),
            (Key::DeviceAuthorizationUrl, server.device_authorization_url),
            (Key::SubjectToken, server.subject_token),
            (Key::SubjectTokenFile, absolute(server.subject_token_file)),
            (Key::SubjectTokenType, server.subject_token_type),
            (Key::ActorToken, server.actor_token),
            (Key::ActorTokenFile, absolute(server.actor_token_file)),
            (Key::ActorTokenType, server.actor_token_type),
            (Key::RequestedTokenType, server.requested_token_type),
            (Key::Resource, server.resource),
            (Key::AccessToken, server.access_token),
            (Key::PrivateKeyPath, absolute(server.private_key_path)),
            (Key::KeyPassphraseFile, absolute(server.key_passphrase_file)),
            (Key::KeyId, server.key_id),
            (Key::Algorithm, server.algorithm),
            (Key::KeyUrl, server.jku),
            (Key::Scope, server.scope),
            (Key::Audience, server.audience),
            (Key::Subject, server.subject),
            (Key::Issuer, server.issuer),
            (Key::TrustOrigin, trust_origin),
            (
                Key::Headers,
                (!network.headers.is_empty()).then(|| network.headers.join("\n")),
            ),
            (Key::CaCert, absolute(network.ca_cert)),
            (Key::Insecure, network.insecure.map(|on| on.to_string())),
            (Key::ConnectTimeout, network.connect_timeout),
            (Key::MaxRequestsPerSecond, network.max_requests_per_second),
            (Key::Dpop, server.dpop.map(|on| on.to_string())),
        ] {
            settings.set(key, value);
        }
        Ok(Globals {
            profile: self.profile,
            settings,
            network: Network {
                read_timeout: network.read_timeout,
                timeout: network.timeout,
                retries: network.retries,
                ..Network::default()
            },
            no_env_file: server.no_env_file,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// Whatever the command failed with; [`crate::verdicts::report`] makes it a code.
pub async fn run(cli: Cli, output: Output) -> anyhow::Result<()> {
    if let Command::Completions(args) = &cli.command {
        return completions::run(&output, args, &mut Cli::command());
    }
    let context = Context::new(cli.global.into_globals()?, output)?;
    let result = run_in(&context, cli.command).await;
    context.say_mended();
    result
}

async fn run_in(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Profile(command) => profile::run(context, command),
        Command::Login(args) => login::run(context, args).await,
        Command::Logout(args) => logout::run(context, args).await,
        Command::Whoami(args) => whoami::run(context, args).await,
        Command::Token(args) => token::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Get(args) => rest::get::run(context, args).await,
        Command::Post(args) => rest::write::post(context, args).await,
        Command::Put(args) => rest::write::put(context, args).await,
        Command::Patch(args) => rest::write::patch(context, args).await,
        Command::Delete(args) => rest::delete::run(context, args).await,
        Command::Bulk(command) => bulk::run(context, command).await,
        Command::Keys(command) => keys::run(context, command),
        Command::Sandbox(args) => sandbox::run(context, args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::AuthHelp(args) => auth_help::run(context, args),
        Command::Completions(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }
}
