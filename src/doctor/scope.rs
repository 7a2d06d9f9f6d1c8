//! The scope granted against the scope asked for.

use super::{Ending, Examination, Trouble, done, skipped};
use crate::auth::grant::authorization_code::DEFAULT_SCOPE;
use crate::auth::scope;
use crate::exit;

pub(super) fn check(examination: &mut Examination<'_>) -> Ending {
    let client = examination.client;
    let Some(token) = &examination.token else {
        return Ok(skipped("no token, no scope"));
    };
    let login = client.tokens.is_login().then_some(DEFAULT_SCOPE);
    let asked = client.profile.scope.as_deref().or(login);
    let Some(granted) = &token.scope else {
        return Ok(done(match asked {
            Some(asked) => format!("all that was asked for: {asked}"),
            None => "none was asked for, and the server names none".to_owned(),
        }));
    };
    let Some(asked) = asked else {
        return Ok(done(format!("granted {granted} (no scope is set)")));
    };
    let missing = scope::missing(asked, token).join(" ");
    if missing.is_empty() {
        return Ok(done(format!("granted {granted}")));
    }
    let what = format!("granted {granted}; asked for and missing: {missing}");
    Err(Trouble::new(exit::NOT_ALLOWED, what).because(format!(
        "missing scope: the server does not give this client {missing}; have it registered there, or ask for less \
         with --scope"
    )))
}
