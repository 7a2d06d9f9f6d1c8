//! The `.env` file of the working folder: somebody else may have filled that folder, so it says what one table allows.

mod dotenv;

use std::io;
use std::path::Path;

use super::{Key, Settings, Side};
use crate::files;
pub use dotenv::parse;

/// No file of settings is larger.
const LARGEST: u64 = 1 << 20;
/// The variable that names the profile.
pub const PROFILE: &str = "MEDPLUM_PROFILE";

/// The variables of a `.env` file that concern this program.
#[derive(Clone, Debug, Default)]
pub struct EnvFile {
    pub settings: Settings,
    pub profile: Option<String>,
    /// What a person should know of the file, a sentence each; no value is in them.
    pub warnings: Vec<String>,
}

/// Reads a `.env` file; a missing one says nothing. The process's environment is not changed.
///
/// # Errors
/// Why it cannot be used although it is there, in words that hold nothing of it.
pub fn read(path: &Path) -> Result<EnvFile, String> {
    let text = text(path)?;
    let (variables, passed_over) = parse(text.as_deref().unwrap_or_default());
    let mut file = EnvFile::default();
    for line in passed_over {
        // The line itself may hold a secret: its number is told, not its text.
        file.warnings.push(format!(
            "line {line} begins with MEDPLUM_ and sets no variable"
        ));
    }
    // As dotenv has it, the last one stands.
    let find = |name: &str| {
        let found = variables.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    file.profile = find(PROFILE);
    for key in Key::ALL {
        let Some(value) = find(key.variable()) else {
            continue;
        };
        if key.side() == Side::Never {
            file.warnings.push(format!(
                "{} is taken from the environment, a flag or a profile only",
                key.variable()
            ));
        } else {
            file.settings.set(*key, Some(value));
        }
    }
    Ok(file)
}

/// The text of a plain file of a sensible size; nothing else is opened, for a FIFO would hold the command up.
fn text(path: &Path) -> Result<Option<String>, String> {
    // Python programmers call a folder so.
    if path.is_dir() {
        return Ok(None);
    }
    match files::read_plain_text(path, LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8]) -> Result<EnvFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_line_that_is_passed_over_is_told_by_its_number_and_not_its_text() {
        let file = of(
            b"# one\nMEDPLUM_BASE_URL=https://h.example\n\nMEDPLUM_SCOPE secret\nother secret\n",
        )
        .unwrap();
        assert_eq!(file.settings.get(Key::BaseUrl), Some("https://h.example"));
        assert_eq!(
            file.warnings,
            ["line 4 begins with MEDPLUM_ and sets no variable"]
        );
    }

    #[test]
    fn what_may_not_stand_there_is_left_out_and_named() {
        for key in Key::ALL.iter().filter(|key| key.side() == Side::Never) {
            let file = of(format!("{}=x\n", key.variable()).as_bytes()).unwrap();
            assert_eq!(file.settings.get(*key), None);
            assert!(file.warnings[0].contains(key.variable()));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_as_text_is_an_error_and_a_folder_is_none() {
        assert!(of(b"MEDPLUM_SCOPE=\xff\n").is_err());
        assert!(of(&vec![b'#'; 1 + (1 << 20)]).is_err());
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().settings.is_empty());
        assert!(
            read(&folder.path().join("none"))
                .unwrap()
                .warnings
                .is_empty()
        );
    }
}
