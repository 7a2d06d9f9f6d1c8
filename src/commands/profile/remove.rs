//! `medplum profile remove NAME`

use clap::Args;

use super::super::given_back::give_back;
use crate::auth::cache::{Cache, still_good};
use crate::context::Context;
use crate::profile::login::StoredLogin;
use crate::profile::resolve::{self, Layers};
use crate::verdicts;

/// Remove a profile with its login and tokens, those in the keyring too
///
/// The tokens are given back to the server first, as `medplum logout` does it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile remove example")]
pub struct RemoveArgs {
    /// Name of the profile
    #[arg(add = crate::flags::complete::profile())]
    name: String,
}

pub(super) async fn run(context: &Context, args: &RemoveArgs) -> anyhow::Result<()> {
    context.store.path(&args.name)?;
    if let Err(error) = give_back_of(context, &args.name).await {
        context.output.warn(&format!(
            "Its tokens were not given back to the server ({}); they are good until they end by themselves.",
            verdicts::words_of(&error)
        ));
    }
    if let Some(target) = context.store.remove(&args.name)? {
        context.output.warn(&format!(
            "It was a link; what it leads to stays, with its secrets: {}",
            target.display()
        ));
    }
    context
        .output
        .line(&format!("{} profile removed", args.name))
}

/// By the profile's own settings: what the environment or a `.env` file names is another server's business.
async fn give_back_of(context: &Context, name: &str) -> anyhow::Result<()> {
    let cache = Cache::new(context.store.clone(), name);
    let Some(file) = context.store.read(name)? else {
        return Ok(());
    };
    if still_good(&file).is_empty() {
        return Ok(());
    }
    let layers = Layers {
        flags: context.globals.settings.clone(),
        profile: file.settings(),
        login: StoredLogin::of(&file),
        ..Layers::default()
    };
    let mut profile = resolve::resolve(name, &layers)?;
    profile.client_id = profile.login_client_id().map(str::to_owned);
    // A renewal that runs just now would be given back too late.
    let _lock = cache.lock_tokens().await?;
    give_back(context, &profile, &cache).await
}
