//! The code that a device gets to show, and what the server says of it (RFC 8628 §3.1, §3.2).

use std::time::Duration;

use url::Url;

use super::super::AuthError;
use super::super::endpoints::Endpoint;
use super::super::refusal::refusal;
use super::super::request::TokenRequest;
use super::super::token_answer::TokenAnswer;
use super::super::whole::Whole;
use super::DeviceError;
use crate::foreign::Foreign;
use crate::http::Http;
use crate::secret::{self, Secret};

/// How long to wait between two questions when the server does not say (RFC 8628 §3.2).
pub(super) const USUAL_INTERVAL: Duration = Duration::from_secs(5);
/// A server that asks to be asked all the time is asked once a second.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// How long a code is good when the server does not say.
const USUAL_LIFE: Duration = Duration::from_secs(600);
/// No code is good for longer, whatever number stands there.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// A server that asks for longer waits is asked more often than that.
pub(super) const LONGEST_INTERVAL: Duration = Duration::from_secs(120);

/// What the server gave to begin with.
pub struct Code {
    /// What token requests name it by.
    pub(super) handle: Secret,
    /// What the person enters.
    pub(super) shown: Foreign,
    pub(super) at: Url,
    pub(super) complete: Option<Url>,
    pub(super) expires: Duration,
    pub(super) interval: Duration,
}

/// The device authorization request and its answer (RFC 8628 §3.1, §3.2).
pub(super) async fn ask(
    http: &Http,
    at: &Endpoint,
    request: TokenRequest,
) -> Result<Code, AuthError> {
    let url = at.url();
    let signed = request.signed().map(str::to_owned);
    let answer = Whole::of(http, request.into_http(at)).await?;
    let said = answer.read();
    if !answer.status.is_success() {
        return Err(refusal(url, answer.date_and_target(url), &said, signed));
    }
    Ok(Code::read(&said, url)?)
}

impl Code {
    /// The code in an answer.
    ///
    /// # Errors
    /// [`DeviceError::NoCode`] with what is missing.
    pub fn read(answer: &TokenAnswer, url: &Url) -> Result<Self, DeviceError> {
        let text = |key: &str| answer.text(key).map(str::to_owned);
        let no_code = |found: &str| DeviceError::NoCode {
            url: secret::url_for_people(url),
            found: found.to_owned(),
        };
        let needed = |key: &str| {
            let value = text(key).filter(|text| !text.is_empty());
            value.ok_or_else(|| no_code(&format!("no {key}")))
        };
        let seconds = |key: &str| {
            let value = answer.fields()?.get(key)?;
            let number = value
                .as_f64()
                .or_else(|| value.as_str()?.trim().parse().ok());
            Duration::try_from_secs_f64(number?).ok()
        };
        // Only what a person may follow is shown; a user or password before the host reads like another host.
        let web = |text: &str| {
            let url = Url::parse(text).ok();
            let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none();
            url.filter(|url| matches!(url.scheme(), "http" | "https") && is_bare(url))
        };
        // Google spells it another way.
        let at = text("verification_url").map_or_else(|| needed("verification_uri"), Ok)?;
        Ok(Self {
            handle: Secret::new(needed("device_code")?),
            shown: Foreign::new(&needed("user_code")?),
            at: web(&at).ok_or_else(|| no_code("verification_uri is no web address"))?,
            complete: text("verification_uri_complete").and_then(|text| web(&text)),
            expires: seconds("expires_in")
                .unwrap_or(USUAL_LIFE)
                .min(LONGEST_LIFE),
            interval: seconds("interval")
                .unwrap_or(USUAL_INTERVAL)
                .clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL),
        })
    }

    /// What the person enters.
    pub fn shown(&self) -> &Foreign {
        &self.shown
    }

    /// How long it is good.
    pub fn expires(&self) -> Duration {
        self.expires
    }
}
