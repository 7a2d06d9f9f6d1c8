//! URLs as people may see them: of a query the values that are known to be safe, of a path what is no signature.

use std::borrow::Cow;

use url::{Url, form_urlencoded};

use super::known::{MASK, mask};
use super::shape::{looks_like_token, mask_tokens};

/// What FHIR and its servers steer an answer with; the values say what was asked for and open nothing.
const CONTROLS: [&str; 36] = [
    "_after",
    "_before",
    "_container",
    "_contained",
    "_content",
    "_count",
    "_elements",
    "_filter",
    "_format",
    "_getpages",
    "_getpagesoffset",
    "_bundletype",
    "_has",
    "_id",
    "_include",
    "_jobid",
    "_lastupdated",
    "_list",
    "_offset",
    "_outputformat",
    "_page",
    "_pretty",
    "_profile",
    "_query",
    "_revinclude",
    "_security",
    "_since",
    "_sort",
    "_source",
    "_summary",
    "_tag",
    "_text",
    "_total",
    "_type",
    "_typefilter",
    "_until",
];
/// The same of bulk requests without an underscore, of pages and of versions.
const PLAIN_CONTROLS: [&str; 20] = [
    "patient",
    "includeassociateddata",
    "organizeoutputby",
    "allowpartialmanifests",
    "page",
    "pages",
    "offset",
    "count",
    "limit",
    "start",
    "end",
    "job",
    "jobid",
    "n",
    "part",
    "index",
    "api-version",
    "version",
    "versionid",
    "fields",
];
/// Names of parameters whose values open something, as parts of the name.
const SENSITIVE_PARTS: [&str; 15] = [
    "signature",
    "credential",
    "token",
    "secret",
    "password",
    "passwd",
    "assertion",
    "policy",
    "key",
    "hmac",
    "hdnea",
    "hdnts",
    "jwt",
    "session",
    "ticket",
];
/// The same as whole names: signed URLs of Azure, Akamai and others, and OAuth's own.
const SENSITIVE: [&str; 16] = [
    "sig",
    "sign",
    "se",
    "st",
    "hash",
    "auth",
    "authorization",
    "authkey",
    "state",
    "nonce",
    "code_verifier",
    "code_challenge",
    "awsaccesskeyid",
    "googleaccessid",
    "sid",
    "pwd",
];
/// As long a part of a path may be an id; what is longer and mixed may be a signature.
const LONGEST_ID: usize = 40;

/// A URL fit to be shown: without user and fragment, of its query only what is known to be safe, and no signature of
/// its path.
pub fn url_for_people(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    // Both fail only for URLs that can have neither.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    if let Some(path) = masked_path(url) {
        shown.set_path(&path);
    }
    if let Some(query) = url.query() {
        let is_search = is_search(url);
        let pairs: Vec<Cow<'_, str>> = query
            .split('&')
            .map(|pair| masked_pair(pair, is_search))
            .collect();
        shown.set_query(Some(&pairs.join("&")));
    }
    mask(shown.as_str())
}

/// The same URL without query and fragment, for what is kept on disk.
pub fn url_without_query(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    let _ = bare.set_password(None);
    let _ = bare.set_username("");
    bare.into()
}

/// `name=value` as it may be shown. The name is decoded first: `%74oken` is `token`.
fn masked_pair(pair: &str, is_search: bool) -> Cow<'_, str> {
    let Some((name, _)) = pair.split_once('=') else {
        // A bare word may be the signature itself.
        return if looks_like_token(pair) {
            MASK.into()
        } else {
            pair.into()
        };
    };
    let (decoded, value) = form_urlencoded::parse(pair.as_bytes())
        .next()
        .unwrap_or_default();
    let decoded = decoded.to_ascii_lowercase();
    let base = decoded.split([':', '.']).next().unwrap_or_default();
    let is_known = CONTROLS.contains(&base) || PLAIN_CONTROLS.contains(&base);
    let is_safe =
        !is_sensitive(&decoded) && (is_known || is_search) && mask_tokens(&value) == value;
    if is_safe {
        pair.into()
    } else if looks_like_token(name) {
        format!("{MASK}={MASK}").into()
    } else {
        format!("{name}={MASK}").into()
    }
}

fn is_sensitive(name: &str) -> bool {
    SENSITIVE.contains(&name) || SENSITIVE_PARTS.iter().any(|part| name.contains(part))
}

/// Whether a URL asks a FHIR server for resources of a type, whose parameters are what the user wrote. Everything else
/// may be a file of a store, whose parameters are signatures.
fn is_search(url: &Url) -> bool {
    let mut segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    segments.retain(|segment| !segment.is_empty());
    match segments.as_slice() {
        [.., one, "_search" | "_history"] | [.., one] if is_type(one) => true,
        [.., "_search" | "_history"] => true,
        [.., last] => last.starts_with('$'),
        [] => false,
    }
}

