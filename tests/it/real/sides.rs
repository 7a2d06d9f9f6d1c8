//! The same command by the Medplum CLI and by this program, each on a machine of its own, against one recording server.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::medplum::tree;
use crate::support::{Answer, Medplum, Request, Run, Server};

/// What both clients use on these servers.
pub const CLIENT: [&str; 4] = ["--client-id", "cid", "--client-secret", "not-a-secret"];

/// Two users with the same settings, and the one server they both talk to.
pub struct Sides {
    pub server: Server,
    pub theirs: Medplum,
    pub ours: Medplum,
}

/// What both printed and left.
pub struct Both {
    pub theirs: Run,
    pub ours: Run,
}

impl Sides {
    /// Two users without profiles; the server has a token endpoint that takes whatever comes, and `Patient/1`.
    pub fn new() -> Self {
        let server = Server::start();
        let token = r#"{"access_token":"opaque-token","token_type":"bearer","expires_in":3600,"scope":"system/*.read"}"#;
        server.on(
            "POST",
            "/oauth2/token",
            Answer::new(200, "application/json", token),
        );
        let patient = r#"{"resourceType":"Patient","id":"1","active":true}"#;
        server.on("GET", "/fhir/R4/Patient/1", Answer::json(200, patient));
        let [theirs, ours] = [Medplum::new(), Medplum::new()];
        Self {
            server,
            theirs,
            ours,
        }
    }

    /// The same with the profile `site` of both in `~/.medplum`, as the Medplum CLI writes it.
    pub fn with_profile(auth_type: &str) -> Self {
        let sides = Self::new();
        for medplum in [&sides.theirs, &sides.ours] {
            sides.write_profile(medplum, auth_type);
        }
        sides
    }

    /// Writes the profile `site`.
    pub fn write_profile(&self, medplum: &Medplum, auth_type: &str) {
        let options = serde_json::json!({"name": "site", "authType": auth_type, "baseUrl": self.server.url("/"),
            "clientId": CLIENT[1], "clientSecret": CLIENT[3], "tokenUrl": self.server.url("/oauth2/token"),
            "scope": "system/*.read"});
        medplum.write_profile("site", &serde_json::json!({"options": options}));
    }

    /// Runs the same arguments on both sides, at the same time.
    pub fn run(&self, args: &[&str]) -> Both {
        let theirs = self.theirs.medplum_cli(args).spawn();
        let ours = self.ours.spawn(args);
        Both {
            theirs: theirs.finish(),
            ours: ours.finish(),
        }
    }

    /// The requests of the Medplum CLI so far, and ours: Node's HTTP library calls itself `node`.
    pub fn requests(&self) -> [Vec<Request>; 2] {
        let (theirs, ours) = self
            .server
            .requests()
            .into_iter()
            .partition(|request| request.header("User-Agent") == Some("node"));
        [theirs, ours]
    }

    /// Their requests as `GET /path`.
    pub fn their_lines(&self) -> Vec<String> {
        self.requests()[0].iter().map(Request::line).collect()
    }

    /// Our requests as `GET /path`.
    pub fn our_lines(&self) -> Vec<String> {
        self.requests()[1].iter().map(Request::line).collect()
    }

    /// Every difference between the two runs and what they sent and left, by its name: theirs, then ours.
    pub fn differences(&self, both: &Both) -> BTreeMap<String, (String, String)> {
        let mut found = BTreeMap::new();
        let mut compare = |name: &str, theirs: String, ours: String| {
            if theirs != ours {
                found.insert(name.to_owned(), (theirs, ours));
            }
        };
        let Both { theirs, ours } = both;
        compare("exit code", theirs.code.to_string(), ours.code.to_string());
        compare(
            "stdout",
            shown(&self.theirs, theirs),
            shown(&self.ours, ours),
        );
        let [their_requests, our_requests] = self.requests().map(|requests| by_place(&requests));
        let places = their_requests.keys().chain(our_requests.keys());
        for place in places {
            match (their_requests.get(place), our_requests.get(place)) {
                (Some(theirs), Some(ours)) => {
                    compare(
                        &format!("{place}: method"),
                        theirs.method.clone(),
                        ours.method.clone(),
                    );
                    compare(&format!("{place}: query"), query(theirs), query(ours));
                    compare(
                        &format!("{place}: path"),
                        theirs.path().to_owned(),
                        ours.path().to_owned(),
                    );
                    compare(&format!("{place}: body"), body(theirs), body(ours));
                    for (name, [theirs, ours]) in headers(theirs, ours) {
                        compare(&format!("{place}: {name}"), theirs, ours);
                    }
                }
                (theirs, ours) => compare(
                    place,
                    theirs.map_or("-", |_| "sent").to_owned(),
                    ours.map_or("-", |_| "sent").to_owned(),
                ),
            }
        }
        compare("files", files(&self.theirs), files(&self.ours));
        found
    }
}

