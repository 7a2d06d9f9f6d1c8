//! `medplum profile set NAME`

use clap::Args;

use super::super::given_back::say_dropped;
use super::StoreArg;
use crate::context::Context;
use crate::exit::Failure;
use crate::profile::held::Place;
use crate::profile::resolve::{self, Layers};
use crate::profile::{AuthType, Key, ProfileError, Settings, urls};

/// Store the settings given as flags, replacing those there were
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum profile set example --base-url https://api.example.com \\\n\
        \x20     --client-id ID --client-secret-file FILE\n\
        \x20 medplum profile set example --update --scope 'system/*.rs'\n\
        \x20 medplum profile set example --store keyring")]
pub struct SetArgs {
    /// Name of the profile
    #[arg(add = crate::flags::complete::profile())]
    name: String,
    /// Keep the settings that are not given
    #[arg(long)]
    update: bool,
    /// Where secrets and tokens are kept [default: as before, at first file]
    ///
    /// Alone it moves them and changes no setting. With keyring, the profile file holds neither.
    #[arg(long, value_enum, value_name = "WHERE")]
    store: Option<StoreArg>,
}

pub(super) fn run(context: &Context, args: &SetArgs) -> anyhow::Result<()> {
    let settings = &context.globals.settings;
    crate::profile::store::check_name(&args.name)?;
    let place = args.store.map(Place::from);
    let only_moves = settings.is_empty()
        && place.is_some()
        && context
            .store
            .read_public(&args.name)?
            .is_some_and(|file| file.has_options());
    if settings.is_empty() && !only_moves {
        return Err(Failure::usage("there is nothing to set")
            .hint("give settings as flags, such as --base-url URL")
            .into());
    }
    check(settings)?;
    context.warn_of_stored_insecurity(&args.name);
    let (mut gone, mut dropped, mut now) = (Vec::new(), None, Settings::default());
    let new = context.store.update_in(&args.name, place, |file| {
        let before = file.settings();
        let new = before.is_empty();
        if new && args.update {
            return Err(context.store.unknown(&args.name));
        }
        if !only_moves && !args.update {
            let keys = before.iter().map(|(key, _)| key);
            gone = keys.filter(|key| settings.get(*key).is_none()).collect();
        }
        if !only_moves {
            let before = file.clone();
            file.set_settings(&args.name, settings, args.update);
            dropped = Some(before).filter(|before| !file.has_tokens_of(before));
            now = file.settings();
        }
        Ok::<_, ProfileError>(new)
    })?;
    let done = if new { "created" } else { "changed" };
    context
        .output
        .note(&format!("Profile {} {done}", args.name));
    if settings.get(Key::BaseUrl).is_some() {
        say_of_a_fhir_base(context, &args.name, &now);
    }
    if let Some(before) = &dropped {
        say_dropped(context, &args.name, before);
    }
    if !gone.is_empty() {
        let names: Vec<_> = gone.iter().map(|key| key.json()).collect();
        context.output.warn(&format!(
            "It no longer has {}. With --update, what is not given stays.",
            names.join(", ")
        ));
    }
    Ok(())
}

/// The path of FHIR is added to the base URL: one that ends in it already is a mistake that shows much later, as a 404.
fn say_of_a_fhir_base(context: &Context, name: &str, settings: &Settings) {
    let Some(base) = settings
        .get(Key::BaseUrl)
        .filter(|_| settings.get(Key::FhirUrlPath).is_none())
    else {
        return;
    };
    let Some((server, path)) = url::Url::parse(base)
        .ok()
        .as_ref()
        .and_then(urls::in_two_parts)
    else {
        return;
    };
    context.output.warn(&format!(
        "The path of FHIR (fhir/R4 unless --fhir-url-path names another) is added to this base URL, which seems to have \
         one already. Perhaps: medplum profile set {name} --update --base-url {server} --fhir-url-path {path}"
    ));
}

/// What is stored must be usable: a wrong URL is better refused today than at night in CI.
pub(super) fn check(settings: &Settings) -> Result<(), ProfileError> {
    let layers = Layers {
        flags: settings.clone(),
        ..Layers::default()
    };
    resolve::resolve("check", &layers)?;
    match settings.get(Key::AuthType) {
        Some(text) => text.parse::<AuthType>().map(drop),
        None => Ok(()),
    }
}
