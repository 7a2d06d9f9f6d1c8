//! An export server by the book (Bulk Data 3.0, export): it refuses whatever the book does not allow, and has knobs
//! for what real servers make of the book.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::medplum::{Invocation, tree};
use super::{Answer, Request, Run, Server, Site, TokenEndpoint};

/// Where the job's status is.
pub const STATUS: &str = "/fhir/R4/bulkstatus/1";

pub const PATIENTS: &str = r#"{"resourceType":"Patient","id":"1","active":true}
{"resourceType":"Patient","id":"2","multipleBirthInteger":2}
"#;
pub const OBSERVATIONS: &str = r#"{"resourceType":"Observation","id":"1","valueQuantity":{"value":1.00}}
{"resourceType":"Observation","id":"2","status":"final"}
"#;
pub const CONDITIONS: &str = r#"{"resourceType":"Condition","id":"1","code":{"text":"well"}}
"#;

/// A site that exports. The profile `site` is for it.
pub struct Bulk {
    site: Site,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    manifest: Value,
    status: VecDeque<Answer>,
    deleted: bool,
}

impl Deref for Bulk {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Bulk {
    /// A site with nothing to export.
    pub fn open() -> Self {
        Self::on(Site::open(), "/fhir/R4", STATUS)
    }

    /// A site with three files: patients, observations, conditions, each in a file named by its first letter.
    pub fn with_three_files() -> Self {
        let bulk = Self::open();
        bulk.file("output", "Patient", "/files/p", ndjson(PATIENTS));
        bulk.file("output", "Observation", "/files/o", ndjson(OBSERVATIONS));
        bulk.file("output", "Condition", "/files/c", ndjson(CONDITIONS));
        bulk
    }

    /// A site's export below this FHIR base, with its job's status at this path.
    pub fn on(site: Site, base: &'static str, status: &'static str) -> Self {
        let manifest = json!({
            "transactionTime": "2026-01-31T10:00:00.000Z",
            "request": site.server.url(&format!("{base}/$export")),
            "requiresAccessToken": true, "output": [], "deleted": [], "error": [],
        });
        let state = Arc::new(Mutex::new(State::default()));
        state.lock().unwrap().manifest = manifest;
        let status_url = site.server.url(status);
        site.server.handler(move |request| {
            let level = request.path().strip_prefix(base)?.strip_suffix("$export")?;
            let is_known = matches!(level, "/" | "/Patient/" | "/Group/all/");
            is_known.then(|| kick_off(request, &status_url))
        });
        let job = Arc::clone(&state);
        site.server.handler(move |request| {
            (request.path() == status).then(|| job.lock().unwrap().answer(request))
        });
        guard_files(&site.server, &state, &site.tokens);
        Self { site, state }
    }

    /// Another host for files.
    pub fn file_host(&self) -> Server {
        let host = Server::start();
        guard_files(&host, &self.state, &self.tokens);
        host
    }

    /// Changes the manifest.
    pub fn manifest(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.state.lock().unwrap().manifest);
    }

    /// What the manifest says now.
    pub fn manifest_text(&self) -> String {
        self.state.lock().unwrap().manifest.to_string()
    }

    /// Puts a file of this server into a list of the manifest.
    pub fn file(&self, list: &str, resource_type: &str, target: &str, answer: Answer) {
        let entry = json!({"type": resource_type, "url": self.server.url(target)});
        self.entry(list, entry);
        self.server.on("GET", target, answer);
    }

    /// Puts an entry into a list of the manifest.
    pub fn entry(&self, list: &str, entry: Value) {
        self.manifest(|manifest| manifest[list].as_array_mut().unwrap().push(entry));
    }

    /// What the status URL answers before it has the manifest.
    pub fn status(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().status.extend(answers);
    }

    /// Nothing more comes before the manifest.
    pub fn status_over(&self) {
        self.state.lock().unwrap().status.clear();
    }

