//! A folder on a disk: files get their names without ever replacing another one, and what is done is durable.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{There, Version};
use crate::files;

/// No document of ours that is read as a whole is longer.
const LARGEST_DOCUMENT: u64 = 64 << 20;

/// Files synced at a time: a journal commits them together. On ext4, 128 small ones took 70 ms by 8, 33 by 32, and no less by 64.
const AT_A_TIME: usize = 32;

/// A sync that takes no longer is over before a thread has begun: in memory, or where a battery stands behind the disk.
const AT_ONCE: Duration = Duration::from_micros(200);

/// A file that is complete under another name than its own.
#[derive(Debug)]
pub struct Staged {
    pub file: File,
    /// Where its bytes are.
    pub from: PathBuf,
    /// Its final name.
    pub to: PathBuf,
}

/// Makes staged files durable; what it gives are their versions, which no rename changes. Many cost little more than one.
///
/// # Errors
/// The disk, with the path it happened at.
pub fn sync(batch: &[Staged]) -> Result<Vec<Version>, (PathBuf, io::Error)> {
    // Whether the last one took long.
    static IS_SLOW: AtomicBool = AtomicBool::new(true);
    let one = |staged: &Staged| -> io::Result<Version> {
        let begun = Instant::now();
        staged.file.sync_all()?;
        IS_SLOW.store(begun.elapsed() > AT_ONCE, Ordering::Relaxed);
        Ok(Version::of(&staged.file.metadata()?))
    };
    let some = |some: &[Staged]| -> Result<Vec<Version>, (PathBuf, io::Error)> {
        let versions = some
            .iter()
            .map(|staged| one(staged).map_err(|error| (staged.to.clone(), error)));
        versions.collect()
    };
    let mut versions = Vec::with_capacity(batch.len());
    let mut rest = batch;
    while let [first, others @ ..] = rest
        && (others.is_empty() || !IS_SLOW.load(Ordering::Relaxed))
    {
        versions.push(one(first).map_err(|error| (first.to.clone(), error))?);
        rest = others;
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = rest
            .chunks(rest.len().div_ceil(AT_A_TIME).max(1))
            .map(|chunk| scope.spawn(move || some(chunk)))
            .collect();
        for thread in threads {
            let ended = thread
                .join()
                .map_err(|_| (PathBuf::new(), io::Error::other("a sync did not end")))?;
            versions.extend(ended?);
        }
        Ok(versions)
    })
}

/// Gives a file its final name, which nothing may have.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when something has it, even a symlink that leads nowhere; the disk.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // A file system or a kernel without it (rename(2)).
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links (FAT): nothing better is to be had there.
        Err(_) if !super::is_there(to) => fs::rename(from, to),
        Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// Creates a folder and its missing parents for their owner alone, each durable in its parent.
///
/// # Errors
/// The disk; something else has the name.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut folder = path;
    while !folder.as_os_str().is_empty() && !folder.exists() {
        missing.push(folder.to_owned());
        match folder.parent() {
            Some(parent) => folder = parent,
            None => break,
        }
    }
    if missing.is_empty() && path.is_dir() {
        return Ok(());
    }
    files::create_private_dir(path)?;
    for folder in &missing {
        files::sync_dir(&files::folder_of(folder));
    }
    Ok(())
}

/// Makes what was renamed in these folders durable.
pub fn sync_folders(folders: &BTreeSet<PathBuf>) {
    for folder in folders {
        files::sync_dir(folder);
    }
}

