//! The servers: a FHIR server that lies, the identity provider, and where lies lead to. Every path names the cell that it
//! is of, and a lie is answered as the honest endpoint would answer it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::document::Lead;
use crate::support::tls::Authority;
use crate::support::{Answer, Request, Server};

pub(super) struct World {
    servers: [Server; 3],
    pub(super) fhir_url: String,
    pub(super) idp_url: String,
    elsewhere_url: String,
    pub(super) ca: String,
    /// A client certificate and its key.
    pub(super) pair: String,
    /// The documents that the FHIR server serves, by cell.
    documents: Arc<Mutex<HashMap<String, Value>>>,
}

/// A request, where it came to, and what it is about there.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) origin: String,
    pub(super) request: Request,
}

impl World {
    pub(super) fn new() -> Self {
        let authority = Authority::new();
        let servers = [(); 3].map(|()| Server::start());
        let front = |server: &Server| {
            authority
                .front(server, &["localhost", "127.0.0.1"], 2100)
                .url("")
        };
        let [fhir_url, idp_url, elsewhere_url] = [0, 1, 2].map(|at| front(&servers[at]));
        let (certificate, key) = authority.pair(&["client"]);
        let world = Self {
            // Another host than that of the others.
            fhir_url: fhir_url.replace("localhost", "127.0.0.1"),
            idp_url,
            elsewhere_url,
            ca: authority.pem().to_owned(),
            pair: format!("{certificate}{key}"),
            documents: Arc::default(),
            servers,
        };
        world.serve();
        world
    }

    /// Serves a document for a cell from now on.
    pub(super) fn publish(&self, cell: &str, document: Value) {
        let mut documents = self.documents.lock().unwrap();
        documents.insert(cell.to_owned(), document);
    }

    fn serve(&self) {
        let documents = Arc::clone(&self.documents);
        let own = self.fhir_url.clone();
        self.servers[0].handler(move |request| fhir(request, &documents, &own));
        let all_pushed = Arc::<Mutex<HashMap<String, String>>>::default();
        for server in &self.servers {
            let documents = Arc::clone(&self.documents);
            let pushed = Arc::clone(&all_pushed);
            server.handler(move |request| endpoint(request, &documents, &pushed));
        }
        let elsewhere = self.elsewhere_url.clone();
        self.servers[1].handler(move |request| {
            let location = request.target.replace("/hop/", "/hopped/");
            let target = format!("{elsewhere}{location}");
            (location != request.target).then(|| Answer::redirect(307, &target))
        });
    }

    /// Where an endpoint of a cell is said to be.
    pub(super) fn url(&self, lead: Lead, cell: &str, field: &str) -> String {
        let rest = |kind: &str| format!("/{cell}/{kind}/{field}");
        match lead {
            Lead::Honest => format!("{}{}", self.idp_url, rest("honest")),
            Lead::OtherOrigin => format!("{}{}", self.fhir_url, rest("lie")),
            Lead::OtherPort => format!("{}{}", self.elsewhere_url, rest("lie")),
            Lead::Http => self.servers[1].url_as_localhost(&rest("plain")),
            Lead::Redirect => format!("{}{}", self.idp_url, rest("hop")),
        }
    }

    /// All requests so far, by cell.
    pub(super) fn came(&self) -> HashMap<String, Vec<Came>> {
        let mut came: HashMap<String, Vec<Came>> = HashMap::new();
        let origins = [&self.fhir_url, &self.idp_url, &self.elsewhere_url];
        for (server, origin) in self.servers.iter().zip(origins) {
            for request in server.requests() {
                let mut parts = request.path().split('/').skip(1);
                let cell = parts.find(|part| part.starts_with("cell-"));
                let cell = cell.unwrap_or("nobody's").to_owned();
                let is_plain = request.path().contains("/plain/");
                let origin = if is_plain {
                    server.url_as_localhost("")
                } else {
                    origin.clone()
                };
                came.entry(cell).or_default().push(Came { origin, request });
            }
        }
        came
    }
}

