//! `plan.N.ndjson`: what the manifest lists and where each file goes, a line each. A reading writes a plan of its own,
//! which is durable before `job.json` names it; the one before goes then. `files.json` is that of versions before 3.

use std::fmt;
use std::io::{self, BufReader};
use std::path::PathBuf;

use serde::de::{Deserializer, SeqAccess, Visitor};

use super::document::{Phase, PlanOf, Planned, State, check_name};
use crate::bulk::export::layout;
use crate::place::Place;
use crate::place::lines::Lines;
use crate::words;

/// What the manifest lists, and where each file goes.
pub type Plan = Lines<Planned>;

/// A plan that `job.json` does not name yet. Unless it is, it goes.
#[derive(Debug)]
pub struct Draft {
    pub(super) lines: Plan,
    generation: u32,
    /// Where it lies, as long as it does not count.
    place: Option<Place>,
}

impl Draft {
    /// The one behind the plan that counts.
    pub(super) fn behind(place: &Place, state: &State) -> io::Result<Self> {
        let generation = state.plan.map_or(1, |plan| plan.generation + 1);
        let name = layout::plan(generation);
        place.remove(&name)?;
        Ok(Self {
            lines: Lines::new(place.create(&name)?),
            generation,
            place: Some(place.clone()),
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The disk.
    pub fn push(&mut self, planned: &Planned) -> io::Result<()> {
        self.lines.push(planned)
    }

    /// Makes it durable: what `job.json` says of it from now on, and the plan.
    pub(super) fn finish(mut self, place: &Place) -> io::Result<(PlanOf, Plan)> {
        self.lines.sync()?;
        place.sync();
        self.place = None;
        let plan = PlanOf {
            generation: self.generation,
            lines: self.lines.len(),
        };
        Ok((plan, std::mem::take(&mut self.lines)))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            let _ = place.remove(layout::plan(self.generation));
        }
    }
}

/// The plan of a job: nothing is written for it.
///
/// # Errors
/// The disk, no plan, or a path that leads out of the folder.
pub fn read(place: &Place, state: &State) -> io::Result<Plan> {
    let Some(plan) = state.plan else {
        return read_files(place, state.phase);
    };
    let file = place
        .open(layout::plan(plan.generation))?
        .ok_or_else(gone)?;
    let lines = Lines::open(file, |planned: &Planned| check_name(&planned.path))?;
    if lines.len() != plan.lines {
        let words = format!("it has {} lines of {}", lines.len(), plan.lines);
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    Ok(lines)
}

/// The name of the file that the plan of a job is in.
pub fn name(state: &State) -> String {
    let plan = state.plan.map(|plan| layout::plan(plan.generation));
    plan.unwrap_or_else(|| layout::FILES.to_owned())
}

/// No list is not an empty one: every file that came would be an orphan.
fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is gone")
}

/// The list of an older version, in memory.
fn read_files(place: &Place, phase: Phase) -> io::Result<Plan> {
    let file = match place.open(layout::FILES)? {
        Some(file) => file,
        // It may have been given up before there was one.
        None if phase == Phase::Cancelled => return Ok(Plan::default()),
        None => return Err(gone()),
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 << 10, file));
    let plan = json
        .deserialize_seq(Files)
        .and_then(|plan| json.end().map(|()| plan));
    plan.map_err(words::json_error)
}

/// Reads a JSON list as a stream.
struct Files;

impl<'de> Visitor<'de> for Files {
    type Value = Plan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plan, A::Error> {
        let mut plan = Plan::default();
        while let Some(planned) = items.next_element::<Planned>()? {
            check_name(&planned.path).map_err(serde::de::Error::custom)?;
            plan.push(&planned).map_err(serde::de::Error::custom)?;
        }
        Ok(plan)
    }
}

/// The names of the plans that lie where a state is, of whatever generation.
pub(super) fn all(place: &Place) -> Vec<PathBuf> {
    let names = place.list().into_iter().map(|there| there.name);
    names
        .filter(|name| layout::is_plan(&name.to_string_lossy()))
        .collect()
}

/// Takes away the plans that do not count: those of readings before, and one that a crash kept from counting.
pub(super) fn sweep(place: &Place, state: &State) {
    let Some(plan) = state.plan else { return };
    let counts = PathBuf::from(layout::plan(plan.generation));
    let others = all(place).into_iter().filter(|name| *name != counts);
    for name in others.chain([PathBuf::from(layout::FILES)]) {
        let _ = place.remove(name);
    }
}
