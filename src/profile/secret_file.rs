//! Secrets kept in files of their own: read up to a size that no secret has, and looked at for who else can read them.

use std::io::{self, Read};
use std::path::Path;

use crate::files;
use crate::secret::Secret;

/// Secrets, passphrases and tokens are some kilobytes; anything larger is another file.
pub const LARGEST: u64 = 64 << 10;

/// The bytes of a file or a pipe, no more than `largest`; a device that never ends is not read further.
///
/// # Errors
/// It cannot be read, is a folder, holds more, or gives nothing in time.
pub fn bytes(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    files::read_named(path, largest)
}

/// The secret in a file; line ends behind it do not belong to it.
///
/// # Errors
/// Why there is none, in words that hold nothing of the file.
pub fn read(path: &Path) -> Result<Secret, String> {
    secret(bytes(path, LARGEST).map_err(|error| error.to_string())?)
}

/// Whether a file holds one word, as secrets, tokens and assertions are: no private key (PEM, JWK), and none of the other
/// things that lie about in folders. What cannot be read is told by whoever reads it.
pub fn is_one_word(path: &Path) -> bool {
    let Ok(bytes) = bytes(path, LARGEST) else {
        return true;
    };
    let text = bytes.trim_ascii();
    let parts_words = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
    !text.iter().any(parts_words) && !text.starts_with(b"{") && !text.starts_with(b"[")
}

/// The secret on stdin, by the same rules.
///
/// # Errors
/// As [`read`].
pub fn from_stdin() -> Result<Secret, String> {
    let mut bytes = Vec::new();
    let mut stdin = io::stdin().lock().take(LARGEST + 1);
    stdin
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it holds more than {} kB", LARGEST >> 10));
    }
    secret(bytes)
}

fn secret(bytes: Vec<u8>) -> Result<Secret, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("it is empty".into()),
        secret => Ok(Secret::new(secret)),
    }
}

/// The mode of a secret's file that others can read although it could be closed to them: the owner's group if the file
/// is this user's, or everybody. A pipe is none, and a mount that is read-only (Kubernetes, Docker) cannot be mended.
#[cfg(unix)]
pub fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    let is_ours = about.uid() == rustix::process::geteuid().as_raw();
    let readers = if is_ours { 0o044 } else { 0o004 };
    if about.mode() & readers == 0 {
        return None;
    }
    let mount = rustix::fs::statvfs(path).ok()?;
    let is_fixed = mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    (!is_fixed).then_some(about.mode() & 0o777)
}

/// Other systems say it in other ways.
#[cfg(not(unix))]
pub fn open_to_others(_path: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_is_no_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (text, is) in [
            ("s3cret$%&/\n", true),
            (" eyJhbGciOiJSUzM4NCJ9.eyJzdWIi.c2ln \r\n", true),
            (
                "-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n",
                false,
            ),
            ("-----BEGIN PRIVATE KEY-----", false),
            (r#"{"kty":"EC","d":"x"}"#, false),
            (r#"[{"kty":"EC"}]"#, false),
            ("host h\nuser u", false),
            ("two words", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_one_word(&path), is, "{text}");
        }
    }

    #[test]
    fn a_secret_is_read_without_its_line_end_and_no_further_than_a_secret_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " s 1 \r\n").unwrap();
        assert_eq!(read(&path).unwrap().expose(), " s 1 ");
        for (text, reason) in [
            (&b"\n"[..], "empty"),
            (b"\xff", "UTF-8"),
            (&vec![b'x'; 65537], "64 kB"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(read(&path).unwrap_err().contains(reason));
        }
        assert!(read(folder.path()).unwrap_err().contains("folder"));
        #[cfg(unix)]
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("64 kB"));
    }
}
