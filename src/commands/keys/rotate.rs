//! `medplum keys rotate OLD --out NEW`

use std::path::PathBuf;

use clap::Args;

use super::generate::Kinds;
use crate::auth::keys::generate::{Kind, NewKey};
use crate::auth::keys::{self, Curve, PublicKey};
use crate::context::Context;
use crate::profile::Key;

/// Make a new key beside an old one, print the set of both, and say what to do next
///
/// Nothing is changed but the new file: the old key signs until a profile names the new one.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum keys rotate key.pem --out new.pem")]
pub struct RotateArgs {
    /// Key file that is to be replaced
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// File to make; PEM, or a JWK when its name ends in .jwk or .json
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Kind of the new key [default: the old one's]
    #[arg(long, value_enum, ignore_case = true, value_name = "ALG")]
    alg: Option<Kinds>,
}

pub(super) fn run(context: &Context, args: &RotateArgs) -> anyhow::Result<()> {
    let files = [args.old.clone()];
    let mut set = super::jwks::found(context, &files)?;
    let named = context.globals.settings.get(Key::KeyId);
    // It must be one that signs; of several the id names it.
    let all = set.iter().map(|(_, key)| key.clone()).collect();
    let (old, _) = keys::select(&args.old, all, named, None)?;
    let kind = match (args.alg, &old.public) {
        (Some(Kinds::Rs384), _) | (None, PublicKey::Rsa { .. }) => Kind::Rs384,
        (Some(Kinds::Es384), _)
        | (
            None,
            PublicKey::Ec {
                curve: Curve::P256 | Curve::P384,
                ..
            },
        ) => Kind::Es384,
    };
    let path = std::path::absolute(&args.out)?;
    let new = NewKey::generate(kind, &path)?;
    new.write(&path)?;
    let (old_kid, new_kid) = (old.kid(), new.key.kid());
    set.push((&args.out, new.key));
    super::jwks::print(context, &set)?;
    let (old, new) = (args.old.display(), args.out.display());
    context.output.hint(&format!(
        "the new key is {new_kid}, the old one {old_kid}. Next:\n  \
         1. Publish the set above at your JWKS URL, or register the new key beside the old one in the vendor's form. \
         `medplum keys jwks --check URL {old} {new}` says when the URL has it.\n  \
         2. Wait until the vendor has fetched it: a day where nothing else is said.\n  \
         3. `medplum profile set NAME --update --private-key-path {new}` (and --key-id, if the profile names one), then \
         `medplum login -p NAME`.\n  \
         4. When that works everywhere, and five minutes after the old key signed for the last time, publish \
         `medplum keys jwks {new}` alone and delete {old}."
    ));
    Ok(())
}
