//! `medplum sandbox`

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::output::Format;
use crate::sandbox::{self, Options, Sandbox};

/// Serve a small FHIR server with generated patients on this machine, for trying things
///
/// It listens on loopback only, forgets everything when it ends, and is no substitute for a real server.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum sandbox --patients 50 --seed 7")]
pub struct SandboxArgs {
    /// Port to listen on; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 8103)]
    port: u16,
    /// Number of patients
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    patients: u32,
    /// Seed: the same one gives the same data
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

pub async fn run(context: &Context, args: SandboxArgs) -> anyhow::Result<()> {
    let options = Options {
        port: args.port,
        patients: args.patients as usize,
        seed: args.seed,
        ..Options::default()
    };
    let server = sandbox::start(options).await.map_err(|error| {
        crate::exit::Failure::usage(format!("cannot listen on 127.0.0.1:{}: {error}", args.port))
            .hint("choose another port with --port, or any free one with --port 0")
    })?;
    if let Some(format @ (Format::Json | Format::Ndjson)) = context.output.format {
        let facts = json!({
            "baseUrl": server.base_url(),
            "fhirUrlPath": server.fhir_url_path(),
            "clientId": server.client_id(),
            "clientSecret": server.client_secret(),
        });
        match format {
            Format::Ndjson => context.output.line(&facts.to_string())?,
            _ => context.output.json(&facts.to_string())?,
        }
    } else {
        context.output.line(&format!(
            "A FHIR server with {} patients is at {}\n\nSet it up in another terminal:\n\n  medplum {}\n\nThen try:\n\n  medplum get -p sandbox 'Patient?_count=3'\n  medplum bulk export -p sandbox -e Group/all -d export\n\nCtrl-C ends it.",
            args.patients,
            join_path(&server),
            profile_set("sandbox", &server).join(" "),
        ))?;
    }
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for Ctrl-C")?;
    server.shutdown().await;
    Ok(())
}

/// The FHIR base, for people.
fn join_path(server: &Sandbox) -> String {
    format!(
        "{}/{}",
        server.base_url().trim_end_matches('/'),
        server.fhir_url_path()
    )
}

/// The command that makes a profile of a sandbox.
pub(super) fn profile_set(name: &str, server: &Sandbox) -> Vec<String> {
    [
        "profile",
        "set",
        name,
        "--base-url",
        server.base_url(),
        "--fhir-url-path",
        server.fhir_url_path(),
        "--client-id",
        server.client_id(),
        "--client-secret",
        server.client_secret(),
    ]
    .map(str::to_owned)
    .to_vec()
}
