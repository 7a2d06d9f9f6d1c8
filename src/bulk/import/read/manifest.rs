//! The `manifest.json` of a folder: the one of an export, another program's, or one that cannot be read any more.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::bulk::listed::Listed;

/// What a `manifest.json` says; a member that stands there twice makes it one that cannot be read.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The kick-off of the export.
    pub request: Option<String>,
    pub output: Option<Vec<Listed>>,
    pub deleted: Option<Vec<Listed>>,
    /// Whether the export had ended; none in a folder of version 0.1.
    pub complete: Option<bool>,
    /// How many files each list had when it was written; older versions did not say it.
    pub listed: Option<Lengths>,
    has_time: bool,
}

/// The lengths of the lists with data.
#[derive(Debug, serde::Deserialize)]
pub struct Lengths {
    output: usize,
    deleted: usize,
}

impl Manifest {
    /// Whether it is one of an export; other programs have files of this name too.
    pub fn is_of_an_export(&self) -> bool {
        self.has_time || self.output.is_some() || self.deleted.is_some() || self.complete.is_some()
    }

    /// What keeps it from saying which files there should be, in words.
    pub fn problem(&self) -> Option<&'static str> {
        let length = |list: &Option<Vec<Listed>>| list.as_ref().map_or(0, Vec::len);
        let (output, deleted) = (length(&self.output), length(&self.deleted));
        let lists = [&self.output, &self.deleted];
        let mut files = lists.into_iter().flatten().flatten();
        if self
            .listed
            .as_ref()
            .is_some_and(|said| (said.output, said.deleted) != (output, deleted))
        {
            Some("its lists are not as long as when it was written")
        } else if self.output.is_none() && deleted == 0 {
            Some("it has no list `output`")
        } else if output + deleted == 0 {
            Some("it lists no files")
        } else if files.any(|listed| listed.path.is_none()) {
            Some("it lists a file without its `path` here")
        } else {
            None
        }
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        // To what serde derives a list would be an object too.
        json.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Manifest, A::Error> {
        const KNOWN: [&str; 6] = [
            "transactionTime",
            "request",
            "output",
            "deleted",
            "complete",
            "listed",
        ];
        let (mut manifest, mut seen) = (Manifest::default(), [false; KNOWN.len()]);
        while let Some(name) = members.next_key::<String>()? {
            let known = KNOWN.iter().position(|known| *known == name);
            if let Some(known) = known
                && std::mem::replace(&mut seen[known], true)
            {
                return Err(A::Error::duplicate_field(KNOWN[known]));
            }
            match name.as_str() {
                "request" => manifest.request = members.next_value()?,
                "output" => manifest.output = Some(members.next_value()?),
                "deleted" => manifest.deleted = Some(members.next_value()?),
                "complete" => manifest.complete = Some(members.next_value()?),
                "listed" => manifest.listed = members.next_value()?,
                name => {
                    manifest.has_time |= name == "transactionTime";
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(manifest)
    }
}
