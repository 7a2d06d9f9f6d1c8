//! A page of what was found, as a Bundle put together from text, so that every resource keeps its digits.

use serde_json::{Value, json};

use super::super::answer::Answer;
use super::super::store::Stored;
use super::Query;

/// A resource by its relative URL, `Patient/1`.
pub(in super::super) type Found<'a> = (String, &'a Stored);

/// The page of a search that a query asks for; `found` is in the order of its URLs, and `path` is what was searched.
pub(in super::super) fn bundle(
    base: &str,
    path: &str,
    found: &[Found<'_>],
    query: &Query,
) -> Answer {
    // By the last resource and not by a number: what is created meanwhile moves nothing.
    let start = query
        .after
        .as_ref()
        .map_or(0, |after| found.partition_point(|(url, _)| url <= after));
    let page = &found[start..found.len().min(start + query.count)];
    let link = |relation: &str, text: &str| {
        let mark = if text.is_empty() { "" } else { "?" };
        json!({"relation": relation, "url": format!("{base}/{path}{mark}{text}")})
    };
    let self_text = match &query.after {
        Some(after) => query.to_text_after(after),
        None => query.to_text(),
    };
    let mut links = vec![link("self", &self_text)];
    if let Some((last, _)) = page.last()
        && start + page.len() < found.len()
    {
        links.push(link("next", &query.to_text_after(last)));
    }
    let entries: Vec<String> = page
        .iter()
        .map(|(url, stored)| {
            format!(
                r#"{{"fullUrl":"{base}/{url}","resource":{},"search":{{"mode":"match"}}}}"#,
                stored.text
            )
        })
        .collect();
    let total = if query.with_total {
        format!(r#","total":{}"#, found.len())
    } else {
        String::new()
    };
    // An empty array is no FHIR.
    let entries = if entries.is_empty() {
        String::new()
    } else {
        format!(r#","entry":[{}]"#, entries.join(","))
    };
    let links = Value::from(links);
    Answer::fhir(
        200,
        format!(r#"{{"resourceType":"Bundle","type":"searchset"{total},"link":{links}{entries}}}"#),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(number: usize) -> Stored {
        Stored {
            text: format!(r#"{{"resourceType":"Patient","id":"{number}","d":1.00}}"#).into(),
            version: 1,
            updated: jiff::Timestamp::default(),
            deleted: false,
        }
    }

    #[test]
    fn following_next_finds_each_resource_once_and_then_ends() {
        let stored: Vec<Stored> = (0..5).map(stored).collect();
        let found: Vec<Found> = (0..5)
            .map(|number| (format!("Patient/{number}"), &stored[number]))
            .collect();
        let mut pairs = vec![("_count".to_owned(), "2".to_owned())];
        let mut seen = Vec::new();
        loop {
            let query = Query::read(&pairs, true).unwrap();
            let answer = bundle("http://h", "Patient", &found, &query);
            let text = std::str::from_utf8(&answer.body).unwrap();
            assert!(
                text.contains(r#""d":1.00"#) && text.contains(r#""total":5"#),
                "{text}"
            );
            let page = crate::fhir::raw::Bundle::parse(text).unwrap();
            seen.extend(
                page.entry
                    .iter()
                    .map(|entry| entry.full_url.clone().unwrap().into_owned()),
            );
            let Some(next) = page.next_link() else { break };
            let cursor = next.strip_prefix("http://h/Patient?").unwrap();
            pairs = url::form_urlencoded::parse(cursor.as_bytes())
                .into_owned()
                .collect();
        }
        let all: Vec<String> = (0..5)
            .map(|number| format!("http://h/Patient/{number}"))
            .collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn only_the_number_can_be_asked_for() {
        let query = Query::read(&[("_summary".into(), "count".into())], true).unwrap();
        let one = stored(1);
        let answer = bundle("http://h", "Patient", &[("Patient/1".into(), &one)], &query);
        let bundle: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(bundle["total"], 1);
        assert!(bundle.get("entry").is_none());
        assert_eq!(bundle["link"].as_array().unwrap().len(), 1);
    }
}
