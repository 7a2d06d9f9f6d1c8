//! `medplum login`

use clap::Args;

use crate::auth::cache;
use crate::context::Context;
use crate::exit::Failure;
use crate::profile::ProfileError;

/// Sign in and store the login; flags given here are stored in the profile too
#[derive(Args, Debug)]
pub struct LoginArgs {}

pub async fn run(context: &Context, _args: LoginArgs) -> anyhow::Result<()> {
    let (profile, file) = context.resolve(true)?;
    let client = context.client_for(profile, file.as_ref())?;
    let name = client.profile.name.clone();
    if client.tokens.is_anonymous() {
        return Err(Failure::usage(format!(
            "profile `{name}` has no credentials to log in with"
        ))
        .hint("give --client-id and --client-secret, or --access-token")
        .into());
    }
    // First the server, then the file: a refused login leaves the settings as they were.
    let token = if client.tokens.has_tokens() {
        Some(client.tokens.log_in().await?)
    } else {
        None
    };
    let settings = &context.globals.settings;
    context.store.update(&name, |file| {
        if !settings.is_empty() {
            file.set_settings(&name, settings, true);
        }
        if let Some(token) = &token {
            cache::put_login(file, &client.profile, token);
        }
        Ok::<_, ProfileError>(())
    })?;
    match token {
        Some(_) => context.output.note(&format!(
            "Logged in to {} as profile {name}",
            client.profile.base_url
        )),
        None => context.output.note(&format!(
            "Auth type {} needs no login; profile {name} is ready",
            client.tokens.describe()
        )),
    }
    Ok(())
}
