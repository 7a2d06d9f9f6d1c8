//! Small changes to a resource's text that leave all other bytes as they are.

use serde_json::value::RawValue;

use crate::fhir::object::Object;

/// What the Medplum CLI puts where ExplanationOfBenefit lacks an element that FHIR R4 requires.
const ABSENT: &str = r#"{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unsupported"}"#;

/// An ExplanationOfBenefit with `provider` and each item's `productOrService`, as
/// `--add-extensions-for-missing-values` of the Medplum CLI makes it.
pub fn added(text: Vec<u8>) -> Vec<u8> {
    let Some(new) = std::str::from_utf8(&text).ok().and_then(completed) else {
        return text;
    };
    new.into_bytes()
}

fn completed(text: &str) -> Option<String> {
    let mut benefit = Object::parse(text).ok()?;
    if is_missing(benefit.get("provider")) {
        benefit.set("provider", ABSENT.to_owned());
    }
    let items = benefit.get("item").map(str::to_owned);
    if let Some(items) = items
        .as_deref()
        .and_then(|items| serde_json::from_str::<Vec<&RawValue>>(items).ok())
    {
        let items: Vec<String> = items
            .into_iter()
            .map(|item| match Object::parse(item.get()) {
                Ok(mut object) if is_missing(object.get("productOrService")) => {
                    object.set("productOrService", ABSENT.to_owned());
                    object.to_string()
                }
                _ => item.get().to_owned(),
            })
            .collect();
        benefit.set("item", format!("[{}]", items.join(",")));
    }
    Some(benefit.to_string())
}

fn is_missing(value: Option<&str>) -> bool {
    value.is_none_or(|value| value == "null")
}

/// A resource without its id: a conditional update with another id than the server's is an error (FHIR R4 §3.1.0.4.3).
pub fn without_id(text: &[u8]) -> Vec<u8> {
    let object = std::str::from_utf8(text)
        .ok()
        .and_then(|text| Object::parse(text).ok());
    let Some(mut object) = object else {
        return text.to_owned();
    };
    if object.get("id").is_none() {
        return text.to_owned();
    }
    object.remove("id");
    object.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_elements_are_added_and_digits_stay() {
        let text = r#"{"resourceType":"ExplanationOfBenefit","item":[{"net":{"value":1.00}},{"productOrService":{"text":"x"}}]}"#;
        let new = String::from_utf8(added(text.into())).unwrap();
        assert_eq!(
            new,
            format!(
                r#"{{"resourceType":"ExplanationOfBenefit","item":[{{"net":{{"value":1.00}},"productOrService":{ABSENT}}},{{"productOrService":{{"text":"x"}}}}],"provider":{ABSENT}}}"#
            )
        );
        assert_eq!(added(new.clone().into()), new.into_bytes());
    }

    #[test]
    fn an_id_is_taken_out() {
        assert_eq!(without_id(br#"{"id":"1","x":1.00}"#), br#"{"x":1.00}"#);
        assert_eq!(without_id(br#"{ "x":1.00}"#), br#"{ "x":1.00}"#);
    }
}
