//! The way of a request to what answers it, and what all requests share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::Response;

use super::answer::{self, Answer, Result, not_allowed, not_found};
use super::asked::Asked;
use super::export::{self, Jobs};
use super::store::Store;
use super::token::{self, Tokens};
use super::{FHIR_PATH, Options, metadata, rest};

/// The largest request it takes.
const LARGEST_REQUEST: usize = 64 << 20;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) port: u16,
    pub(super) options: Options,
    pub(super) store: RwLock<Store>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) jobs: Mutex<Jobs>,
}

impl Shared {
    pub(super) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store_to_change(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
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
