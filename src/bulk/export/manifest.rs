//! Every published shape of manifest read into one (Bulk Data 2.0, 3.0 and the 4.0 ballot, and what servers make of them).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::link::{Link, PageOrigin};
use super::sink::promise::Promise;
use crate::{secret, words};

/// The list a file stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Group {
    Output,
    Deleted,
    Error,
}

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Flat")]
pub struct ManifestFile {
    pub group: Group,
    pub resource_type: Option<Box<str>>,
    #[serde(flatten)]
    pub link: Link,
    /// The number of resources the server says are in it.
    pub count: Option<u64>,
    /// What the server says of its bytes.
    #[serde(default, skip_serializing_if = "Promise::is_empty")]
    pub promise: Promise,
    /// It is listed twice, and different things are promised of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contradicts: bool,
}

/// The same as it is written: flattened by hand, which serde does by holding everything twice.
#[derive(Deserialize)]
struct Flat {
    group: Group,
    resource_type: Option<Box<str>>,
    url: Box<str>,
    requires_access_token: bool,
    #[serde(default)]
    page: Option<PageOrigin>,
    count: Option<u64>,
    #[serde(default)]
    promise: Promise,
    #[serde(default)]
    contradicts: bool,
}

impl TryFrom<Flat> for ManifestFile {
    type Error = url::ParseError;

    fn try_from(flat: Flat) -> Result<Self, Self::Error> {
        Ok(Self {
            group: flat.group,
            resource_type: flat.resource_type,
            link: Link::kept(flat.url, flat.requires_access_token, flat.page)?,
            count: flat.count,
            promise: flat.promise,
            contradicts: flat.contradicts,
        })
    }
}

/// A file by what two readings are compared by; its URL is not parsed.
#[derive(Debug, Deserialize)]
pub struct Listed {
    pub group: Group,
    pub resource_type: Option<Box<str>>,
    pub url: Box<str>,
    count: Option<u64>,
    #[serde(default)]
    pub promise: Promise,
}

impl Listed {
    /// The list it stands in, and its type.
    pub fn kind(&self) -> (Group, Option<&str>) {
        (self.group, self.resource_type.as_deref())
    }

    /// What is promised of its bytes.
    pub fn promises(&self) -> (Option<u64>, &Promise) {
        (self.count, &self.promise)
    }
}

/// What one page of a manifest says beside its files, or all of them.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    pub transaction_time: Option<String>,
    /// The kick-off as the server understood it (gone in Bulk Data 4.0).
    pub request: Option<String>,
    pub requires_access_token: bool,
    /// How many files stand in `output`, `deleted`, and the lists of errors.
    pub counts: [usize; 3],
    pub next: Option<Url>,
    /// Counts that are no number of resources: how many, and the first in words.
    pub odd_counts: Option<(u64, String)>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the job's result at {url} is not a manifest: {found}")]
    NotAManifest { url: String, found: String },
    #[error("the manifest at {url} lists a file without a usable URL: {found}")]
    BadFile { url: String, found: String },
    #[error("the manifest at {url} names a next page that cannot be told: {found}")]
    BadNext { url: String, found: String },
    #[error("the manifest's pages lead in a circle at {url}")]
    Loop { url: String },
    #[error("the manifest at {url} is too large: {what}")]
    TooLarge { url: String, what: String },
    #[error("the manifest has more than {pages} pages, and the last one at {url} names another")]
    Endless { url: String, pages: usize },
    #[error("what the manifest lists cannot be kept: {0}")]
    Unkept(std::io::Error),
}

/// What a page is read against.
pub(super) struct Page<'a> {
    url: &'a Url,
    origin: PageOrigin,
}

impl<'a> Page<'a> {
    /// The page that came from a URL.
    pub(super) fn at(url: &'a Url) -> Self {
        Self {
            url,
            origin: PageOrigin::of(url),
        }
    }

    /// An entry of a list; what it holds in place of a URL is the error.
    pub(super) fn file(&self, group: Group, item: &Value) -> Result<ManifestFile, String> {
        let text = item.get("url").and_then(Value::as_str);
        let link = text.and_then(|text| Link::new(self.url, &self.origin, text));
        let Some(link) = link else {
            return Err(no_link(item.get("url").unwrap_or(&Value::Null)));
        };
        Ok(ManifestFile {
            group,
            resource_type: item.get("type").and_then(Value::as_str).map(Into::into),
            link,
            count: count(item.get("count")).unwrap_or_default(),
            promise: Promise::of(item),
            contradicts: false,
        })
    }

