//! What is imported, how, and by whom: another request is another import.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bulk::import::order::matching::Template;
use crate::bulk::import::read::input::Input;
use crate::bulk::import::settle::report::Report;
use crate::bulk::import::{ImportError, Options, any_name};
use crate::bulk::requester;
use crate::fhir::Client;
use crate::place;
use crate::words;

const VERSION: u32 = 2;
/// Bytes at each end of a file that tell whether it is the same.
const END: u64 = 64 * 1024;

/// What is imported and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    version: u32,
    server: String,
    /// Who asks, salted and hashed.
    by: Value,
    settings: BTreeMap<String, String>,
    files: Vec<Known>,
    #[serde(with = "any_name")]
    pub rejects: PathBuf,
    /// Whether nothing lay under the name of the rejects, so that what lies there empty is this import's.
    pub is_reserved: bool,
    /// The report, once all is settled.
    pub finished: Option<Report>,
    /// Whether the rejects have yet to be put where they belong.
    pub is_unplaced: bool,
}

/// A file as it is known again: it may be touched, copied, or moved with the folder of the import, but not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Relative to the folder of the import, where that can be.
    #[serde(with = "any_name")]
    name: PathBuf,
    bytes: u64,
    /// SHA-256 of both ends.
    ends: String,
}

impl Known {
    /// Looks at a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = place::open_plain(path)?;
        let bytes = file.metadata()?.len();
        let mut context = Context::new(&SHA256);
        let mut add = |file: &mut File| -> io::Result<()> {
            let mut end = Vec::new();
            file.take(END).read_to_end(&mut end)?;
            context.update(&end);
            Ok(())
        };
        add(&mut file)?;
        file.seek(SeekFrom::Start(bytes.saturating_sub(END)))?;
        add(&mut file)?;
        let digest = context.finish();
        let ends = digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(Self {
            name: name_of(path),
            bytes,
            ends,
        })
    }

    /// Whether this is the same content, wherever it lies.
    pub fn is_same_content(&self, other: &Self) -> bool {
        (self.bytes, &self.ends) == (other.bytes, &other.ends)
    }
}

/// A path relative to the working folder if it lies below it, else as a whole: the folder may be moved.
pub fn name_of(path: &Path) -> PathBuf {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = whole(path);
    match path.strip_prefix(whole(Path::new("."))) {
        Ok(inside) => inside.to_owned(),
        Err(_) => path,
    }
}

impl Request {
    /// The request of these options.
    ///
    /// # Errors
    /// A file cannot be looked at.
    pub fn new(
        client: &Client,
        options: &Options,
        inputs: &[Input],
        is_ordered: bool,
    ) -> Result<Self, ImportError> {
        let mut files = Vec::new();
        for input in inputs.iter().filter(|input| !input.is_read_once) {
            let Some(path) = &input.path else { continue };
            files.push(Known::of(path).map_err(|source| ImportError::Input {
                name: input.name(),
                source,
            })?);
        }
        let templates: Vec<&str> = options.templates.iter().map(Template::as_text).collect();
        let order = match is_ordered {
            true => "auto",
            // It sends other requests than with the flag.
            false if options.is_like_medplum() => "left out",
            false => "given",
        };
        let settings = [
            ("--method", options.method.name().to_owned()),
            ("--bundle", options.bundle.name().to_owned()),
            ("--match", templates.join(" ")),
            ("--order", order.to_owned()),
            (
                "--add-extensions-for-missing-values",
                options.add_extensions.to_string(),
            ),
            ("--delete-by-search", options.deletes_by_search.to_string()),
        ];
        let mut by = json!({});
        requester::put_into(&mut by, client, None);
        Ok(Self {
            version: VERSION,
            server: client.profile.fhir_base.to_string(),
            by,
            settings: settings
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            files,
            rejects: name_of(&options.rejects),
            is_reserved: !place::leads_somewhere(&options.rejects),
            finished: None,
            is_unplaced: false,
        })
    }

    /// Reads a request. One of another version is no request of this one.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn read(text: &[u8]) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let words = |error: serde_json::Error| words::of_json(&error);
        let found: Versioned = serde_json::from_slice(text).map_err(words)?;
        if found.version != VERSION {
            return Ok(None);
        }
        serde_json::from_slice(text).map(Some).map_err(words)
    }

    /// What another request has that this one has not, in words.
    pub fn difference(&self, other: &Self, client: &Client) -> Option<String> {
        if self.server != other.server {
            return Some(format!("it is for {}", other.server));
        }
        if !requester::is_same(client, &other.by) {
            return Some("another client, user or project began it".into());
        }
        if let Some((name, value)) = other
            .settings
            .iter()
            .find(|(name, value)| self.settings.get(*name) != Some(value))
        {
            return Some(format!("{name} was `{value}`"));
        }
        let names = |request: &Self| -> Vec<String> {
            let files = request.files.iter();
            files.map(|file| file.name.display().to_string()).collect()
        };
        if names(self) != names(other) {
            return Some(format!("it imports {}", names(other).join(", ")));
        }
        let changed = self
            .files
            .iter()
            .zip(&other.files)
            .find(|(new, old)| new != old);
        if let Some((file, _)) = changed {
            return Some(format!("{} has changed since", file.name.display()));
        }
        (self.rejects != other.rejects)
            .then(|| format!("--rejects was {}", other.rejects.display()))
    }

    /// The rejects' own file among those that were read, as it was then.
    pub fn read_rejects(&self) -> Option<&Known> {
        self.files.iter().find(|file| file.name == self.rejects)
    }

    /// Takes files for the same that are others now: rejects took the place of those that were read.
    pub fn look_again(&mut self) {
        for file in &mut self.files {
            if let Ok(now) = Known::of(&file.name) {
                *file = Self::named(now, file);
            }
        }
    }

    fn named(now: Known, before: &Known) -> Known {
        Known {
            name: before.name.clone(),
            ..now
        }
    }
}
