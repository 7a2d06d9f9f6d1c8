//! A FHIR server in memory that takes Bundles and single writes, and says of each whether it was done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Answer, Request, Server};

/// What the server holds: texts by `Type/id`, and how often each was written.
#[derive(Debug, Default)]
pub struct Held {
    pub texts: BTreeMap<String, String>,
    pub writes: BTreeMap<String, usize>,
    next: usize,
}

/// How the server sees things.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub struct Rules {
    /// `Type/id` that it refuses with 422.
    pub refused: BTreeSet<String>,
    /// Whether what is pointed at has to be there.
    pub checks_references: bool,
    /// Whether a client may not choose ids.
    pub refuses_ids: bool,
    /// Whether the ids it gives are numbers, so that those of other resources look the same.
    pub counts: bool,
    /// Whether it says nowhere but in the resource under which id that lies now.
    pub echoes: bool,
    /// Types it does not know.
    pub unknown_types: BTreeSet<String>,
}

/// A running server with `/fhir/R4`.
pub struct Store {
    pub server: Server,
    held: Arc<Mutex<Held>>,
    rules: Arc<Rules>,
    known: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    request: Asked,
    full_url: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    method: String,
    url: String,
    if_none_exist: Option<String>,
}

impl Store {
    /// A server that takes everything.
    pub fn open() -> Self {
        Self::with(Rules::default())
    }

    /// A server with rules.
    pub fn with(rules: Rules) -> Self {
        let server = Server::start();
        let held = Arc::new(Mutex::new(Held::default()));
        let rules = Arc::new(rules);
        let store = Self {
            server,
            held,
            rules,
            known: Arc::default(),
        };
        let does = store.does();
        store.server.handler(does);
        store
    }

    /// What the server does with a request, for a guard that does it and says something else.
    pub fn does(&self) -> impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static {
        let (held, rules) = (Arc::clone(&self.held), Arc::clone(&self.rules));
        let known = Arc::clone(&self.known);
        move |request| {
            let mut rules = Rules::clone(&rules);
            for kind in known.lock().unwrap().iter() {
                rules.unknown_types.remove(kind);
            }
            answer(&mut held.lock().unwrap(), &rules, request)
        }
    }

    /// Lets the server know a type from now on.
    pub fn allow(&self, kind: &str) {
        self.known.lock().unwrap().insert(kind.to_owned());
    }

    /// The flags of a command that goes to this server.
    pub fn flags(&self) -> [String; 2] {
        ["--base-url".to_owned(), self.server.url("/")]
    }

    /// The text of a resource, as it came.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let held = self.held.lock().unwrap();
        held.texts
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not among {:?}", held.texts.keys()))
            .clone()
    }

    /// The names of all resources.
    pub fn names(&self) -> Vec<String> {
        self.held.lock().unwrap().texts.keys().cloned().collect()
    }

    /// How often each was written.
    pub fn writes(&self) -> BTreeMap<String, usize> {
        self.held.lock().unwrap().writes.clone()
    }

    /// The Bundles that came, each with its entries' requests as `PUT Patient/1`.
    pub fn bundles(&self) -> Vec<Vec<String>> {
        let requests = self.server.requests_to("/fhir/R4");
        requests.iter().map(lines_of).collect()
    }
}

/// The requests of a Bundle as `PUT Patient/1`.
pub fn lines_of(request: &Request) -> Vec<String> {
    let bundle = request.json();
    let entries = bundle["entry"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                entry["request"]["method"].as_str().unwrap(),
                entry["request"]["url"].as_str().unwrap()
            )
        })
        .collect()
}

