//! `medplum login`

use std::io::BufRead;
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use url::Url;

use super::duration;
use super::profile::StoreArg;
use crate::auth::browser::{self, Person, SignIn};
use crate::auth::cache::{self, Cache};
use crate::auth::{AuthError, SignedIn, Token, device, discovery};
use crate::context::Context;
use crate::exit::Failure;
use crate::output::Output;
use crate::profile::held::{self, Place};
use crate::profile::store::ProfileFile;
use crate::profile::{AuthType, Profile, ProfileError};

/// Sign in and store the login; flags given here are stored in the profile too
///
/// Without credentials a browser opens, and the server asks who you are. With a client secret, a key or another
/// --auth-type no person is needed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum login -p example\n\
        \x20 medplum login -p example --base-url https://fhir.example.com --client-id ID --no-browser\n\n\
        Recipes for Epic, Oracle Health and others: medplum help auth")]
pub struct LoginArgs {
    /// Open no browser: show the address, and take the one that the browser ends at from stdin too
    #[arg(long)]
    no_browser: bool,
    /// Longest wait for a person to sign in
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    login_timeout: Duration,
    /// What the EHR gave to name its launch (SMART EHR launch); the base URL is the `iss` that came with it
    #[arg(long, value_name = "LAUNCH")]
    launch: Option<String>,
    /// Where secrets and tokens are kept from now on [default: as before, at first file]
    #[arg(long, value_enum, value_name = "WHERE")]
    store: Option<StoreArg>,
}

pub async fn run(context: &Context, args: LoginArgs) -> anyhow::Result<()> {
    let (profile, file) = context.resolve(true)?;
    let place = args.store.map(Place::from);
    if place == Some(Place::Keyring) {
        // Before anybody is asked: a token that cannot be kept is lost.
        held::check_keyring()?;
    }
    if args.launch.is_some() && !profile.signs_in_by_browser() {
        let problem = "--launch belongs to a login by browser (--auth-type authorization-code)";
        return Err(Failure::usage(problem).into());
    }
    if profile.auth_type == Some(AuthType::DeviceCode) {
        return by_device(context, &args, profile).await;
    }
    if profile.signs_in_by_browser() {
        return by_browser(context, &args, profile).await;
    }
    let client = context.client_for(profile, file.as_ref())?;
    // First the server, then the file: a refused login leaves the settings as they were.
    let token = if client.tokens.has_tokens() {
        Some(client.tokens.log_in().await?)
    } else {
        None
    };
    let profile = &client.profile;
    store(context, profile, place, |file| {
        if let Some(token) = &token {
            cache::put_login(file, profile, token);
        }
    })?;
    match token {
        Some(_) => say_logged_in(context, profile),
        None => context.output.note(&format!(
            "Auth type {} needs no login; profile {} is ready",
            client.tokens.describe(),
            profile.name
        )),
    }
    Ok(())
}

async fn by_browser(context: &Context, args: &LoginArgs, profile: Profile) -> anyhow::Result<()> {
    let withheld = profile.withheld_for.as_ref();
    if let (None, Some(owner)) = (profile.auth_type, withheld.filter(|owner| !owner.is_login)) {
        return Err(AuthError::Withheld {
            server: profile.base_url.to_string(),
            owner: owner.clone(),
        }
        .into());
    }
    let (sender, pasted) = mpsc::unbounded_channel();
    let how = SignIn {
        person: &AtTerminal {
            output: &context.output,
            pasted: Mutex::new(Some(sender)),
        },
        open: !args.no_browser,
        timeout: args.login_timeout,
        passphrase: &context.passphrase_of(&profile),
        launch: args.launch.clone(),
        pasted,
    };
    let http = context.http(&profile)?;
    let (signed_in, reply) = Box::pin(browser::sign_in(&http, &profile, how)).await?;
    let stored = keep(context, args, &signed_in).await;
    // The browser hears of it only now that it is true.
    match &stored {
        Ok(()) => {
            let profile = &signed_in.profile;
            reply
                .signed_in(profile.base_url.as_str(), &profile.name)
                .await;
        }
        Err(error) => reply.not_signed_in(&error.to_string()).await,
    }
    stored?;
    conclude(context, &signed_in);
    Ok(())
}

async fn by_device(context: &Context, args: &LoginArgs, profile: Profile) -> anyhow::Result<()> {
    let how = device::SignIn {
        device: &AtHand {
            output: &context.output,
            server: &profile.base_url,
        },
        timeout: args.login_timeout,
        passphrase: &context.passphrase_of(&profile),
    };
    let signed_in = device::sign_in(&context.http(&profile)?, &profile, how).await?;
    keep(context, args, &signed_in).await?;
    conclude(context, &signed_in);
    Ok(())
}

