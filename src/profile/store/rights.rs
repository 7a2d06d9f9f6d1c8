//! Who else may read a profile: nobody, or the group of a folder that is shared on purpose.

use std::io;
use std::path::Path;

/// What the owner's group may do in a folder whose set-group-id bit says that it is shared on purpose: the bits of a
/// file in it (0 when it is not shared).
pub(super) fn of_group(folder: &Path) -> u32 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder).map_or(0, |about| about.permissions().mode());
        if mode & 0o2000 != 0 {
            return mode & 0o060;
        }
    }
    let _ = folder;
    0
}

/// Takes all rights of others off a file or folder, but for these of its group; `true` when there were any. A folder
/// with the sticky bit, as `/tmp` has it, is shared on purpose and stays as it is.
pub(super) fn close(path: &Path, group: u32) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = std::fs::metadata(path)?.permissions();
        let mode = permissions.mode();
        if mode & 0o077 & !group != 0 && mode & 0o1000 == 0 {
            permissions.set_mode(mode & (0o700 | group));
            std::fs::set_permissions(path, permissions)?;
            return Ok(true);
        }
    }
    let _ = (path, group);
    Ok(false)
}

/// Opens what this process has just made to the group too.
pub(super) fn open_to_group(path: &Path, group: u32) -> io::Result<()> {
    #[cfg(unix)]
    if group != 0 {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = std::fs::metadata(path)?.permissions();
        let search = if path.is_dir() { 0o2010 } else { 0 };
        permissions.set_mode(permissions.mode() | group | search);
        std::fs::set_permissions(path, permissions)?;
    }
    let _ = (path, group);
    Ok(())
}
