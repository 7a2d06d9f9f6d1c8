//! Scopes: the smallest that serves, the spelling that a server has, and which of those asked for are missing.

use super::Token;
use super::discovery::Found;
use crate::http::Http;
use crate::profile::Profile;

/// The scopes asked for that were not granted. An answer without `scope` granted all of them (RFC 6749 §5.1).
pub fn missing(asked: &str, token: &Token) -> Vec<String> {
    let Some(granted) = &token.scope else {
        return Vec::new();
    };
    let granted: Vec<&str> = granted.split_whitespace().collect();
    asked
        .split_whitespace()
        .filter(|scope| !granted.iter().any(|other| covers(other, scope)) && !is_met(scope, token))
        .map(str::to_owned)
        .collect()
}

/// The smallest of a server's scopes for clients by themselves that serves: to read all types, or to write them too.
pub fn smallest(writes: bool, supported: &[String]) -> Option<String> {
    let has = |scope: &str| supported.iter().any(|known| known == scope);
    let sets: &[&[&str]] = if writes {
        &[
            &["system/*.cruds"],
            &["system/*.*"],
            &["system/*.rs", "system/*.cud"],
            &["system/*.read", "system/*.write"],
        ]
    } else {
        &[
            &["system/*.rs"],
            &["system/*.read"],
            &["system/*.cruds"],
            &["system/*.*"],
        ]
    };
    if let Some(set) = sets.iter().find(|set| set.iter().all(|scope| has(scope))) {
        return Some(set.join(" "));
    }
    // A server that lists its types one by one, in one spelling or both: all of them, each once.
    let serves = |scope: &&String| {
        resource_scope(scope).is_some_and(|found| {
            found.level == "system"
                && found.query.is_none()
                && (writes || !found.rights.contains(['c', 'u', 'd']))
        })
    };
    let mut kept: Vec<&str> = Vec::new();
    for scope in supported.iter().filter(serves) {
        if !kept.iter().any(|other| covers(other, scope)) {
            kept.retain(|other| !covers(scope, other));
            kept.push(scope);
        }
    }
    (!kept.is_empty()).then(|| kept.join(" "))
}

