//! What was typed at each step of the way to a command: a flag may stand before the command's name and after it.

use std::any::Any;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// The matches from the program down to the command, with the names between.
pub struct Chain<'a> {
    /// The command's name, word by word.
    pub path: Vec<&'a str>,
    levels: Vec<&'a ArgMatches>,
}

impl<'a> Chain<'a> {
    /// The way to the command that was named.
    pub fn of(matches: &'a ArgMatches) -> Self {
        let (mut path, mut levels) = (Vec::new(), vec![matches]);
        let mut here = matches;
        while let Some((name, below)) = here.subcommand() {
            path.push(name);
            levels.push(below);
            here = below;
        }
        Self { path, levels }
    }

    /// Whether somebody typed it, of the flags shared between commands or the command's own.
    pub fn is_given(&self, id: &str) -> bool {
        self.typed(id).next().is_some()
    }

    /// Its value; the one that stands last counts.
    pub fn last<T: Any + Clone + Send + Sync>(&self, id: &str) -> Option<T> {
        self.typed(id)
            .filter_map(|level| level.get_one::<T>(id))
            .last()
            .cloned()
    }

    /// All its values in the order they stand.
    pub fn all(&self, id: &str) -> Vec<String> {
        self.typed(id)
            .filter_map(|level| level.get_many::<String>(id))
            .flatten()
            .cloned()
            .collect()
    }

    /// Whether a flag without a value was given.
    pub fn any(&self, id: &str) -> bool {
        self.typed(id).any(|level| level.get_flag(id))
    }

    /// How often a flag without a value was given.
    pub fn sum(&self, id: &str) -> u8 {
        self.typed(id)
            .fold(0, |sum, level| sum.saturating_add(level.get_count(id)))
    }

    fn typed(&self, id: &str) -> impl Iterator<Item = &'a ArgMatches> {
        self.levels.iter().copied().filter(move |level| {
            level.try_contains_id(id).is_ok()
                && level.value_source(id) == Some(ValueSource::CommandLine)
        })
    }
}
