//! A search as it was asked for, and whether a resource matches it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;

use super::super::answer::{Answer, Result, bad_request};
use super::super::store::Stored;
use super::PARAMETERS;
use super::criterion::Criterion;

/// Resources on a page when nothing else is asked for, and the most there can be.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;
/// The parameter of links to further pages: what was searched for and where to go on, in a form to be left alone.
const CURSOR: &str = "_page";
/// About the form of the result, and without effect here.
const WITHOUT_EFFECT: [&str; 3] = ["_format", "_pretty", "_summary"];

/// A search.
#[derive(Debug)]
pub(in super::super) struct Query {
    criteria: Vec<Criterion>,
    /// What was understood, as it is shown in links.
    understood: Vec<(String, String)>,
    pub(super) count: usize,
    pub(super) with_total: bool,
    /// The resource that the page before ended with.
    pub(super) after: Option<String>,
}

impl Query {
    /// Reads the parameters; unknown ones have no effect, or are refused when `strict`.
    pub(in super::super) fn read(pairs: &[(String, String)], strict: bool) -> Result<Self> {
        if let Some((_, cursor)) = pairs.iter().find(|(name, _)| name == CURSOR) {
            return Self::at(cursor)
                .ok_or_else(|| bad_request("this link to a page is not one of this server's"))?;
        }
        let mut query = Self {
            criteria: Vec::new(),
            understood: Vec::new(),
            count: PAGE,
            with_total: true,
            after: None,
        };
        for (key, value) in pairs {
            let (name, modifier) = key.split_once(':').unwrap_or((key, ""));
            if let Some(parameter) = PARAMETERS.iter().find(|known| known.name == name) {
                query
                    .criteria
                    .push(Criterion::read(parameter, modifier, value)?);
            } else if !query.shape(name, value)? {
                if strict {
                    let words = format!("the search parameter {name} is unknown");
                    return Err(Answer::outcome(400, "not-supported", &words));
                }
                continue;
            }
            query.understood.push((key.clone(), value.clone()));
        }
        Ok(query)
    }

    /// Whether a resource matches everything.
    pub(in super::super) fn matches(&self, stored: &Stored) -> bool {
        if self.criteria.is_empty() {
            return true;
        }
        let resource = stored.value();
        self.criteria
            .iter()
            .all(|criterion| criterion.matches(&resource))
    }

    /// The query string of this search.
    pub(super) fn to_text(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.understood)
            .finish()
    }

    /// The query string of the page after a resource.
    pub(super) fn to_text_after(&self, resource: &str) -> String {
        let cursor = URL_SAFE_NO_PAD.encode(format!("{resource}\n{}", self.to_text()));
        format!("{CURSOR}={cursor}")
    }

    fn at(cursor: &str) -> Option<Result<Self>> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (after, pairs) = text.split_once('\n')?;
        let pairs: Vec<_> = form_urlencoded::parse(pairs.as_bytes())
            .into_owned()
            .collect();
        if pairs.iter().any(|(name, _)| name == CURSOR) {
            return None;
        }
        let query = Self::read(&pairs, false);
        Some(query.map(|query| Self {
            after: Some(after.to_owned()),
            ..query
        }))
    }

    /// Takes a parameter about the form of the result; `false` when there is no such parameter.
    fn shape(&mut self, name: &str, value: &str) -> Result<bool> {
        match (name, value) {
            ("_count", _) => {
                let count: usize = value
                    .parse()
                    .map_err(|_| bad_request(&format!("_count is not a number: {value}")))?;
                self.count = count.min(LARGEST_PAGE);
            }
            ("_summary", "count") => self.count = 0,
            ("_total", _) => self.with_total = value != "none",
            _ => return Ok(WITHOUT_EFFECT.contains(&name)),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    }

    fn found(text: &str) -> bool {
        let patient = r#"{"id":"p1","meta":{"lastUpdated":"2026-01-02T03:04:05.678Z"},"active":true,
            "name":[{"use":"official","family":"Müller","given":["Ana","Lu,cia"]}],"subject":{"reference":"Patient/9"},
            "identifier":[{"system":"s","value":"3SH0A"}],"birthDate":"1980-05-06","gender":"female","code":{"coding":[{"system":"l","code":"c"}]}}"#;
        let stored = Stored {
            text: patient.into(),
            version: 1,
            updated: jiff::Timestamp::default(),
            deleted: false,
        };
        Query::read(&pairs(text), false).unwrap().matches(&stored)
    }

    #[test]
    fn parameters_match_as_fhir_says() {
        for query in [
            "identifier=3SH0A",
            "identifier=s|3SH0A",
            "identifier=s|",
            "identifier:contains=sh0",
            "name=mü&gender=female",
            "name:exact=Ana",
            "given=bob,ana",
            "given=Lu\\,c",
            "family:contains=LLE",
            "birthdate=1980",
            "birthdate=ge1980&birthdate=lt1981-01-01",
            "_lastUpdated=gt2026-01-01&_lastUpdated=le2026-01-02T03:04:05.678Z",
            "_lastUpdated=ge2026-01-02T05:04:05%2B02:00",
            "_id=p1&unknown=x",
            "patient=9",
            "subject=Patient/9",
            "subject:Patient=9",
            "code=l|c",
            "code:not=d",
            "active=true",
            "status:missing=true",
        ] {
            assert!(found(query), "{query}");
        }
        for query in [
            "identifier=t|3SH0A",
            "identifier=|3SH0A",
            "name=official",
            "family=ana",
            "birthdate=1981",
            "birthdate=gt1980",
            "_id=p2",
            "patient=Patient/90",
            "code:not=c",
            "gender:missing=true",
        ] {
            assert!(!found(query), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let refused = |text: &str, strict| Query::read(&pairs(text), strict).is_err();
        assert!(refused("name:near=x", false));
        assert!(refused("_count=few", false));
        assert!(refused("birthdate=yesterday", false));
        assert!(refused("_page=x", false));
        assert!(refused("color=red", true) && !refused("color=red", false));
        assert!(!refused("_count=5&_total=none&name=x&_format=json", true));
    }

    #[test]
    fn a_cursor_holds_the_whole_search() {
        let query = Query::read(&pairs("name=M%C3%BC&_count=7&color=red"), false).unwrap();
        let text = query.to_text_after("Patient/p1");
        assert!(text.starts_with("_page=") && !text.contains("name"));
        let next = Query::read(&pairs(&text), true).unwrap();
        assert_eq!(next.to_text(), "name=M%C3%BC&_count=7");
        assert_eq!((next.count, next.after.as_deref()), (7, Some("Patient/p1")));
    }
}