/// A scope in the spelling that a server has, where it has only one of the two (SMART App Launch 2.2, capabilities).
pub fn translated(asked: &str, capabilities: &[String]) -> String {
    const SPELLINGS: [(&str, &str); 3] = [("read", "rs"), ("write", "cud"), ("*", "cruds")];
    let has = |name: &str| capabilities.iter().any(|known| known == name);
    let (first, second) = (has("permission-v1"), has("permission-v2"));
    if first == second {
        return asked.to_owned();
    }
    let other = |scope: &str| {
        resource_scope(scope)?;
        let (kind, rights) = scope.rsplit_once('.')?;
        let pair = SPELLINGS
            .iter()
            .find(|(v1, v2)| rights == if second { *v1 } else { *v2 })?;
        Some(format!("{kind}.{}", if second { pair.1 } else { pair.0 }))
    };
    asked
        .split_whitespace()
        .map(|scope| other(scope).unwrap_or_else(|| scope.to_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Has the scope that a person signs in for spelled as the server spells it.
pub(super) fn spell(http: &Http, found: Option<&Found>, profile: &mut Profile) {
    let (Some(set), Some(found)) = (&profile.scope, found) else {
        return;
    };
    let spelled = translated(set, &found.capabilities);
    if spelled != *set {
        say_spelling(http, &spelled);
        profile.scope = Some(spelled);
    }
}

/// Says that a scope is not asked for to the letter.
pub(super) fn say_spelling(http: &Http, spelled: &str) {
    http.trace.notice(&format!(
        "The scope is asked for as {spelled}, as the server spells it"
    ));
}

/// Scopes that servers leave out of `scope` although they did what it asks for.
fn is_met(scope: &str, token: &Token) -> bool {
    match scope {
        // What it was asked for has happened when the person is back.
        "launch" => true,
        "launch/patient" => token.context.contains_key("patient"),
        "launch/encounter" => token.context.contains_key("encounter"),
        "offline_access" | "online_access" => token.refresh_token.is_some(),
        "openid" => {
            token.id_token.is_some() || token.context.contains_key(super::id_token::IDENTITY)
        }
        _ => false,
    }
}

/// Whether a granted scope gives all that another one asks for. SMART's first and second spelling mean the same:
/// `.read` is `.rs`, `.write` is `.cud` (SMART App Launch 2.2, scopes).
fn covers(granted: &str, asked: &str) -> bool {
    if granted == asked {
        return true;
    }
    match (resource_scope(granted), resource_scope(asked)) {
        (Some(granted), Some(asked)) => {
            granted.level == asked.level
                && (granted.resource == "*" || granted.resource == asked.resource)
                && (granted.query.is_none() || granted.query == asked.query)
                && asked
                    .rights
                    .chars()
                    .all(|right| granted.rights.contains(right))
        }
        _ => false,
    }
}

struct ResourceScope<'a> {
    level: &'a str,
    resource: &'a str,
    rights: &'a str,
    query: Option<&'a str>,
}

fn resource_scope(text: &str) -> Option<ResourceScope<'_>> {
    let (level, rest) = text.split_once('/')?;
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (resource, rights) = rest.split_once('.')?;
    let rights = match rights {
        "read" => "rs",
        "write" => "cud",
        "*" => "cruds",
        rights => rights,
    };
    ["patient", "user", "system"]
        .contains(&level)
        .then_some(ResourceScope {
            level,
            resource,
            rights,
            query,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn missing_of(asked: &str, granted: &str) -> String {
        let mut token = Token::opaque(Secret::public("t"));
        token.scope = Some(granted.to_owned());
        missing(asked, &token).join(" ")
    }

    #[test]
    fn both_spellings_of_smart_scopes_mean_the_same() {
        for (asked, granted, missing) in [
            ("patient/*.read", "patient/*.rs", ""),
            ("patient/Patient.rs", "patient/*.read", ""),
            ("user/*.*", "user/*.cruds", ""),
            ("user/Patient.write", "user/Patient.cuds", ""),
            ("user/Patient.write", "user/Patient.r", "user/Patient.write"),
            ("user/Patient.r", "patient/Patient.r", "user/Patient.r"),
            (
                "user/Observation.rs",
                "user/Observation.rs?category=lab",
                "user/Observation.rs",
            ),
            ("openid fhirUser", "openid", "fhirUser"),
            ("openid custom.scope", "custom.scope openid", ""),
        ] {
            assert_eq!(missing_of(asked, granted), missing, "{asked} of {granted}");
        }
    }

    #[test]
    fn the_smallest_scope_that_serves_is_chosen_from_what_a_server_has() {
        for (supported, read, write) in [
            (
                "system/*.read system/*.rs system/*.cruds openid",
                "system/*.rs",
                "system/*.cruds",
            ),
            (
                "system/*.read system/*.write",
                "system/*.read",
                "system/*.read system/*.write",
            ),
            ("system/*.*", "system/*.*", "system/*.*"),
            (
                "system/*.cud system/*.rs",
                "system/*.rs",
                "system/*.rs system/*.cud",
            ),
            (
                "system/Patient.read system/Patient.rs system/Group.rs system/Patient.cruds user/*.rs",
                "system/Patient.read system/Group.rs",
                "system/Group.rs system/Patient.cruds",
            ),
            ("openid launch user/*.rs", "", ""),
        ] {
            let list: Vec<String> = supported.split(' ').map(str::to_owned).collect();
            let chosen = |writes| smallest(writes, &list).unwrap_or_default();
            assert_eq!(
                (chosen(false).as_str(), chosen(true).as_str()),
                (read, write),
                "{supported}"
            );
        }
    }

    #[test]
    fn a_scope_is_spelled_as_the_server_spells_it_where_it_has_one_way_only() {
        let v1 = "openid system/*.read user/Patient.write patient/*.* user/X.r";
        let v2 = "openid system/*.rs user/Patient.cud patient/*.cruds user/X.r";
        let of = |asked, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            translated(asked, &names)
        };
        assert_eq!(of(v1, &["permission-v2", "sso-openid-connect"]), v2);
        assert_eq!(of(v2, &["permission-v1"]), v1);
        for both in [&["permission-v1", "permission-v2"][..], &[]] {
            assert_eq!(of(v1, both), v1);
            assert_eq!(of(v2, both), v2);
        }
        let narrow = "patient/Observation.rs?category=laboratory";
        assert_eq!(of(narrow, &["permission-v1"]), narrow);
    }

    #[test]
    fn a_scope_that_was_acted_on_is_not_missing() {
        let mut token = Token::opaque(Secret::public("t"));
        assert_eq!(missing("openid launch/patient", &token), [""; 0]);
        token.scope = Some("patient/*.rs".into());
        token.refresh_token = Some(Secret::public("r"));
        token.context.insert("patient".into(), "7".into());
        let asked = "openid launch/patient launch/encounter offline_access";
        assert_eq!(missing(asked, &token), ["openid", "launch/encounter"]);
    }
}
