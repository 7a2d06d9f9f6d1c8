//! By what names references call a resource.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};

use crate::bulk::import::Options;
use crate::bulk::import::read::line;

/// How the name of a UUID begins (RFC 9562 §4).
pub(super) const URN: &str = "urn:uuid:";

/// Where a full URL is the name of a resource: FHIR R4 §3.1.0.11.2, within one Bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    pub file: usize,
    /// The line of the Bundle; 0 where it is the whole file, or there is none.
    pub bundle: u64,
}

impl Scope {
    /// No Bundle at all.
    pub const NONE: Self = Self {
        file: usize::MAX,
        bundle: u64::MAX,
    };

    /// Another full URL for the same resource, which no other Bundle has.
    pub fn own_url(self, url: &str) -> String {
        made_up(&self.name(url))
    }

    /// A full URL as it is known within.
    pub(super) fn name(self, url: &str) -> String {
        format!("{}|{}|{}", self.file, self.bundle, folded(url))
    }
}

/// What references call a resource.
#[derive(Debug)]
pub struct Names {
    pub(super) scope: Scope,
    pub(super) full_url: Option<String>,
    pub(super) others: Vec<String>,
}

/// By what names references call the resources of an import.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// Whether resources are written under the ids they have.
    pub keeps_ids: bool,
    /// Whether `Type/id` is a name that is looked up.
    pub by_id: bool,
    /// Whether an id that is a UUID is a name as `urn:uuid`.
    pub by_uuid: bool,
}

impl Naming {
    /// How it is with these options. What goes out as the Medplum CLI sends it keeps references by id alone, and those by
    /// UUID without a full URL. `has_source` is whether references by the URL of the export's own server are to be led.
    pub fn of(options: &Options, has_source: bool) -> Self {
        let is_like_medplum = options.is_like_medplum();
        Self {
            keeps_ids: !options.method.gives_ids(),
            by_id: has_source || options.method.gives_ids() && !is_like_medplum,
            by_uuid: !is_like_medplum,
        }
    }
}

impl Names {
    /// The names of a resource in a Bundle or file.
    pub fn new(
        scope: Scope,
        resource_type: &str,
        id: Option<&str>,
        full_url: Option<&str>,
        naming: Naming,
    ) -> Self {
        let mut others = Vec::new();
        if let Some(id) = id {
            if naming.by_uuid && line::is_uuid(id) {
                others.push(format!("{URN}{id}"));
            }
            if naming.by_id {
                others.push(format!("{resource_type}/{id}"));
            }
        } else if let Some(relative) = full_url.and_then(relative_of)
            && naming.by_id
        {
            others.push(relative.to_owned());
        }
        let full_url = full_url.map(str::to_owned);
        others.retain(|name| Some(name) != full_url.as_ref());
        Self {
            scope,
            full_url,
            others,
        }
    }

    /// Every name, as the index knows it.
    pub(super) fn all(&self) -> Vec<String> {
        let url = self.full_url.iter();
        let urls = url.flat_map(|url| [self.scope.name(url), url.clone()]);
        urls.chain(self.others.iter().cloned()).collect()
    }
}

/// A UUID that is the same for the same name (RFC 9562 §5.8).
pub(super) fn made_up(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!("{URN}{}", parts.join("-"))
}

/// Whether a reference is a `urn:uuid`.
/// The name of a scheme and that of its namespace are the same in capitals (RFC 8141 §3.1).
pub fn is_urn(reference: &str) -> bool {
    let start = reference.get(..URN.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(URN))
}

/// A name by which another spelling of it is known too: UUIDs are the same in capitals and small letters (RFC 9562 §4); ids
/// are not.
pub fn folded(reference: &str) -> Cow<'_, str> {
    if is_urn(reference) {
        Cow::Owned(reference.to_ascii_lowercase())
    } else {
        Cow::Borrowed(reference)
    }
}

/// The UUID of a `urn:uuid`, which makes a good id for a resource without one.
pub fn uuid_of(urn: &str) -> Option<&str> {
    let uuid = urn.get(URN.len()..).filter(|_| is_urn(urn))?;
    line::is_uuid(uuid).then_some(uuid)
}

/// Whether a reference is `Type/id`.
pub fn is_relative(reference: &str) -> bool {
    let reference = without_version(reference);
    matches!(reference.split_once('/'), Some((kind, id)) if line::is_type(kind) && !id.is_empty() && !id.contains(['/', '?', '#', ':']))
}

/// `Type/id` at the end of a full URL over HTTP.
pub fn relative_of(full_url: &str) -> Option<&str> {
    let (_, path) = full_url.split_once("://")?;
    let at = path.rmatch_indices('/').nth(1)?.0;
    Some(&path[at + 1..]).filter(|relative| is_relative(relative))
}

/// A reference without the version it names.
pub fn without_version(reference: &str) -> &str {
    reference.split("/_history/").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_url_is_a_uuid_of_its_own() {
        let url = made_up("Patient/1");
        let uuid = url.strip_prefix("urn:uuid:").unwrap();
        assert!(line::is_uuid(uuid), "{url}");
        assert_eq!(&uuid[14..15], "8");
        assert!(url == made_up("Patient/1") && url != made_up("Patient/2"));
    }

    #[test]
    fn relative_references_are_type_and_id() {
        for good in ["Patient/1", "Patient/1/_history/2", "Xyz/a.b-c_d"] {
            assert!(is_relative(good), "{good}");
        }
        for bad in [
            "#1",
            "Patient?a=b",
            "Patient",
            "patient/1",
            "a/b/c",
            "urn:uuid:1",
            "https://h/Patient/1",
            "Patient/",
        ] {
            assert!(!is_relative(bad), "{bad}");
        }
        assert!(is_urn("URN:uuid:1") && !is_urn("urn:oid:1") && !is_urn("urn:uui\u{e9}"));
        assert_eq!(relative_of("https://h/fhir/Patient/1"), Some("Patient/1"));
        assert_eq!(relative_of("urn:uuid:1"), None);
    }
}
