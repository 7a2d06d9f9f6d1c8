//! Scopes asked for and scopes granted: which are missing.

use super::Token;

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

/// Scopes that servers leave out of `scope` although they did what it asks for.
fn is_met(scope: &str, token: &Token) -> bool {
    match scope {
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
