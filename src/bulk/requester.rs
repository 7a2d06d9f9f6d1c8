//! Who asks is part of a request: projects and tenants share a FHIR base, and what one of them began no other goes on
//! with. It is kept salted and hashed, beside what was asked for.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::fhir::Client;

/// The member of a request that says who asks.
const MEMBER: &str = "requester";
/// Parts of the names of headers that tell tenants apart. Others may differ from run to run.
const TENANT: [&str; 11] = [
    "tenant",
    "project",
    "organi",
    "account",
    "customer",
    "practice",
    "workspace",
    "partition",
    "facility",
    "realm",
    "site",
];

/// Adds who asks to a request that will be compared with one that is kept. An older version kept none, and nobody can
/// say who it was: then none is added.
pub fn put_into(request: &mut Value, client: &Client, kept: Option<&Value>) {
    let salt = match kept.map(|kept| kept.get(MEMBER)) {
        Some(None) => return,
        Some(Some(requester)) => requester["salt"].as_str().unwrap_or_default().to_owned(),
        None => format!("{:032x}", fastrand::u128(..)),
    };
    let who = who(client);
    let hash = hash(&format!("{salt}\n{who}"));
    if let Value::Object(members) = request {
        members.insert(MEMBER.into(), json!({"salt": salt, "hash": hash}));
    }
}

/// Whether whoever asked for what is kept is the one who asks now, as far as anybody can say.
pub fn is_same(client: &Client, kept: &Value) -> bool {
    let mut now = kept.clone();
    put_into(&mut now, client, Some(kept));
    now == *kept
}

/// Takes who asked over from a request that is kept.
pub fn keep_in(request: &mut Value, kept: &Value) {
    if let (Value::Object(members), Some(requester)) = (request, kept.get(MEMBER)) {
        members.insert(MEMBER.into(), requester.clone());
    }
}

/// Whether two requests differ in nothing but in who asks.
pub fn is_of_another(request: &Value, kept: &Value) -> bool {
    let without = |request: &Value| {
        let mut members = request.as_object().cloned().unwrap_or_default();
        let requester = members.shift_remove(MEMBER);
        (members, requester)
    };
    let ((one, by), (other, by_other)): ((Map<_, _>, _), (Map<_, _>, _)) =
        (without(request), without(kept));
    one == other && by != by_other
}

/// The client or user, the way of signing in, the tenant, and whose the requests are beside that.
fn who(client: &Client) -> String {
    let profile = &client.profile;
    let mut who = json!({
        "signsIn": client.tokens.kind(),
        "client": profile.client_id,
        "login": client.tokens.whose(),
    });
    let headers = profile.headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        TENANT.iter().any(|part| name.contains(part))
    });
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        json!([name.as_str(), value])
    });
    who["headers"] = headers.collect::<Vec<_>>().into();
    who.to_string()
}

fn hash(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_in_who_asks_only_when_all_else_is_equal() {
        let by = |base: &str, hash: &str| json!({"fhirBase": base, "requester": {"salt": "1", "hash": hash}});
        assert!(is_of_another(&by("a", "1"), &by("a", "2")));
        assert!(!is_of_another(&by("a", "1"), &by("a", "1")));
        assert!(!is_of_another(&by("a", "1"), &by("b", "2")));
        let mut request = json!({"fhirBase": "a"});
        keep_in(&mut request, &by("a", "3"));
        assert_eq!(request, by("a", "3"));
    }
}