    /// The page that a link leads to, when there is one; what stands in place of a URL is the error.
    pub(super) fn next(&self, link: &Value) -> Result<Option<Url>, String> {
        let Some(link) = next_link(link)? else {
            return Ok(None);
        };
        // Passing over it would hide the files of all later pages.
        let next = link
            .as_str()
            .and_then(|link| self.url.join(link).ok())
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        next.map(Some).ok_or_else(|| no_link(link))
    }
}

/// What stands in place of a usable link, without what may sign it.
fn no_link(value: &Value) -> String {
    let text = match value {
        Value::String(text) => match Url::parse(text) {
            Ok(url) => secret::url_for_people(&url),
            Err(_) => text.split(['?', '#']).next().unwrap_or_default().to_owned(),
        },
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        other => return other.to_string(),
    };
    words::shortened(&Value::from(text).to_string())
}

/// A count as servers write it; one that is no number of resources is the error.
pub(super) fn count(value: Option<&Value>) -> Result<Option<u64>, String> {
    /// The largest number that a float holds exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = |number: f64| {
        let is_whole = (0.0..EXACT).contains(&number) && number.fract() == 0.0;
        is_whole.then(|| format!("{number:.0}").parse().ok())?
    };
    let read = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Some(Value::String(text)) => text
            .trim()
            .parse()
            .ok()
            .or_else(|| whole(text.trim().parse().ok()?)),
        Some(_) => None,
    };
    let odd = || words::shortened(&value.unwrap_or(&Value::Null).to_string());
    read.map(Some).ok_or_else(odd)
}

/// Whether the page says that the token goes with the files. Epic has been seen to say the string "true"; one that does
/// not say is taken to mean no.
pub(super) fn requires_token(value: &Value) -> bool {
    match value {
        Value::Bool(required) => *required,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The `next` link as it stands there, when there is one. A link that is a single object is read as a list of one, and its
/// relation in whatever case (RFC 8288 §2.1.1). What cannot be read so is the error, and so are two next pages: what is
/// passed over may be a page, whose files would be missing in an export that is called whole.
fn next_link(link: &Value) -> Result<Option<&Value>, String> {
    let links = match link {
        Value::Null => return Ok(None),
        Value::Array(links) => links.as_slice(),
        link => std::slice::from_ref(link),
    };
    let odd = |link: &Value| Err(no_link(link));
    let mut next = None;
    for link in links {
        let Some(link) = link.as_object() else {
            return odd(link);
        };
        let is_next = match link.get("relation").unwrap_or(&Value::Null) {
            Value::Null => false,
            Value::String(relation) => relation.eq_ignore_ascii_case("next"),
            relation => return odd(relation),
        };
        let url = link.get("url").unwrap_or(&Value::Null);
        if is_next && next.replace(url).is_some_and(|before| before != url) {
            return odd(url);
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_link_is_a_next_page_or_none_or_an_error_and_never_passed_over() {
        let next = |url: &str| json!({"relation": "next", "url": url});
        let page = json!("a");
        for (link, expected) in [
            (json!(null), Some(None)),
            (json!([]), Some(None)),
            (
                json!([{"relation": "self", "url": "b"}, {"url": "c"}]),
                Some(None),
            ),
            (json!([next("a")]), Some(Some(&page))),
            (next("a"), Some(Some(&page))),
            (json!([{"relation": "NEXT", "url": "a"}]), Some(Some(&page))),
            (json!([next("a"), next("a")]), Some(Some(&page))),
            (json!([next("b"), next("a")]), None),
            (json!([{"relation": ["next"], "url": "a"}]), None),
            (json!("a"), None),
            (json!(["a"]), None),
        ] {
            assert_eq!(next_link(&link).ok(), expected, "{link}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_however_it_is_written() {
        for (value, expected) in [
            (json!(2), Ok(Some(2))),
            (json!("2"), Ok(Some(2))),
            (json!(2.0), Ok(Some(2))),
            (json!("2.0"), Ok(Some(2))),
            (json!(2e3), Ok(Some(2000))),
            (json!(null), Ok(None)),
            (json!(-1), Err("-1".to_owned())),
            (json!(1.5), Err("1.5".to_owned())),
            (json!(1e30), Err("1e+30".to_owned())),
            (json!("many"), Err("\"many\"".to_owned())),
            (json!([]), Err("[]".to_owned())),
        ] {
            assert_eq!(count(Some(&value)), expected, "{value}");
        }
        assert_eq!(count(None), Ok(None));
    }
}
