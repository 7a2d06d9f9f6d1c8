//! A token endpoint that takes assertions: SMART backend services and the jwt-bearer grant, to the letter.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::jwt::Jwt;
use super::{Answer, Request, Server};

const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Whom the endpoint knows and what it asks for.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub id: String,
    /// The public keys registered, as a JWKS.
    pub keys: Value,
    /// The secret, for jwt-bearer with HS256.
    pub secret: Option<String>,
    /// `iss` and `sub` of jwt-bearer assertions.
    pub user: Option<(String, String)>,
    /// What `aud` must be, word for word.
    pub audience: String,
    /// The algorithms that are taken; any when empty.
    pub algorithms: Vec<&'static str>,
    /// The JWKS URL registered: `jku` is this one or absent.
    pub key_url: Option<String>,
    /// A scope that must be asked for.
    pub scope: Option<&'static str>,
    /// The body of every refusal, where a vendor has its own.
    pub refusal: Option<&'static str>,
    /// How many seconds the endpoint's clock is ahead.
    pub clock: i64,
}

/// The endpoint. It gives out `token-1`, `token-2`, … and remembers every `jti`.
#[derive(Clone, Debug)]
pub struct Assertions(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    client: Client,
    seen: HashSet<String>,
    assertions: Vec<Jwt>,
    failures: Vec<Answer>,
    reasons: Vec<String>,
    issued: usize,
    lifetime: Duration,
    valid: Vec<(String, Instant)>,
}

impl Assertions {
    /// An endpoint at a path of a server. Without an audience, its own URL is the one.
    pub fn on(server: &Server, path: &str, client: Client) -> Self {
        let mut client = client;
        if client.audience.is_empty() {
            client.audience = server.url(path);
        }
        let state = State {
            client,
            seen: HashSet::new(),
            assertions: Vec::new(),
            failures: Vec::new(),
            reasons: Vec::new(),
            issued: 0,
            lifetime: Duration::from_secs(300),
            valid: Vec::new(),
        };
        let endpoint = Self(Arc::new(Mutex::new(state)));
        let (state, path) = (Arc::clone(&endpoint.0), path.to_owned());
        server.handler(move |request| {
            (request.path() == path).then(|| state.lock().unwrap().answer(request))
        });
        endpoint
    }

    /// Tokens are good for this many seconds from now on, and no longer.
    pub fn lifetime(&self, seconds: u64) {
        self.0.lock().unwrap().lifetime = Duration::from_secs(seconds);
    }

