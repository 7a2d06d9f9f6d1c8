//! The attachments of a resource, with the place of each in its line, so that a change leaves every other byte alone.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::TYPES;
use crate::bulk::export::sink::promise::Hash;

/// An attachment whose content is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where in the resource, such as `content[0].attachment`.
    pub element: String,
    pub url: String,
    pub content_type: Option<String>,
    /// Bytes, as the resource states it.
    pub size: Option<u64>,
    /// SHA-1 in base64, as the resource states it.
    pub hash: Option<String>,
    /// The byte of the line behind the `{` of the attachment.
    pub at: usize,
    /// What a `data:` URL holds (RFC 2397).
    pub data: Option<Vec<u8>>,
}

/// The attachments of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfLine {
    /// Type and id, such as `DocumentReference/1`.
    pub resource: String,
    pub attachments: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource<'a> {
    #[serde(borrow, rename = "resourceType")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    presented_form: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    attachment: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attachment<'a> {
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    content_type: Option<String>,
    size: Option<Value>,
    hash: Option<String>,
    data: Option<serde::de::IgnoredAny>,
}

/// The attachments in a line that are not in it themselves; `None` when there are none.
pub(super) fn in_line(line: &[u8]) -> Option<OfLine> {
    let resource: Resource = serde_json::from_slice(line).ok()?;
    if !TYPES.contains(&resource.kind.as_ref()) {
        return None;
    }
    let contents: Vec<Content> = list(resource.content);
    let of_content = contents.iter().enumerate().filter_map(|(index, content)| {
        let attachment = content.attachment?;
        one(line, attachment, format!("content[{index}].attachment"))
    });
    let forms: Vec<&RawValue> = list(resource.presented_form);
    let of_form = forms
        .iter()
        .enumerate()
        .filter_map(|(index, form)| one(line, form, format!("presentedForm[{index}]")));
    let found: Vec<Found> = of_content.chain(of_form).collect();
    let id = resource.id.as_deref().unwrap_or("?");
    let resource = format!("{}/{id}", resource.kind);
    (!found.is_empty()).then_some(OfLine {
        resource,
        attachments: found,
    })
}

fn list<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

fn one(line: &[u8], raw: &RawValue, element: String) -> Option<Found> {
    let attachment: Attachment<'_> = serde_json::from_str(raw.get()).ok()?;
    let url = attachment.url.filter(|url| !url.trim().is_empty())?;
    if attachment.data.is_some() {
        return None;
    }
    // The raw value is a piece of the line itself.
    let start = (raw.get().as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    let (url, content_type, data) = match inside(&url) {
        Some((stated, data)) => {
            let mut hash = Hash::default();
            hash.feed(&data);
            let name = format!("data:{}", hash.finish());
            let content_type = attachment.content_type.or(stated);
            (name, content_type, Some(data))
        }
        None => (url.trim().to_owned(), attachment.content_type, None),
    };
    Some(Found {
        element,
        url,
        content_type,
        data,
        // R5 writes integer64 as a string.
        size: attachment.size.and_then(|size| match size {
            Value::String(text) => text.parse().ok(),
            size => size.as_u64(),
        }),
        hash: attachment.hash,
        at: start + 1,
    })
}

/// What a `data:` URL holds, and its type.
fn inside(url: &str) -> Option<(Option<String>, Vec<u8>)> {
    let url = url.trim();
    let rest = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .map(|_| &url[5..])?;
    let (head, data) = rest.split_once(',')?;
    let (kind, data) = match head.strip_suffix(";base64") {
        Some(kind) => (kind, STANDARD.decode(data.trim()).ok()?),
        None => (head, percent_decoded(data)),
    };
    let kind = Some(kind.to_owned()).filter(|kind| kind.contains('/'));
    Some((kind, data))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = match bytes.get(at + 1..at + 3) {
            Some([high, low]) if *byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = code {
            decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_found_where_they_are_and_only_those_that_are_elsewhere() {
        let line = r#" {"resourceType":"DocumentReference","x":1.00,"id":"d1","content":[
            {"attachment": {"contentType":"application/pdf","url":"Binary/1","size":"7"}},
            {"attachment":{"data":"eA==","url":"Binary/2"}},{"format":{}},
            {"attachment":{"url":"https://h/3?sig=x","hash":"abc=","size":3}}]}"#;
        let line = line.replace('\n', "");
        let of_line = in_line(line.as_bytes()).unwrap();
        assert_eq!(of_line.resource, "DocumentReference/d1");
        let elements: Vec<_> = of_line
            .attachments
            .iter()
            .map(|f| f.element.as_str())
            .collect();
        assert_eq!(elements, ["content[0].attachment", "content[3].attachment"]);
        assert_eq!(of_line.attachments[0].size, Some(7));
        let mut whole = line.clone();
        for found in of_line.attachments.iter().rev() {
            whole.insert_str(found.at, "\"data\":\"QQ==\",");
        }
        let expected = line
            .replace("{\"contentType\"", "{\"data\":\"QQ==\",\"contentType\"")
            .replace("{\"url\":\"https", "{\"data\":\"QQ==\",\"url\":\"https");
        assert_eq!(whole, expected);
        assert_eq!(in_line(whole.as_bytes()), None);
        for none in [
            r#"{"resourceType":"Patient","content":[{"attachment":{"url":"Binary/1"}}]}"#,
            r#"{"resourceType":"DocumentReference","content":"x"}"#,
            r#"{"resourceType":"DiagnosticReport","presentedForm":[{"url":" "},{"title":"x"},3]}"#,
            "[1]",
            "",
        ] {
            assert_eq!(in_line(none.as_bytes()), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_around_an_attachment_stays_as_it_is(
            before in "[ \\t]{0,3}", title in "\\PC{0,20}", digits in "[1-9][0-9]{0,30}\\.[0-9]{1,9}",
        ) {
            let title = Value::from(title);
            let line = format!(
                "{{{before}\"resourceType\":\"DiagnosticReport\",\"n\":{digits},\"presentedForm\":[{before}\
                 {{\"title\":{title},\"url\":\"Binary/1\"}}],\"z\":{title}}}"
            );
            let of_line = in_line(line.as_bytes()).unwrap();
            let (before, after) = line.split_at(of_line.attachments[0].at);
            let whole = format!("{before}\"data\":\"QQ==\",{after}");
            assert_eq!(whole.replacen("\"data\":\"QQ==\",", "", 1), line);
            assert!(serde_json::from_str::<Value>(&whole).is_ok());
        }
    }
}
