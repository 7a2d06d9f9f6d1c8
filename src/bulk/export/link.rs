//! Where a file is and who gets the token there: a URL never goes without what the page that named it says of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::options::FileToken;
use crate::fhir::{Client, TokenRule};

/// The link to a file, as one page of a manifest gave it. Only such a page makes one, and only whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its text alone: thousands of them are held at a time.
    url: Box<str>,
    /// Whether the page says that the token goes with the request.
    requires_access_token: bool,
    /// The page's origin; none in the state of an older version.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageOrigin>,
}

/// The origin of a page, one for all of its links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PageOrigin(Arc<str>);

impl From<String> for PageOrigin {
    fn from(origin: String) -> Self {
        Self(origin.into())
    }
}

impl From<PageOrigin> for String {
    fn from(origin: PageOrigin) -> Self {
        origin.0.as_ref().to_owned()
    }
}

impl PageOrigin {
    /// The origin of a page.
    pub fn of(page: &Url) -> Self {
        page.origin().ascii_serialization().into()
    }
}

impl Link {
    /// A link that a page names; `None` when the text makes no web address. The fragment is no part of it (RFC 9110 §7.1).
    pub fn new(page: &Url, origin: &PageOrigin, text: &str) -> Option<Self> {
        let mut url = page.join(text).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        url.set_fragment(None);
        Some(Self {
            url: url.as_str().into(),
            requires_access_token: false,
            page: Some(origin.clone()),
        })
    }

    /// A link of a state.
    ///
    /// # Errors
    /// The text is no URL.
    pub(super) fn kept(
        url: Box<str>,
        requires_access_token: bool,
        page: Option<PageOrigin>,
    ) -> Result<Self, url::ParseError> {
        let url = match Url::parse(&url)? {
            parsed if parsed.as_str() == &*url => url,
            parsed => parsed.as_str().into(),
        };
        Ok(Self {
            url,
            requires_access_token,
            page,
        })
    }

    /// What its page says of the token, which may stand behind the list of files.
    pub fn require_token(&mut self, required: bool) {
        self.requires_access_token = required;
    }

    /// Where the file is.
    ///
    /// # Panics
    /// Never: the text was made from a URL, or was one when the state was read.
    pub fn url(&self) -> Url {
        Url::parse(&self.url).expect("the text of a URL is one")
    }

    /// The same as text.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// What the URL names: without what signs it, which changes from one reading to the next.
    pub fn identity(&self) -> String {
        identity(&self.url)
    }

    /// Whether the token goes with the first request. The manifest decides, not the host: signed URLs fail with a token,
    /// foreign ones that ask for it get it, but never in clear text when the server itself speaks https, and never because
    /// a page of another server says so, whatever the user wants for files. Nor because a folder says so, which may come
    /// from anywhere: what is not the profile's own gets the token from a page that was read in this run (`is_read`).
    pub fn token_rule(&self, client: &Client, wanted: FileToken, is_read: bool) -> TokenRule {
        let url = self.url();
        let secure = url.scheme() == "https" || client.profile.fhir_base.scheme() == "http";
        let page = self.page.as_ref().and_then(|page| Url::parse(&page.0).ok());
        let named_by_own = is_read && page.is_some_and(|page| client.is_own(&page));
        let may_have_it = named_by_own || client.is_own(&url);
        let wanted = match wanted {
            FileToken::Auto => self.requires_access_token,
            FileToken::Always => true,
            FileToken::Never => false,
        };
        if wanted && secure && may_have_it {
            TokenRule::FirstRequest
        } else {
            TokenRule::Never
        }
    }
}

/// Parameters that sign a URL and name nothing (S3, GCS, CloudFront, Azure, Akamai).
fn signs(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-amz-")
        || name.starts_with("x-goog-")
        || matches!(
            name.as_str(),
            "signature"
                | "sig"
                | "key-pair-id"
                | "policy"
                | "awsaccesskeyid"
                | "googleaccessid"
                | "hmac"
                | "hdnea"
                | "hdnts"
        )
}

/// Parameters that go with a signature, and may name something without one.
fn goes_with_a_signature(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "expires"
            | "se"
            | "st"
            | "sp"
            | "sr"
            | "sv"
            | "spr"
            | "sip"
            | "ske"
            | "skt"
            | "sks"
            | "skv"
            | "skoid"
            | "sktid"
    )
}

/// What a URL names, by the text that the parser made of it: thousands are compared, and none is parsed for it.
pub(super) fn identity(url: &str) -> String {
    let (bare, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let pairs: Vec<&str> = query.split('&').collect();
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let is_signed = pairs.iter().any(|pair| signs(&name(pair)));
    let mut kept: Vec<&str> = pairs
        .into_iter()
        .filter(|pair| {
            let name = name(pair);
            let is_signature = signs(&name) || is_signed && goes_with_a_signature(&name);
            !pair.is_empty() && !is_signature
        })
        .collect();
    kept.sort_unstable();
    format!("{scheme}://{host}{path}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        identity(
            Url::parse(&format!("https://h.example/{text}"))
                .unwrap()
                .as_str(),
        )
    }

    #[test]
    fn what_signs_a_url_is_no_part_of_what_it_names() {
        for (one, other) in [
            (
                "f?X-Amz-Date=1&X-Amz-Signature=2&part=1",
                "f?part=1&x-amz-date=3&x-amz-signature=4",
            ),
            ("f?sv=1&sr=b&sig=a&se=1", "f?sv=1&sr=b&sig=b&se=2"),
            (
                "f?Expires=1&Signature=2&Key-Pair-Id=3",
                "f?Expires=5&Signature=6&Key-Pair-Id=3",
            ),
            ("f?signature=2", "f"),
        ] {
            assert_eq!(of(one), of(other));
        }
        for (one, other) in [
            ("f?id=1", "f?id=2"),
            ("f?se=1", "f?se=2"),
            ("f?expires=1", "f?expires=2"),
            ("f?token=1", "f?token=2"),
            ("f", "F"),
            ("f?a=1&a=2", "f?a=1"),
        ] {
            assert_ne!(of(one), of(other));
        }
        for (url, name) in [
            (
                "https://u:p@h.example:8443?a=@",
                "https://h.example:8443/?a=@",
            ),
            ("http://h/a@b/c", "http://h/a@b/c?"),
        ] {
            assert_eq!(identity(Url::parse(url).unwrap().as_str()), name);
        }
    }
}
