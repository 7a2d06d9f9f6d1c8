//! The words of a report that its text and its page share: how it stands, its facts, numbers and times.

use std::time::Duration;

use crate::bulk::export::report::{Report, Standing};
use crate::words::{number_of, time};

/// What stands where there is no value.
pub(super) const NONE: &str = "-";

/// What the report is about.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Result", standing(report)),
        ("Server", report.fhir_base.clone()),
        ("Folder", report.folder.clone()),
        ("Level", report.level.clone()),
    ];
    let parameters = report.parameters.iter();
    let parameters: Vec<_> = parameters
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    if !parameters.is_empty() {
        facts.push(("Parameters", parameters.join("  ")));
    }
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("Kick-off", report.started.clone());
    add("Last event", report.ended.clone());
    add("Time", report.seconds.map(|time| seconds(Some(time))));
    add("As of", report.transaction_time.clone());
    facts
}

/// How the export stands, in a sentence.
pub(super) fn standing(report: &Report) -> String {
    let missing = report.total.missing;
    let all = report.total.files + missing;
    let errors = report.outcomes.errors;
    match report.result {
        Standing::Complete if errors > 0 => {
            format!(
                "complete, but the server reports {} in it",
                number_of(errors, "error")
            )
        }
        Standing::Complete => {
            "complete; files not read again, which `medplum bulk verify` does".to_owned()
        }
        Standing::Partial if missing == 0 => {
            let first = report.changed.first();
            let first = first.map(|one| format!("{}: {}", one.path, one.problem));
            format!(
                "was complete, but is not as it was: {}",
                first.unwrap_or_default()
            )
        }
        Standing::Partial => format!("partial: {missing} of {all} files are missing"),
        Standing::Interrupted => format!("interrupted: {missing} of {all} files are missing"),
        Standing::Waiting => "the server has not listed its files yet".to_owned(),
        Standing::Running => "a process works on it now".to_owned(),
        Standing::Unknown => "whether the server started a job is not known".to_owned(),
    }
}

/// A time, when it is known.
pub(super) fn seconds(seconds: Option<f64>) -> String {
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map_or_else(|| NONE.to_owned(), time)
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
