//! The errors that have a verdict, a line each, and how an error ends the program.

use std::error::Error;
use std::process::ExitCode;

use crate::auth::AuthError;
use crate::auth::keys::KeyError;
use crate::bulk::export::BulkError;
use crate::bulk::import::ImportError;
use crate::exit::{self, Failure, Judge, judge_of};
use crate::fhir::FhirError;
use crate::fhir::asynchronous::AsyncError;
use crate::http::HttpError;
use crate::output::{Closed, Output};
use crate::profile::ProfileError;

/// Every type whose errors reach the command line with a verdict of their own.
const JUDGES: &[Judge] = &[
    judge_of::<Failure>,
    judge_of::<BulkError>,
    judge_of::<ImportError>,
    judge_of::<AsyncError>,
    judge_of::<FhirError>,
    judge_of::<AuthError>,
    judge_of::<HttpError>,
    judge_of::<KeyError>,
    judge_of::<ProfileError>,
];

/// Prints an error with its hint and gives the exit code.
pub fn report(output: &Output, error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<Closed>().is_some() {
        return ExitCode::SUCCESS;
    }
    output.error(&words_of(error));
    let (code, hint) = exit::walk(error.chain(), JUDGES);
    if let Some(hint) = hint {
        output.hint(&hint);
    }
    ExitCode::from(code)
}

/// What failed and its causes, each said once: many an error has the words of its cause in its own.
pub fn words_of(error: &anyhow::Error) -> String {
    error
        .chain()
        .fold(String::new(), |words, cause| match cause.to_string() {
            cause if words.is_empty() => cause,
            cause if words.contains(&cause) => words,
            cause => format!("{words}: {cause}"),
        })
}

/// The exit code of an error by itself, and what to try next.
pub fn judge(error: &(dyn Error + 'static)) -> (u8, Option<String>) {
    exit::walk([error], JUDGES)
}
