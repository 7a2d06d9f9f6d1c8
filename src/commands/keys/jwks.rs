//! `medplum keys jwks FILE…`

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use url::Url;

use crate::auth::keys;
use crate::context::Context;
use crate::exit::Failure;
use crate::profile::Key;

/// Print the public keys of key files as one JWKS, for a vendor's form or a JWKS URL
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum keys jwks key.pem > jwks.json")]
pub struct JwksArgs {
    /// Key files: PEM, JWK, JWKS or PKCS#12, private or public
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print nothing new: compare these keys with the set that this URL answers, which the vendor fetches
    #[arg(long, value_name = "URL")]
    check: Option<Url>,
}

pub(super) async fn run(context: &Context, args: &JwksArgs) -> anyhow::Result<()> {
    let found = found(context, &args.files)?;
    if let Some(url) = &args.check {
        let keys: Vec<keys::Key> = found.into_iter().map(|(_, key)| key).collect();
        return super::check::run(context, url, &keys).await;
    }
    print(context, &found)
}

/// The keys of all files, none of them twice.
pub(super) fn found<'a>(
    context: &Context,
    files: &'a [PathBuf],
) -> anyhow::Result<Vec<(&'a Path, keys::Key)>> {
    let settings = &context.globals.settings;
    let passphrase = context.passphrase()?;
    let mut found: Vec<(&Path, keys::Key)> = Vec::new();
    for path in files {
        for key in keys::file::read(path, &passphrase)? {
            found.push((path, key));
        }
    }
    if let Some(kid) = settings.get(Key::KeyId) {
        let [(_, key)] = found.as_mut_slice() else {
            bail!(Failure::usage(
                "--key-id names one key, but the files hold several"
            ));
        };
        *key = key.clone().with_kid(Some(kid));
    }
    refuse_duplicates(&found)?;
    Ok(found)
}

/// Prints keys as one set.
pub(super) fn print(context: &Context, found: &[(&Path, keys::Key)]) -> anyhow::Result<()> {
    let settings = &context.globals.settings;
    let algorithm = settings.get(Key::Algorithm).map(str::parse).transpose()?;
    let mut set = Vec::new();
    for (path, key) in found {
        if let Some(algorithm) = algorithm
            && !key.public.algorithms().contains(&algorithm)
        {
            return Err(keys::KeyError::WrongAlgorithm {
                path: (*path).to_owned(),
                key: key.public.describe(),
                algorithm,
                usable: key.public.algorithms(),
            }
            .into());
        }
        set.push(Value::Object(key.public_jwk(algorithm)));
    }
    context.output.json(&json!({ "keys": set }).to_string())
}

/// A server takes the one key that fits a kid, so none may fit twice.
fn refuse_duplicates(found: &[(&Path, keys::Key)]) -> Result<(), Failure> {
    for (at, (path, key)) in found.iter().enumerate() {
        let same = found[..at]
            .iter()
            .find(|(_, other)| other.public == key.public || other.kid() == key.kid());
        let Some((before, other)) = same else {
            continue;
        };
        let what = if other.public == key.public {
            "the same key"
        } else {
            "two keys with the same key id"
        };
        return Err(Failure::usage(format!(
            "{} and {} hold {what}: {}",
            before.display(),
            path.display(),
            key.kid()
        )));
    }
    Ok(())
}
