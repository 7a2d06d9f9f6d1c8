//! A list of a page: each entry goes into the listing as it comes.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Draft, MOST_FILES, Problem, Reading};
use crate::bulk::export::manifest::{self, Group};
use crate::bulk::export::meter::LARGEST_ENTRY;
use crate::words;

/// One of the lists of files, or null, which is as if it were not there.
pub(super) struct List<'a, 'b> {
    pub(super) reading: &'a Reading<'a>,
    pub(super) draft: &'a mut Draft<'b>,
    pub(super) name: &'a str,
    pub(super) at: usize,
    pub(super) group: Group,
}

impl List<'_, '_> {
    fn refuse<E: serde::de::Error>(self, found: &str) -> E {
        let found = words::shortened(&format!("its `{}` is {found}", self.name));
        self.draft.problem = Some(Problem::List(found));
        E::custom("no list")
    }
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { reading, draft, .. } = self;
        draft.has_output |= self.group == Group::Output;
        let mut number = draft.lists.iter().map(Vec::len).sum::<usize>();
        loop {
            reading
                .meter
                .allow(LARGEST_ENTRY, "an entry of more than 64 KiB");
            let Some(item) = items.next_element::<Value>()? else {
                return Ok(());
            };
            number += 1;
            if number > MOST_FILES {
                reading
                    .meter
                    .exceeded
                    .set(Some("more than a million files"));
                return Err(A::Error::custom("too many"));
            }
            if let Err(found) = manifest::count(item.get("count")) {
                let odd = draft.manifest.odd_counts.get_or_insert((0, found));
                odd.0 += 1;
            }
            match reading.page.file(self.group, &item) {
                Ok(file) => match draft.listing.push(&file) {
                    Ok(line) => draft.lists[self.at].push(line),
                    Err(error) => {
                        draft.problem = Some(Problem::Disk(error));
                        return Err(A::Error::custom("the disk"));
                    }
                },
                Err(found) => {
                    draft.problem = Some(Problem::File(found));
                    return Err(A::Error::custom("no file"));
                }
            }
        }
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.refuse("a string"))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        Err(self.refuse(if value { "true" } else { "false" }))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.refuse("a number"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.refuse("an object"))
    }
}
