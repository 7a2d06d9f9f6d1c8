//! A program with its arguments, as one setting: words with quotes, or a JSON array of strings.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::{Key, ProfileError};

/// A program and its arguments. No shell reads them: nothing is expanded, and `|`, `>` and `$` are plain characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<String>,
}

impl CommandLine {
    /// The program.
    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Its arguments.
    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The same with a program given by a relative path made absolute, so that it is the same one in every folder. A
    /// bare name is looked up in `PATH`.
    #[must_use]
    pub fn absolute(mut self) -> Self {
        if let Some(program) = self.words.first_mut()
            && Path::new(program.as_str()).components().count() > 1
            && let Ok(path) = std::path::absolute(&*program)
        {
            *program = path.to_string_lossy().into_owned();
        }
        self
    }
}

impl CommandLine {
    /// Reads the value of a setting. Words are split at spaces. Single or double quotes keep a word together, a
    /// backslash takes the next character as it is. A text that begins with `[` is a JSON array of strings.
    ///
    /// # Errors
    /// [`ProfileError::BadSetting`].
    pub fn read(key: Key, text: &str) -> Result<Self, ProfileError> {
        let refused = |reason: &str| ProfileError::BadSetting {
            key,
            value: text.to_owned(),
            reason: reason.to_owned(),
        };
        let words: Vec<String> = if text.trim_start().starts_with('[') {
            serde_json::from_str(text)
                .map_err(|_| refused("it begins like a JSON array, but is none of strings"))?
        } else {
            shlex::split(text).ok_or_else(|| refused("a quote is not closed"))?
        };
        if words.first().is_none_or(String::is_empty) {
            return Err(refused("it names no program"));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(refused("no argument can hold a zero byte"));
        }
        Ok(Self { words })
    }
}

impl FromStr for CommandLine {
    type Err = ProfileError;

    /// As [`CommandLine::read`] for `--client-secret-command`.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::read(Key::ClientSecretCommand, text)
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.iter().map(String::as_str);
        match shlex::try_join(words) {
            Ok(text) if !text.starts_with('[') => f.write_str(&text),
            _ => f.write_str(&serde_json::to_string(&self.words).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_spaces_and_kept_together_by_quotes() {
        for (text, words) in [
            ("pass show epic", vec!["pass", "show", "epic"]),
            (
                r#"op read "op://Team vault/epic/secret""#,
                vec!["op", "read", "op://Team vault/epic/secret"],
            ),
            (
                r"'/opt/My Tools/pw' a\ b $HOME | '' x",
                vec!["/opt/My Tools/pw", "a b", "$HOME", "|", "", "x"],
            ),
            (
                r#"["C:\\tools\\pw.exe", "a b", ""]"#,
                vec![r"C:\tools\pw.exe", "a b", ""],
            ),
        ] {
            let command: CommandLine = text.parse().unwrap();
            assert_eq!(command.words, words, "{text}");
            assert_eq!(command.to_string().parse::<CommandLine>().unwrap(), command);
        }
        for text in ["", "  ", "''", "pass 'show", "[1]", "[]", "[\"a\""] {
            assert!(text.parse::<CommandLine>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_program_by_its_path_is_the_same_in_every_folder() {
        let absolute = |text: &str| text.parse::<CommandLine>().unwrap().absolute();
        assert!(Path::new(absolute("./pw x").program()).is_absolute());
        assert!(Path::new(absolute("tools/pw").program()).is_absolute());
        assert_eq!(absolute("pass show x").program(), "pass");
    }
}
