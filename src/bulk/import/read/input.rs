//! One input: a file or stdin, plain or gzip, and its pieces one after the other.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::promise::Counted;
use crate::bulk::import::ImportError;
use crate::bulk::import::piece::{Item, Piece};
use crate::bulk::import::read::asked::Asked;
use crate::bulk::import::read::bundle::{self, Shape};
use crate::bulk::import::read::line;
use crate::bulk::listed::Listed;
use crate::place::{self, Identity, Lock};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
/// What a buffer for lines keeps between them.
const LONG_LINE: usize = 16 << 20;
/// No line may be longer: a resource has to fit into memory.
const LONGEST_LINE: usize = 128 << 20;
/// How gzip begins (RFC 1952 §2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One file, or stdin.
#[derive(Clone, Debug)]
pub struct Input {
    /// `None` is stdin.
    pub path: Option<PathBuf>,
    /// By its name, or because it holds lines.
    pub is_ndjson: bool,
    pub is_gzip: bool,
    /// What becomes of what entries ask for.
    pub asked: Asked,
    /// Whether it is gone once it was read: stdin, a FIFO, what a shell puts in the place of `<(…)`.
    pub is_read_once: bool,
    /// The FHIR base that an export got it from, with a slash at its end.
    pub source: Option<Arc<str>>,
    /// What an export says of it.
    pub promise: Option<Listed>,
    /// What keeps the export from changing it meanwhile.
    pub held: Option<Arc<Lock>>,
    /// The file as it was when it was found.
    version: Option<Identity>,
}

impl Input {
    /// stdin.
    pub(super) fn stdin() -> Self {
        Self {
            path: None,
            is_ndjson: true,
            is_gzip: false,
            asked: Asked::Ids,
            is_read_once: true,
            source: None,
            promise: None,
            held: None,
            version: None,
        }
    }

