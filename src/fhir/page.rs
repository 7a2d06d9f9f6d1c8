//! Bundles page by page: the `next` link followed as the server gave it, and never twice.

use std::collections::HashSet;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use url::Url;

use super::raw::Bundle;
use super::{Client, FhirError, TokenRule};
use crate::http::Request;
use crate::{secret, words};

/// The pages of a search or history, one request each.
#[derive(Debug)]
pub struct Pages<'a> {
    client: &'a Client,
    headers: HeaderMap,
    /// The first request, when it is no GET.
    first: Option<Request>,
    next: Option<Url>,
    seen: HashSet<Url>,
}

/// One page: the text as it came and where its entries are.
#[derive(Debug)]
pub struct Page {
    pub text: String,
    pub url: Url,
}

impl<'a> Pages<'a> {
    /// The pages that begin at a URL.
    pub fn new(client: &'a Client, first: Url, headers: HeaderMap) -> Self {
        Self {
            client,
            headers,
            first: None,
            next: Some(first),
            seen: HashSet::new(),
        }
    }

    /// The pages that begin with a request: a GET, or a search by POST (FHIR R4 §3.1.1.5), whose next pages are links too.
    pub fn beginning(client: &'a Client, first: Request) -> Self {
        let mut pages = Self::new(client, first.url.clone(), HeaderMap::new());
        pages.first = Some(first);
        pages
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// The server refused, the answer is no Bundle, or the links lead in a circle.
    pub async fn next(&mut self) -> Result<Option<Page>, FhirError> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        if !self.seen.insert(url.clone()) {
            return Err(FhirError::Loop {
                url: secret::url_for_people(&url),
            });
        }
        let request = self.first.take().unwrap_or_else(|| Request {
            headers: self.headers.clone(),
            ..Request::new(Method::GET, url)
        });
        let answer = self
            .client
            .read(request, TokenRule::OwnOrigins)
            .await?
            .checked()?;
        let content_type = answer.header(CONTENT_TYPE).unwrap_or_default().to_owned();
        let (url, body) = (answer.url, answer.body);
        let not_fhir = |found: String| FhirError::NotFhir {
            url: secret::url_for_people(&url),
            wanted: "a Bundle",
            found,
        };
        let Ok(text) = String::from_utf8(body.to_vec()) else {
            return Err(not_fhir("not UTF-8 text".into()));
        };
        let bundle = Bundle::parse(&text).map_err(|_| {
            not_fhir(
                words::of_text(&content_type, text.as_bytes())
                    .unwrap_or_else(|| "it is empty".into()),
            )
        })?;
        self.next = bundle.next_link().and_then(|link| url.join(link).ok());
        Ok(Some(Page { text, url }))
    }
}
