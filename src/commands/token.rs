//! `medplum token`

use clap::Args;
use serde_json::{Map, Value};

use crate::auth::Token;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::output::Format;

/// Print an access token that is good now, renewing it first if need be
///
/// With -o json also its type, until when it is good, and its scope. For another program:
/// `medplum token --header | curl -H @- URL`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n\
        \x20 medplum token -p example --header |\n\
        \x20     curl -H @- https://api.example.com/fhir/R4/Patient")]
pub struct TokenArgs {
    /// Print a whole header line, for `curl -H @-`: the token is then in no process list
    #[arg(long = "header")]
    as_header: bool,
}

pub async fn run(context: &Context, args: TokenArgs) -> anyhow::Result<()> {
    let client = context.fhir()?;
    if args.as_header {
        return header(context, &client.tokens).await;
    }
    let token = client.tokens.token().await?;
    // RFC 6749 appendix A.12. A login may come from another program's file.
    if !token
        .access_token
        .expose()
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte))
    {
        let problem = "the token holds characters that no token has, so it is not printed";
        return Err(Failure::new(exit::NOT_ALLOWED, problem)
            .hint("sign in again, or look at what gives the token")
            .into());
    }
    if token.bound_to.is_some() {
        context.output.note(
            "This token is bound to a key of the profile (DPoP): it is of no use in another program",
        );
    }
    match context.output.format {
        Some(Format::Json | Format::Ndjson) => {
            let about = about(&token).to_string();
            if context.output.format == Some(Format::Json) {
                context.output.json(&about)
            } else {
                context.output.line(&about)
            }
        }
        _ => context.output.line(token.access_token.expose()),
    }
}

/// The line that goes with a request; with the auth type `basic` its id and secret.
async fn header(context: &Context, tokens: &crate::auth::TokenSource) -> anyhow::Result<()> {
    let Some(authorization) = tokens.authorization().await? else {
        // Says why there is none.
        return tokens.token().await.map(drop).map_err(Into::into);
    };
    if authorization.header.as_bytes().starts_with(b"DPoP ") {
        return Err(Failure::usage(
            "the token is bound to a key of the profile (DPoP): each request has to be signed by it, so that a header alone \
             is of no use",
        )
        .hint("ask with `medplum get`, or get a token that is not bound with --dpop=false")
        .into());
    }
    let value = authorization.header.to_str()?;
    context.output.line(&format!("Authorization: {value}"))
}

/// A token as RFC 6749 §5.1 names its parts, with an instant in place of a lifetime.
fn about(token: &Token) -> Value {
    let kind = if token.bound_to.is_some() {
        "DPoP"
    } else {
        "Bearer"
    };
    let mut about = Map::new();
    about.insert("access_token".into(), token.access_token.expose().into());
    about.insert("token_type".into(), kind.into());
    if let Some((_, until)) = token.lifetime {
        let until = until.round(jiff::Unit::Second).unwrap_or(until);
        about.insert("expires_at".into(), until.to_string().into());
    }
    if let Some(scope) = &token.scope {
        about.insert("scope".into(), scope.as_str().into());
    }
    Value::Object(about)
}