fn answer(held: &mut Held, rules: &Rules, request: &Request) -> Option<Answer> {
    let path = request.target.strip_prefix("/fhir/R4")?;
    if path.is_empty() || path == "/" {
        let text = request.text();
        let bundle: Bundle = match serde_json::from_str(&text) {
            Ok(bundle) => bundle,
            Err(error) => return Some(Answer::outcome(400, "structure", &error.to_string())),
        };
        let mut responses = Vec::new();
        let before = (held.texts.clone(), held.writes.clone());
        let (mut places, mut written) = (BTreeMap::new(), Vec::new());
        for entry in &bundle.entry {
            let asked = &entry.request;
            let (status, location, said) = write(
                held,
                rules,
                &asked.method,
                &asked.url,
                asked.if_none_exist.as_deref(),
                entry.resource.map(RawValue::get),
            );
            if bundle.kind == "transaction" && status >= 400 {
                (held.texts, held.writes) = before;
                return Some(Answer::outcome(status, "processing", &said));
            }
            let mut response = format!(r#"{{"response":{{"status":"{status}""#);
            let name = location.as_deref().map(name_of);
            written.extend(name.clone());
            if let (Some(urn), Some(name)) = (&entry.full_url, &name) {
                places.insert(urn.clone(), name.clone());
            }
            if let Some(location) = location.filter(|_| !rules.echoes) {
                let _ = write!(response, r#","location":"{location}""#);
            }
            if status >= 400 {
                let outcome = json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing", "diagnostics": said}]});
                let _ = write!(response, r#","outcome":{outcome}"#);
            }
            response.push('}');
            if asked.method == "GET" && status == 200 {
                let _ = write!(response, r#","resource":{said}"#);
            } else if let (true, Some(name)) = (rules.echoes, name) {
                let _ = write!(response, r#","resource":{}"#, echo(&name));
            }
            response.push('}');
            responses.push(response);
        }
        let kind = &bundle.kind;
        if kind == "transaction" {
            // The server leads references within one (FHIR R4 §3.1.0.11.2).
            for name in written {
                let Some(text) = held.texts.get(&name).cloned() else {
                    continue;
                };
                let led = places.iter().fold(text, |text, (urn, name)| {
                    text.replace(
                        &format!("\"reference\":\"{urn}\""),
                        &format!("\"reference\":\"{name}\""),
                    )
                });
                held.texts.insert(name, led);
            }
        }
        return Some(Answer::json(
            200,
            format!(
                r#"{{"resourceType":"Bundle","type":"{kind}-response","entry":[{}]}}"#,
                responses.join(",")
            ),
        ));
    }
    let url = &path[1..];
    let body = (!request.body.is_empty()).then(|| request.text());
    let (status, location, said) = write(
        held,
        rules,
        &request.method,
        url,
        request.header("If-None-Exist"),
        body.as_deref(),
    );
    let name = location.as_deref().map(name_of);
    let answer = match (status, name) {
        (400.., _) => Answer::outcome(status, "processing", &said),
        (_, Some(name)) if rules.echoes => Answer::json(status, echo(&name).to_string()),
        _ => Answer::json(status, said),
    };
    Some(match location.filter(|_| !rules.echoes) {
        Some(location) => answer.header("Location", &location),
        None => answer,
    })
}

/// `Type/id` of a location.
fn name_of(location: &str) -> String {
    let path = location.split("/_history").next().unwrap();
    let start = path.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    path[start..].to_owned()
}

fn echo(name: &str) -> Value {
    let (kind, id) = name.split_once('/').unwrap();
    json!({"resourceType": kind, "id": id})
}

type Done = (u16, Option<String>, String);

fn write(
    held: &mut Held,
    rules: &Rules,
    method: &str,
    url: &str,
    if_none_exist: Option<&str>,
    text: Option<&str>,
) -> Done {
    let refuse = |status: u16, said: &str| (status, None, said.to_owned());
    let kind = url.split(['/', '?']).next().unwrap();
    if rules.unknown_types.contains(kind) {
        return refuse(404, &format!("{kind} is not known here"));
    }
    match method {
        "GET" if url.contains('?') => {
            return (
                200,
                None,
                json!({"resourceType": "Bundle", "type": "searchset"}).to_string(),
            );
        }
        "GET" => {
            return match held.texts.get(url) {
                Some(text) => (200, None, text.clone()),
                None => refuse(404, "not found"),
            };
        }
        "DELETE" => {
            return match held.texts.remove(url) {
                Some(_) => (204, None, String::new()),
                None => refuse(404, "not found"),
            };
        }
        _ => {}
    }
    let text = text.unwrap();
    let json: Value = serde_json::from_str(text).unwrap();
    if let Some(target) = url.strip_suffix("/$validate") {
        let severity = if json["bad"] == true {
            "error"
        } else {
            "information"
        };
        return (200, None, json!({"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "invalid", "diagnostics": target}]}).to_string());
    }
    let kind = json["resourceType"].as_str().unwrap();
    let own = format!("{kind}/{}", json["id"].as_str().unwrap_or_default());
    if rules.refused.contains(&own) {
        return refuse(422, &format!("{own} is not wanted"));
    }
    if rules.checks_references
        && let Some(missing) = references(&json)
            .into_iter()
            .find(|name| !held.texts.contains_key(name))
    {
        return refuse(
            409,
            &format!("{own} points at {missing}, which is not here"),
        );
    }
    let query = if_none_exist.or_else(|| url.split_once('?').map(|(_, query)| query));
    let found = query.and_then(|query| find(held, kind, query));
    let name = match (method, found) {
        ("POST", Some(name)) => return (200, Some(format!("{name}/_history/1")), String::new()),
        ("PUT", Some(name)) => name,
        ("PUT", None) if query.is_none() => {
            if rules.refuses_ids && !held.texts.contains_key(url) {
                return refuse(405, "clients choose no ids here");
            }
            assert_eq!(url, own, "a PUT to another id than the resource's");
            url.to_owned()
        }
        _ => {
            held.next += 1;
            let new = if rules.counts { "" } else { "new-" };
            format!("{kind}/{new}{}", held.next)
        }
    };
    let is_new = held.texts.insert(name.clone(), text.to_owned()).is_none();
    *held.writes.entry(name.clone()).or_default() += 1;
    (
        if is_new { 201 } else { 200 },
        Some(format!("http://here/fhir/R4/{name}/_history/1")),
        String::new(),
    )
}

/// Finds by `identifier=system|value`.
fn find(held: &Held, kind: &str, query: &str) -> Option<String> {
    // An escaped bar is a part of the value (FHIR R4 §3.1.1.4.1.7).
    let query = query.replace("%5C%7C", "\u{1}").replace("%7C", "|");
    let query = query.replace("%3A", ":").replace("%2F", "/");
    let (system, value) = query.strip_prefix("identifier=")?.split_once('|')?;
    let value = value.replace('\u{1}', "|");
    let same = |text: &str| {
        let json: Value = serde_json::from_str(text).unwrap();
        json["identifier"].as_array().is_some_and(|all| {
            all.iter()
                .any(|one| one["system"] == system && one["value"] == value)
        })
    };
    let prefix = format!("{kind}/");
    let found = held
        .texts
        .iter()
        .find(|(name, text)| name.starts_with(&prefix) && same(text));
    found.map(|(name, _)| name.clone())
}

/// Every `Type/id` that a resource points at.
pub fn references(json: &Value) -> Vec<String> {
    match json {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("reference", Value::String(text)) if !text.starts_with('#') => vec![text.clone()],
                _ => references(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
