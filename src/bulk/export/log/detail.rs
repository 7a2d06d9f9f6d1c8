//! The details of events: what is told of a request, without anything that must not be told.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};
use url::Url;

use crate::bulk::export::kickoff::Kickoff;
use crate::fhir::{Answer, Client};
use crate::foreign::Foreign;
use crate::secret;

/// The headers worth keeping; others may hold cookies or signatures.
const HEADERS: [&str; 9] = [
    "content-type",
    "content-length",
    "date",
    "expires",
    "preference-applied",
    "retry-after",
    "server",
    "x-correlation-id",
    "x-request-id",
];
/// The most issues of an OperationOutcome that are kept.
const MOST_ISSUES: usize = 20;

/// The kick-off and how it was answered; without an answer when a kill came before it could be written. Whom an
/// export is about (`patient`) is left out, as the format wants it.
pub(super) fn kickoff(client: &Client, kickoff: &Kickoff, answer: Option<&Answer>) -> Value {
    let url = kickoff.shown_url(client);
    let mut parameters = Map::new();
    for (name, value) in url.iter().flat_map(Url::query_pairs) {
        let value = match parameters.get(&*name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        parameters.insert(name.into_owned(), value.into());
    }
    let is_post = kickoff.is_post();
    let shown = url.map(|mut url| {
        if is_post {
            url.set_query(None);
        }
        url.to_string()
    });
    let refused = answer.filter(|answer| answer.status != StatusCode::ACCEPTED);
    json!({
        "exportUrl": shown,
        "softwareName": null,
        "softwareVersion": null,
        "softwareReleaseDate": null,
        "fhirVersion": null,
        "requestParameters": parameters,
        "errorCode": refused.map(|answer| answer.status.as_u16()),
        "errorBody": refused.map(|answer| body(&answer.body)),
        "responseHeaders": answer.map(|answer| headers(&answer.headers)),
    })
}

/// What went wrong; `code` is the HTTP status when there was an answer.
pub(super) fn error(code: Option<u16>, body: &Value, message: &str) -> Value {
    json!({
        "body": body,
        "code": code,
        "message": without_queries(message),
        "responseHeaders": null,
    })
}

/// What is kept of a body: an OperationOutcome's issues, the fields of an OAuth error, else only its length. It is a list
/// of what is known to be words for people; whatever else a server sends may be a secret or somebody's data.
pub(super) fn body(bytes: &[u8]) -> Value {
    let json = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    if json["resourceType"] == "OperationOutcome" {
        let issues = json["issue"].as_array().into_iter().flatten();
        let issues: Vec<Value> = issues.take(MOST_ISSUES).map(issue).collect();
        return json!({"resourceType": "OperationOutcome", "issue": issues});
    }
    let mut kept = some_of(&json, &["error", "error_description"]);
    kept.insert("_length".to_owned(), bytes.len().into());
    kept.into()
}

fn issue(issue: &Value) -> Value {
    let mut kept = some_of(issue, &["severity", "code", "diagnostics"]);
    let text = some_of(&issue["details"], &["text"]);
    if !text.is_empty() {
        kept.insert("details".to_owned(), text.into());
    }
    kept.into()
}

/// The members of these names that are text, made fit to be shown.
fn some_of(json: &Value, names: &[&str]) -> Map<String, Value> {
    let texts = names.iter().filter_map(|name| {
        let text = Foreign::new(&without_queries(json[*name].as_str()?));
        Some(((*name).to_owned(), Value::from(text.as_str())))
    });
    texts.collect()
}

fn headers(headers: &HeaderMap) -> Value {
    let kept = HEADERS.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), Value::from(without_queries(value))))
    });
    Value::Object(kept.collect())
}

/// The URL of a file, bare: its query may be a signature.
pub(super) fn file_url(url: &str) -> String {
    match url.parse() {
        Ok(url) => secret::url_without_query(&url),
        Err(_) => without_queries(url),
    }
}

/// The text with every URL in it without query and fragment.
pub(in crate::bulk) fn without_queries(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'<>()[]{}`,;".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start);
        out.push_str(before);
        let length = url.find(ends).unwrap_or(url.len());
        let (url, after) = url.split_at(length);
        let bare = url.find(['?', '#']).map_or(url, |end| &url[..end]);
        // `user:password@`
        let bare = bare.rsplit_once('@').map_or(bare, |(_, host)| host);
        if !bare.starts_with("://") {
            out.push_str("://");
        }
        out.push_str(bare);
        rest = after;
        if let Some(query) = rest.strip_prefix(ends).filter(|_| length == 0) {
            rest = query;
        }
    }
    out.push_str(rest);
    secret::mask(&out)
}

/// A whole line with every secret that this process knows masked.
pub(super) fn without_secrets(line: &str) -> String {
    secret::mask(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_words_lose_their_queries_and_passwords() {
        for (text, clean) in [
            ("no link", "no link"),
            (
                "GET https://b.example/f?sig=x&y=%2C answered 403: no",
                "GET https://b.example/f answered 403: no",
            ),
            (
                "a https://u:p@h.example/x#frag, b http://h/y?z",
                "a https://h.example/x, b http://h/y",
            ),
            ("\"https://h/?q=1\"", "\"https://h/\""),
            ("://", "://"),
            ("a:// b", "a:// b"),
        ] {
            assert_eq!(without_queries(text), clean);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_or_keeps_a_query(text in "\\PC{0,60}", query in "[a-z0-9=&%]{1,20}") {
            let _ = without_queries(&text);
            let clean = without_queries(&format!("{text} https://h.example/f?secret{query} end"));
            let query = format!("?secret{query}");
            proptest::prop_assert!(!clean.contains(&query));
        }
    }
}