    /// Exports the whole system into `out`, with these arguments more.
    pub fn command(&self, args: &[&str]) -> Invocation<'_> {
        let start = ["bulk", "export", "-p", "site", "-d", "out"];
        self.medplum.command(start.iter().chain(args))
    }

    /// The same, run to its end.
    #[track_caller]
    pub fn export(&self, args: &[&str]) -> Run {
        self.command(args).run()
    }

    /// The exported files by their paths in `out`, whole. Temporary files are among them; what an export keeps for
    /// itself and for readers (`design.md` §3) is not.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.files_in("out")
    }

    /// The same of another folder.
    pub fn files_in(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = self.medplum.path(folder);
        if !folder.exists() {
            return Vec::new();
        }
        let mut files = tree(&folder);
        files.retain(|(path, _)| path.is_file());
        let named = files.into_iter().map(|(path, bytes)| {
            let name = path.strip_prefix(&folder).unwrap();
            (name.to_str().unwrap().to_owned(), bytes)
        });
        let is_exported = |name: &str| {
            let kept = name.starts_with(".medplum-export/") && !name.contains(".part");
            !kept && name != "manifest.json" && name != "log.ndjson"
        };
        named.filter(|(name, _)| is_exported(name)).collect()
    }

    /// The names of [`Bulk::files`].
    pub fn names(&self) -> Vec<String> {
        self.files().into_iter().map(|(name, _)| name).collect()
    }

    /// How often an export was kicked off.
    pub fn kick_offs(&self) -> usize {
        let lines = self.server.lines();
        lines.iter().filter(|line| line.contains("$export")).count()
    }

    /// How often the job was deleted.
    pub fn deletes(&self) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|r| r.method == "DELETE").count()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        if self.deleted {
            return Answer::outcome(404, "not-found", "the job was deleted");
        }
        if request.method == "DELETE" {
            self.deleted = true;
            return Answer::empty(202);
        }
        if request.header("Accept") != Some("application/json") {
            return Answer::outcome(406, "not-supported", "a manifest is application/json");
        }
        self.status.pop_front().unwrap_or_else(|| {
            Answer::new(200, "application/json", self.manifest.to_string())
                .header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")
        })
    }
}

/// The answer to a kick-off. Headers are compared whole, as DPC does.
fn kick_off(request: &Request, status_url: &str) -> Answer {
    let content_type = request.header("Content-Type");
    let is_good = match request.method.as_str() {
        "GET" => request.body.is_empty() && content_type.is_none(),
        "POST" if content_type != Some("application/fhir+json") => false,
        "POST" => request.json()["resourceType"] == "Parameters",
        _ => false,
    };
    if !is_good
        || request.header("Accept") != Some("application/fhir+json")
        || request.header("Prefer") != Some("respond-async")
    {
        return Answer::outcome(400, "invalid", "that is no kick-off");
    }
    Answer::empty(202).header("Content-Location", status_url)
}

/// Files want a token exactly when the manifest says so: a signed URL fails with one, as at S3.
fn guard_files(server: &Server, state: &Arc<Mutex<State>>, tokens: &TokenEndpoint) {
    let (state, tokens) = (Arc::clone(state), tokens.clone());
    server.guard(move |request| {
        request.path().strip_prefix("/files/")?;
        let required = &state.lock().unwrap().manifest["requiresAccessToken"];
        let authorization = request.header("Authorization");
        if required == true || required == "true" {
            let refusal = || Answer::outcome(401, "login", "a good token is needed");
            (!tokens.accepts(authorization)).then(refusal)
        } else {
            let words = "<Error><Message>Only one auth mechanism allowed</Message></Error>";
            authorization.map(|_| Answer::new(400, "application/xml", words))
        }
    });
}

/// A file of an export.
pub fn ndjson(body: impl AsRef<[u8]>) -> Answer {
    Answer::new(200, "application/fhir+ndjson", body)
}

/// A line of an error file.
pub fn outcome(severity: &str) -> String {
    let words = format!("some {severity}");
    let issue = json!({"severity": severity, "code": "processing", "diagnostics": words});
    json!({"resourceType": "OperationOutcome", "issue": [issue]}).to_string() + "\n"
}

/// A job that is not done yet.
pub fn pending() -> Answer {
    Answer::empty(202).header("Retry-After", "1")
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