    /// Answers the next requests with these, after looking at the assertions.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = Answer>) {
        self.0.lock().unwrap().failures = failures.into_iter().collect();
    }

    /// Takes back all tokens given out so far.
    pub fn revoke(&self) {
        self.0.lock().unwrap().valid.clear();
    }

    /// The assertions so far.
    pub fn assertions(&self) -> Vec<Jwt> {
        self.0.lock().unwrap().assertions.clone()
    }

    /// The only assertion so far.
    #[track_caller]
    pub fn assertion(&self) -> Jwt {
        let mut assertions = self.assertions();
        assert_eq!(assertions.len(), 1, "{:?}", self.reasons());
        assertions.remove(0)
    }

    /// Why requests were refused.
    pub fn reasons(&self) -> Vec<String> {
        self.0.lock().unwrap().reasons.clone()
    }

    /// Whether an `Authorization` header holds a good token.
    pub fn accepts(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let state = self.0.lock().unwrap();
        let is_good = |(valid, until): &(String, Instant)| {
            Some(valid.as_str()) == token && *until > Instant::now()
        };
        state.valid.iter().any(is_good)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let checked = self.check(request);
        if !self.failures.is_empty() {
            return self.failures.remove(0);
        }
        match checked {
            Ok(()) => {
                self.issued += 1;
                let token = format!("token-{}", self.issued);
                let until = Instant::now() + self.lifetime;
                self.valid.push((token.clone(), until));
                let body = json!({"access_token": token, "token_type": "bearer", "expires_in": self.lifetime.as_secs()});
                Answer::new(200, "application/json", body.to_string())
            }
            Err((error, reason)) => {
                self.reasons.push(reason.clone());
                let own = json!({"error": error, "error_description": reason}).to_string();
                let body = self.client.refusal.map_or(own, str::to_owned);
                Answer::new(400, "application/json", body)
            }
        }
    }

    fn check(&mut self, request: &Request) -> Result<(), (&'static str, String)> {
        let invalid = |text: &str| Err(("invalid_request", text.to_owned()));
        if request.method != "POST"
            || request.header("Content-Type") != Some("application/x-www-form-urlencoded")
            || request.header("Accept") != Some("application/json")
            || request.header("Authorization").is_some()
        {
            return invalid("no form POST that accepts JSON and brings no other credentials");
        }
        let form = request.form();
        let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
        let field = |name: &str| {
            let found = form.iter().find(|(field, _)| field == name);
            found.map(|(_, value)| value.as_str())
        };
        let is_bearer = self.client.user.is_some();
        let mut expected = if is_bearer {
            vec!["grant_type", "client_id", "assertion"]
        } else {
            vec!["grant_type", "client_assertion_type", "client_assertion"]
        };
        expected.extend(names.contains(&"scope").then_some("scope"));
        if names.len() != expected.len() || !expected.iter().all(|name| names.contains(name)) {
            return invalid(&format!("fields {names:?}"));
        }
        let grant = field("grant_type");
        let assertion = if is_bearer {
            if (grant, field("client_id")) != (Some(JWT_BEARER), Some(self.client.id.as_str())) {
                return invalid("another grant type or client");
            }
            field("assertion")
        } else {
            if (grant, field("client_assertion_type"))
                != (Some("client_credentials"), Some(CLIENT_ASSERTION))
            {
                return invalid("another grant or assertion type");
            }
            field("client_assertion")
        };
        if let Some(wanted) = self.client.scope
            && !field("scope").is_some_and(|scope| scope.split(' ').any(|one| one == wanted))
        {
            return Err(("invalid_scope", format!("{wanted} is not asked for")));
        }
        let refused = if is_bearer {
            "invalid_grant"
        } else {
            "invalid_client"
        };
        let jwt = Jwt::parse(assertion.unwrap_or_default()).map_err(|reason| (refused, reason))?;
        self.assertions.push(jwt.clone());
        self.check_jwt(&jwt).map_err(|reason| (refused, reason))
    }

    fn check_jwt(&mut self, jwt: &Jwt) -> Result<(), String> {
        let client = &self.client;
        let (header, claims) = (&jwt.header, &jwt.claims);
        let algorithm = header["alg"].as_str().unwrap_or_default();
        if header["typ"] != "JWT" {
            return Err(format!("typ is {}", header["typ"]));
        }
        if !client.algorithms.is_empty() && !client.algorithms.contains(&algorithm) {
            return Err(format!("{algorithm} is not taken"));
        }
        if let Some(jku) = header.get("jku")
            && jku.as_str() != client.key_url.as_deref()
        {
            return Err(format!("jku is {jku}"));
        }
        let is_signed = if let Some(secret) = &client.secret {
            jwt.is_signed_with(secret)
        } else {
            let registered = client.keys["keys"].as_array().unwrap();
            let fits = |key: &&Value| key["kid"].is_string() && key["kid"] == header["kid"];
            let keys: Vec<&Value> = registered.iter().filter(fits).collect();
            if keys.len() != 1 {
                return Err(format!("{} keys with kid {}", keys.len(), header["kid"]));
            }
            jwt.is_signed_by(keys[0])
        };
        if !is_signed {
            return Err("the signature is not the client's".to_owned());
        }
        let own = (client.id.clone(), client.id.clone());
        let (issuer, subject) = client.user.clone().unwrap_or(own);
        if claims["iss"] != issuer.as_str() || claims["sub"] != subject.as_str() {
            return Err(format!("iss {} and sub {}", claims["iss"], claims["sub"]));
        }
        if claims["aud"] != client.audience.as_str() {
            return Err(format!("aud is {}", claims["aud"]));
        }
        let now = jiff::Timestamp::now().as_second() + client.clock;
        let exp = claims["exp"].as_i64().ok_or("exp is no whole number")?;
        if exp <= now || exp > now + 300 {
            return Err(format!("exp is {} s away", exp - now));
        }
        if claims["iat"].as_i64().is_some_and(|iat| iat > now) || claims.get("nbf").is_some() {
            return Err("iat lies ahead, or nbf is there".to_owned());
        }
        let jti = claims["jti"].as_str().unwrap_or_default();
        if jti.is_empty() || jti.len() > 151 || !self.seen.insert(jti.to_owned()) {
            return Err(format!("jti {jti:?} is none, too long or used before"));
        }
        Ok(())
    }
}
