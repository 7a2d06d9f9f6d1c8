//! `medplum keys show FILE`

use std::path::PathBuf;

use clap::Args;

use crate::auth::keys;
use crate::context::Context;
use crate::profile::Key;

/// Show key id, algorithm, type and thumbprint of the keys in a file, never the keys
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum keys show key.pem")]
pub struct ShowArgs {
    /// Key file: PEM, JWK, JWKS or PKCS#12
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(context: &Context, args: &ShowArgs) -> anyhow::Result<()> {
    let mut found = keys::file::read(&args.file, &context.passphrase()?)?;
    if let [key] = found.as_mut_slice() {
        *key = key
            .clone()
            .with_kid(context.globals.settings.get(Key::KeyId));
    }
    super::print(context, found.iter().map(super::about).collect())
}
