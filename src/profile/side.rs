//! Where a setting may stand in a `.env` file; the column of the table of settings, and the rule about paths.

use std::path::{Path, PathBuf};

/// What a folder that somebody else filled may say of one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nothing: which program runs, whom to trust, what else goes to the server.
    Never,
    /// Its value, for the server that the same file names; a file that names none speaks of the default server.
    BesideServer,
    /// The same, and the value is the path of a plain file inside the folder. The file names only the path: the
    /// content is the user's, so it must not be `~/.ssh/id_ed25519` or `/proc/self/environ`.
    PathInside,
    /// Its value, for any server.
    Freely,
}

/// The file that a path of a `.env` file in `folder` leads to, by its real name.
///
/// # Errors
/// Why it may not be used, in words.
pub fn inside(folder: &Path, path: &str) -> Result<PathBuf, String> {
    let path = Path::new(path);
    if path.has_root() || !path.is_relative() {
        return Err("a .env file names files by a relative path only".into());
    }
    let real = |path: &Path| std::fs::canonicalize(path).map_err(|error| error.to_string());
    let (folder, file) = (real(folder)?, real(&folder.join(path))?);
    if !file.starts_with(&folder) {
        return Err("a .env file names files inside its own folder only".into());
    }
    // In a clone they are not the author's: `.git/config` holds the token of whoever cloned it.
    let below = file.strip_prefix(&folder).unwrap_or(&file);
    if below
        .iter()
        .any(|part| part.to_string_lossy().starts_with('.'))
    {
        return Err("a .env file names no hidden file and none in a hidden folder".into());
    }
    let about = std::fs::metadata(&file).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no plain file".into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_inside_the_folder_are_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("work");
        std::fs::create_dir_all(folder.join("keys")).unwrap();
        std::fs::write(folder.join("keys/a"), "a").unwrap();
        std::fs::write(root.path().join("up"), "up").unwrap();
        std::fs::create_dir_all(folder.join(".git")).unwrap();
        std::fs::write(folder.join(".git/config"), "token").unwrap();
        std::os::unix::fs::symlink(".git/config", folder.join("shown")).unwrap();
        for hidden in [".git/config", "keys/../.git/config", "shown"] {
            assert!(inside(&folder, hidden).is_err(), "{hidden}");
        }
        for good in ["keys/a", "./keys/a", "keys/../keys/a"] {
            assert!(inside(&folder, good).is_ok(), "{good}");
        }
        let absolute = folder.join("keys/a");
        for bad in [
            "../up",
            "/dev/zero",
            "keys",
            ".",
            "",
            "none",
            absolute.to_str().unwrap(),
        ] {
            assert!(inside(&folder, bad).is_err(), "{bad}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../up", folder.join("link")).unwrap();
            assert!(inside(&folder, "link").is_err());
        }
    }
}
