//! Why a server's endpoints are not known, and what to try then.

use reqwest::StatusCode;

use crate::exit::{FAILED, NOT_ALLOWED, USAGE, Verdict};
use crate::foreign::Foreign;

/// Why a server's endpoints are not known.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("the token endpoint cannot be found out: {url} answered {status}{}", .words.as_ref().map(|words| format!(": {words}")).unwrap_or_default())]
    Failed {
        url: String,
        status: StatusCode,
        words: Option<String>,
    },
    #[error("{server} names no token endpoint ({})", .gaps.join("; "))]
    NothingFound {
        server: String,
        /// What each document lacks.
        gaps: Vec<String>,
        /// Whether an answer was no answer to the question, so that it proves nothing.
        is_strange: bool,
    },
    #[error(
        "{authorize} and {token} are different servers, and {authorize} does not say that they belong together"
    )]
    Mixed { authorize: String, token: String },
    #[error(
        "the server calls itself {issuer}, which does not say that {token} is its token endpoint"
    )]
    Borrowed { issuer: Foreign, token: String },
}

impl Verdict for DiscoveryError {
    fn verdict(&self) -> (u8, Option<String>) {
        match self {
            Self::Failed { .. } => (FAILED, Some("try again later, or name the endpoint with --token-url".into())),
            Self::NothingFound { .. } => (
                USAGE,
                Some("name it with --token-url, and check the base URL and --fhir-url-path".into()),
            ),
            Self::Borrowed { token, .. } => (
                NOT_ALLOWED,
                Some(format!("a server that takes another one's name may get the code for it; if you know that they belong together, name the token endpoint with --token-url {token}")),
            ),
            Self::Mixed { .. } => (
                NOT_ALLOWED,
                Some(
                    "a server that names another one's sign-in page gets the code for it; if you know that they belong \
                     together, name both with --authorize-url and --token-url"
                        .into(),
                ),
            ),
        }
    }
}
