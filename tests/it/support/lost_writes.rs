//! A disk that loses what was not synced: the changes that a command made, read from strace, and what is left of them
//! after a power cut at any of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// One change, or what makes changes last.
#[derive(Debug)]
pub enum Step {
    Make(PathBuf),
    Folder(PathBuf),
    Write(PathBuf, Vec<u8>),
    /// From a place on.
    WriteAt(PathBuf, Vec<u8>, usize),
    Cut(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    Sync(PathBuf),
    /// A DELETE went to the server.
    Delete,
}

/// The calls that are looked at.
pub const CALLS: &str = "trace=openat,write,pwrite64,writev,sendto,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,rmdir,fsync,fdatasync,ftruncate";

/// Reads the trace of a command that ran in `folder`; what lies elsewhere is left out.
pub fn steps(trace: &str, folder: &Path) -> Vec<Step> {
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        // A call of one thread may be written in two parts.
        if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            open.insert(process, begun.to_owned());
            continue;
        }
        let whole = match call.strip_prefix("<... ") {
            Some(rest) => {
                let begun = open.remove(process).unwrap_or_default();
                begun + rest.split_once(" resumed>").map_or("", |(_, rest)| rest)
            }
            None => call.to_owned(),
        };
        if let Some((call, result)) = whole.rsplit_once(" = ")
            && !result.trim_start().starts_with('-')
        {
            steps.extend(step(call, result, folder));
        }
    }
    steps
}

/// The arguments of a call: its texts, and what its descriptors are.
struct Call<'a> {
    arguments: &'a str,
    folder: &'a Path,
    texts: Vec<Vec<u8>>,
    descriptors: Vec<Vec<u8>>,
}

impl Call<'_> {
    fn path(&self, bytes: &[u8]) -> PathBuf {
        self.folder.join(String::from_utf8_lossy(bytes).as_ref())
    }

    fn is_below(&self, path: &Path) -> bool {
        path.starts_with(self.folder) && path != self.folder
    }

    /// The first path it names.
    fn named(&self) -> Option<PathBuf> {
        let path = self.texts.first().map(|text| self.path(text));
        path.filter(|path| self.is_below(path))
    }

    /// The file or folder that its first descriptor is of.
    fn opened(&self) -> Option<PathBuf> {
        let descriptor = self.descriptors.first();
        let descriptor = descriptor.filter(|text| text.starts_with(b"/"));
        descriptor.map(|text| self.path(text))
    }

    /// A file that was made or emptied by being opened.
    fn made(&self, result: &str) -> Vec<Step> {
        let made = quoted(result, '<', '>');
        let made = made.first().map(|text| self.path(text));
        let Some(made) = made.filter(|path| self.is_below(path)) else {
            return Vec::new();
        };
        if self.arguments.contains("O_TRUNC") {
            return vec![Step::Make(made.clone()), Step::Cut(made, 0)];
        }
        vec![Step::Make(made)]
    }

    fn written(&self) -> Option<Step> {
        let at = self.opened().filter(|path| self.is_below(path));
        match (at, self.texts.first()?) {
            (Some(at), text) => Some(Step::Write(at, text.clone())),
            (None, text) => text.starts_with(b"DELETE ").then_some(Step::Delete),
        }
    }

    fn written_at(&self) -> Option<Step> {
        let at = self.last()?;
        match self.written()? {
            Step::Write(path, bytes) => Some(Step::WriteAt(path, bytes, at)),
            step => Some(step),
        }
    }

    /// Its last argument, a number.
    fn last(&self) -> Option<usize> {
        let number = self.arguments.rsplit(", ").next()?;
        number.trim_end_matches(')').parse().ok()
    }

    fn renamed(&self) -> Option<Step> {
        match &self.texts[..] {
            [from, to] => Some(Step::Rename(self.path(from), self.path(to))),
            _ => None,
        }
    }

    /// `unlinkat` names what lies in the folder of its descriptor.
    fn removed_there(&self) -> Option<Step> {
        let into = self.opened().unwrap_or_else(|| self.folder.to_owned());
        let name = self.texts.first()?;
        let path = into.join(String::from_utf8_lossy(name).as_ref());
        Some(Step::Remove(path))
    }

    fn cut(&self) -> Option<Step> {
        Some(Step::Cut(self.opened()?, self.last()?))
    }
}

