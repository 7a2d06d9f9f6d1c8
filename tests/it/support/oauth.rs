//! A strict OAuth token endpoint for the client-credentials grant (RFC 6749 §4.4).

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Answer, Request, Server};

/// The client that every endpoint knows unless told otherwise: the docs page's.
pub const CLIENT_ID: &str = "MY_CLIENT_ID";
/// The docs page's secret.
pub const CLIENT_SECRET: &str = "MY_CLIENT_SECRET";

/// A token endpoint. It gives out `token-1`, `token-2`, … and refuses whatever the RFC does not allow.
#[derive(Clone, Debug)]
pub struct TokenEndpoint(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    client: (String, String),
    lifetime: Value,
    extra: Map<String, Value>,
    pattern: String,
    failure: Option<Answer>,
    requests: Vec<Request>,
    issued: usize,
    valid: Vec<String>,
    refuse_all: bool,
}

impl TokenEndpoint {
    /// An endpoint at a path of a server, whose tokens live an hour.
    pub fn on(server: &Server, path: &str) -> Self {
        let endpoint = Self(Arc::new(Mutex::new(State {
            client: (CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned()),
            lifetime: json!(3600),
            extra: Map::new(),
            pattern: "token-{n}".to_owned(),
            failure: None,
            requests: Vec::new(),
            issued: 0,
            valid: Vec::new(),
            refuse_all: false,
        })));
        let (state, path) = (Arc::clone(&endpoint.0), path.to_owned());
        server.handler(move |request| {
            (request.path() == path).then(|| state.lock().unwrap().answer(request))
        });
        endpoint
    }

    /// Knows another client.
    pub fn client(self, id: &str, secret: &str) -> Self {
        self.0.lock().unwrap().client = (id.to_owned(), secret.to_owned());
        self
    }

    /// `expires_in` as it stands in the answers: a number, a string, or null to leave it out.
    pub fn lifetime(self, expires_in: Value) -> Self {
        self.0.lock().unwrap().lifetime = expires_in;
        self
    }

    /// One more field in the answers.
    pub fn field(self, name: &str, value: Value) -> Self {
        self.0.lock().unwrap().extra.insert(name.to_owned(), value);
        self
    }

    /// What tokens look like; `{n}` is their number.
    pub fn pattern(self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.0.lock().unwrap().pattern);
        self
    }

    /// Answers every request with this from now on.
    pub fn fail(&self, answer: Answer) {
        self.0.lock().unwrap().failure = Some(answer);
    }

    /// Gives tokens again after [`TokenEndpoint::fail`].
    pub fn recover(&self) {
        self.0.lock().unwrap().failure = None;
    }

    /// Takes back all tokens given out so far; new ones are good.
    pub fn revoke(&self) {
        self.0.lock().unwrap().valid.clear();
    }

    /// Lets no token be good any more, however new.
    pub fn refuse_all_tokens(&self) {
        self.0.lock().unwrap().refuse_all = true;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().requests.clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    /// Whether an `Authorization` header holds a good token. The scheme is case-sensitive, as at BCDA.
    pub fn accepts(&self, authorization: Option<&str>) -> bool {
        let state = self.0.lock().unwrap();
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        !state.refuse_all
            && token.is_some_and(|token| state.valid.iter().any(|valid| valid == token))
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        self.requests.push(request.clone());
        if let Some(failure) = &self.failure {
            return failure.clone();
        }
        match self.check(request) {
            Ok(()) => self.token(),
            Err((status, error, description)) => {
                let body = json!({"error": error, "error_description": description});
                Answer::new(status, "application/json", body.to_string())
            }
        }
    }

    fn check(&self, request: &Request) -> Result<(), (u16, &'static str, String)> {
        let invalid = |text: &str| (400, "invalid_request", text.to_owned());
        if request.method != "POST" || request.target.contains('?') {
            return Err(invalid("a token request is a POST without a query"));
        }
        if request
            .header("Content-Type")
            .map(str::to_lowercase)
            .as_deref()
            != Some("application/x-www-form-urlencoded")
        {
            return Err(invalid("the body is not form-urlencoded"));
        }
        let form = request.form();
        let field = |name: &str| {
            form.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let twice = form
            .iter()
            .enumerate()
            .any(|(at, (key, _))| form[..at].iter().any(|(earlier, _)| earlier == key));
        if twice {
            return Err(invalid("a parameter came twice"));
        }
        if field("grant_type").as_deref() != Some("client_credentials") {
            return Err((
                400,
                "unsupported_grant_type",
                "only client_credentials".to_owned(),
            ));
        }
        let in_header = request.header("Authorization").map(basic);
        let in_body =
            field("client_secret").map(|secret| (field("client_id").unwrap_or_default(), secret));
        let client = match (in_header, in_body) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "two ways of client authentication (RFC 6749 section 2.3)",
                ));
            }
            (Some(client), None) => client,
            (None, Some(client)) => Some(client),
            (None, None) => None,
        };
        // RFC 6749 §2.3.1 encodes id and secret before Basic; servers differ, so both spellings are good.
        let is_known =
            |client: (String, String)| client == self.client || decoded(&client) == self.client;
        if client.is_some_and(is_known) {
            return Ok(());
        }
        Err((
            401,
            "invalid_client",
            "unknown client or wrong secret".to_owned(),
        ))
    }

    fn token(&mut self) -> Answer {
        self.issued += 1;
        let token = self.pattern.replace("{n}", &self.issued.to_string());
        self.valid.push(token.clone());
        let mut body = json!({"access_token": token, "token_type": "bearer"});
        if !self.lifetime.is_null() {
            body["expires_in"] = self.lifetime.clone();
        }
        for (name, value) in &self.extra {
            body[name] = value.clone();
        }
        Answer::new(200, "application/json", body.to_string()).header("Cache-Control", "no-store")
    }
}

/// Id and secret of a Basic header.
pub fn basic(header: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn decoded((id, secret): &(String, String)) -> (String, String) {
    let decode = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .unwrap()
            .1
            .into_owned()
    };
    (decode(id), decode(secret))
}
