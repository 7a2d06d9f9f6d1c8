//! The grant for machines: a client gets a token for itself (RFC 6749 §4.4).

use super::super::Asked;
use super::super::answer::Result;
use super::{Form, Granted, client};

pub(super) fn grant(asked: &Asked, form: &Form) -> Result<Granted> {
    client::authenticate(asked, form)?;
    Ok(Granted {
        scope: form.get("scope").map(str::to_owned),
    })
}
