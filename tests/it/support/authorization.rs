//! A strict authorization server: code grant with PKCE (RFC 6749 §4.1, RFC 7636), SMART's `aud`, id_tokens, refresh
//! tokens that serve once. What a browser would do there is `authorize`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::jwt::Jwt;
use super::oauth::basic;
use super::{Answer, Request, Server};

/// The client that every server knows unless told otherwise.
pub const PUBLIC_CLIENT: &str = "app-1";

/// An authorization server on a test server: `/oauth2/authorize`, `/oauth2/token`, and what SMART says of them.
#[derive(Clone, Debug)]
pub struct AuthorizationServer(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    origin: String,
    /// Client id and, of a confidential one, its secret and whether it stands in the body.
    client: (String, Option<(String, bool)>),
    /// Instead of a secret: the public key or the secret that signs client assertions.
    signer: Option<Value>,
    redirect_uris: Vec<String>,
    aud: String,
    lifetime: Value,
    granted: Option<String>,
    fields: Map<String, Value>,
    claims: Map<String, Value>,
    refresh_tokens: bool,
    failure: Option<Answer>,
    codes: HashMap<String, Code>,
    refreshable: Vec<String>,
    valid: Vec<String>,
    issued: usize,
    requests: Vec<Request>,
}

#[derive(Clone, Debug)]
struct Code {
    challenge: String,
    redirect_uri: String,
    nonce: Option<String>,
    scope: String,
}

impl AuthorizationServer {
    /// Mounts it; its FHIR base is `/fhir/R4`.
    pub fn on(server: &Server) -> Self {
        let origin = server.url("");
        let this = Self(Arc::new(Mutex::new(State {
            client: (PUBLIC_CLIENT.to_owned(), None),
            signer: None,
            redirect_uris: Vec::new(),
            aud: format!("{origin}/fhir/R4"),
            lifetime: json!(3600),
            granted: None,
            fields: Map::new(),
            claims: Map::new(),
            refresh_tokens: true,
            failure: None,
            codes: HashMap::new(),
            refreshable: Vec::new(),
            valid: Vec::new(),
            issued: 0,
            requests: Vec::new(),
            origin,
        })));
        let smart = json!({"issuer": server.url(""), "authorization_endpoint": server.url("/oauth2/authorize"),
            "token_endpoint": server.url("/oauth2/token"), "revocation_endpoint": server.url("/oauth2/revoke"),
            "code_challenge_methods_supported": ["S256"]});
        server.on(
            "GET",
            "/fhir/R4/.well-known/smart-configuration",
            Answer::new(200, "application/json", smart.to_string()),
        );
        let state = Arc::clone(&this.0);
        server.handler(move |request| match request.path() {
            "/oauth2/token" => Some(state.lock().unwrap().token_request(request)),
            "/oauth2/revoke" => Some(state.lock().unwrap().revoke(request)),
            _ => None,
        });
        this
    }

    fn with(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.0.lock().unwrap());
        self
    }

    /// Knows a confidential client instead, whose secret is in the Basic header or in the body.
    pub fn confidential(self, id: &str, secret: &str, in_body: bool) -> Self {
        self.with(|state| state.client = (id.into(), Some((secret.into(), in_body))))
    }

    /// Takes only client assertions, signed with this public JWK or, where it is a text, with this secret.
    pub fn asserting(self, signer: Value) -> Self {
        self.with(|state| state.signer = Some(signer))
    }

    /// Allows only these redirect URIs.
    pub fn redirect_uri(self, uri: &str) -> Self {
        self.with(|state| state.redirect_uris.push(uri.into()))
    }

    /// `expires_in` as it stands in the answers.
    pub fn lifetime(self, expires_in: Value) -> Self {
        self.with(|state| state.lifetime = expires_in)
    }

    /// Grants this scope, whatever was asked for.
    pub fn grants(self, scope: &str) -> Self {
        self.with(|state| state.granted = Some(scope.into()))
    }

    /// One more field in token answers, such as `patient`.
    pub fn field(self, name: &str, value: Value) -> Self {
        self.with(|state| drop(state.fields.insert(name.into(), value)))
    }

    /// A claim of id_tokens that differs from the right one, or one more.
    pub fn claim(self, name: &str, value: Value) -> Self {
        self.with(|state| drop(state.claims.insert(name.into(), value)))
    }

    /// Gives out no refresh tokens.
    pub fn without_refresh_tokens(self) -> Self {
        self.with(|state| state.refresh_tokens = false)
    }

    /// Answers every token request with this from now on; with `None` as it should.
    pub fn fail(&self, answer: Option<Answer>) {
        self.0.lock().unwrap().failure = answer;
    }

    /// Takes all access tokens back; refresh tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.0.lock().unwrap().valid.clear();
    }

    /// Takes all refresh tokens back.
    pub fn end_logins(&self) {
        self.0.lock().unwrap().refreshable.clear();
    }

    /// A refresh token that is good, as if from a login before.
    pub fn new_refresh_token(&self) -> String {
        self.0.lock().unwrap().new_refresh_token()
    }

    /// Whether a refresh token would be taken.
    pub fn knows_refresh_token(&self, token: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .refreshable
            .iter()
            .any(|good| good == token)
    }

    /// The token requests so far.
    pub fn token_requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Whether an `Authorization` header holds a good token.
    pub fn accepts(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let state = self.0.lock().unwrap();
        token.is_some_and(|token| state.valid.iter().any(|valid| valid == token))
    }

    /// What a browser does with the authorize URL: the person signs in and agrees. Gives the URL it is sent back to.
    #[track_caller]
    pub fn authorize(&self, url: &str) -> Url {
        let url = Url::parse(url).unwrap();
        let parameters = parameters(&url);
        let mut state = self.0.lock().unwrap();
        let code = state.check(&url, &parameters);
        let name = format!("c0de/{}+of=this", state.codes.len() + 1);
        let mut back = Url::parse(&code.redirect_uri).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &name)
            .append_pair("state", &parameters["state"])
            .append_pair("iss", &state.origin);
        state.codes.insert(name, code);
        back
    }

    /// The person says no.
    #[track_caller]
    pub fn refuse(&self, url: &str, error: &str, description: &str) -> Url {
        let url = Url::parse(url).unwrap();
        let parameters = parameters(&url);
        let code = self.0.lock().unwrap().check(&url, &parameters);
        let mut back = Url::parse(&code.redirect_uri).unwrap();
        back.query_pairs_mut()
            .append_pair("error", error)
            .append_pair("error_description", description)
            .append_pair("state", &parameters["state"]);
        back
    }
}

