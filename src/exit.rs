//! The one table of exit codes, and the hint that goes with an error.

use std::process::ExitCode;

use crate::auth::AuthError;
use crate::auth::browser::BrowserError;
use crate::auth::device::DeviceError;
use crate::auth::keys::KeyError;
use crate::auth::secret_command::SecretCommandError;
use crate::bulk::BulkError;
use crate::bulk::import::ImportError;
use crate::fhir::FhirError;
use crate::fhir::asynchronous::AsyncError;
use crate::http::HttpError;
use crate::output::{Closed, Output};
use crate::profile::{AuthType, ProfileError};

/// The server refused or failed, or anything not named below.
pub const FAILED: u8 = 1;
/// Wrong usage or bad input.
pub const USAGE: u8 = 2;
/// Not authenticated or not allowed.
pub const NOT_ALLOWED: u8 = 3;
/// Not found.
pub const NOT_FOUND: u8 = 4;
/// Some files or resources are missing or were refused.
pub const PARTIAL: u8 = 5;
/// Network failure or a time limit reached.
pub const NETWORK: u8 = 6;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// A command's own verdict: what failed, with which code and what to try next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u8,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    /// Wrong usage or bad input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// A failure with any code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Prints an error with its hint and gives the exit code.
pub fn report(output: &Output, error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<Closed>().is_some() {
        return ExitCode::SUCCESS;
    }
    output.error(&format!("{error:#}"));
    let verdict = error.chain().find_map(verdict);
    let (code, hint) = verdict.unwrap_or((FAILED, None));
    if let Some(hint) = hint {
        output.hint(&hint);
    }
    ExitCode::from(code)
}

