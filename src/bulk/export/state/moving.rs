//! The files of a new export on their way to the places of an old one: written down, moved, and finished after a crash.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::document::{self, Made};
use super::{Records, plan};
use crate::bulk::export::error::BulkError;
use crate::bulk::export::layout;
use crate::bulk::export::log::read as log;
use crate::bulk::export::settle;
use crate::place::lines::Lines;
use crate::place::{self, Landed, Place, There};
use crate::words;

/// What moves: written before the first file does, and read as a stream.
struct Moving {
    /// What the old export made.
    old: Records,
    new: Lines<PathBuf>,
}

/// A file of the old export. Version 0.1 wrote only paths.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Old {
    Made(Made),
    Path(PathBuf),
}

/// Writes down what moves.
///
/// # Errors
/// The disk.
pub fn write(place: &Place, old: &Records, new: &Lines<PathBuf>) -> io::Result<()> {
    place.swap_by(layout::MOVING, |writer| {
        writer.write_all(b"{\"old\":")?;
        list(writer, old.all())?;
        writer.write_all(b",\"new\":")?;
        list(writer, new.each())?;
        writer.write_all(b"}")
    })
}

fn list<T: Serialize>(
    writer: &mut dyn Write,
    items: impl Iterator<Item = io::Result<T>>,
) -> io::Result<()> {
    let mut before: &[u8] = b"[";
    for item in items {
        writer.write_all(before)?;
        serde_json::to_writer(&mut *writer, &item?)?;
        before = b",";
    }
    writer.write_all(if before == b"[" { b"[]" } else { b"]" })
}

/// Finishes a replacement that was interrupted while its files moved.
///
/// # Errors
/// Something is in the way; the disk.
pub fn settle(folder: &Path) -> Result<(), BulkError> {
    let (files, place) = (Place::new(folder), layout::state_of(folder));
    let disk = |source| BulkError::disk(place.folder(), source);
    let Some(mut moving) = read(folder, &place).map_err(disk)? else {
        return Ok(());
    };
    let new = place.within(layout::NEW);
    let names = moving.with_what_was_not_written(&new).map_err(disk)?;
    let folders = move_in(folder, &new, &moving)?;
    for made in moving.old.all() {
        let made = made.map_err(disk)?;
        if !names.has(&made.path) && made.is_at(&folder.join(&made.path)) {
            let _ = files.remove(&made.path);
        }
    }
    files.remove_empty(layout::ATTACHMENTS);
    if log::is_ours(folder) {
        give_if_there(&new, &files, layout::LOG).map_err(disk)?;
    }
    place::sync_folders(&folders);
    let from = new.within(layout::STATE);
    // The job comes last: what it names is there by then.
    let documents = [layout::DONE, layout::OURS, layout::FILES, layout::JOB].map(PathBuf::from);
    for name in plan::all(&from).into_iter().chain(documents) {
        give_if_there(&from, &place, &name).map_err(disk)?;
    }
    place.sync();
    let _ = place.clear(layout::NEW);
    place.remove(layout::MOVING).map_err(disk)
}

/// What was written down, unless nothing was.
fn read(folder: &Path, place: &Place) -> io::Result<Option<Moving>> {
    let Some(file) = place.open(layout::MOVING)? else {
        return Ok(None);
    };
    let mut moving = Moving {
        old: Records::new(place),
        new: Lines::new(place.nameless()?),
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let read = json.deserialize_map(Reading {
        folder,
        moving: &mut moving,
    });
    read.map_err(words::json_error)?;
    Ok(Some(moving))
}

/// Reads both lists into the value.
struct Reading<'a> {
    folder: &'a Path,
    moving: &'a mut Moving,
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what moves")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Moving { old, new } = self.moving;
        while let Some(name) = members.next_key::<String>()? {
            match &*name {
                "old" => members.next_value_seed(each(|item: Old| match item {
                    Old::Made(made) => old.add(&made),
                    Old::Path(path) => old.add(&of_version_0_1(self.folder, path)),
                }))?,
                "new" => members.next_value_seed(each(|path: PathBuf| {
                    document::check_name(&path)?;
                    new.push(&path)
                }))?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Takes the items of a list one by one.
struct Each<T, F> {
    take: F,
    of: PhantomData<T>,
}

fn each<T, F: FnMut(T) -> io::Result<()>>(take: F) -> Each<T, F> {
    Each {
        take,
        of: PhantomData,
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> io::Result<()>> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> io::Result<()>> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<T>()? {
            (self.take)(item).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

/// Names, by their hashes, whose key is made by chance.
struct Names {
    hashes: RandomState,
    known: HashSet<u64>,
}

impl Names {
    fn has(&self, path: &Path) -> bool {
        self.known.contains(&self.hashes.hash_one(path))
    }

    /// Adds one; whether it is new.
    fn add(&mut self, path: &Path) -> bool {
        self.known.insert(self.hashes.hash_one(path))
    }
}

impl Moving {
    /// Adds what version 0.1 did not write down, and says which names there are.
    fn with_what_was_not_written(&mut self, new: &Place) -> io::Result<Names> {
        let mut names = Names {
            hashes: RandomState::new(),
            known: HashSet::new(),
        };
        for path in self.new.each() {
            names.add(&path?);
        }
        let documents = [layout::MANIFEST, layout::ATTACHMENT_INDEX].map(PathBuf::from);
        let documents = documents.into_iter().filter(|name| new.has(name));
        let attachments = new.within(layout::ATTACHMENTS).list().into_iter();
        let attachments = attachments.map(|there| Path::new(layout::ATTACHMENTS).join(there.name));
        for path in documents.chain(attachments) {
            if names.add(&path) {
                self.new.push(&path)?;
            }
        }
        Ok(names)
    }
}

/// Moves the new files in; what it gives are the folders they lie in now.
fn move_in(folder: &Path, new: &Place, moving: &Moving) -> Result<BTreeSet<PathBuf>, BulkError> {
    let mut folders = BTreeSet::from([folder.to_owned()]);
    for path in moving.new.each() {
        let path = path.map_err(|error| BulkError::disk(new.folder(), error))?;
        let (from, to) = (new.path(&path), folder.join(&path));
        let disk = |source| BulkError::disk(&to, source);
        let there = There::at(&from).map_err(disk)?;
        // An earlier try moved it.
        if there == There::Nothing {
            continue;
        }
        if there == There::at(&to).map_err(disk)? && matches!(there, There::Plain(_)) {
            // It did, and a power cut brought the first name back.
            new.remove(&path).map_err(disk)?;
            continue;
        }
        let into = Place::around(&to);
        into.make().map_err(disk)?;
        let replaces: Vec<Made> = moving.old.under(&path).collect();
        match settle::place(&from, &to, &replaces).map_err(disk)? {
            Landed::Placed => folders.insert(into.folder().to_owned()),
            Landed::InTheWay => return Err(BulkError::InTheWay { path: to }),
        };
    }
    Ok(folders)
}

/// A file of the old export, as version 0.1 knew it: by its name.
fn of_version_0_1(folder: &Path, path: PathBuf) -> Made {
    let there = There::at(&folder.join(&path));
    Made {
        bytes: match there {
            Ok(There::Plain(version)) => version.bytes,
            _ => 0,
        },
        path,
        version: None,
        digest: None,
    }
}

fn give_if_there(from: &Place, to: &Place, name: impl AsRef<Path>) -> io::Result<()> {
    match from.give(&name, to, &name) {
        // An earlier try moved it, or there is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.has(&name) => Ok(()),
        result => result,
    }
}