/// The query of a URL, in which nothing comes twice.
#[track_caller]
pub fn parameters(url: &Url) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    for (name, value) in url.query_pairs().into_owned() {
        assert!(
            parameters.insert(name.clone(), value).is_none(),
            "{name} came twice: {url}"
        );
    }
    parameters
}

impl State {
    #[track_caller]
    fn check(&self, url: &Url, parameters: &HashMap<String, String>) -> Code {
        let get = |name: &str| {
            parameters
                .get(name)
                .cloned()
                .unwrap_or_else(|| panic!("no {name} in {url}"))
        };
        assert_eq!(url.path(), "/oauth2/authorize");
        assert_eq!(get("response_type"), "code");
        assert_eq!(get("client_id"), self.client.0);
        assert_eq!(get("aud"), self.aud, "SMART: the FHIR base");
        assert_eq!(get("code_challenge_method"), "S256");
        // 122 bits in base64url are 21 characters.
        assert!(get("state").len() >= 21, "{url}");
        assert_eq!(
            URL_SAFE_NO_PAD.decode(get("code_challenge")).unwrap().len(),
            32
        );
        let scope = get("scope");
        let asks_for_id = scope.split(' ').any(|scope| scope == "openid");
        assert_eq!(parameters.contains_key("nonce"), asks_for_id, "{url}");
        let redirect_uri = get("redirect_uri");
        assert!(
            self.redirect_uris.is_empty() || self.redirect_uris.contains(&redirect_uri),
            "{redirect_uri} is not registered"
        );
        Code {
            challenge: get("code_challenge"),
            nonce: parameters.get("nonce").cloned(),
            redirect_uri,
            scope,
        }
    }

    fn token_request(&mut self, request: &Request) -> Answer {
        self.requests.push(request.clone());
        if let Some(failure) = &self.failure {
            return failure.clone();
        }
        self.token(request)
            .unwrap_or_else(|(status, error, words)| {
                let body = json!({"error": error, "error_description": words});
                Answer::new(status, "application/json", body.to_string())
            })
    }

    fn token(&mut self, request: &Request) -> Result<Answer, (u16, &'static str, &'static str)> {
        let form: HashMap<String, String> = request.form().into_iter().collect();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        self.check_client(request, &form)?;
        match field("grant_type").as_str() {
            "authorization_code" => {
                let code = self.codes.remove(&field("code")).ok_or((
                    400,
                    "invalid_grant",
                    "no such code",
                ))?;
                let verifier = field("code_verifier");
                if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != code.challenge
                    || !(43..=128).contains(&verifier.len())
                {
                    return Err((
                        400,
                        "invalid_grant",
                        "the verifier does not fit the challenge",
                    ));
                }
                if field("redirect_uri") != code.redirect_uri {
                    return Err((400, "invalid_grant", "another redirect_uri"));
                }
                Ok(self.answer(Some(&code)))
            }
            "refresh_token" => {
                let token = field("refresh_token");
                let Some(at) = self.refreshable.iter().position(|good| *good == token) else {
                    return Err((
                        400,
                        "invalid_grant",
                        "the refresh token is unknown or was used",
                    ));
                };
                self.refreshable.remove(at);
                Ok(self.answer(None))
            }
            _ => Err((400, "unsupported_grant_type", "code and refresh only")),
        }
    }

