//! `medplum post URL BODY`, also for operations that the server does later

use clap::Args;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::write::{WriteArgs, prepare};
use super::{condition, shown};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::fhir::asynchronous::{self, Patience};
use crate::fhir::result::JobResult;
use crate::fhir::{TokenRule, accepted};

/// Create a resource, or start an operation
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum post -p example Encounter @encounter.json\n\
        \x20 medplum post -p example '$convert' - < parameters.json")]
pub struct PostArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Create only if this search finds nothing, such as 'identifier=sys|123'
    #[arg(long, value_name = "QUERY", value_parser = condition::query)]
    if_none_exist: Option<HeaderValue>,
    /// Ask for an asynchronous answer and wait for its result
    #[arg(long)]
    prefer_async: bool,
    /// With --prefer-async, print the status URL and do not wait
    #[arg(long, requires = "prefer_async")]
    no_wait: bool,
}

pub async fn run(context: &Context, args: PostArgs) -> anyhow::Result<()> {
    let (client, mut request) = prepare(context, Method::POST, &args.write)?;
    if let Some(query) = &args.if_none_exist {
        request = request.header(HeaderName::from_static("if-none-exist"), query.clone());
    }
    if !args.prefer_async {
        let answer = client.read(request, TokenRule::OwnOrigins).await?;
        return super::show(context, &args.write.answer, answer);
    }
    request
        .headers
        .append("prefer", HeaderValue::from_static("respond-async"));
    let answer = client.read(request, TokenRule::OwnOrigins).await?;
    if answer.status.as_u16() != 202 {
        // The server did it at once (RFC 7240 lets it), or refused.
        return super::show(context, &args.write.answer, answer);
    }
    let status_url = accepted::status_url(answer)?;
    if args.no_wait {
        return context.output.line(status_url.as_str());
    }
    context.output.note(&format!("Status URL: {status_url}"));
    let finished = asynchronous::wait(
        &client,
        &status_url,
        None,
        Patience::default(),
        |progress| {
            let words = progress.words.as_deref().unwrap_or("in progress");
            context
                .output
                .progress
                .say(&format!("{words} ({} s)", progress.elapsed.as_secs()));
        },
    )
    .await?;
    context.output.progress.clear();
    let result = finished.result();
    if matches!(result, JobResult::Silent(_)) && !is_other_data(finished.content_type()) {
        return Err(failed(&status_url, exit::FAILED, &result, "says nothing of it").into());
    }
    shown::body(context, args.write.answer.output.as_deref(), &finished.body)?;
    match result {
        JobResult::Done | JobResult::Silent(_) => Ok(()),
        JobResult::Failed(_) => {
            Err(failed(&status_url, exit::FAILED, &result, "says that it failed").into())
        }
        JobResult::Partial(_) => Err(failed(
            &status_url,
            exit::PARTIAL,
            &result,
            "says that a part of it failed",
        )
        .into()),
    }
}

/// Whether a result is of a kind that nobody here judges, such as CSV: an error page or a text is none.
fn is_other_data(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    !kind.is_empty() && !kind.ends_with("json") && !matches!(kind, "text/html" | "text/plain")
}

fn failed(status_url: &Url, code: u8, result: &JobResult, what: &str) -> Failure {
    Failure::new(
        code,
        format!(
            "the job ended, but its result {what}: {}",
            result.words().join("; ")
        ),
    )
    .hint(format!(
        "the result is at {}",
        crate::secret::url_for_people(status_url)
    ))
}
