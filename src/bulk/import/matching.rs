//! Which resource on the server is the same: a search made from a resource by a template.

use serde_json::Value;

use super::line::percent_encoded;

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

    /// The query for a resource, percent-encoded; `None` when the resource lacks what the template names.
    pub fn query(&self, resource: &Value) -> Option<String> {
        // All paths into one array are read from the same element: the first that has them all.
        let longest = self.parts.iter().map(|part| match part {
            Part::Path(path) => resource
                .get(&path[0])
                .and_then(Value::as_array)
                .map_or(1, Vec::len),
            Part::Text(_) => 1,
        });
        (0..longest.max().unwrap_or(1)).find_map(|element| self.query_at(resource, element))
    }

    fn query_at(&self, resource: &Value, element: usize) -> Option<String> {
        let mut query = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => query.push_str(&text.replace('|', "%7C").replace(' ', "%20")),
                Part::Path(path) => {
                    let value = value_at(resource, path, element)?;
                    query.push_str(&percent_encoded(&escaped(&value)));
                }
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
    let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    template
        .query(&value)
        .ok_or_else(|| format!("it lacks what `{}` names", template.as_text()))
}

fn value_at(resource: &Value, path: &[String], element: usize) -> Option<String> {
    let mut value = resource;
    for (depth, name) in path.iter().enumerate() {
        value = value.get(name)?;
        if let Value::Array(values) = value {
            value = values.get(if depth == 0 { element } else { 0 })?;
        }
    }
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
    fn templates_that_say_nothing_are_refused() {
        for bad in ["identifier=1", "{id}", "a={", "a={}", "a={b..c}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