    fn check_client(
        &self,
        request: &Request,
        form: &HashMap<String, String>,
    ) -> Result<(), (u16, &'static str, &'static str)> {
        if let Some(signer) = &self.signer {
            return self.check_assertion(signer, request, form);
        }
        let in_header = request.header("Authorization").and_then(basic);
        let in_body = form.get("client_secret").cloned();
        let id = form.get("client_id").cloned();
        let (client_id, secret) = &self.client;
        let is_good = match (secret, in_header, in_body, id) {
            (None, None, None, Some(id)) => id == *client_id,
            // SMART: `client_id` in the form is for public clients only.
            (Some((secret, false)), Some(pair), None, None) => {
                pair == (client_id.clone(), secret.clone())
            }
            (Some((secret, true)), None, Some(given), Some(id)) => {
                given == *secret && id == *client_id
            }
            _ => {
                return Err((
                    401,
                    "invalid_client",
                    "no or two ways of client authentication",
                ));
            }
        };
        is_good
            .then_some(())
            .ok_or((401, "invalid_client", "unknown client or wrong secret"))
    }

    /// RFC 7523 §3, and no other proof beside the assertion.
    fn check_assertion(
        &self,
        signer: &Value,
        request: &Request,
        form: &HashMap<String, String>,
    ) -> Result<(), (u16, &'static str, &'static str)> {
        let refused = |words| (401, "invalid_client", words);
        if request.header("Authorization").is_some() || form.contains_key("client_secret") {
            return Err(refused("two ways of client authentication"));
        }
        let kind = form.get("client_assertion_type").map(String::as_str);
        if kind != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
            return Err(refused("no client assertion"));
        }
        let jwt = form
            .get("client_assertion")
            .and_then(|text| Jwt::parse(text).ok())
            .ok_or_else(|| refused("a broken assertion"))?;
        let is_signed = match signer.as_str() {
            Some(secret) => jwt.is_signed_with(secret),
            None => jwt.is_signed_by(signer),
        };
        let names_client = ["iss", "sub"].map(|claim| &jwt.claims[claim]);
        let is_good = is_signed
            && names_client == [&json!(self.client.0); 2]
            // For the endpoint that it came to, and no other.
            && jwt.claims["aud"] == format!("{}{}", self.origin, request.path());
        is_good
            .then_some(())
            .ok_or_else(|| refused("the assertion is not this client's"))
    }

    fn answer(&mut self, code: Option<&Code>) -> Answer {
        self.issued += 1;
        let token = format!("access-{}", self.issued);
        self.valid.push(token.clone());
        let mut body = json!({"access_token": token, "token_type": "Bearer"});
        if !self.lifetime.is_null() {
            body["expires_in"] = self.lifetime.clone();
        }
        if self.refresh_tokens {
            body["refresh_token"] = json!(self.new_refresh_token());
        }
        if let Some(code) = code {
            body["scope"] = json!(self.granted.clone().unwrap_or_else(|| code.scope.clone()));
            for (name, value) in &self.fields {
                body[name] = value.clone();
            }
            if let Some(nonce) = &code.nonce {
                body["id_token"] = json!(self.id_token(nonce));
            }
        }
        Answer::new(200, "application/json", body.to_string()).header("Cache-Control", "no-store")
    }

    fn id_token(&self, nonce: &str) -> String {
        let exp = jiff::Timestamp::now().as_second() + 600;
        let mut claims = json!({"iss": self.origin, "aud": self.client.0, "sub": "user-7", "exp": exp, "nonce": nonce});
        for (name, value) in &self.claims {
            claims[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "RS256", "kid": "1"});
        format!("{}.{}.c2lnbmF0dXJl", part(&header), part(&claims))
    }

    fn new_refresh_token(&mut self) -> String {
        self.issued += 1;
        let token = format!("r3fresh/{}+of=this", self.issued);
        self.refreshable.push(token.clone());
        token
    }

    fn revoke(&mut self, request: &Request) -> Answer {
        let form: HashMap<String, String> = request.form().into_iter().collect();
        if let Err((status, error, _)) = self.check_client(request, &form) {
            return Answer::new(
                status,
                "application/json",
                json!({"error": error}).to_string(),
            );
        }
        let token = form.get("token").cloned().unwrap_or_default();
        self.valid.retain(|good| *good != token);
        self.refreshable.retain(|good| *good != token);
        Answer::empty(200)
    }
}
