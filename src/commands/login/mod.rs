//! `medplum login`

mod browser;
mod device;

use std::time::Duration;

use clap::Args;

use super::duration;
use super::given_back::say_dropped;
use super::profile::StoreArg;
use crate::auth::cache::{self, Cache};
use crate::auth::{SignedIn, Token, discovery};
use crate::context::Context;
use crate::exit::Failure;
use crate::profile::held::{self, Place};
use crate::profile::store::ProfileFile;
use crate::profile::{AuthType, DEFAULT_NAME, Key, Layer, Profile, ProfileError};

/// Sign in and store the login; flags given here are stored in the profile too
///
/// Without credentials a browser opens, and the server asks who you are. With a client secret, a key or another
/// --auth-type no person is needed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum login -p example\n\
        \x20 medplum login -p example --base-url https://fhir.example.com \\\n\
        \x20     --client-id ID --no-browser\n\n\
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
    check_name(context, &profile, file.as_ref())?;
    context.store.check_writable(&profile.name)?;
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
        return device::sign_in(context, &args, profile).await;
    }
    if profile.signs_in_by_browser() {
        return browser::sign_in(context, &args, profile).await;
    }
    let client = context.client_for(profile, file.as_ref())?;
    // First the server, then the file: a refused login leaves the settings as they were.
    let token = if client.tokens.has_tokens() {
        Some(client.tokens.log_in().await?)
    } else {
        None
    };
    let profile = &client.profile;
    let as_asked = client.tokens.scoped()?;
    store(context, profile, place, |file| {
        if let Some(token) = &token {
            cache::put_login(file, &as_asked, token);
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

/// Makes sure, before anybody is asked, that a profile that does not exist is meant to be made: its name may be mistyped.
/// Whoever makes one says for which server; whoever has one of nearly that name says it with this command.
fn check_name(
    context: &Context,
    profile: &Profile,
    file: Option<&ProfileFile>,
) -> Result<(), ProfileError> {
    let exists = file.is_some_and(ProfileFile::has_options);
    let says_server = context.globals.settings.get(Key::BaseUrl).is_some();
    if exists || says_server || profile.name == DEFAULT_NAME {
        return Ok(());
    }
    let says_nothing = context.globals.settings.is_empty() && profile.base_from == Layer::Default;
    match context.store.unknown(&profile.name) {
        ProfileError::Unknown { near, .. } if near.is_empty() && !says_nothing => Ok(()),
        unknown => Err(unknown),
    }
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
            discovery::record_in(file, profile, found);
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
    let dropped = context.store.update_in(&profile.name, place, |file| {
        let before = file.clone();
        if !settings.is_empty() {
            file.set_settings(&profile.name, settings, true);
        }
        let dropped = Some(before).filter(|before| !file.has_tokens_of(before));
        tokens(file);
        Ok::<_, ProfileError>(dropped)
    })?;
    if let Some(before) = &dropped {
        say_dropped(context, &profile.name, before);
    }
    Ok(())
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
