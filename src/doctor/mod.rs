//! A walk from the base URL to one read, step by step, that stops at the first step that fails and says why.

mod address;
mod assertion;
mod causes;
mod discovery;
mod environment;
mod fetch;
mod key;
mod metadata;
mod read;
mod scope;
mod tls;
mod token;

use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use crate::auth::discovery::document::Document;
use crate::auth::{Endpoints, SigningKey, Token};
use crate::fhir::Client;
use crate::verdicts;
use causes::Finding;
use fetch::Page;

/// The steps in their order.
const STEPS: [&str; 9] = [
    "address",
    "tls",
    "discovery",
    "key",
    "assertion",
    "token",
    "scope",
    "metadata",
    "read",
];

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Skipped,
    Failed,
}

/// One step that has ended.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: &'static str,
    pub outcome: Outcome,
    pub took: Duration,
    /// What was seen, in one line or more.
    pub detail: Vec<String>,
}

/// What the walk found out.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// The step that failed, if one did.
    pub failed: Option<&'static str>,
    /// What failed there, in one line.
    pub what: String,
    /// The cause, where it can be proved from here.
    pub cause: Option<String>,
    /// What it may be otherwise, the most likely first; from outside they look the same.
    pub candidates: Vec<String>,
    /// What looks wrong but did not stop anything.
    pub notes: Vec<String>,
    /// The exit code of the step that failed; 0 when all is well.
    pub exit: u8,
}

/// What a step that did not fail has to say.
enum Passed {
    Done(Vec<String>),
    Skipped(String),
}

/// Why a step failed.
#[derive(Debug)]
struct Trouble {
    code: u8,
    what: String,
    cause: Option<String>,
    candidates: Vec<String>,
}

/// How a step ends.
type Ending = Result<Passed, Trouble>;

/// What has been seen on the way so far.
#[derive(Debug)]
struct Examination<'a> {
    client: &'a Client,
    /// What to read in the last step, when the user said it.
    reading: Option<&'a str>,
    /// What `/metadata` gave without credentials.
    metadata: Option<Page>,
    /// `.well-known/smart-configuration`, or empty.
    document: Document,
    /// The token URL that the server itself names.
    named_token_url: Option<Url>,
    /// The endpoints in use.
    endpoints: Option<Endpoints>,
    /// How far the server's clock is ahead of this one, in seconds.
    ahead: Option<i64>,
    key: Option<SigningKey>,
    /// Header and claims of an assertion like the one that is sent.
    assertion: Option<(Value, Value)>,
    token: Option<Token>,
    /// What is proved to be wrong and explains a refusal by the token endpoint.
    findings: Vec<Finding>,
    notes: Vec<String>,
}

/// Examines how this client reaches its server. Each step is told to `seen` when it has ended. Secrets are sent only
/// after the address was found to be that of a FHIR server.
pub async fn examine(
    client: &Client,
    reading: Option<&str>,
    mut seen: impl FnMut(&Step),
) -> Diagnosis {
    let mut examination = Examination {
        client,
        reading,
        metadata: None,
        document: Document::default(),
        named_token_url: None,
        endpoints: None,
        ahead: None,
        key: None,
        assertion: None,
        token: None,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    let mut diagnosis = Diagnosis::default();
    for name in STEPS {
        let started = Instant::now();
        let ending = examination.step(name).await;
        let took = started.elapsed();
        let (outcome, detail) = match ending {
            Ok(Passed::Done(detail)) => (Outcome::Passed, detail),
            Ok(Passed::Skipped(reason)) => (Outcome::Skipped, vec![reason]),
            Err(trouble) => {
                diagnosis.failed = Some(name);
                diagnosis.what.clone_from(&trouble.what);
                diagnosis.cause = trouble.cause;
                diagnosis.candidates = trouble.candidates;
                diagnosis.exit = trouble.code;
                (Outcome::Failed, vec![trouble.what])
            }
        };
        seen(&Step {
            name,
            outcome,
            took,
            detail,
        });
        if outcome == Outcome::Failed {
            break;
        }
    }
    if diagnosis.cause.is_none() {
        let left = examination.findings.into_iter();
        diagnosis.notes.extend(left.map(|finding| finding.text));
    }
    diagnosis.notes.extend(examination.notes);
    diagnosis
}

impl Examination<'_> {
    async fn step(&mut self, name: &str) -> Ending {
        match name {
            "address" => address::check(self).await,
            "tls" => tls::check(self).await,
            "discovery" => discovery::check(self).await,
            "key" => key::check(self).await,
            "assertion" => assertion::check(self).await,
            "token" => token::check(self).await,
            "scope" => scope::check(self),
            "metadata" => metadata::check(self).await,
            _ => read::check(self).await,
        }
    }
}

impl Trouble {
    /// A failure with the exit code that the error has everywhere else.
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let (code, hint) = verdicts::judge(error);
        Self {
            code,
            what: error.to_string(),
            cause: None,
            candidates: hint.into_iter().collect(),
        }
    }

    fn new(code: u8, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            cause: None,
            candidates: Vec::new(),
        }
    }

    /// The same with its cause, which is proved.
    fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self.candidates.clear();
        self
    }

    /// The same with what it may be.
    fn perhaps(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }
}

fn done(detail: impl Into<String>) -> Passed {
    Passed::Done(vec![detail.into()])
}

fn skipped(reason: impl Into<String>) -> Passed {
    Passed::Skipped(reason.into())
}
