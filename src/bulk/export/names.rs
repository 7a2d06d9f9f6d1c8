//! File names: by type and number, or as the Medplum CLI makes them, and never two that are one on some disk.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::path::{Path, PathBuf};

use super::manifest::{Group, ManifestFile};
use super::options::NameStyle;

/// The longest stem; with suffix and temporary marks it stays below the 255 bytes most disks allow.
const LONGEST_STEM: usize = 180;

/// Gives every file of an export its name, in manifest order.
#[derive(Debug)]
pub struct Names {
    style: NameStyle,
    /// `.ndjson` or `.ndjson.gz`.
    suffix: &'static str,
    /// Hashes of the names: two of one hash are taken for one name, which costs a number.
    taken: HashSet<u64>,
    /// The number to try next for the hash of a stem, so that thousands of files of one type do not search from the start.
    next: HashMap<u64, usize>,
    hashes: RandomState,
}

impl Names {
    /// No name is taken yet.
    pub fn new(style: NameStyle, compress: bool) -> Self {
        Self {
            style,
            suffix: if compress { ".ndjson.gz" } else { ".ndjson" },
            taken: HashSet::new(),
            next: HashMap::new(),
            hashes: RandomState::new(),
        }
    }

    /// Keeps a path for the file that has it.
    pub fn keep(&mut self, path: &Path) {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let name = match &parts[..] {
            [name] => format!("/{name}"),
            parts => parts.join("/"),
        };
        self.taken.insert(self.hashes.hash_one(name.to_lowercase()));
    }

    /// The path of a file below the export's folder; `deleted` and error files have folders of their own.
    pub fn path(&mut self, file: &ManifestFile) -> PathBuf {
        let folder = match file.group {
            Group::Output => "",
            Group::Deleted => "deleted",
            Group::Error => "errors",
        };
        let stem = match self.style {
            NameStyle::Medplum => medplum_stem(file),
            NameStyle::Typed | NameStyle::Numbered => resource_type(file),
        };
        let suffix = self.suffix;
        let number = self
            .next
            .entry(
                self.hashes
                    .hash_one(format!("{folder}/{}", stem.to_lowercase())),
            )
            .or_insert(1);
        loop {
            let name = match (self.style, *number) {
                (NameStyle::Typed, number) => format!("{stem}.{number:05}{suffix}"),
                (NameStyle::Numbered, number) => format!("{number}.{stem}{suffix}"),
                (NameStyle::Medplum, 1) => format!("{stem}{suffix}"),
                (NameStyle::Medplum, number) => format!("{stem}_{number}{suffix}"),
            };
            *number += 1;
            // Names that differ only in case are one file on macOS and Windows.
            if self.taken.insert(
                self.hashes
                    .hash_one(format!("{folder}/{}", name.to_lowercase())),
            ) {
                return PathBuf::from(folder).join(name);
            }
        }
    }
}

/// A type that could hold anything, made safe for a file name.
fn resource_type(file: &ManifestFile) -> String {
    let letters: String = file
        .resource_type
        .as_deref()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect();
    match (letters.is_empty(), file.group) {
        (false, _) => letters,
        (true, Group::Error) => "OperationOutcome".to_owned(),
        (true, Group::Deleted) => "Bundle".to_owned(),
        (true, Group::Output) => "Resource".to_owned(),
    }
}

fn medplum_stem(file: &ManifestFile) -> String {
    let mut stem = String::new();
    for character in format!("{}_{}", resource_type(file), file.link.url().path()).chars() {
        if character.is_ascii_alphanumeric() {
            stem.push(character);
        } else if !stem.ends_with('_') {
            stem.push('_');
        }
    }
    if stem.len() > LONGEST_STEM {
        let mut hasher = DefaultHasher::new();
        stem.hash(&mut hasher);
        stem.truncate(LONGEST_STEM - 17);
        stem = format!("{stem}_{:016x}", hasher.finish());
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::super::link::{Link, PageOrigin};
    use super::*;
    use crate::bulk::export::sink::promise::Promise;

    fn file(group: Group, resource_type: &str, url: &str) -> ManifestFile {
        ManifestFile {
            group,
            resource_type: Some(resource_type.into()),
            link: {
                let page = url::Url::parse("https://h/").unwrap();
                Link::new(&page, &PageOrigin::of(&page), url).unwrap()
            },
            count: None,
            promise: Promise::default(),
            contradicts: false,
        }
    }

    #[test]
    fn names_are_those_of_the_medplum_cli_and_never_collide() {
        let mut names = Names::new(NameStyle::Medplum, false);
        let mut name = |group, resource_type, url: &str| {
            names
                .path(&file(group, resource_type, url))
                .display()
                .to_string()
        };
        assert_eq!(
            name(Group::Output, "Patient", "https://h/files/1"),
            "Patient_files_1.ndjson"
        );
        assert_eq!(
            name(Group::Output, "Patient", "https://h/files/1?part=2"),
            "Patient_files_1_2.ndjson"
        );
        assert_eq!(
            name(Group::Output, "Patient", "https://h/FILES/1"),
            "Patient_FILES_1_3.ndjson"
        );
        assert_eq!(
            name(Group::Deleted, "Bundle", "https://h/files/1"),
            "deleted/Bundle_files_1.ndjson"
        );
        assert_eq!(
            name(Group::Error, "", "https://h/e"),
            "errors/OperationOutcome_e.ndjson"
        );
        assert_eq!(
            name(Group::Output, "../../x", "https://h/../e"),
            "x_e.ndjson"
        );
        let long = name(
            Group::Output,
            "Patient",
            &format!("https://h/{}", "a".repeat(400)),
        );
        assert!(long.len() < 200);
        assert_ne!(
            long,
            name(
                Group::Output,
                "Patient",
                &format!("https://h/{}b", "a".repeat(400))
            )
        );
    }

    #[test]
    fn typed_and_numbered_names_count_within_a_type() {
        let typed = [
            "Patient.00001.ndjson",
            "Observation.00001.ndjson",
            "Patient.00002.ndjson",
        ];
        let numbered = [
            "1.Patient.ndjson",
            "1.Observation.ndjson",
            "2.Patient.ndjson",
        ];
        for (style, expected) in [(NameStyle::Typed, typed), (NameStyle::Numbered, numbered)] {
            let mut names = Names::new(style, false);
            let mut name = |resource_type| {
                names
                    .path(&file(Group::Output, resource_type, "https://h/f"))
                    .display()
                    .to_string()
            };
            assert_eq!(
                [name("Patient"), name("Observation"), name("Patient")],
                expected
            );
        }
    }
}
