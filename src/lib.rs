//! `medplum`: a command-line client for FHIR servers. The modules stand in layer order: each imports only from above.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod signals;

pub mod files;
pub mod secret;

pub mod foreign;

pub mod words;

pub mod exit;

pub mod output;

pub mod profile;

pub mod http;

pub mod place;

pub mod auth;

pub mod fhir;

pub mod bulk;
pub mod sandbox;

pub mod verdicts;

pub mod doctor;

pub mod context;

pub mod flags;

pub mod commands;

pub mod cli;

use std::process::ExitCode;
use std::time::Duration;

/// Runs the command line to its exit code.
pub fn main() -> ExitCode {
    keep_no_core();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return verdicts::report(
                &cli.output(),
                &anyhow::Error::new(error).context("cannot start"),
            );
        }
    };
    let output = cli.output();
    let at_terminal = output.clone();
    signals::tell_by(move |text| at_terminal.note(text));
    let result = runtime.block_on(cli::run(cli, output.clone()));
    output.progress.clear();
    // A command that was interrupted may have left the renewal of a login under way.
    signals::wait_for_holds();
    // Tasks that were interrupted get the time to take their temporary files away; waiting for locks ends here.
    runtime.shutdown_timeout(Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => verdicts::report(&output, &error),
    }
}

/// A process that crashes leaves no picture of its memory: secrets are in it.
fn keep_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let none = Rlimit {
            current: Some(0),
            ..getrlimit(Resource::Core)
        };
        // To take less is always allowed.
        let _ = setrlimit(Resource::Core, none);
    }
}
