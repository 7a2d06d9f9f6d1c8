//! A profile's name in a line that a person pastes.

use std::borrow::Cow;

/// The name as it is typed in a shell: names may have blanks.
pub fn typed(name: &str) -> Cow<'_, str> {
    shlex::try_quote(name).unwrap_or(Cow::Borrowed(name))
}
