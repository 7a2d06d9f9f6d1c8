//! `medplum get URL`

use clap::Args;
use reqwest::{Method, StatusCode};

use super::paged::{self, Wanted};
use super::{AnswerArgs, searched};
use crate::context::Context;
use crate::exit::Failure;
use crate::fhir::TokenRule;
use crate::http::Request;

/// Read a resource or search, and print what the server answers
///
/// URL is relative to the FHIR base (Patient/123, 'Patient?name=x'). With a slash in front, or admin/ or auth/, it is
/// relative to the base URL.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum get -p example 'Patient?name=smith'\n\
        \x20 medplum get -p example 'Observation?date=ge2026-01-01' --all \\\n\
        \x20     -o ndjson > observations.ndjson")]
pub struct GetArgs {
    /// What to read: `Patient/123`, `Patient?name=smith`, or a whole URL
    url: String,
    /// Follow the `next` links and print all resources: a Bundle, or one a line with -o ndjson
    #[arg(long)]
    all: bool,
    /// Turn the Bundle into a transaction that creates its resources elsewhere
    #[arg(long)]
    as_transaction: bool,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub async fn run(context: &Context, args: GetArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    if args.all || args.as_transaction {
        if args.answer.include {
            return Err(Failure::usage(
                "--include shows one answer, not the many of --all or --as-transaction",
            )
            .into());
        }
        let first = Request::new(Method::GET, client.url(&args.url)?);
        let wanted = Wanted {
            all: args.all,
            as_transaction: args.as_transaction,
            file: args.answer.output.as_deref(),
            ..Wanted::default()
        };
        let asked = first.url.clone();
        paged::print(context, &client, first, &asked, &wanted).await?;
        return Ok(());
    }
    let request = Request::new(Method::GET, client.url(&args.url)?);
    let asked = request.url.clone();
    let answer = client.read(request, TokenRule::OwnOrigins).await?;
    if answer.status.is_success() {
        searched::say(&context.output, &asked, &answer.body);
    }
    if answer.status == StatusCode::NOT_FOUND && args.url.starts_with('/') {
        let path = args.url.trim_start_matches('/');
        let note = "With a slash in front a path is below the base URL; below the FHIR base it is";
        context.output.note(&format!("{note} `{path}`"));
    }
    super::show(context, &args.answer, answer)
}