/// Opens a file that only grows, private, behind its last whole line.
///
/// # Errors
/// The disk; what has the name is no plain file.
pub(super) fn open_log(path: &Path) -> io::Result<File> {
    let is_new = !super::is_there(path);
    let mut file = open_to_add(path)?;
    let is_cut = !is_new && !ends_whole(path)?;
    if is_new {
        files::sync_dir(&files::folder_of(path));
    }
    if is_cut {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Opens a private file to add to it, or makes it. What is written stays here: a symlink is not followed, and a file that
/// has another name too, which may lie anywhere (a hard link, or a copy of the folder made of them), becomes one of its own.
///
/// # Errors
/// The disk; what has the name is no plain file.
fn open_to_add(path: &Path) -> io::Result<File> {
    match There::at(path)? {
        There::Nothing => {}
        There::Plain(_) => unshare(path)?,
        There::Other => return Err(not_plain()),
    }
    let mut options = private();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

/// Whether a plain file has other names.
fn is_shared(there: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        there.nlink() > 1
    }
    #[cfg(not(unix))]
    {
        let _ = there;
        false
    }
}

/// Puts a copy in the place of a plain file that has other names.
///
/// # Errors
/// The disk.
pub(super) fn unshare(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() && is_shared(&there) => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(()),
    }
    let folder = files::folder_of(path);
    let mut copy = files::temporary(files::TEMPORARY, &folder)?;
    io::copy(&mut open_plain(path)?, copy.as_file_mut())?;
    copy.as_file().sync_all()?;
    copy.persist(path)?;
    files::sync_dir(&folder);
    Ok(())
}

/// Opens a file that only grows, private, and cuts off what stands behind this length.
///
/// # Errors
/// The disk; what has the name is no plain file.
pub(super) fn open_log_at(path: &Path, length: u64) -> io::Result<File> {
    let file = open_to_add(path)?;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    Ok(file)
}

/// Opens a file that is written into, cut to its first bytes; `None` when it is no plain file or has not so many.
///
/// # Errors
/// The disk.
pub(super) fn go_on(path: &Path, bytes: u64) -> io::Result<Option<File>> {
    let there = fs::symlink_metadata(path)?;
    // What has another name too may be anybody's file: it is not cut.
    if !there.is_file() || is_shared(&there) || there.len() < bytes {
        return Ok(None);
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_len(bytes)?;
    Ok(Some(file))
}

/// What is made with these is for its owner alone.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Whether a file is empty, or its last line has its end.
fn ends_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Adds lines to a file that only grows; they are durable when it returns.
///
/// # Errors
/// The disk.
pub fn append(file: &mut File, lines: &str) -> io::Result<()> {
    file.write_all(lines.as_bytes())?;
    file.sync_data()
}

/// Whether another process holds the lock on a file. Nothing is created, so that a folder nobody can write to is no
/// reason to fail.
///
/// # Errors
/// It cannot be looked at.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match open_plain(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // A system that has no locks on what can only be read does not say (NFS, flock(2)).
    let locked = file.try_lock_shared();
    Ok(matches!(locked, Err(fs::TryLockError::WouldBlock)))
}

/// Opens a file to read it by [`files::open_plain`]: a folder may come from anywhere. What is odd is no broken document of
/// ours, which [`io::ErrorKind::InvalidData`] means from here on.
///
/// # Errors
/// It cannot be opened, or is no plain file.
pub fn open_plain(path: &Path) -> io::Result<File> {
    files::open_plain(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other(error.to_string()),
        _ => error,
    })
}

/// Reads a document by the same rule.
///
/// # Errors
/// As [`open_plain`]; [`io::ErrorKind::InvalidData`] when it is longer than any of ours.
pub(super) fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?
        .take(LARGEST_DOCUMENT + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        let words = "it is longer than any document of ours";
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    Ok(bytes)
}

/// What is said of a name that ought to be a plain file.
pub fn not_plain() -> io::Error {
    io::Error::other("it is no plain file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("part"), "ours").unwrap();
        fs::write(path("taken"), "theirs").unwrap();
        let error = rename_new(&path("part"), &path("taken")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(path("taken")).unwrap(), b"theirs");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
            let error = rename_new(&path("part"), &path("link")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        rename_new(&path("part"), &path("free")).unwrap();
        assert_eq!(fs::read(path("free")).unwrap(), b"ours");
        assert!(!path("part").exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_added_goes_to_no_other_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("theirs"), "theirs").unwrap();
        fs::hard_link(path("theirs"), path("log")).unwrap();
        append(&mut open_to_add(&path("log")).unwrap(), " and ours").unwrap();
        assert_eq!(fs::read(path("log")).unwrap(), b"theirs and ours");
        std::os::unix::fs::symlink("theirs", path("link")).unwrap();
        assert!(open_to_add(&path("link")).is_err());
        std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
        assert!(open_to_add(&path("dangling")).is_err() && !path("nowhere").exists());
        assert_eq!(fs::read(path("theirs")).unwrap(), b"theirs");
    }

    #[test]
    fn a_lock_is_seen_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_locked(&path).unwrap() && !path.exists());
        let held = files::Lock::exclusive(&path, "to test").unwrap();
        assert!(is_locked(&path).unwrap());
        drop(held);
        assert!(!is_locked(&path).unwrap());
    }
}
