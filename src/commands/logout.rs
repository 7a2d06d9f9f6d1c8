//! `medplum logout`

use clap::Args;

use super::given_back::give_back;
use crate::auth::cache::Cache;
use crate::auth::discovery;
use crate::context::Context;

/// Give the tokens of a profile back to the server and forget them; the settings stay
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum logout -p example")]
pub struct LogoutArgs {}

pub async fn run(context: &Context, _args: LogoutArgs) -> anyhow::Result<()> {
    let (mut profile, _) = context.resolve(false)?;
    profile.client_id = profile.login_client_id().map(str::to_owned);
    let name = profile.name.clone();
    let cache = Cache::new(context.store.clone(), &name);
    // A renewal that runs just now would bring the login back.
    let _lock = cache.lock_tokens().await?;
    give_back(context, &profile, &cache).await?;
    let output = &context.output;
    // The next login asks the server anew where its endpoints are.
    discovery::forget(&cache)?;
    if !cache.clear()? {
        output.note(&format!("Profile {name} has no login"));
        return Ok(());
    }
    output.note(&format!(
        "Logged out of {} (profile {name})",
        profile.base_url
    ));
    Ok(())
}
