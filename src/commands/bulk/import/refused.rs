//! The verdict on an import of which not everything is on the server, and what to do about it.

use super::watcher::Watcher;
use crate::bulk::import::settle::report::Report;
use crate::exit::{self, Failure};

/// Something was refused, or it is not known what became of it.
pub(super) fn partial(report: &Report, is_validation: bool, watcher: &Watcher) -> Failure {
    let total = report.total();
    let mut parts = Vec::new();
    if total.refused_by_server() > 0 {
        let word = if is_validation {
            "not valid"
        } else {
            "refused by the server"
        };
        parts.push(format!(
            "{} of {} resources were {word}",
            total.refused_by_server(),
            total.all()
        ));
    }
    if total.held_back > 0 {
        parts.push(format!(
            "{} of {} resources cannot be sent, and never were",
            total.held_back,
            total.all()
        ));
    }
    if total.unknown > 0 {
        parts.push(format!(
            "of {} it is not known whether they are there",
            total.unknown
        ));
    }
    let failure = Failure::new(exit::PARTIAL, parts.join(", and "));
    let (Some(rejects), Some(outcomes)) = (&report.rejects, &report.outcomes) else {
        return failure;
    };
    let (name, reasons) = (rejects.display(), outcomes.display());
    if is_validation {
        return failure.hint(format!("the reasons are in {reasons}, the lines in {name}"));
    }
    let first = if total.unknown > 0 {
        "look the unknown ones up first, then "
    } else {
        ""
    };
    let how = if watcher.saw_numeric_ids() {
        // HAPI keeps ids of digits alone for itself.
        "with `--method conditional`: this server gives ids that are numbers itself"
    } else {
        "and the same flags"
    };
    failure.hint(format!(
        "the reasons are in {reasons}; {first}try again with `medplum bulk import {name}` {how}"
    ))
}
