//! The profile file as a test sees it: the Medplum CLI's format, read and written without the code under test.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Medplum;

impl Medplum {
    /// The file of a profile.
    pub fn profile_path(&self, name: &str) -> PathBuf {
        self.home().join(".medplum").join(format!("{name}.json"))
    }

    /// The file's text.
    #[track_caller]
    pub fn profile_text(&self, name: &str) -> String {
        let path = self.profile_path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The file's keys; every value must be a string.
    #[track_caller]
    pub fn profile_keys(&self, name: &str) -> Map<String, Value> {
        let text = self.profile_text(name);
        let keys: Map<String, Value> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("profile {name} is not an object: {error}: {text}"));
        assert!(
            keys.values().all(Value::is_string),
            "not a flat object of strings: {text}"
        );
        keys
    }

    /// One of the file's values that are JSON in a string; null when it is absent.
    #[track_caller]
    pub fn stored(&self, name: &str, key: &str) -> Value {
        match self.profile_keys(name).get(key) {
            Some(text) => serde_json::from_str(text.as_str().unwrap()).unwrap(),
            None => Value::Null,
        }
    }

    /// The settings in the file.
    #[track_caller]
    pub fn options(&self, name: &str) -> Value {
        self.stored(name, "options")
    }

    /// Writes a profile as the Medplum CLI does: `options` and the other values as JSON in strings.
    pub fn write_profile(&self, name: &str, values: &Value) {
        let keys: Map<String, Value> = values
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), json!(value.to_string())))
            .collect();
        self.write_profile_text(name, &serde_json::to_string_pretty(&keys).unwrap());
    }

    /// Writes a profile file as it is.
    pub fn write_profile_text(&self, name: &str, text: &str) {
        let path = self.profile_path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Moves the clock for stored tokens: every moment in the profile's `tokens` lies this many seconds earlier.
    /// Moments are numbers of the size of Unix seconds or milliseconds, or RFC 3339 text.
    pub fn age_tokens(&self, name: &str, seconds: i64) {
        let mut keys = self.profile_keys(name);
        let mut tokens = self.stored(name, "tokens");
        assert!(
            age(&mut tokens, seconds) > 0,
            "no moment is stored with the tokens of {name}"
        );
        keys["tokens"] = json!(tokens.to_string());
        fs::write(
            self.profile_path(name),
            serde_json::to_string(&keys).unwrap(),
        )
        .unwrap();
    }
}

fn age(value: &mut Value, seconds: i64) -> usize {
    match value {
        Value::Object(fields) => fields.values_mut().map(|field| age(field, seconds)).sum(),
        Value::Array(items) => items.iter_mut().map(|item| age(item, seconds)).sum(),
        Value::Number(number) => {
            let moment = number.as_f64().unwrap_or_default();
            let earlier = match moment {
                1e9..1e11 => moment - seconds as f64,
                1e12..1e14 => moment - 1000.0 * seconds as f64,
                _ => return 0,
            };
            *value = json!(earlier as i64);
            1
        }
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(moment) => {
                *text = (moment - jiff::SignedDuration::from_secs(seconds)).to_string();
                1
            }
            Err(_) => 0,
        },
        Value::Null | Value::Bool(_) => 0,
    }
}
