//! A search's Bundle made into a transaction that creates the same resources elsewhere, references and all.

use std::collections::HashMap;

use super::object::{Object, rewrite_references};

/// Members of `meta` that belong to the server a resource came from.
const OF_THE_SERVER: [&str; 5] = [
    "author",
    "compartment",
    "lastUpdated",
    "project",
    "versionId",
];

/// The text of a transaction that POSTs `resources`: ids become `urn:uuid` full URLs, references among the resources
/// follow, and what is pointed at comes before what points at it.
///
/// # Errors
/// A resource is no JSON object.
pub fn of_resources(resources: &[&str]) -> Result<String, serde_json::Error> {
    let mut uuids = HashMap::new();
    let mut stripped = Vec::new();
    for text in resources {
        let mut resource = Object::parse(text)?;
        let meta = resource.get("meta").map(str::to_owned);
        if let Some(mut meta) = meta.as_deref().map(Object::parse).transpose()? {
            for name in OF_THE_SERVER {
                meta.remove(name);
            }
            if meta.is_empty() {
                resource.remove("meta");
            } else {
                resource.set("meta", meta.to_string());
            }
        }
        let resource_type = resource.string("resourceType").unwrap_or_default();
        let uuid = resource.string("id").map(|id| {
            let uuid = format!("urn:uuid:{}", random_uuid());
            uuids.insert(format!("{resource_type}/{id}"), uuid.clone());
            uuid
        });
        resource.remove("id");
        stripped.push((uuid, resource_type, resource.to_string()));
    }
    let mut index = HashMap::new();
    for (at, (uuid, ..)) in stripped.iter().enumerate() {
        if let Some(uuid) = uuid {
            index.insert(uuid.clone(), at);
        }
    }
    let mut points_at = vec![Vec::new(); stripped.len()];
    let entries: Vec<String> = stripped
        .iter()
        .enumerate()
        .map(|(at, (uuid, resource_type, text))| {
            let resource = rewrite_references(text, |reference| {
                let uuid = uuids.get(reference).cloned()?;
                points_at[at].extend(index.get(&uuid).copied());
                Some(uuid)
            });
            let full_url = uuid.as_ref().map(|uuid| format!("\"fullUrl\":\"{uuid}\",")).unwrap_or_default();
            let url = serde_json::to_string(resource_type).unwrap_or_default();
            format!("{{{full_url}\"request\":{{\"method\":\"POST\",\"url\":{url}}},\"resource\":{resource}}}")
        })
        .collect();
    let entries: Vec<&str> = in_order(&points_at)
        .into_iter()
        .map(|at| entries[at].as_str())
        .collect();
    Ok(format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    ))
}

/// Indices so that each comes after what it points at; within a circle the given order stays.
fn in_order(points_at: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(points_at.len());
    let mut seen = vec![false; points_at.len()];
    for start in 0..points_at.len() {
        // Depth first without recursion: a chain of references may be as long as the Bundle.
        let mut path = vec![(start, 0)];
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        while let Some((at, next)) = path.last_mut() {
            if let Some(&target) = points_at[*at].get(*next) {
                *next += 1;
                if !std::mem::replace(&mut seen[target], true) {
                    path.push((target, 0));
                }
            } else {
                order.push(*at);
                path.pop();
            }
        }
    }
    order
}

/// A random UUID, version 4 (RFC 9562 §5.4). It only has to be unique within one Bundle.
fn random_uuid() -> String {
    let bits = fastrand::u128(..);
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_follow_and_what_is_pointed_at_comes_first() {
        let text = of_resources(&[
            r#"{"resourceType":"Observation","id":"o","meta":{"versionId":"1"},"subject":{"reference":"Patient/p"},"v":1.00}"#,
            r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1","profile":["x"]}}"#,
        ])
        .unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["entry"][0]["resource"]["resourceType"], "Patient");
        assert_eq!(
            json["entry"][1]["resource"]["subject"]["reference"],
            json["entry"][0]["fullUrl"]
        );
        assert_eq!(
            json["entry"][0]["resource"]["meta"],
            serde_json::json!({"profile": ["x"]})
        );
        assert!(text.contains("1.00") && !text.contains("versionId") && !text.contains("\"id\""));
    }

    #[test]
    fn a_circle_of_references_ends() {
        assert_eq!(
            in_order(&[vec![1], vec![2], vec![0], vec![0]]),
            [2, 1, 0, 3]
        );
    }
}
