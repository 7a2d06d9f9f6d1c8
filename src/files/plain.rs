//! Files that are read whole: how large they may be, and what is not opened at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::signals;

/// A pipe or a terminal that gives nothing for so long gives nothing at all.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether the wait is to end.
const LOOK: Duration = Duration::from_millis(5);

/// Opens a file of ours to read it. What is no plain file is not opened: a FIFO would hold the command up, a device may
/// act, and neither has an end.
///
/// # Errors
/// It cannot be opened; [`ErrorKind::InvalidData`] when something else than a plain file is there.
pub fn open_plain(path: &Path) -> io::Result<File> {
    must_be_plain(&fs::metadata(path).map_err(of_a_circle)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    never_waiting(&mut options, true);
    let file = options.open(path).map_err(of_a_circle)?;
    // Something else may have come there by now.
    must_be_plain(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of a plain file, no more than `largest`.
///
/// # Errors
/// As [`open_plain`]; [`ErrorKind::InvalidData`] when it is larger.
pub fn read_plain(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let too_large = || odd(&format!("it is larger than {}", size(largest)));
    let file = open_plain(path)?;
    if file.metadata()?.len() > largest {
        return Err(too_large());
    }
    bounded(file, largest)?.ok_or_else(too_large)
}

/// The text of a plain file, by the same rules.
///
/// # Errors
/// As [`read_plain`]; [`ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_plain_text(path: &Path, largest: u64) -> io::Result<String> {
    String::from_utf8(read_plain(path, largest)?).map_err(|_| odd("it is not UTF-8 text"))
}

/// The bytes of whatever a user names: a file, or a pipe (`<(…)`, `/dev/stdin`), which is not waited for without end.
///
/// # Errors
/// It cannot be read, is a folder, holds more than `largest`, or gives nothing in time.
pub fn read_named(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path).map_err(of_a_circle)?;
    if about.is_dir() {
        return Err(odd("it is a folder"));
    }
    let too_much = || odd(&format!("it holds more than {}", size(largest)));
    if about.is_file() {
        return bounded(File::open(path)?, largest)?.ok_or_else(too_much);
    }
    let (sender, answer) = mpsc::sync_channel(1);
    let named = path.to_owned();
    std::thread::Builder::new()
        .name("pipe".into())
        .spawn(move || {
            let read = File::open(named).and_then(|file| bounded(file, largest));
            // Whoever asked may have gone.
            let _ = sender.send(read);
        })?;
    let started = Instant::now();
    loop {
        match answer.try_recv() {
            Ok(read) => return read?.ok_or_else(too_much),
            Err(mpsc::TryRecvError::Disconnected) => return Err(odd("it cannot be read")),
            Err(mpsc::TryRecvError::Empty) => std::thread::sleep(LOOK),
        }
        if signals::came() {
            return Err(ErrorKind::Interrupted.into());
        }
        if started.elapsed() >= LONGEST_WAIT {
            let words = format!("nothing came out of it within {} s", LONGEST_WAIT.as_secs());
            return Err(io::Error::new(ErrorKind::TimedOut, words));
        }
    }
}

/// Opens a file, creating it, that is to be a plain file and no link; [`open_plain`] for what is written or locked.
///
/// # Errors
/// As [`open_plain`].
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(about) => must_be_plain(&about)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // A link in its place would have an empty file made anywhere.
    never_waiting(&mut options, false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    must_be_plain(&file.metadata()?)?;
    Ok(file)
}

/// Should something else stand there than what was looked at, opening it waits for nobody and takes no terminal.
fn never_waiting(options: &mut OpenOptions, follows_links: bool) {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(OFlags::NOFOLLOW, !follows_links);
        options.custom_flags(flags.bits().cast_signed());
    }
    let _ = (options, follows_links);
}

fn must_be_plain(about: &Metadata) -> io::Result<()> {
    if about.is_file() {
        return Ok(());
    }
    let kind = about.file_type();
    Err(odd(if kind.is_dir() {
        "it is a folder and no plain file"
    } else if kind.is_symlink() {
        "it is a link and no plain file"
    } else {
        "it is no plain file"
    }))
}

/// `None` when there is more.
fn bounded(file: File, largest: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= largest).then_some(bytes))
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} kB", bytes >> 10),
        megabytes => format!("{megabytes} MB"),
    }
}

fn odd(words: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, words)
}

/// Links that lead to each other are as little a file as a folder is.
fn of_a_circle(error: io::Error) -> io::Error {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return odd("it is a link that leads back to itself");
    }
    error
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_file_is_told_apart_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("loop", path("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(path("fifo"))
            .status();
        assert!(made.unwrap().success());
        fs::write(path("large"), [b' '; 2000]).unwrap();
        fs::write(path("bytes"), b"\xff").unwrap();
        for (name, words) in [
            ("loop", "leads back to itself"),
            ("zero", "no plain file"),
            ("fifo", "no plain file"),
            ("", "a folder"),
            ("large", "larger than 1 kB"),
            ("bytes", "UTF-8"),
        ] {
            let error = read_plain_text(&path(name), 1024).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
        let none = read_plain(&path("none"), 1024).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        for name in ["loop", "zero", "fifo"] {
            assert_eq!(
                open_own(&path(name)).unwrap_err().kind(),
                ErrorKind::InvalidData
            );
        }
        assert!(open_own(&path("new")).is_ok() && path("new").exists());
    }
}
