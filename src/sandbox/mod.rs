//! A small FHIR R4 server on loopback with generated patients: for trying the tool, teaching, and fast tests.

mod answer;
mod asked;
mod compartment;
mod export;
mod generate;
mod metadata;
mod random;
mod rest;
mod search;
mod serve;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod types;

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use asked::Asked;
use serve::{Shared, serve};

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
