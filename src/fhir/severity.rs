//! How bad an issue of an OperationOutcome is.

/// How bad an issue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    /// Nothing is wrong.
    Information,
}

impl Severity {
    /// Of an issue (FHIR R4, issue-severity; R5 has `success` too). What is none of the codes is no better than an error.
    pub fn of(code: Option<&str>) -> Self {
        match code {
            Some("warning") => Self::Warning,
            Some("information" | "success") => Self::Information,
            _ => Self::Error,
        }
    }

    /// Of a line of `outcome_words`, which begins with it.
    pub fn of_line(line: &str) -> Self {
        Self::of(line.split(' ').next())
    }
}
