//! A small FHIR R4 server on loopback with generated patients: for trying the tool, teaching, and fast tests.

mod answer;
mod export;
mod generate;
mod metadata;
mod random;
mod rest;
mod search;
mod store;
mod token;

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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
struct Shared {
    base_url: String,
    fhir_base: String,
    options: Options,
    store: Mutex<Store>,
    tokens: Mutex<Tokens>,
    jobs: Mutex<Jobs>,
}

/// Starts the server; it runs until it is shut down or dropped with its runtime.
///
/// # Errors
/// The port is taken.
pub async fn start(options: Options) -> io::Result<Sandbox> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let base_url = format!("http://{}/", listener.local_addr()?);
    let shared = Arc::new(Shared {
        fhir_base: format!("{base_url}{FHIR_PATH}"),
        base_url: base_url.clone(),
        store: Mutex::new(generate::store(options.patients, options.seed)),
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
        base_url,
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
    method: String,
    /// Below the FHIR base, without slashes at the ends; `None` outside of it.
    path: Option<String>,
    query: Vec<(String, String)>,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return answer::outcome(413, "too-costly", "the request is too large");
    };
    let whole_path = parts.uri.path().trim_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked {
        method: parts.method.to_string(),
        path: whole_path
            .strip_prefix(FHIR_PATH)
            .map(|path| path.trim_matches('/').to_owned()),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
        body: body.into(),
    };
    match (whole_path.as_str(), asked.path.as_deref()) {
        ("oauth2/token", _) => token::issue(&shared, &asked, false),
        // As BCDA has it: nothing but the Basic header is needed.
        ("auth/token", _) => token::issue(&shared, &asked, true),
        (_, Some("metadata")) => metadata::capability_statement(&shared),
        (_, Some(".well-known/smart-configuration")) => metadata::smart_configuration(&shared),
        (_, Some(path)) => {
            if !token::is_allowed(&shared, asked.header("authorization")) {
                return answer::unauthorized();
            }
            export::serve(&shared, &asked, path)
                .unwrap_or_else(|| rest::serve(&shared, &asked, path))
        }
        _ => answer::outcome(
            404,
            "not-found",
            "there is nothing here; the FHIR base is /fhir/R4",
        ),
    }
}

/// A lock whose holder cannot have left things half done: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
