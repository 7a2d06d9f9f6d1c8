//! Bytes over the wire: one client with the network settings, no tokens, no FHIR, no redirects of its own.

pub mod body;
mod bypass;
mod client;
pub mod clock;
mod coding;
mod error;
mod error_of_proxy;
pub mod limit;
mod network;
pub mod pace;
mod proxies;
pub mod proxy;
pub mod range;
pub mod retry;
mod sorted;
pub mod trace;
pub mod unpack;
mod validator;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

pub use body::Body;
pub use client::Http;
pub use error::HttpError;
pub use network::{ClientCertificate, Network};
pub use trace::Trace;

/// One request as it goes out.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// Whether the server may see the client's certificate, when it asks for one.
    pub shows_certificate: bool,
    /// Whether the answer brings a token or a code, so that nothing of its headers is shown but what is known to be harmless.
    pub brings_secret: bool,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            shows_certificate: false,
            brings_secret: false,
        }
    }

    /// The request with a header more.
    #[must_use]
    pub fn header(
        mut self,
        name: impl reqwest::header::IntoHeaderName,
        value: HeaderValue,
    ) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The URL that answered.
    pub url: Url,
    pub body: Body,
}

impl Response {
    /// A header's value as text, when it has one.
    pub fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
