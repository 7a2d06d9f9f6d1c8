//! The login with a code that is entered on another device.

use std::time::Duration;

use url::Url;

use super::{LoginArgs, conclude, keep};
use crate::auth::device;
use crate::context::Context;
use crate::output::Output;
use crate::profile::Profile;

pub(super) async fn sign_in(
    context: &Context,
    args: &LoginArgs,
    profile: Profile,
) -> anyhow::Result<()> {
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
