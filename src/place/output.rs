//! A named output (`--output`, `--rejects`, a report): a plain file is written beside and swapped whole, a symlink is
//! followed, and whatever else a name stands for (a device, a FIFO, a descriptor) is written through.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::files::{self, TEMPORARY};

/// Symlinks that are followed before they count as a circle, as Linux does (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// How long a FIFO may be without a reader.
const FOR_A_READER: Duration = Duration::from_secs(5);

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A plain file, or nothing yet, under this path: that of the last symlink's target.
    Plain(PathBuf),
    /// Something that is written through: it is not ours to replace, to cut or to remove.
    Through(PathBuf),
}

impl Named {
    /// What is there now.
    ///
    /// # Errors
    /// A folder has the name, symlinks lead in a circle, or it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            if is_descriptor(&path) {
                return Ok(Self::Through(path));
            }
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Self::Plain(path));
                }
                Err(error) => return Err(error),
            };
            if kind.is_symlink() {
                // A target is relative to the folder of its link; an absolute one replaces all of it.
                path = files::folder_of(&path).join(fs::read_link(&path)?);
            } else if kind.is_dir() {
                return Err(io::Error::new(
                    io::ErrorKind::IsADirectory,
                    "it is a folder",
                ));
            } else if kind.is_file() {
                return Ok(Self::Plain(path));
            } else {
                return Ok(Self::Through(path));
            }
        }
        Err(io::Error::other("its symlinks lead in a circle"))
    }

    /// Whether it lies elsewhere than in or below a folder.
    pub fn leads_out_of(&self, folder: &Path) -> bool {
        let (Self::Plain(path) | Self::Through(path)) = self;
        let inner = fs::canonicalize(files::folder_of(path));
        let outer = fs::canonicalize(folder);
        match (inner, outer) {
            (Ok(inner), Ok(outer)) => !inner.starts_with(outer),
            // What cannot be looked at is told when it is opened.
            _ => false,
        }
    }

    /// Whether it is written through.
    pub fn is_through(&self) -> bool {
        matches!(self, Self::Through(_))
    }
}

/// Whether a path names an open descriptor (`/dev/stdout`, `/dev/fd/63`, `/proc/self/fd/1`), whatever that leads to.
fn is_descriptor(path: &Path) -> bool {
    number_of_descriptor(path).is_some()
}

fn number_of_descriptor(path: &Path) -> Option<u32> {
    match path.to_str() {
        Some("/dev/stdin") => return Some(0),
        Some("/dev/stdout") => return Some(1),
        Some("/dev/stderr") => return Some(2),
        _ => {}
    }
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = files::folder_of(path);
    let is_folder = |folder: &Path| {
        let parts = folder.iter().filter_map(|part| part.to_str());
        match parts.take(5).collect::<Vec<_>>()[..] {
            ["/", "dev", "fd"] => true,
            ["/", "proc", process, "fd"] => process == "self" || process.parse::<u32>().is_ok(),
            _ => false,
        }
    };
    (is_folder(&folder) || fs::canonicalize(&folder).is_ok_and(|folder| is_folder(&folder)))
        .then_some(number)
}

/// An output that is being written. Dropped before its end, it leaves a plain file as it was.
#[derive(Debug)]
pub struct Output {
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    /// A new file beside the one it takes the place of.
    Beside {
        new: NamedTempFile,
        path: PathBuf,
    },
    Through(File),
}

impl Output {
    /// Opens an output. Nothing that is there changes yet.
    ///
    /// # Errors
    /// Its folder or the thing itself cannot be written, or a FIFO has no reader.
    pub fn open(path: &Path) -> io::Result<Self> {
        let writer = match Named::of(path)? {
            Named::Plain(path) => Writer::Beside {
                new: files::temporary(TEMPORARY, &files::folder_of(&path))?,
                path,
            },
            Named::Through(path) => Writer::Through(open_through(&path)?),
        };
        Ok(Self { writer })
    }

    /// Whether what is written goes out at once.
    pub fn is_through(&self) -> bool {
        matches!(self.writer, Writer::Through(_))
    }

