//! `medplum keys generate`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::auth::keys::generate::{Kind, NewKey};
use crate::context::Context;
use crate::exit::Failure;
use crate::profile::{Algorithm, Key};

/// Make a private key for jwt-assertion, in a file of its own
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum keys generate --alg ES384 --out key.pem")]
pub struct GenerateArgs {
    /// Kind of key: RS384 is RSA with 3072 bits, ES384 is EC on P-384 [default: RS384, which every server takes]
    #[arg(long, value_enum, ignore_case = true, value_name = "ALG")]
    alg: Option<Kinds>,
    /// File to make; PEM, or a JWK when its name ends in .jwk or .json
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Kinds {
    #[value(name = "RS384")]
    Rs384,
    #[value(name = "ES384")]
    Es384,
}

pub(super) fn run(context: &Context, args: &GenerateArgs) -> anyhow::Result<()> {
    let settings = &context.globals.settings;
    let path = std::path::absolute(&args.out)?;
    let mut new = NewKey::generate(kind(context, args)?, &path)?;
    new.key = new.key.with_kid(settings.get(Key::KeyId));
    new.write(&path)?;
    let mut about = super::about(&new.key);
    about.shift_remove("part");
    about.insert("file".into(), path.to_string_lossy().into());
    super::print(context, vec![about])?;
    let file = args.out.display();
    context.output.hint(&format!(
        "register its public part, which `medplum keys jwks {file}` prints; then \
         `medplum profile set NAME --auth-type jwt-assertion --private-key-path {file} …`"
    ));
    Ok(())
}

/// `--alg`, else what the global `--algorithm` says.
fn kind(context: &Context, args: &GenerateArgs) -> anyhow::Result<Kind> {
    let asked = context.globals.settings.get(Key::Algorithm);
    let algorithm = asked.map(str::parse::<Algorithm>).transpose()?;
    match (args.alg, algorithm) {
        (Some(Kinds::Es384), _) | (None, Some(Algorithm::Es384)) => Ok(Kind::Es384),
        (Some(Kinds::Rs384), _) | (None, None | Some(Algorithm::Rs384)) => Ok(Kind::Rs384),
        (None, Some(other)) => Err(Failure::usage(format!(
            "keys are made for RS384 or ES384, not for {other}; an RS384 key signs RS256, RS512 and PS256 to PS512 too"
        ))
        .into()),
    }
}
