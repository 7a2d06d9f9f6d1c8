//! An assertion like the one that is sent, decoded, and held against what the server says.

use serde_json::Value;

use super::causes::{self, Finding, Rank};
use super::{Ending, Examination, Passed, Trouble, skipped};
use crate::exit;

pub(super) async fn check(examination: &mut Examination<'_>) -> Ending {
    let tokens = &examination.client.tokens;
    let none = || skipped(format!("none is sent with auth: {}", tokens.describe()));
    let Some(endpoints) = &examination.endpoints else {
        return Ok(none());
    };
    let request = tokens.rehearse(endpoints).await;
    let request = request.map_err(|error| Trouble::of(&error))?;
    let Some((header, claims)) = request.and_then(|request| request.assertion()) else {
        return Ok(none());
    };
    let detail = vec![
        format!("header {header}"),
        format!("claims {claims}"),
        "signature ********".to_owned(),
    ];
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let audience = text("aud");
    let named = examination.named_token_url.as_ref();
    let issuer = examination.document.issuer.get();
    if let Some(named) = named.filter(|url| url.as_str() != audience && issuer != Some(audience)) {
        let flag = if examination.client.profile.audience.is_some() {
            "--audience"
        } else {
            "--token-url"
        };
        examination.findings.push(Finding::new(
            Rank::Audience,
            format!(
                "aud: the assertion is for {audience}, but the token URL that the server names is {named}, and the two \
                 must be the same to the letter; take {flag} out of the profile"
            ),
        ));
    }
    let now = jiff::Timestamp::now().as_second();
    let left = claims
        .get("exp")
        .and_then(Value::as_i64)
        .unwrap_or_default()
        - now;
    if !(1..=300).contains(&left) {
        let what = format!("the assertion expires in {left} s");
        let cause = "exp: an assertion must be good for at most 300 s from now".to_owned();
        return Err(Trouble::new(exit::FAILED, what).because(cause));
    }
    if let Some(ahead) = examination.ahead {
        examination.findings.extend(causes::clock(&claims, ahead));
    }
    examination.assertion = Some((header, claims));
    Ok(Passed::Done(detail))
}
