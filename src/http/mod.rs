//! Bytes over the wire: one client with the network settings, no tokens, no FHIR, no redirects of its own.

pub mod body;
pub mod range;
pub mod retry;
pub mod trace;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::secret;
pub use body::Body;
pub use trace::Trace;

/// How to reach servers.
#[derive(Clone, Debug)]
pub struct Network {
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time without a byte.
    pub read_timeout: Duration,
    /// Longest time for one request with its answer.
    pub timeout: Option<Duration>,
    /// How often a request that may be repeated is repeated.
    pub retries: u32,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_cert: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            timeout: None,
            retries: 3,
            ca_cert: None,
            insecure: false,
        }
    }
}

/// One request as it goes out.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
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

/// Requests that got no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot connect to {}: {reason}", origin(url))]
    Connect { url: Box<Url>, reason: String },
    #[error("no answer from {} in time ({what})", secret::url_for_people(url))]
    Timeout { url: Box<Url>, what: String },
    #[error("the connection to {} broke: {reason}", secret::url_for_people(url))]
    Broken { url: Box<Url>, reason: String },
    #[error(
        "the answer of {} cannot be read: {reason}",
        secret::url_for_people(url)
    )]
    Encoding { url: Box<Url>, reason: String },
    #[error(
        "the answer of {} is larger than {limit} bytes",
        secret::url_for_people(url)
    )]
    TooLarge { url: Box<Url>, limit: usize },
    #[error("cannot use {what}: {reason}")]
    Setup { what: String, reason: String },
}

impl HttpError {
    /// Whether the request certainly did not reach the server.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Setup { .. })
    }
}

/// The client every request goes through.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    pub network: Network,
    pub trace: Arc<dyn Trace>,
}

impl Http {
    /// Builds the client.
    ///
    /// # Errors
    /// [`HttpError::Setup`] when the certificate file cannot be used.
    pub fn new(network: Network, trace: Arc<dyn Trace>) -> Result<Self, HttpError> {
        let setup = |what: &str, reason: String| HttpError::Setup {
            what: what.to_owned(),
            reason,
        };
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(network.connect_timeout)
            .read_timeout(network.read_timeout)
            .tcp_nodelay(true)
            .http1_only();
        if let Some(timeout) = network.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(path) = &network.ca_cert {
            let shown = path.display().to_string();
            let pem = std::fs::read(path).map_err(|error| setup(&shown, error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| setup(&shown, innermost(&error)))?;
            if certificates.is_empty() {
                return Err(setup(&shown, "it holds no PEM certificate".into()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if network.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        let client = builder
            .build()
            .map_err(|error| setup("the network settings", innermost(&error)))?;
        Ok(Self {
            client,
            network,
            trace,
        })
    }

    /// Sends one request once and returns when the answer's head is there.
    ///
    /// # Errors
    /// No connection, no answer in time, or a connection that broke.
    pub async fn send(&self, mut request: Request) -> Result<Response, HttpError> {
        let headers = &mut request.headers;
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "medplum/",
                env!("CARGO_PKG_VERSION")
            )));
        trace::request(&*self.trace, &request);
        let started = std::time::Instant::now();
        let url = request.url.clone();
        let mut outgoing = self
            .client
            .request(request.method, request.url)
            .headers(request.headers);
        if let Some(body) = request.body {
            outgoing = outgoing.body(body);
        }
        let answer = match outgoing.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = from_reqwest(error, &url);
                self.trace.line(1, &format!("< {error}"));
                return Err(error);
            }
        };
        trace::response(&*self.trace, &answer, started.elapsed());
        let status = answer.status();
        let headers = answer.headers().clone();
        Ok(Response {
            status,
            body: Body::new(answer, url.clone(), self.network.read_timeout),
            headers,
            url,
        })
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Sorts reqwest's errors by what a caller can do about them.
fn from_reqwest(error: reqwest::Error, url: &Url) -> HttpError {
    let error = error.without_url();
    let url = Box::new(url.clone());
    if error.is_connect() {
        let reason = innermost(&error);
        let text = chain(&error);
        let reason = if text.contains("dns error") {
            format!("the host name cannot be resolved ({reason})")
        } else if error.is_timeout() {
            "it does not answer (connection timed out)".to_owned()
        } else {
            reason
        };
        return HttpError::Connect { url, reason };
    }
    if error.is_timeout() {
        return HttpError::Timeout {
            url,
            what: innermost(&error),
        };
    }
    HttpError::Broken {
        url,
        reason: innermost(&error),
    }
}

/// The last cause of an error, where the operating system or TLS says what happened.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