/// stdout without the names of temporary folders and the order of what is done in parallel.
fn shown(medplum: &Medplum, run: &Run) -> String {
    let work = medplum.path("").display().to_string();
    let text = with_plain_uuids(&run.stdout.replace(&work, ""));
    if !text.contains(" is created") {
        return text;
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Names that are made by chance, by the order in which they come.
fn with_plain_uuids(text: &str) -> String {
    const PREFIX: &str = "urn:uuid:";
    let mut seen: Vec<&str> = Vec::new();
    let mut plain = text.to_owned();
    for (at, _) in text.match_indices(PREFIX) {
        let Some(uuid) = text.get(at..at + PREFIX.len() + 36) else {
            continue;
        };
        if !seen.contains(&uuid) {
            seen.push(uuid);
            plain = plain.replace(uuid, &format!("{PREFIX}{}", seen.len()));
        }
    }
    plain
}

/// Requests by what they are for, with a number from the second one on.
fn by_place(requests: &[Request]) -> BTreeMap<String, Request> {
    let mut places = BTreeMap::new();
    for request in requests {
        let place = match request.path() {
            "/oauth2/token" => "token request",
            "/fhir/R4/job" if request.method == "DELETE" => "deletion of the job",
            "/fhir/R4/job" => "status",
            path if path.ends_with("$export") => "kick-off",
            path if path.starts_with("/files/") => "file",
            _ => "request",
        };
        let mut name = place.to_owned();
        let mut number = 1;
        while places.contains_key(&name) {
            number += 1;
            name = format!("{place} {number}");
        }
        places.insert(name, request.clone());
    }
    places
}

fn query(request: &Request) -> String {
    let query = request.target.split_once('?').map(|(_, query)| query);
    let decoded = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    decoded
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&")
}

/// JSON without its spacing; anything else as it came.
fn body(request: &Request) -> String {
    match serde_json::from_slice::<Value>(&request.body) {
        Ok(json) => json.to_string(),
        Err(_) => request.text(),
    }
}

/// The headers of two requests but for those that HTTP libraries add of their own accord.
fn headers(theirs: &Request, ours: &Request) -> BTreeMap<String, [String; 2]> {
    const OF_LIBRARIES: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "user-agent",
        "accept-language",
        "accept-encoding",
        "sec-fetch-mode",
        "cache-control",
        "pragma",
    ];
    let mut both: BTreeMap<String, [String; 2]> = BTreeMap::new();
    for (side, request) in [theirs, ours].into_iter().enumerate() {
        for (name, value) in &request.headers {
            let name = name.to_lowercase();
            if !OF_LIBRARIES.contains(&name.as_str()) {
                let row = both
                    .entry(name)
                    .or_insert_with(|| ["-".to_owned(), "-".to_owned()]);
                row[side].clone_from(value);
            }
        }
    }
    both
}

/// What lies in the working folder, with its length; names with a dot are a program's own.
fn files(medplum: &Medplum) -> String {
    let work = medplum.path("");
    let named = tree(&work).into_iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix(&work).unwrap().display().to_string();
        let is_file = fs::metadata(&path).unwrap().is_file();
        (is_file && !name.contains("/.")).then(|| format!("{name} ({} bytes)", bytes.len()))
    });
    named.collect::<Vec<_>>().join(", ")
}
