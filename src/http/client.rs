//! The client that every request goes through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderValue, USER_AGENT};
use url::Url;

use super::body::Body;
use super::clock;
use super::error::{HttpError, innermost};
use super::error_of_proxy::{asks_for_password, is_refusal_of_proxy};
use super::network::{ClientCertificate, Network};
use super::proxies::Proxies;
use super::proxy::Proxy;
use super::sorted::from_reqwest;
use super::trace::{self, Trace};
use super::{Request, Response};
use crate::{files, words};

/// The most headers of an answer; the parser's own limit is 100.
const MOST_HEADERS: usize = 1000;
/// All authorities that there are take some hundred kilobytes.
const LARGEST_BUNDLE: u64 = 16 << 20;

/// The client every request goes through.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    /// The same with the client's certificate; connections are not shared between the two.
    certified: Option<reqwest::Client>,
    proxies: Arc<Proxies>,
    pub network: Network,
    pub trace: Arc<dyn Trace>,
}

fn setup(what: &str, reason: String) -> HttpError {
    HttpError::Setup {
        what: what.to_owned(),
        reason,
    }
}

/// What all clients have in common.
fn builder(network: &Network) -> Result<reqwest::ClientBuilder, HttpError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(network.connect_timeout)
        .read_timeout(network.read_timeout)
        .tcp_nodelay(true)
        .http1_only()
        // What old gateways send and other clients read: folded lines (RFC 9112 §5.2 tells clients to unfold them), a blank
        // before the colon, a line without one, and more headers than the parser expects.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_max_headers(MOST_HEADERS);
    if let Some(timeout) = network.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(path) = &network.ca_cert {
        let shown = path.display().to_string();
        let pem = files::read_named(path, LARGEST_BUNDLE)
            .map_err(|error| setup(&shown, error.to_string()))?;
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
    Ok(builder)
}

/// What a client shows in TLS, for reqwest.
fn identity(certificate: &ClientCertificate) -> Result<reqwest::Identity, HttpError> {
    reqwest::Identity::from_pem(&certificate.pem).map_err(|error| {
        let shown = format!("the certificate {}", certificate.path.display());
        setup(&shown, innermost(&error))
    })
}

impl Http {
    /// Builds the client.
    ///
    /// # Errors
    /// [`HttpError::Setup`] when the certificate file cannot be used.
    pub fn new(network: Network, trace: Arc<dyn Trace>) -> Result<Self, HttpError> {
        let proxies = Arc::new(Proxies::from_environment());
        let build = |identity: Option<reqwest::Identity>| {
            let mut builder = builder(&network)?;
            if let Some(identity) = identity {
                builder = builder.identity(identity);
            }
            proxies
                .configure(builder)
                .build()
                .map_err(|error| setup("the network settings", innermost(&error)))
        };
        let client = build(None)?;
        let certified = match &network.client_cert {
            Some(certificate) => Some(build(Some(identity(certificate)?))?),
            None => None,
        };
        Ok(Self {
            client,
            certified,
            proxies,
            network,
            trace,
        })
    }

    /// The proxy that requests to this URL go through.
    pub fn proxy(&self, url: &Url) -> Option<&Proxy> {
        self.proxies.of(url)
    }

    /// The head of the answer. Interim answers are none: however many come, the limits go on.
    async fn head(
        &self,
        outgoing: reqwest::RequestBuilder,
        url: &Url,
    ) -> Result<reqwest::Response, HttpError> {
        let network = &self.network;
        let longest = network
            .timeout
            .unwrap_or(Duration::MAX)
            .min(network.read_timeout);
        match clock::within(longest, outgoing.send()).await {
            Some(answer) => answer.map_err(|error| from_reqwest(error, url, self.proxy(url))),
            None => Err(HttpError::Timeout {
                url: Box::new(url.clone()),
                what: format!("no answer within {}", words::time(longest)),
            }),
        }
    }

    /// Sends one request once and returns when the answer's head is there.
    ///
    /// # Errors
    /// No connection, no answer in time, or a connection that broke.
    pub async fn send(&self, mut request: Request) -> Result<Response, HttpError> {
        self.proxies.check(&request.url)?;
        let headers = &mut request.headers;
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "medplum/",
                env!("CARGO_PKG_VERSION")
            )));
        if let Some(pace) = &self.network.pace {
            pace.turn(&*self.trace).await;
        }
        trace::request(&*self.trace, &request);
        let started = Instant::now();
        let url = request.url.clone();
        let brings_secret = request.brings_secret;
        let client = match &self.certified {
            Some(certified) if request.shows_certificate => certified,
            _ => &self.client,
        };
        let mut outgoing = client
            .request(request.method, request.url)
            .headers(request.headers);
        if let Some(body) = request.body {
            outgoing = outgoing.body(body);
        }
        let answer = match self.head(outgoing, &url).await {
            Ok(answer) => answer,
            Err(error) => {
                self.trace.line(1, &format!("< {error}"));
                return Err(error);
            }
        };
        trace::response(&*self.trace, &answer, started.elapsed(), brings_secret);
        let status = answer.status();
        if let Some(proxy) = self.proxy(&url)
            && is_refusal_of_proxy(proxy, &answer, &url)
        {
            return Err(asks_for_password(proxy, &url));
        }
        let headers = answer.headers().clone();
        Ok(Response {
            status,
            body: Body::new(answer, url.clone(), self.network.read_timeout),
            headers,
            url,
        })
    }
}