    /// What a path leads to. What is no plain file is read once, as lines.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub(super) fn of(path: PathBuf) -> Result<Self, ImportError> {
        let extension = |path: &Path| path.extension().unwrap_or_default().to_ascii_lowercase();
        let is_gzip = extension(&path) == "gz";
        let inner = if is_gzip {
            path.with_extension("")
        } else {
            path.clone()
        };
        let is_json = extension(&inner) == "json";
        let found = Identity::of(&path).map_err(|source| ImportError::Input {
            name: path.display().to_string(),
            source,
        })?;
        let is_plain = found.is_some();
        Ok(Self {
            path: Some(path),
            is_ndjson: !is_json || !is_plain,
            is_gzip: is_gzip && is_plain,
            is_read_once: !is_plain,
            version: found,
            ..Self::stdin()
        })
    }

    /// What a path in a folder leads to. Nobody but who made the folder chose where its links lead, so they stay in it.
    ///
    /// # Errors
    /// It cannot be looked at; it is a link that leads out of the folder.
    pub(super) fn within(folder: &Path, path: PathBuf) -> Result<Self, ImportError> {
        let input = Self::of(path.clone())?;
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let real = place::real_within(&path, folder).map_err(|error| input.error(error))?;
        let Some(real) = real else {
            return Err(ImportError::LinkedAway {
                folder: folder.to_owned(),
                path,
            });
        };
        // What was looked at must be what is read, whoever changes the links meanwhile.
        match Identity::of(&real) {
            Ok(found) if found == input.version => Ok(input),
            _ => Err(ImportError::Changed { name: input.name() }),
        }
    }

    /// The input as messages name it.
    pub fn name(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    }

    /// Where an item of this input stands, for messages.
    pub fn place_of(&self, item: &Item) -> String {
        let unit = if self.is_ndjson { "line" } else { "entry" };
        let id = item.id.as_deref().unwrap_or_default();
        match (&*item.resource_type, id) {
            ("", _) => format!("{} {unit} {}", self.name(), item.line),
            (kind, "") => format!("{kind} ({} {unit} {})", self.name(), item.line),
            (kind, id) => format!("{kind}/{id} ({} {unit} {})", self.name(), item.line),
        }
    }

    /// What went wrong with it: that it was changed explains all else.
    pub(super) fn error(&self, source: io::Error) -> ImportError {
        let name = self.name();
        if self.is_as_found() {
            ImportError::Input { name, source }
        } else {
            ImportError::Changed { name }
        }
    }

    /// The file as it was found, where two paths of one file can be told (hard links).
    pub(super) fn found(&self) -> Option<&Identity> {
        self.version.as_ref().filter(|_| cfg!(unix))
    }

    /// Whether its path still leads to the file that was found, unchanged.
    fn is_as_found(&self) -> bool {
        let (Some(path), Some(version)) = (&self.path, &self.version) else {
            return true;
        };
        Identity::of(path).is_ok_and(|now| now.as_ref() == Some(version))
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn BufRead>> {
        let mut file: Box<dyn BufRead> = match &self.path {
            None => Box::new(BufReader::with_capacity(BUFFER, io::stdin())),
            Some(path) => {
                let file = place::open_file(path)?.ok_or(io::ErrorKind::NotFound)?;
                let now = Identity::of_open(&file).ok();
                let is_other = |version: &Identity| now.as_ref() != Some(version);
                if self.version.as_ref().is_some_and(is_other) {
                    return Err(io::Error::other("it is another file now"));
                }
                Box::new(BufReader::with_capacity(BUFFER, file))
            }
        };
        // What is read once has no name that tells; no text begins like that.
        let is_gzip = self.is_gzip || self.is_read_once && file.fill_buf()?.starts_with(GZIP);
        Ok(if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
        } else {
            file
        })
    }

    /// Visits the pieces in their order, each with its line (of a Bundle: its entry), from 1.
    ///
    /// # Errors
    /// The input cannot be read, is cut short, changed meanwhile, or what `visit` says.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let reader = self.open().map_err(|error| self.error(error))?;
        self.visit_in(reader, visit)
    }

    /// As [`Input::visit`], and compares what is read with what an export says of it.
    ///
    /// # Errors
    /// As [`Input::visit`]; it is not what the export wrote.
    pub fn visit_checked(
        &self,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let Some(promise) = &self.promise else {
            return self.visit(visit);
        };
        let reader = self.open().map_err(|error| self.error(error))?;
        let mut counted = Counted::new(reader, promise);
        let result = self.visit_in(Box::new(&mut counted), visit);
        if matches!(result, Ok(()) | Err(ImportError::Input { .. })) {
            let kept = counted.finish().map_err(|error| self.error(error))?;
            kept.map_err(|what| ImportError::Damaged {
                name: self.name(),
                what,
            })?;
        }
        result
    }

    fn visit_in(
        &self,
        reader: Box<dyn BufRead + '_>,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        if self.is_ndjson {
            self.visit_lines(reader, visit)?;
        } else {
            self.visit_json(reader, visit)?;
        }
        if self.is_as_found() {
            return Ok(());
        }
        Err(ImportError::Changed { name: self.name() })
    }

    fn visit_json(
        &self,
        reader: Box<dyn BufRead + '_>,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let shape = self.open().and_then(bundle::shape);
        match shape.map_err(|error| self.error(error))? {
            Shape::Entries => {
                let numbers = bundle::Numbers::Entries;
                let visited = bundle::visit(reader, numbers, self.asked, visit)?;
                visited.map_err(|error| self.error(error))
            }
            Shape::Refused(problem) => visit(1, Piece::bad(b"", problem)),
            Shape::Resource => {
                let mut text = Vec::new();
                let limit = LONGEST_LINE as u64 + 1;
                reader
                    .take(limit)
                    .read_to_end(&mut text)
                    .map_err(|error| self.error(error))?;
                if text.len() > LONGEST_LINE {
                    return Err(self.error(too_long(1)));
                }
                let text = line::trimmed(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text));
                if text.is_empty() {
                    return Ok(());
                }
                visit(1, Piece::whole(text))
            }
        }
    }

    fn visit_lines(
        &self,
        mut reader: Box<dyn BufRead + '_>,
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let (mut text, mut number) = (Vec::new(), 0);
        loop {
            text.clear();
            // One long line is no reason to keep as much for all others.
            text.shrink_to(LONG_LINE);
            number += 1;
            let limit = LONGEST_LINE as u64 + 1;
            let length = (&mut reader)
                .take(limit)
                .read_until(b'\n', &mut text)
                .map_err(|error| self.error(error))?;
            if length == 0 {
                return Ok(());
            }
            if length > LONGEST_LINE {
                return Err(self.error(too_long(number)));
            }
            let mut line = &text[..];
            if number == 1 {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            let line = line::trimmed(line);
            if !line.is_empty() {
                self.visit_line(number, line, visit)?;
            }
        }
    }

    /// One line: a resource, or a Bundle of them, as `deleted` files of Bulk Data hold them (IG, "deleted").
    fn visit_line(
        &self,
        number: u64,
        text: &[u8],
        visit: &mut dyn FnMut(u64, Piece) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        if line::quick_type(text) != "Bundle" {
            return visit(number, Piece::whole(text));
        }
        // It is all there; what is wrong with it is wrong with this line alone.
        if let Err(problem) = line::Head::read(text) {
            return visit(number, Piece::bad(text, problem));
        }
        match bundle::shape_of_line(text) {
            Err(problem) => visit(number, Piece::bad(text, problem.to_string())),
            Ok(Shape::Resource) => visit(number, Piece::whole(text)),
            Ok(Shape::Refused(problem)) => visit(number, Piece::bad(text, problem)),
            Ok(Shape::Entries) => {
                let numbers = bundle::Numbers::Line(number);
                match bundle::visit(text, numbers, self.asked, visit)? {
                    Err(problem) => visit(number, Piece::bad(text, problem.to_string())),
                    Ok(()) => Ok(()),
                }
            }
        }
    }
}

fn too_long(line: u64) -> io::Error {
    io::Error::other(format!("line {line} is longer than {LONGEST_LINE} bytes"))
}
