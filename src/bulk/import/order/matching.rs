//! Which resource on the server is the same: a search made from a resource by a template.

use serde_json::Value;

use crate::fhir::id::percent_encoded;
use crate::fhir::object::Object;
use crate::words;

/// A template such as `identifier={identifier.system}|{identifier.value}`, for one type or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    resource_type: Option<String>,
    parts: Vec<Part>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Path(Vec<String>),
}

impl Template {
    /// Reads a template; `Type?` before it makes it one for that type only.
    ///
    /// # Errors
    /// It names no search parameter, no element, or its braces do not match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (resource_type, template) = match text.split_once('?') {
            Some((name, rest)) if name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                (Some(name.to_owned()), rest)
            }
            _ => (None, text),
        };
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            let end = rest[start..].find('}').ok_or("a `{` is not closed")? + start;
            let path: Vec<String> = rest[start + 1..end].split('.').map(str::to_owned).collect();
            if path.iter().any(String::is_empty) {
                return Err("`{…}` has to name an element, such as {identifier.value}".into());
            }
            parts.push(Part::Text(rest[..start].to_owned()));
            parts.push(Part::Path(path));
            rest = &rest[end + 1..];
        }
        parts.push(Part::Text(rest.to_owned()));
        if !template.contains('=') || parts.len() == 1 {
            return Err("write it as 'identifier={identifier.system}|{identifier.value}'".into());
        }
        Ok(Self {
            resource_type,
            parts,
            text: text.to_owned(),
        })
    }

    /// The template as it was written.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// The members of a resource that it names; the others may be long.
    fn needed(&self, text: &[u8]) -> Result<Value, serde_json::Error> {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let resource = Object::parse(text)?;
        let mut needed = serde_json::Map::new();
        for part in &self.parts {
            if let Part::Path(path) = part
                && let Some(name) = path.first()
                && let Some(value) = resource.get(name)
            {
                needed.insert(name.clone(), serde_json::from_str(value)?);
            }
        }
        Ok(Value::Object(needed))
    }

    /// The query for a resource, percent-encoded; `None` when the resource lacks what the template names.
    pub fn query(&self, resource: &Value) -> Option<String> {
        let paths: Vec<&[String]> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Path(path) => Some(path.as_slice()),
                Part::Text(_) => None,
            })
            .collect();
        let mut values = values_at(resource, &paths)?.into_iter();
        let mut query = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => query.push_str(&text.replace('|', "%7C").replace(' ', "%20")),
                Part::Path(_) => query.push_str(&percent_encoded(&escaped(&values.next()?))),
            }
        }
        Some(query)
    }
}

/// The query of the first template that is for this resource.
///
/// # Errors
/// No template fits, in words.
pub fn query(templates: &[Template], resource_type: &str, text: &[u8]) -> Result<String, String> {
    let for_type = |template: &&Template| template.resource_type.as_deref() == Some(resource_type);
    let for_all = |template: &&Template| template.resource_type.is_none();
    let template = templates
        .iter()
        .find(for_type)
        .or_else(|| templates.iter().find(for_all));
    let template = template.ok_or_else(|| format!("no --match is for {resource_type}"))?;
    let needed = template.needed(text);
    template
        .query(&needed.map_err(|error| words::what_of_json(&error))?)
        .ok_or_else(|| format!("it lacks what `{}` names", template.as_text()))
}

/// The value at each path, when all have one. Paths into one array are read from the same element: the first that has
/// them all.
fn values_at(value: &Value, paths: &[&[String]]) -> Option<Vec<String>> {
    if let Value::Array(elements) = value {
        return elements
            .iter()
            .find_map(|element| values_at(element, paths));
    }
    let mut values = vec![String::new(); paths.len()];
    for (at, path) in paths.iter().enumerate() {
        let Some(name) = path.first() else {
            values[at] = text_of(value)?;
            continue;
        };
        let together: Vec<usize> = (0..paths.len())
            .filter(|other| paths[*other].first() == Some(name))
            .collect();
        if together[0] != at {
            // It was read together with the first path that begins so.
            continue;
        }
        let rests: Vec<&[String]> = together.iter().map(|at| &paths[*at][1..]).collect();
        let found = values_at(value.get(name)?, &rests)?;
        for (at, text) in together.into_iter().zip(found) {
            values[at] = text;
        }
    }
    Some(values)
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Search values escape what separates them (FHIR R4 §3.1.1.4.1.7).
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | '|' | ',' | '$') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_a_search_out_of_one_element() {
        let template =
            Template::parse("identifier={identifier.system}|{identifier.value}").unwrap();
        let templates = [
            template,
            Template::parse("Observation?code={code.coding.code}&status=final").unwrap(),
        ];
        let find = |kind, text: &str| query(&templates, kind, text.as_bytes());
        let text = r#"{"identifier":[{"value":"no"},{"system":"http://a","value":"1|2"}]}"#;
        assert_eq!(
            find("Patient", text).unwrap(),
            "identifier=http%3A%2F%2Fa%7C1%5C%7C2"
        );
        let text = r#"{"code":{"coding":[{"code":"x y"}]}}"#;
        assert_eq!(
            find("Observation", text).unwrap(),
            "code=x%20y&status=final"
        );
        assert!(find("Patient", "{}").unwrap_err().contains("lacks"));
    }

    #[test]
    fn each_list_gives_the_first_element_that_has_all_that_is_asked_of_it() {
        let find = |template: &str, text: &str| {
            let template = Template::parse(template).unwrap();
            template.query(&serde_json::from_str(text).unwrap())
        };
        let patient = r#"{"identifier":[{"value":"no"},{"system":"s","value":"1"}],
            "name":[{"text":"x"},{"given":["",null,"A","B"],"family":"no"},{"given":["C"],"family":"D","use":"usual"}]}"#;
        for (template, query) in [
            (
                "i={identifier.system}|{identifier.value}&g={name.given}",
                Some("i=s%7C1&g=A"),
            ),
            ("i={identifier.value}&f={name.family}", Some("i=no&f=no")),
            (
                "f={name.family}&i={identifier.system}&g={name.given}&u={name.use}",
                Some("f=D&i=s&g=C&u=usual"),
            ),
            ("t={name.text}&f={name.family}", None),
            ("f={name}", None),
            ("f={name}&g={name.family}", None),
        ] {
            assert_eq!(find(template, patient).as_deref(), query, "{template}");
        }
        let observation = r#"{"code":{"coding":[{"system":"a"},{"system":"b","code":"c"}]},
            "component":[{"code":{"coding":[{"code":"x"}]}},{"valueInteger":3,"code":{"coding":[{},{"code":"y"}]}}]}"#;
        for (template, query) in [
            ("c={code.coding.code}", Some("c=c")),
            ("c={code.coding.system}|{code.coding.code}", Some("c=b%7Cc")),
            (
                "k={component.code.coding.code}&v={component.valueInteger}",
                Some("k=y&v=3"),
            ),
        ] {
            assert_eq!(find(template, observation).as_deref(), query, "{template}");
        }
    }

    #[test]
    fn templates_that_say_nothing_are_refused() {
        for bad in ["identifier=1", "{id}", "a={", "a={}", "a={b..c}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