/// Whether a part of a path reads like a resource type: `Patient`, `ExplanationOfBenefit`.
fn is_type(segment: &str) -> bool {
    segment.len() > 2
        && segment.starts_with(|c: char| c.is_ascii_uppercase())
        && segment[1..].chars().all(|c| c.is_ascii_alphabetic())
        && segment[1..].contains(|c: char| c.is_ascii_lowercase())
        && !segment.starts_with("Get")
}

/// The path with what may be signatures masked; `None` when nothing in it may be one.
fn masked_path(url: &Url) -> Option<String> {
    let mut after_type = false;
    let mut is_masked = false;
    let segments: Vec<&str> = url
        .path_segments()?
        .map(|segment| {
            let is_id = std::mem::replace(&mut after_type, is_type(segment)) && segment.len() <= 64;
            if !is_id && may_be_signature(segment) {
                is_masked = true;
                return MASK;
            }
            segment
        })
        .collect();
    is_masked.then(|| segments.join("/"))
}

fn may_be_signature(segment: &str) -> bool {
    let decoded = percent_decoded(segment);
    let stem = decoded.split('.').next().unwrap_or_default();
    let is_named = decoded
        .split(['~', ';', '&', '!', ','])
        .filter_map(|part| part.split_once('='))
        .any(|(name, _)| is_sensitive(&name.to_ascii_lowercase()));
    let is_jwt = decoded.starts_with("eyJ") && decoded.contains('.');
    is_named || is_jwt || stem.len() >= LONGEST_ID && looks_like_token(stem)
}

fn percent_decoded(segment: &str) -> String {
    // What means something in a query means itself in a path.
    let literal = segment
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    form_urlencoded::parse(literal.as_bytes())
        .next()
        .map(|(text, _)| text.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(url: &str) -> String {
        url_for_people(&Url::parse(url).unwrap())
    }

    #[test]
    fn what_a_user_asked_a_fhir_server_for_stays() {
        for url in [
            "https://h.example/fhir/Patient?name=Eve&birthdate=gt2000-01-01&_count=5",
            "https://h.example/fhir/Observation?code=http://loinc.org|1234-5&patient.identifier=urn:oid:1.2.36.146.595.217.0.1|12345",
            "https://h.example/fhir/Patient/$everything?_since=2026-01-01T00:00:00Z",
            "https://h.example/fhir/$export?_type=Patient&_typeFilter=Observation%3Fcategory%3Dlaboratory",
            "https://h.example/fhir?_getpages=0d4b6c6a-7c4b-4f0e-9d2d-2f8c1a3b4c5d&_getpagesoffset=20",
            "https://h.example/fhir/Patient/erXuFYUfucBZaryVksYEcMg3-eq081VQEgP8drUUqCWzHfw3",
            "https://h.example/jobs/0d4b6c6a-7c4b-4f0e-9d2d-2f8c1a3b4c5d/Patient.00001.ndjson?page=2",
            "https://h.example/fhir/Patient?identifier:of-type=a|b|c&gender:not=male",
        ] {
            assert_eq!(show(url), url);
        }
    }

    #[test]
    fn what_opens_something_is_masked_however_it_is_written() {
        for (url, expected) in [
            (
                "https://u:p@b.example/f?X-Amz-Signature=abc&sig=x#t",
                "https://b.example/f?X-Amz-Signature=********&sig=********",
            ),
            (
                "https://h.example/f?%74oken=x&to%6Ben=y",
                "https://h.example/f?%74oken=********&to%6Ben=********",
            ),
            (
                "https://x.azurewebsites.net/api/GetFile?code=abc==",
                "https://x.azurewebsites.net/api/GetFile?code=********",
            ),
            (
                "https://h.example/fhir/Patient?access_token=x&name=y",
                "https://h.example/fhir/Patient?access_token=********&name=y",
            ),
            (
                "https://h.example/f?jwt=1&hmac=2&hdnea=3&auth=4&sign=5&ticket=6&hash=7&st=8&accesskey=9&sessionid=0&code=1&new=2",
                "https://h.example/f?jwt=********&hmac=********&hdnea=********&auth=********&sign=********&ticket=********\
                 &hash=********&st=********&accesskey=********&sessionid=********&code=********&new=********",
            ),
            (
                "https://h.example/hdnea=exp=1~hmac=ab/f.ndjson",
                "https://h.example/********/f.ndjson",
            ),
            (
                "https://h.example/eyJhbGciOiJI.eyJz.c2ln/f",
                "https://h.example/********/f",
            ),
            (
                "https://h.example/s/3kT9fQ2sLmNbV7cX8zAp1Qw5Rt6Yu7Io8Pa9Sd0Fg/f.ndjson",
                "https://h.example/s/********/f.ndjson",
            ),
            (
                "https://h.example/f?3kT9fQ2sLmNbV7cX8zAp1Qw5Rt6",
                "https://h.example/f?********",
            ),
        ] {
            assert_eq!(show(url), expected, "{url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_unknown_value_of_a_file_url_is_shown(name in "[a-z%0-9]{1,12}", path in "[a-z0-9/]{0,12}") {
            let url = Url::parse(&format!("https://h.example/{path}?{name}x=canary")).unwrap();
            proptest::prop_assert!(!url_for_people(&url).contains("canary"));
        }
    }
}
