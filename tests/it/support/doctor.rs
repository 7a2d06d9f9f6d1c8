//! A FHIR server that says what it is, and what the doctor made of it.

use serde_json::{Value, json};

use super::{Answer, Medplum, Run, Server};

/// What the server's `/metadata` says.
pub const CAPABILITIES: &str = r#"{"resourceType":"CapabilityStatement","status":"active","fhirVersion":"4.0.1",
    "software":{"name":"Test"},"rest":[{"mode":"server","resource":[{"type":"Observation"},
    {"type":"Patient","interaction":[{"code":"read"},{"code":"search-type"}]}]}]}"#;

/// An empty search result.
pub const NOTHING_FOUND: &str = r#"{"resourceType":"Bundle","type":"searchset","total":0}"#;

/// Lets a server answer the doctor at `/fhir/R4`: metadata, SMART configuration with these fields, and a search.
pub fn speaks(server: &Server, smart: &Value) {
    let mut document = json!({"token_endpoint": server.url("/oauth2/token"), "capabilities": []});
    for (name, value) in smart.as_object().unwrap() {
        document[name] = value.clone();
    }
    let path = "/fhir/R4/.well-known/smart-configuration";
    let answer = Answer::new(200, "application/json", document.to_string());
    server.on("GET", path, answer);
    server.on("GET", "/fhir/R4/metadata", Answer::json(200, CAPABILITIES));
    server.on("GET", "/fhir/R4/Patient", Answer::json(200, NOTHING_FOUND));
}

/// The verdict of `medplum doctor -o json`, whose exit code is the process's.
#[track_caller]
pub fn examine(medplum: &Medplum, flags: &[&str]) -> Verdict {
    let mut args = vec!["doctor", "-p", "site", "-o", "json"];
    args.extend(flags);
    let run = medplum.run(args);
    let json = run.json();
    assert_eq!(json["exit"], run.code, "{run}");
    Verdict { json, run }
}

/// What the doctor said.
pub struct Verdict {
    pub json: Value,
    pub run: Run,
}

impl Verdict {
    /// The verdict, which must be that this step failed with this code and this cause.
    #[track_caller]
    pub fn blames(self, step: &str, code: i32, cause: &str) -> Self {
        let named = self.json["cause"].as_str().unwrap_or_default();
        assert!(
            named.contains(cause),
            "{cause:?} is not named\n{}",
            self.run
        );
        assert_eq!(self.json["candidates"], json!([]), "{}", self.run);
        self.failed(step, code)
    }

    /// The verdict, which must be that this step failed, with no cause but these candidates in this order.
    #[track_caller]
    pub fn suspects(self, step: &str, code: i32, candidates: &[&str]) -> Self {
        assert_eq!(self.json["cause"], Value::Null, "{}", self.run);
        let named: Vec<&str> = self.json["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        let mut from = 0;
        for candidate in candidates {
            let found = named[from..].iter().position(|one| one.contains(candidate));
            from += found.unwrap_or_else(|| panic!("{candidate:?} is not there\n{}", self.run)) + 1;
        }
        self.failed(step, code)
    }

    #[track_caller]
    fn failed(self, step: &str, code: i32) -> Self {
        assert_eq!(self.run.code, code, "{}", self.run);
        let last = self.json["steps"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["name"], &last["ok"]),
            (&json!(step), &json!(false)),
            "{}",
            self.run
        );
        self
    }

    /// The verdict, which must be that all is well.
    #[track_caller]
    pub fn finds_all_well(self) -> Self {
        assert_eq!(self.run.code, 0, "{}", self.run);
        assert_eq!(self.json["cause"], Value::Null, "{}", self.run);
        assert_eq!(
            self.json["steps"].as_array().unwrap().len(),
            9,
            "{}",
            self.run
        );
        self
    }

    /// What a step said.
    #[track_caller]
    pub fn detail(&self, step: &str) -> String {
        let steps = self.json["steps"].as_array().unwrap();
        let step = steps.iter().find(|one| one["name"] == step).unwrap();
        step["detail"].as_str().unwrap().to_owned()
    }
}
