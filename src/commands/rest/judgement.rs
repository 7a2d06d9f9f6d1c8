//! An answer that says with a 200 that it was not done: the exit code is that of what it says.

use crate::exit::{FAILED, Failure, PARTIAL};
use crate::fhir::Answer;
use crate::fhir::result::JobResult;

/// Whether what was asked for was done, as far as the answer says.
pub(super) fn of(answer: &Answer) -> anyhow::Result<()> {
    let (code, result) = match JobResult::of_answer(answer) {
        JobResult::Done | JobResult::Silent(_) => return Ok(()),
        result @ JobResult::Failed(_) => (FAILED, result),
        result @ JobResult::Partial(_) => (PARTIAL, result),
    };
    let what = match code {
        PARTIAL => "a part of it was refused",
        _ => "it was refused",
    };
    let words = result.words().join("; ");
    let failure = Failure::new(
        code,
        format!(
            "the answer is {}, but says that {what}: {words}",
            answer.status
        ),
    );
    Err(failure
        .hint("the answer is on stdout, or in the file of --output")
        .into())
}
