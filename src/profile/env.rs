//! Settings from environment variables and from the `.env` file of the working folder.

use std::path::Path;

use super::{Key, Settings};

/// What the process's environment says.
pub fn from_process() -> Settings {
    settings(|name| std::env::var(name).ok())
}

/// The variables of a `.env` file that concern this program.
#[derive(Clone, Debug, Default)]
pub struct EnvFile {
    pub settings: Settings,
    pub profile: Option<String>,
    /// Why the file could not be read to its end, if so.
    pub problem: Option<String>,
}

/// Reads a `.env` file; a missing one says nothing. The process's environment is not changed.
pub fn from_file(path: &Path) -> EnvFile {
    let mut file = EnvFile::default();
    let Ok(entries) = dotenvy::from_path_iter(path) else {
        return file;
    };
    let mut variables = Vec::new();
    for entry in entries {
        match entry {
            Ok(variable) => variables.push(variable),
            Err(error) => {
                // The line itself may hold a secret: name the place, not the text.
                file.problem = Some(match error {
                    dotenvy::Error::LineParse(_, at) => {
                        format!("a line cannot be parsed at character {at}")
                    }
                    other => other.to_string(),
                });
                break;
            }
        }
    }
    let find = |name: &str| {
        variables
            .iter()
            .find(|(variable, _)| variable == name)
            .map(|(_, value)| value.clone())
    };
    file.profile = find("MEDPLUM_PROFILE").filter(|name| !name.is_empty());
    let kept_out = Key::ALL.into_iter().filter(|key| !key.may_be_in_env_file());
    let kept_out: Vec<&str> = kept_out.map(Key::variable).collect();
    file.settings = settings(|name| find(name).filter(|_| !kept_out.contains(&name)));
    if let Some(variable) = kept_out.iter().find(|name| find(name).is_some()) {
        file.problem.get_or_insert_with(|| {
            format!("{variable} is taken from the environment, a flag or a profile only")
        });
    }
    file
}

fn settings(variable: impl Fn(&str) -> Option<String>) -> Settings {
    let mut settings = Settings::default();
    for key in Key::ALL {
        let value = variable(key.variable()).filter(|value| !value.is_empty());
        settings.set(key, value);
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_reported_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(
            &path,
            "MEDPLUM_BASE_URL=https://h.example\nbad line secret\n",
        )
        .unwrap();
        let file = from_file(&path);
        assert_eq!(file.settings.get(Key::BaseUrl), Some("https://h.example"));
        assert!(!file.problem.unwrap().contains("secret"));
    }
}
