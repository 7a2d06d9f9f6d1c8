//! Tokens given back to their server before they are forgotten here, and what is said of those that were not.

use crate::auth::cache::{Cache, still_good};
use crate::auth::revocation::{self, Giver, Revoked};
use crate::context::Context;
use crate::profile::store::ProfileFile;
use crate::profile::{Profile, typed};
use crate::words;

/// Gives the tokens of a profile back to the server that they are of, and says what stays good there.
///
/// # Errors
/// The profile cannot be read, or its network settings cannot be used.
pub(super) async fn give_back(
    context: &Context,
    profile: &Profile,
    cache: &Cache,
) -> anyhow::Result<()> {
    let tokens = cache.all_of(profile)?;
    let output = &context.output;
    if !tokens.is_empty() {
        let passphrase = context.passphrase_of(profile);
        let http = context.http(profile)?;
        let by = Giver {
            http: &http,
            profile,
            cache,
            passphrase: &passphrase,
        };
        match revocation::revoke(by, &tokens).await {
            Revoked::Yes => {}
            Revoked::NotOffered => output.note(&format!(
                "{} takes no tokens back; they end by themselves",
                profile.base_url
            )),
            Revoked::Failed { reason, left } => output.warn(&format!(
                "The server did not take all tokens back ({reason}): {} may be good until they end by themselves.",
                counted(left)
            )),
        }
    }
    if cache.holds_others(&tokens)? {
        output.warn(
            "Tokens of another server or client were forgotten with them, and not given back: they are good until they end \
             by themselves.",
        );
    }
    Ok(())
}

/// How many tokens of each kind.
fn counted((refresh_tokens, access_tokens): (usize, usize)) -> String {
    let kinds = [
        (refresh_tokens, "refresh token"),
        (access_tokens, "access token"),
    ];
    let named = kinds.into_iter().filter(|(count, _)| *count > 0);
    let named: Vec<String> = named
        .map(|(count, name)| words::number_of(count, name))
        .collect();
    named.join(" and ")
}

/// Says what became of the tokens of a profile whose settings name another server or client now.
pub(super) fn say_dropped(context: &Context, name: &str, before: &ProfileFile) {
    let tokens = still_good(before);
    if tokens.iter().any(|token| token.refresh_token.is_some()) {
        context.output.warn(&format!(
            "The login that profile {name} had was forgotten here and not given back to its server, where it is good until \
             it ends by itself. `medplum logout -p {}` before such a change gives it back.",
            typed(name)
        ));
    } else if !tokens.is_empty() {
        context.output.note(&format!(
            "The tokens that profile {name} had were forgotten here and not given back; they end by themselves"
        ));
    }
}