impl Came {
    /// Where it came to.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.origin, self.request.path())
    }

    /// Whether it holds nothing but a question; of the user's own header another rule says where it may go.
    pub(super) fn is_bare(&self) -> bool {
        let headers = ["Authorization", "DPoP", "Cookie"];
        let text = format!("{:?}", self.request).replace("key-of-ours", "");
        self.request.method == "GET"
            && headers
                .iter()
                .all(|name| self.request.header(name).is_none())
            && self.request.text().is_empty()
            && !self.request.target.contains('?')
            && !text.contains("of-ours")
    }

    /// Whether a person came with their browser, who brings no secret.
    pub(super) fn is_person(&self) -> bool {
        let text = format!("{:?}", self.request);
        let agent = self.request.header("User-Agent").unwrap_or_default();
        self.request.path().ends_with("/authorization_endpoint")
            && agent.starts_with("curl/")
            && self.request.method == "GET"
            && self.request.header("Authorization").is_none()
            && !text.contains("of-ours")
            && !text.contains("client_assertion")
    }
}

/// What the FHIR server answers.
fn fhir(request: &Request, documents: &Mutex<HashMap<String, Value>>, own: &str) -> Option<Answer> {
    let (cell, rest) = request.path().strip_prefix('/')?.split_once("/r4/")?;
    let text = match rest {
        ".well-known/smart-configuration" => documents.lock().unwrap()[cell].to_string(),
        "metadata" => r#"{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}"#.to_owned(),
        "$export" => {
            let status = format!("{own}/{cell}/r4/status");
            return Some(Answer::empty(202).header("Content-Location", &status));
        }
        "status" if request.method == "DELETE" => return Some(Answer::empty(202)),
        "status" => json!({"transactionTime": "2026-11-28T10:00:00Z", "request": "x",
            "requiresAccessToken": true, "output": [], "error": []})
        .to_string(),
        _ => match rest.strip_prefix("Patient/") {
            Some(id) => json!({"resourceType": "Patient", "id": id}).to_string(),
            None => json!({"resourceType": "Bundle", "type": "searchset", "total": 0}).to_string(),
        },
    };
    Some(Answer::json(200, text))
}

/// What an endpoint answers, honest or not.
fn endpoint(
    request: &Request,
    documents: &Mutex<HashMap<String, Value>>,
    pushed: &Mutex<HashMap<String, String>>,
) -> Option<Answer> {
    let path = request.path();
    let (cell, rest) = path.strip_prefix('/')?.split_once('/')?;
    let (_, field) = rest.split_once('/')?;
    let json = |status, value: Value| {
        let text = value.to_string();
        Some(Answer::new(status, "application/json", text))
    };
    match field {
        "token_endpoint" | "mtls_endpoint_aliases" => json(
            200,
            json!({"access_token": "access-token-of-ours", "token_type": "Bearer", "expires_in": 0,
                "refresh_token": "refresh-token-of-ours", "scope": "openid"}),
        ),
        "device_authorization_endpoint" => json(
            200,
            json!({"device_code": "device-code-of-ours", "user_code": "WDJB-MJHT",
                "expires_in": 60, "interval": 1, "verification_uri": "https://example.com/device"}),
        ),
        "introspection_endpoint" => json(200, json!({"active": true, "client_id": "client"})),
        "userinfo_endpoint" => json(200, json!({"sub": "7"})),
        "revocation_endpoint" => Some(Answer::empty(200)),
        "pushed_authorization_request_endpoint" => {
            let handle = format!("urn:pushed:{cell}");
            let mut pushed = pushed.lock().unwrap();
            pushed.insert(handle.clone(), request.text());
            json(201, json!({"request_uri": handle, "expires_in": 60}))
        }
        "authorization_endpoint" => Some(signed_in(request, pushed)),
        // It vouches for whatever the document says.
        "issuer/.well-known/openid-configuration" => {
            let mut document = documents.lock().unwrap().get(cell)?.clone();
            let own = document["issuer"].as_str()?.to_owned();
            for field in ["revocation_endpoint", "device_authorization_endpoint"] {
                document[field] = own.replace("/issuer", &format!("/{field}")).into();
            }
            json(200, document)
        }
        _ => None,
    }
}

/// Sends a person back with a code, as one who has signed in.
fn signed_in(request: &Request, pushed: &Mutex<HashMap<String, String>>) -> Answer {
    let pairs = |text: &str| -> HashMap<String, String> {
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        pairs.into_owned().collect()
    };
    let query = request.target.split_once('?');
    let mut asked = pairs(query.map_or("", |(_, query)| query));
    let handle = asked.get("request_uri").cloned().unwrap_or_default();
    if let Some(form) = pushed.lock().unwrap().get(&handle) {
        asked = pairs(form);
    }
    let (Some(back), Some(state)) = (asked.get("redirect_uri"), asked.get("state")) else {
        return Answer::empty(400);
    };
    Answer::redirect(302, &format!("{back}?code=code-of-ours&state={state}"))
}
