//! `medplum token`

use clap::Args;

use crate::context::Context;

/// Print an access token that is good now, renewing it first if need be
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 curl -H \"Authorization: Bearer $(medplum token -p example)\" https://api.example.com/fhir/R4/Patient")]
pub struct TokenArgs {}

pub async fn run(context: &Context, _args: TokenArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    let token = client.tokens.token().await?;
    if token.bound_to.is_some() {
        context.output.note(
            "This token is bound to a key of the profile (DPoP): it is of no use in another program",
        );
    }
    context.output.line(token.access_token.expose())
}
