//! The server as a client sees it, over TCP.

mod export;
mod rest;
mod sign_in;

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::{Options, Sandbox, start};

const FHIR_JSON: &str = "application/fhir+json";
const FORM: &str = "application/x-www-form-urlencoded";

struct Server {
    sandbox: Sandbox,
    client: Client,
}

impl Server {
    async fn start(options: Options) -> Self {
        Self {
            sandbox: start(options).await.unwrap(),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn small() -> Self {
        let options = Options {
            patients: 12,
            polls: 0,
            ..Options::default()
        };
        Self::start(options).await
    }

    /// A request without credentials; paths are relative to the FHIR base.
    fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}fhir/R4/{path}", self.sandbox.base_url())
        };
        self.client
            .request(Method::from_bytes(method.as_bytes()).unwrap(), url)
    }

    fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let secret = Some(self.sandbox.client_secret());
        self.bare(method, path)
            .basic_auth(self.sandbox.client_id(), secret)
    }

    async fn get(&self, path: &str) -> Value {
        json_of(self.ask("GET", path).send().await.unwrap()).await
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Response {
        let request = self.ask(method, path).header("content-type", FHIR_JSON);
        request.body(body.to_owned()).send().await.unwrap()
    }

    fn kick_off(&self, path: &str) -> RequestBuilder {
        self.ask("GET", path)
            .header("prefer", "respond-async")
            .header("accept", FHIR_JSON)
    }

    /// Kicks off where no polls are asked for, and gives the manifest.
    async fn manifest(&self, path: &str) -> Value {
        let kicked_off = self.kick_off(path).send().await.unwrap();
        assert_eq!(kicked_off.status(), 202, "{path}");
        self.get(&header(&kicked_off, "content-location")).await
    }

    async fn token(&self, path: &str, form: &str) -> Response {
        let url = format!("{}{path}", self.sandbox.base_url());
        let request = self.client.post(url).header("content-type", FORM);
        request.body(form.to_owned()).send().await.unwrap()
    }
}

fn header(response: &Response, name: &str) -> String {
    let value = response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name}"));
    value.to_str().unwrap().to_owned()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// The types of a list of the manifest.
fn types(manifest: &Value, list: &str) -> Vec<String> {
    let items = manifest[list].as_array().unwrap();
    items
        .iter()
        .map(|item| item["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_many_at_once_and_ends_when_it_is_told_to_or_let_go() {
    let server = Server::small().await;
    let many = (0..200).map(|number| {
        let body = format!(r#"{{"resourceType":"Basic","id":"b{number}"}}"#);
        let request = server
            .ask("PUT", &format!("Basic/b{number}"))
            .header("content-type", FHIR_JSON);
        tokio::spawn(async move { request.body(body).send().await.unwrap().status().as_u16() })
    });
    for answer in futures_util::future::join_all(many).await {
        assert_eq!(answer.unwrap(), 201);
    }
    assert_eq!(server.get("Basic?_summary=count").await["total"], 200);
    let port: u16 = server
        .sandbox
        .base_url()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    server.sandbox.shutdown().await;
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
    let again = start(Options {
        port,
        patients: 0,
        ..Options::default()
    })
    .await
    .unwrap();
    assert!(
        start(Options {
            port,
            ..Options::default()
        })
        .await
        .is_err()
    );
    drop(again);
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it still listens");
}
