//! A small FHIR R4 server on loopback with generated patients: for trying the tool, teaching, and fast tests.

mod answer;
mod compartment;
mod export;
mod generate;
mod metadata;
mod random;
mod rest;
mod search;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod types;

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use answer::{Answer, Result, not_allowed, not_found};
use export::Jobs;
use store::Store;
use token::Tokens;

/// The largest request it takes.
const LARGEST_REQUEST: usize = 64 << 20;
const FHIR_PATH: &str = "fhir/R4";

/// What to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    pub patients: usize,
    /// The same seed and number of patients give the same data everywhere.
    pub seed: u64,
    /// How long tokens are good.
    pub token_lifetime: Duration,
    /// How many looks at an export's status find it running.
    pub polls: u32,
    pub resources_per_file: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            patients: 100,
            seed: 1,
            token_lifetime: Duration::from_secs(300),
            polls: 2,
            resources_per_file: 500,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Sandbox {
    base_url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What all requests share.
#[derive(Debug)]
struct Shared {
    port: u16,
    options: Options,
    store: RwLock<Store>,
    tokens: Mutex<Tokens>,
    jobs: Mutex<Jobs>,
}

/// Starts the server; it runs until it is shut down or dropped with its runtime.
///
/// # Errors
/// The port is taken.
pub async fn start(options: Options) -> io::Result<Sandbox> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let port = listener.local_addr()?.port();
    let shared = Arc::new(Shared {
        port,
        store: RwLock::new(generate::store(options.patients, options.seed)),
        tokens: Mutex::default(),
        jobs: Mutex::default(),
        options,
    });
    let router = Router::new().fallback(serve).with_state(shared);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        let _ = axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await;
    });
    Ok(Sandbox {
        base_url: format!("http://127.0.0.1:{port}/"),
        stop,
        task,
    })
}

impl Sandbox {
    /// `http://127.0.0.1:PORT/`
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The FHIR base below it.
    pub fn fhir_url_path(&self) -> &'static str {
        FHIR_PATH
    }

    /// The one client it knows.
    pub fn client_id(&self) -> &'static str {
        token::CLIENT_ID
    }

    /// That client's secret; no secret at all, since the server is on loopback and holds made-up data.
    pub fn client_secret(&self) -> &'static str {
        token::CLIENT_SECRET
    }

    /// Stops listening and lets running requests end, for a second at most.
    pub async fn shutdown(self) {
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(1), self.task)
            .await
            .is_err()
        {
            abort.abort();
        }
    }
}

/// A request with its body read.
struct Asked {
    /// `GET` for a HEAD, too: what is sent then is cut off below.
    method: String,
    /// `http://127.0.0.1:PORT`, or with localhost, as the client has it: to a client these are two servers.
    base_url: String,
    /// Without the slash before it.
    path_and_query: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether any Prefer header has a preference (RFC 7240).
    fn prefers(&self, preference: &str) -> bool {
        self.headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']))
            .any(|told| told.trim() == preference)
    }

    fn fhir_base(&self) -> String {
        format!("{}/{FHIR_PATH}", self.base_url)
    }
}

impl Shared {
    fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_to_change(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return Answer::outcome(413, "too-costly", "the request is too large").into_response();
    };
    let host = parts.headers.get("host").map(HeaderValue::as_bytes);
    let name = if host == Some(format!("localhost:{}", shared.port).as_bytes()) {
        "localhost"
    } else {
        "127.0.0.1"
    };
    let path = parts.uri.path().trim_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked {
        method: match parts.method.as_str() {
            "HEAD" => "GET".to_owned(),
            method => method.to_owned(),
        },
        base_url: format!("http://{name}:{}", shared.port),
        path_and_query: format!("{path}?{query}").trim_end_matches('?').to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
        body,
    };
    // A search or an export of many patients takes its time, and others go on meanwhile.
    let answered = tokio::task::spawn_blocking(move || {
        route(&shared, &asked, &path).unwrap_or_else(|refusal| refusal)
    });
    let failed = |_| Answer::outcome(500, "exception", "the sandbox failed");
    answered.await.unwrap_or_else(failed).into_response()
}

fn route(shared: &Shared, asked: &Asked, path: &str) -> Result {
    match path {
        "oauth2/token" => return token::issue(shared, asked),
        "auth/token" => return token::issue_like_bcda(shared, asked),
        _ => {}
    }
    let path = path
        .strip_prefix(FHIR_PATH)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .ok_or_else(|| not_found(&format!("there is nothing here; try /{FHIR_PATH}/metadata")))?
        .trim_matches('/');
    let is_open = ["metadata", ".well-known/smart-configuration"].contains(&path);
    if is_open && asked.method != "GET" {
        return Err(not_allowed(&asked.method, "GET"));
    }
    match path {
        "metadata" => return Ok(metadata::capability_statement(shared, asked)),
        ".well-known/smart-configuration" => return Ok(metadata::smart_configuration(asked)),
        _ => {}
    }
    let authorization = asked.header("authorization");
    if !token::is_allowed(shared, authorization) {
        return Err(answer::unauthorized(authorization));
    }
    export::serve(shared, asked, path).unwrap_or_else(|| rest::serve(shared, asked, path))
}