fn step(call: &str, result: &str, folder: &Path) -> Vec<Step> {
    let (name, arguments) = call.split_once('(').unwrap_or((call, ""));
    let call = Call {
        arguments,
        folder,
        texts: quoted(arguments, '"', '"'),
        descriptors: quoted(arguments, '<', '>'),
    };
    let step = match name {
        "openat" if arguments.contains("O_CREAT") => return call.made(result),
        "pwrite64" => call.written_at(),
        "write" | "writev" | "sendto" => call.written(),
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => call.renamed(),
        "mkdir" | "mkdirat" => call.named().map(Step::Folder),
        "unlink" | "rmdir" => call.named().map(Step::Remove),
        "unlinkat" => call.removed_there(),
        "fsync" | "fdatasync" => call.opened().map(Step::Sync),
        "ftruncate" => call.cut(),
        _ => None,
    };
    step.into_iter().collect()
}

/// What stands between these signs, all of it as strace writes it with `-xx`.
fn quoted(text: &str, begin: char, end: char) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(begin) {
        let Some((inside, behind)) = behind.split_once(end) else {
            break;
        };
        let bytes = inside.split("\\x").skip(1);
        found.push(
            bytes
                .filter_map(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok())
                .collect(),
        );
        rest = behind;
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// What is there, and what would be after a power cut.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    now: BTreeMap<PathBuf, Node>,
    kept: BTreeMap<PathBuf, Node>,
    files: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Disk {
    /// A disk with what lies in this folder, all of it synced.
    pub fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        disk.now.insert(folder.to_owned(), Node::Folder);
        for (path, bytes) in super::medplum::tree(folder) {
            let node = if path.is_dir() {
                Node::Folder
            } else {
                disk.files.push((bytes.clone(), bytes));
                Node::File(disk.files.len() - 1)
            };
            disk.now.insert(path, node);
        }
        disk.kept = disk.now.clone();
        disk
    }

    /// Whether nothing was there.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// Makes one change.
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Make(path) if !self.now.contains_key(path) => {
                self.files.push((Vec::new(), Vec::new()));
                self.now
                    .insert(path.clone(), Node::File(self.files.len() - 1));
            }
            Step::Make(_) | Step::Delete => {}
            Step::Folder(path) => {
                self.now.insert(path.clone(), Node::Folder);
            }
            Step::Write(path, bytes) => {
                if let Some(file) = self.file(path) {
                    file.0.extend_from_slice(bytes);
                }
            }
            Step::WriteAt(path, bytes, at) => {
                if let Some(file) = self.file(path) {
                    let end = (at + bytes.len()).max(file.0.len());
                    file.0.resize(end, 0);
                    file.0[*at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
            Step::Cut(path, length) => {
                if let Some(file) = self.file(path) {
                    file.0.resize(*length, 0);
                }
            }
            Step::Rename(from, to) => {
                if let Some(node) = self.now.remove(from) {
                    self.now.insert(to.clone(), node);
                }
            }
            Step::Remove(path) => {
                self.now.remove(path);
            }
            Step::Sync(path) => self.sync(path),
        }
    }

    /// Everything lasts: the system wrote it back by itself.
    pub fn write_back(&mut self) {
        self.kept = self.now.clone();
        for (now, kept) in &mut self.files {
            kept.clone_from(now);
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut (Vec<u8>, Vec<u8>)> {
        match self.now.get(path) {
            Some(Node::File(number)) => self.files.get_mut(*number),
            _ => None,
        }
    }

    /// The contents of a file last, or the names in a folder.
    fn sync(&mut self, path: &Path) {
        if let Some((now, kept)) = self.file(path) {
            kept.clone_from(now);
            return;
        }
        let is_in = |child: &Path| child.parent() == Some(path);
        self.kept.retain(|child, _| !is_in(child));
        let names = self.now.iter().filter(|(child, _)| is_in(child));
        self.kept
            .extend(names.map(|(child, node)| (child.clone(), *node)));
    }

    /// Puts into this folder, which is below `root`, what a power cut leaves of it.
    pub fn leave(&self, root: &Path, times: &BTreeMap<(PathBuf, u64), u64>) {
        // Sorted: a folder comes before what is in it.
        for (path, node) in &self.kept {
            let is_reachable = path
                .ancestors()
                .skip(1)
                .take_while(|folder| *folder != root)
                .all(|folder| self.kept.get(folder) == Some(&Node::Folder));
            if !path.starts_with(root) || !is_reachable {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir(path).unwrap(),
                Node::File(number) => {
                    let bytes = &self.files[*number].1;
                    fs::write(path, bytes).unwrap();
                    let modified = times.get(&(path.clone(), bytes.len() as u64));
                    if let Some(modified) = modified {
                        let time = UNIX_EPOCH + Duration::from_nanos(*modified);
                        File::options()
                            .write(true)
                            .open(path)
                            .unwrap()
                            .set_modified(time)
                            .unwrap();
                    }
                }
            }
        }
    }
}
