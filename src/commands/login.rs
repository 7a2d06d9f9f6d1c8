//! `medplum login`

use std::io::BufRead;
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use url::Url;

use super::duration;
use super::profile::StoreArg;
use crate::auth::browser::{self, Person, SignIn, SignedIn};
use crate::auth::cache::{self, Cache};
use crate::auth::{AuthError, Token, discovery};
use crate::context::Context;
use crate::output::Output;
use crate::profile::held::{self, Place};
use crate::profile::store::ProfileFile;
use crate::profile::{Profile, ProfileError};

/// Sign in and store the login; flags given here are stored in the profile too
///
/// Without credentials a browser opens, and the server asks who you are. With a client secret, a key or another
/// --auth-type no person is needed.
#[derive(Args, Debug)]
#[command(after_help = "Recipes for Epic, Oracle Health and others: medplum help auth")]
pub struct LoginArgs {
    /// Open no browser: show the address, and take the one that the browser ends at from stdin too
    #[arg(long)]
    no_browser: bool,
    /// Longest wait for a person to sign in
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    login_timeout: Duration,
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
    if let (None, Some(owner)) = (profile.auth_type, &profile.withheld_for) {
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
        pasted,
    };
    let signed_in = browser::sign_in(&context.http(&profile)?, &profile, how).await?;
    let SignedIn {
        token,
        profile,
        endpoints,
        missing_scopes,
        reply,
    } = signed_in;
    let lock = Cache::new(context.store.clone(), &profile.name)
        .lock_tokens()
        .await;
    let place = args.store.map(Place::from);
    let stored = store(context, &profile, place, |file| {
        if let Some(found) = &endpoints {
            discovery::put(file, &profile, found);
        }
        cache::put_login(file, &profile, &token);
    });
    drop(lock);
    // The browser hears of it only now that it is true.
    match &stored {
        Ok(()) => {
            reply
                .signed_in(profile.base_url.as_str(), &profile.name)
                .await;
        }
        Err(error) => reply.not_signed_in(&error.to_string()).await,
    }
    stored?;
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
    warn_of_short_life(context, &token);
    say_logged_in(context, &profile);
    Ok(())
}

/// Settings and tokens in one update.
fn store(
    context: &Context,
    profile: &Profile,
    place: Option<Place>,
    tokens: impl FnOnce(&mut ProfileFile),
) -> Result<(), ProfileError> {
    let settings = &context.globals.settings;
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