/// Stores a login that a person brought about.
async fn keep(
    context: &Context,
    args: &LoginArgs,
    signed_in: &SignedIn,
) -> Result<(), ProfileError> {
    let SignedIn {
        token,
        profile,
        found,
        ..
    } = signed_in;
    // Without the lock, when somebody holds it for minutes, the login is stored all the same: a person made it.
    let lock = Cache::new(context.store.clone(), &profile.name)
        .lock_tokens()
        .await
        .unwrap_or_default();
    let place = args.store.map(Place::from);
    let stored = store(context, profile, place, |file| {
        if let Some(found) = found {
            discovery::put(file, profile, found);
        }
        cache::put_login(file, profile, token);
    });
    drop(lock);
    stored
}

/// Says what came of a login.
fn conclude(context: &Context, signed_in: &SignedIn) {
    let missing_scopes = &signed_in.missing_scopes;
    if !missing_scopes.is_empty() {
        context.output.warn(&format!(
            "The server did not grant all that was asked for: {} {} missing.",
            missing_scopes.join(", "),
            if missing_scopes.len() == 1 {
                "is"
            } else {
                "are"
            }
        ));
    }
    warn_of_short_life(context, &signed_in.token);
    say_logged_in(context, &signed_in.profile);
}

/// Settings and tokens in one update.
fn store(
    context: &Context,
    profile: &Profile,
    place: Option<Place>,
    tokens: impl FnOnce(&mut ProfileFile),
) -> Result<(), ProfileError> {
    let settings = &context.globals.settings;
    context.warn_of_stored_insecurity(&profile.name);
    context.store.update_in(&profile.name, place, |file| {
        if !settings.is_empty() {
            file.set_settings(&profile.name, settings, true);
        }
        tokens(file);
        Ok::<_, ProfileError>(())
    })
}

fn say_logged_in(context: &Context, profile: &Profile) {
    context.output.note(&format!(
        "Logged in to {} as profile {}",
        profile.base_url, profile.name
    ));
}

/// A login that ends soon for good is better known now than at night.
fn warn_of_short_life(context: &Context, token: &Token) {
    if let (None, Some((issued, until))) = (&token.refresh_token, token.lifetime) {
        let minutes = until.duration_since(issued).as_mins();
        context.output.note(&format!(
            "The server gave no refresh token, so this login ends after {minutes} min; the scope `offline_access` asks \
             for one"
        ));
    }
}

/// A person with another device at hand, who reads stderr.
struct AtHand<'a> {
    output: &'a Output,
    server: &'a Url,
}

impl device::Device for AtHand<'_> {
    fn enter(&self, code: &str, at: &Url, complete: Option<&Url>, expires: Duration) {
        let output = self.output;
        output.ask(&format!(
            "To sign in to {}, open this address on any device:",
            self.server
        ));
        output.link(at);
        output.ask(&format!("and enter this code: {code}"));
        if let Some(complete) = complete {
            output.ask("Or open this one, which has the code in it:");
            output.link(complete);
        }
        output.ask(&format!(
            "Waiting… The code is good for {} min.",
            expires.as_secs().div_ceil(60)
        ));
    }
}

/// A person who reads stderr, and types when asked to.
struct AtTerminal<'a> {
    output: &'a Output,
    pasted: Mutex<Option<mpsc::UnboundedSender<String>>>,
}

impl AtTerminal<'_> {
    /// Sends what is typed from now on. stdin is left alone until then: it may belong to a script. A thread of its own,
    /// because reading stdin cannot be given up.
    fn read_stdin(&self) {
        let sender = self.pasted.lock().ok().and_then(|mut held| held.take());
        let Some(sender) = sender else { return };
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
}

impl Person for AtTerminal<'_> {
    fn browser_is_open(&self, server: &Url, comes_back: bool) {
        self.output.note(&format!(
            "The browser is open to sign in to {server} (--no-browser shows the address instead)."
        ));
        if comes_back {
            self.output.note("Waiting…");
        } else {
            self.output
                .note("Then paste the address that the browser ends at:");
            self.read_stdin();
        }
    }

    fn open_this(&self, url: &Url, reason: Option<&str>) {
        if let Some(reason) = reason {
            self.output
                .warn(&format!("No browser could be opened ({reason})."));
        }
        self.output
            .note("Open this address in a browser to sign in:");
        self.output.link(url);
        self.output.note(
            "Waiting… If the browser ends at a page that it cannot show, paste the address of that page here.",
        );
        self.read_stdin();
    }

    fn refused(&self, reason: &str) {
        self.output.warn(reason);
    }
}
