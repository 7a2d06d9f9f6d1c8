//! The login by browser, with a person at the terminal.

use std::io::BufRead;
use std::sync::Mutex;

use tokio::sync::mpsc;
use url::Url;

use super::{LoginArgs, conclude, keep};
use crate::auth::AuthError;
use crate::auth::browser::{self, Person, SignIn};
use crate::context::Context;
use crate::output::Output;
use crate::profile::Profile;

pub(super) async fn sign_in(
    context: &Context,
    args: &LoginArgs,
    profile: Profile,
) -> anyhow::Result<()> {
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
