//! `medplum token`

use clap::Args;

use crate::context::Context;

/// Print an access token that is good now, renewing it first if need be
#[derive(Args, Debug)]
pub struct TokenArgs {}

pub async fn run(context: &Context, _args: TokenArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let token = client.tokens.token().await?;
    context.output.line(token.access_token.expose())
}