/// The exit code of an error by itself, and what to try next.
pub fn judge(error: &(dyn std::error::Error + 'static)) -> (u8, Option<String>) {
    verdict(error).unwrap_or((FAILED, None))
}

/// The code and hint of one error in a chain; `None` for errors that say nothing of their own.
fn verdict(error: &(dyn std::error::Error + 'static)) -> Option<(u8, Option<String>)> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some((failure.code, failure.hint.clone()));
    }
    if let Some(error) = error.downcast_ref::<BulkError>() {
        return Some(of_bulk(error));
    }
    if let Some(error) = error.downcast_ref::<ImportError>() {
        return Some(of_import(error));
    }
    if let Some(error) = error.downcast_ref::<AsyncError>() {
        return Some(of_async(error));
    }
    if let Some(error) = error.downcast_ref::<FhirError>() {
        return Some(of_fhir(error));
    }
    if let Some(error) = error.downcast_ref::<AuthError>() {
        return Some(of_auth(error));
    }
    if let Some(error) = error.downcast_ref::<HttpError>() {
        return Some(of_http(error));
    }
    if let Some(error) = error.downcast_ref::<KeyError>() {
        return Some(of_key(error));
    }
    error.downcast_ref::<ProfileError>().map(of_profile)
}

fn of_bulk(error: &BulkError) -> (u8, Option<String>) {
    match error {
        BulkError::Folder { .. } => (USAGE, Some("choose another folder with -d".into())),
        BulkError::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound => (
            FAILED,
            Some("the folder seems to be gone; leave it as it is while an export runs, and run the same command again".into()),
        ),
        BulkError::Disk { .. } => (
            FAILED,
            Some("make room on the disk, then run the same command again".into()),
        ),
        BulkError::BadState { .. } => (
            FAILED,
            Some("medplum bulk export with --restart forgets it and begins anew; files that had come have to be moved away".into()),
        ),
        BulkError::Unauthorized { .. } => (
            NOT_ALLOWED,
            Some("run the same command again with a new --access-token: it goes on".into()),
        ),
        BulkError::BadRequest(_) => (USAGE, None),
        BulkError::Busy { .. } => (USAGE, Some("wait for it, or choose another folder with -d".into())),
        BulkError::Series { .. } => (USAGE, Some("go on with it by --since auto, or choose another folder with -d".into())),
        BulkError::NoJob { .. } => (USAGE, Some("name the folder of an export, such as `medplum bulk status DIR`".into())),
        BulkError::Vanished { .. } => (FAILED, Some("leave the folder as it is while an export runs, and run the same command again".into())),
        BulkError::NoTransactionTime => (FAILED, Some("export without --since auto, into a folder of its own".into())),
        BulkError::JobsRunning { jobs, .. } => (
            FAILED,
            Some(format!(
                "the server runs a job already; fetch its result with {}",
                jobs.iter().map(|url| format!("--status-url {url}")).collect::<Vec<_>>().join(" or ")
            )),
        ),
        BulkError::Finished { .. } => (USAGE, Some("choose another folder with -d, or replace it with --overwrite".into())),
        BulkError::OtherSeries { .. } | BulkError::SingleExport { .. } => (
            USAGE,
            Some("choose another folder with -d: a series has one of its own, and asks for the same each time".into()),
        ),
        BulkError::OtherRequest { .. } => (
            USAGE,
            Some("repeat that request to go on, forget it with --restart, or choose another folder with -d".into()),
        ),
        BulkError::UnknownKickoff { .. } => (
            FAILED,
            Some("start a new export with --restart, or go on with a job you know of: --restart --status-url URL".into()),
        ),
        BulkError::InTheWay { .. } => (
            USAGE,
            Some("move it away and run the same command again, which goes on; or choose another folder with -d".into()),
        ),
        BulkError::Async(error @ (AsyncError::Failed(_) | AsyncError::Gone(_))) => (
            of_async(error).0,
            Some("start a new export with the same command and --restart".into()),
        ),
        BulkError::Async(error) => of_async(error),
        BulkError::Fhir(FhirError::Refused(refusal)) if refusal.status.as_u16() == 405 => (
            FAILED,
            Some(
                "the server may want the other kick-off: try --method post (or --method get)"
                    .into(),
            ),
        ),
        BulkError::Fhir(error) => of_fhir(error),
        BulkError::Manifest(_) => (FAILED, None),
        BulkError::Interrupted { .. } => (INTERRUPTED, None),
    }
}

fn of_import(error: &ImportError) -> (u8, Option<String>) {
    match error {
        ImportError::Input { .. } | ImportError::BadRequest(_) | ImportError::Busy { .. } => (USAGE, None),
        ImportError::IncompleteExport { folder } => (
            USAGE,
            Some(format!(
                "go on with it by `medplum bulk resume {}`, or name its files to import those that are there",
                folder.display()
            )),
        ),
        ImportError::Disk { .. } => (FAILED, Some("make room on the disk, then go on with --resume".into())),
        ImportError::Unfinished { .. } => (
            USAGE,
            Some("go on with it by --resume, or forget it with --restart".into()),
        ),
        ImportError::Other { .. } => (
            USAGE,
            Some("repeat that request with --resume, forget it with --restart, or work in another folder".into()),
        ),
        ImportError::RejectsThere { path } => (
            USAGE,
            Some(format!(
                "try those again with `medplum bulk import {}`, move them away, or name another file with --rejects",
                path.display()
            )),
        ),
        ImportError::NoClientIds(_) => (
            FAILED,
            Some(
                "let the server find or number them: --method conditional --match 'identifier={identifier.system}|{identifier.value}', \
                 or --method post"
                    .into(),
            ),
        ),
        ImportError::NoBundles { refusal, .. } => (
            if refusal.status.as_u16() == 404 { NOT_FOUND } else { FAILED },
            Some("send one request for each resource with --bundle none, or check --fhir-url-path".into()),
        ),
        ImportError::NoServerSide(_) => (
            FAILED,
            Some("leave --server-side out: the files are then sent from here".into()),
        ),
        ImportError::NoValidation(_) => (FAILED, Some("--dry-run checks the files without the server".into())),
        ImportError::Strange(_) => (FAILED, Some("check the base URL and --fhir-url-path: another program may answer there".into())),
        ImportError::Async(error) => of_async(error),
        ImportError::Stopped(error) => match of_fhir(error) {
            (NOT_FOUND, hint) => (FAILED, hint),
            verdict => verdict,
        },
        ImportError::Interrupted => (INTERRUPTED, None),
    }
}

fn of_async(error: &AsyncError) -> (u8, Option<String>) {
    match error {
        AsyncError::NoJob { .. } | AsyncError::Failed(_) => (FAILED, None),
        AsyncError::Gone(_) => (NOT_FOUND, None),
        AsyncError::TooLong { .. } => (
            NETWORK,
            Some("wait longer with --max-wait, or look at the status URL later".into()),
        ),
        AsyncError::OutOfReach(error) => match of_fhir(error) {
            (FAILED, hint) => (NETWORK, hint),
            verdict => verdict,
        },
        AsyncError::Fhir(error) => of_fhir(error),
    }
}

fn of_fhir(error: &FhirError) -> (u8, Option<String>) {
    match error {
        FhirError::BadUrl { .. } => (USAGE, None),
        FhirError::Refused(refusal) | FhirError::MaybeDone(refusal) => match refusal.status.as_u16() {
            401 => (NOT_ALLOWED, Some("`medplum doctor` with the same profile (-p NAME) finds out why; a login is renewed with `medplum login`".into())),
            403 => (NOT_ALLOWED, Some("the server knows the client but does not allow this: check its scopes".into())),
            404 | 410 => (NOT_FOUND, None),
            _ => (FAILED, None),
        },
        FhirError::Redirect { .. } | FhirError::Loop { .. } => (FAILED, None),
        FhirError::NotFhir { .. } => (FAILED, Some("check the base URL and --fhir-url-path: another program may answer there".into())),
        FhirError::Http(error) => of_http(error),
        FhirError::Auth(error) => of_auth(error),
    }
}

fn of_auth(error: &AuthError) -> (u8, Option<String>) {
    match error {
        AuthError::NoLogin { profile, .. } => (
            NOT_ALLOWED,
            Some(format!("log in with `medplum login -p {profile}`, or give credentials with `medplum profile set {profile} --update --client-id … --client-secret …`")),
        ),
        AuthError::Incomplete { auth_type: AuthType::AuthorizationCode | AuthType::DeviceCode, missing: "a client id", .. } => (
            USAGE,
            Some("give the id that the server registered for you with --client-id; a Medplum server of your own may know `medplum-cli`".into()),
        ),
        AuthError::Incomplete { .. } => (USAGE, Some("add them with `medplum profile set NAME --update …`".into())),
        AuthError::Withheld { .. } => (
            NOT_ALLOWED,
            Some("name server and credentials in one place: a profile (-p), flags, or the same environment".into()),
        ),
        AuthError::Browser(error) => of_browser(error),
        AuthError::Expired { .. } | AuthError::LoginOver { .. } | AuthError::LoginNotBound { .. } => (NOT_ALLOWED, Some("log in again with `medplum login`".into())),
        AuthError::Refused(refusal) => match (refusal.status.as_u16(), &refusal.signed) {
            (500.., _) => (FAILED, None),
            (404 | 405, _) => (NOT_ALLOWED, Some("check --token-url".into())),
            (_, Some(signed)) => (
                NOT_ALLOWED,
                Some(format!(
                    "the assertion said: {signed}; check that the server knows this client and this key \
                     (`medplum keys jwks FILE` prints its public part), that aud is the token URL it goes by \
                     (--audience), and that the clock here is right"
                )),
            ),
            _ => (NOT_ALLOWED, Some("check client id, client secret, scope and --token-url".into())),
        },
        AuthError::NotForRequests { .. } => (
            NOT_ALLOWED,
            Some("ask for another one with --requested-token-type access_token".into()),
        ),
        AuthError::Device(error) => of_device(error),
        AuthError::NotBound { .. } => (
            NOT_ALLOWED,
            Some(
                "the server may not know DPoP, or not for this client; do without it by `medplum profile set NAME --update \
                 --dpop=false`"
                    .into(),
            ),
        ),
        AuthError::NothingToBind { .. } => (USAGE, Some("leave it out with --dpop=false".into())),
        AuthError::Key(error) => of_key(error),
        AuthError::SecretCommand(error) => of_secret_command(error),
        AuthError::Insecure { .. } => (NOT_ALLOWED, Some("name the right one with --token-url or --authorize-url".into())),
        AuthError::NotStored(error) | AuthError::Profile(error) => of_profile(error),
        AuthError::Http(error) => of_http(error),
    }
}

fn of_device(error: &DeviceError) -> (u8, Option<String>) {
    match error {
        DeviceError::NotOffered { .. } => (
            USAGE,
            Some("name it with --device-authorization-url, or sign in with --auth-type authorization-code".into()),
        ),
        DeviceError::NoCode { .. } => (FAILED, Some("check --device-authorization-url".into())),
        DeviceError::Denied(_) => (NOT_ALLOWED, None),
        DeviceError::Expired | DeviceError::TooLate(_) => (NETWORK, Some("run the same command again for a new code".into())),
    }
}

fn of_secret_command(error: &SecretCommandError) -> (u8, Option<String>) {
    match error {
        SecretCommandError::NotStarted { .. } => (
            USAGE,
            Some("no shell reads --client-secret-command: name a program and its arguments, quoted where they hold spaces".into()),
        ),
        SecretCommandError::Failed { .. } | SecretCommandError::BadOutput { .. } => (
            NOT_ALLOWED,
            Some("run the command by itself: it must print the client secret, and nothing else, on stdout".into()),
        ),
        SecretCommandError::TooLong { .. } => (
            NETWORK,
            Some("a program that waits for a person gets stdin only at a terminal".into()),
        ),
    }
}

fn of_key(error: &KeyError) -> (u8, Option<String>) {
    let hint = match error {
        KeyError::Encrypted { .. } => {
            Some("give it with --key-passphrase-file FILE or MEDPLUM_KEY_PASSPHRASE".to_owned())
        }
        KeyError::Several { .. } | KeyError::UnknownKid { .. } => {
            Some("name one of them with --key-id".into())
        }
        KeyError::UnknownEncryption { path } => Some(format!(
            "rewrite it with `openssl pkcs8 -topk8 -in {} -out NEW`",
            path.display()
        )),
        KeyError::NoKey { .. } | KeyError::TooShort { .. } => {
            Some("make a new key with `medplum keys generate --out FILE`".into())
        }
        KeyError::Signing(_) => return (FAILED, None),
        _ => None,
    };
    (USAGE, hint)
}

fn of_browser(error: &BrowserError) -> (u8, Option<String>) {
    let (code, hint) = match error {
        BrowserError::NoAuthorizeUrl { .. } => (USAGE, "name it with --authorize-url"),
        BrowserError::PortInUse { .. } => (
            USAGE,
            "end the program there (another login?), or name another port with --callback-url http://localhost:PORT, \
             as registered with the server; port 0 takes any free one",
        ),
        BrowserError::NoListener { .. } => (
            USAGE,
            "name a callback that this user may listen on with --callback-url, as registered with the server",
        ),
        BrowserError::NoWayBack { .. } => (
            USAGE,
            "paste the address that the browser ended at, or register a callback such as http://localhost:9615",
        ),
        BrowserError::TooLate(_) => (
            NETWORK,
            "run it again; allow more time with --login-timeout, or sign in on another machine with --no-browser",
        ),
        BrowserError::Denied { code, .. } if code == "access_denied" => {
            (NOT_ALLOWED, "run `medplum login` again to sign in")
        }
        BrowserError::Denied { code, .. } if code == "invalid_scope" => {
            (NOT_ALLOWED, "ask for what the server knows with --scope")
        }
        BrowserError::Denied { .. } => (
            NOT_ALLOWED,
            "check --client-id, --scope and --callback-url against what is registered with the server",
        ),
        BrowserError::BadAnswer(_) | BrowserError::IdToken(_) => return (NOT_ALLOWED, None),
    };
    (code, Some(hint.to_owned()))
}

fn of_http(error: &HttpError) -> (u8, Option<String>) {
    match error {
        HttpError::Connect { reason, .. } if reason.contains("certificate") => (
            NETWORK,
            Some("trust a private certificate authority with --ca-cert FILE".into()),
        ),
        HttpError::Connect { .. } => (
            NETWORK,
            Some("check the base URL, and HTTPS_PROXY if there is a proxy".into()),
        ),
        HttpError::Proxy {
            variable, server, ..
        } => (
            NETWORK,
            Some(format!(
                "correct {variable}, such as http://USER:PASSWORD@HOST:PORT with special characters in percent encoding, \
                 or name {} in NO_PROXY",
                server.host_str().unwrap_or_default()
            )),
        ),
        HttpError::Timeout { .. } => (
            NETWORK,
            Some("allow more time with --timeout SECONDS".into()),
        ),
        HttpError::Broken { .. } => (NETWORK, None),
        HttpError::Encoding { .. } | HttpError::TooLarge { .. } => (FAILED, None),
        HttpError::Setup { .. } => (USAGE, None),
    }
}

fn of_profile(error: &ProfileError) -> (u8, Option<String>) {
    match error {
        ProfileError::Unknown(_) => (
            USAGE,
            Some("see `medplum profile list`, or make it with `medplum profile set`".into()),
        ),
        ProfileError::Broken { .. } => (
            USAGE,
            Some("mend the file, or take it away and set the profile anew".into()),
        ),
        ProfileError::BadName(_)
        | ProfileError::BadSetting { .. }
        | ProfileError::BadHeader(_)
        | ProfileError::SecretFile { .. } => (USAGE, None),
        ProfileError::File { .. } => (FAILED, None),
        ProfileError::Keyring(_) => (
            USAGE,
            Some(
                "unlock it, or start one such as gnome-keyring or KWallet; where there is none, keep the secrets in \
                 the profile file with --store file, or have a program print the secret with --client-secret-command"
                    .into(),
            ),
        ),
        ProfileError::NotInKeyring(name) => (
            USAGE,
            Some(format!(
                "let the profile begin without them: `medplum profile set {name} --store keyring` (or file), then give \
                 them again with `medplum profile set {name} --update …` or `medplum login -p {name}`"
            )),
        ),
        ProfileError::NoHome => (USAGE, Some("set HOME or MEDPLUM_CONFIG_DIR".into())),
    }
}
