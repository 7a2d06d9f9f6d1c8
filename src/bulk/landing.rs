//! From temporary to final name: only what is complete, and durable before it is called done.

use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::files;

/// Marks temporary files, so that what a crash left behind can be told from data.
pub const PREFIX: &str = ".medplum-";
const SUFFIX: &str = ".part";

/// A private temporary file beside the place where the final one will be; it goes when it is dropped.
///
/// # Errors
/// The folder cannot be created or written.
pub fn temporary_for(path: &Path) -> io::Result<NamedTempFile> {
    let folder = files::folder_of(path);
    files::create_private_dir(&folder)?;
    tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempfile_in(folder)
}

/// Makes a complete file durable and gives it its name.
///
/// # Errors
/// The disk is full, or the folder is gone.
pub async fn land(file: NamedTempFile, path: &Path) -> io::Result<()> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        file.as_file().sync_all()?;
        file.persist(&path)?;
        files::sync_dir(&files::folder_of(&path));
        Ok(())
    })
    .await
    .map_err(io::Error::other)?
}

/// Whether a name is that of a temporary file of this program.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Checks that files can be made in a folder before a server is asked for anything.
///
/// # Errors
/// They cannot.
pub fn probe(folder: &Path) -> io::Result<()> {
    let mut file = temporary_for(&folder.join("probe"))?;
    io::Write::write_all(&mut file, b"probe")
}
