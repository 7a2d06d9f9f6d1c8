//! `medplum delete URL`

use clap::Args;
use reqwest::Method;
use reqwest::header::{HeaderValue, IF_MATCH};

use super::{AnswerArgs, condition};
use crate::context::Context;
use crate::fhir::TokenRule;
use crate::http::Request;

/// Delete a resource
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum delete -p example Patient/123")]
pub struct DeleteArgs {
    /// Relative to the FHIR base, as for get
    url: String,
    /// Delete only this version, such as 3 or 'W/"3"'
    #[arg(long, value_name = "ETAG", value_parser = condition::etag)]
    if_match: Option<HeaderValue>,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub async fn run(context: &Context, args: DeleteArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let mut request = Request::new(Method::DELETE, client.url(&args.url)?);
    if let Some(version) = args.if_match {
        request = request.header(IF_MATCH, version);
    }
    let answer = client.read(request, TokenRule::OwnOrigins).await?;
    super::show(context, &args.answer, answer)
}