    /// Ends the output: a plain file is synced, private, and there as a whole.
    ///
    /// # Errors
    /// The disk is full, or the file cannot take its place.
    pub fn finish(self) -> io::Result<()> {
        match self.writer {
            Writer::Through(mut file) => file.flush(),
            Writer::Beside { new, path } => {
                new.as_file().sync_all()?;
                match new.persist(&path) {
                    Ok(_) => {
                        files::sync_dir(&files::folder_of(&path));
                        Ok(())
                    }
                    // A file that is mounted by itself, as containers do it, cannot be replaced (rename(2), EBUSY).
                    Err(failed) if failed.error.kind() == io::ErrorKind::ResourceBusy => {
                        let mut to = OpenOptions::new().write(true).truncate(true).open(&path)?;
                        io::copy(&mut failed.file.reopen()?, &mut to)?;
                        to.sync_all()
                    }
                    Err(failed) => Err(failed.error),
                }
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Writer::Beside { new, .. } => new.write(bytes),
            Writer::Through(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Beside { new, .. } => new.flush(),
            Writer::Through(file) => file.flush(),
        }
    }
}

/// Writes an output whose contents are all there.
///
/// # Errors
/// As [`Output::open`] and [`Output::finish`].
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut output = Output::open(path)?;
    output.write_all(contents)?;
    output.finish()
}

/// Opens what is written through. What a regular file behind a descriptor holds stays: all is added to it.
fn open_through(path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    match number_of_descriptor(path) {
        // Its own streams share their place in the file with what is printed there.
        Some(1) => {
            use std::os::fd::AsFd;
            return Ok(io::stdout().as_fd().try_clone_to_owned()?.into());
        }
        Some(2) => {
            use std::os::fd::AsFd;
            return Ok(io::stderr().as_fd().try_clone_to_owned()?.into());
        }
        _ => {}
    }
    // Held until the second one is open: between two writers the reader would see the end.
    let _first = wait_for_a_reader(path)?;
    OpenOptions::new().append(true).open(path)
}

/// Waits until somebody reads from a FIFO: to open one without a reader would hang, and nobody would know why.
#[cfg(unix)]
fn wait_for_a_reader(path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    if !fs::metadata(path)?.file_type().is_fifo() {
        return Ok(None);
    }
    let flag = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let until = Instant::now() + FOR_A_READER;
    loop {
        let opened = OpenOptions::new().write(true).custom_flags(flag).open(path);
        match opened {
            Ok(first) => return Ok(Some(first)),
            // ENXIO: no process has it open for reading (open(2)).
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                if Instant::now() >= until {
                    return Err(io::Error::other("it is a FIFO that nobody reads from"));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(not(unix))]
fn wait_for_a_reader(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_plain_file_is_swapped_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "old").unwrap();
        let mut output = Output::open(&path).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn symlinks_are_followed_and_stay_also_where_nothing_is_yet() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        symlink("inner/second", folder.path().join("first")).unwrap();
        symlink("target", inner.join("second")).unwrap();
        for contents in ["one", "two"] {
            write(&folder.path().join("first"), contents.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(inner.join("target")).unwrap(), contents);
        }
        for link in [folder.path().join("first"), inner.join("second")] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
        }
        symlink("circle", folder.path().join("circle")).unwrap();
        assert!(write(&folder.path().join("circle"), b"").is_err());
        assert!(write(&inner, b"").is_err());
    }

    #[test]
    fn a_fifo_is_written_through_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut text = String::new();
                File::open(path).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write(&path, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    }

    #[test]
    fn devices_and_descriptors_are_written_through() {
        for path in ["/dev/null", "/dev/stdout", "/dev/fd/63", "/proc/self/fd/1"] {
            assert!(Named::of(Path::new(path)).unwrap().is_through(), "{path}");
        }
        write(Path::new("/dev/null"), b"x").unwrap();
        if Path::new("/dev/full").exists() {
            assert!(write(Path::new("/dev/full"), b"x").is_err());
        }
    }
}
