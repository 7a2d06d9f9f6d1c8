//! Where text goes: data to stdout, everything else to stderr. Nothing else in the crate prints.

pub mod json;
pub mod progress;
pub mod table;

use std::io::{self, IsTerminal, Write};

use crate::foreign::{escaped_json, harmless};
use crate::secret;

/// The shapes a result can be printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    Table,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// stdout was closed by its reader (`| head`): the command ends quietly.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output went away")]
pub struct Closed;

/// The two streams, and how much to say on the second.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the streams"
)]
pub struct Output {
    pub format: Option<Format>,
    pub quiet: bool,
    pub verbosity: u8,
    pub stdout_is_terminal: bool,
    pub stderr_is_terminal: bool,
    pub color: bool,
    pub progress: progress::Progress,
}

impl Output {
    /// Output to this process's streams.
    pub fn new(format: Option<Format>, quiet: bool, verbosity: u8, color: Color) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            quiet,
            verbosity,
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal,
            color: match color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => stderr_is_terminal && !no_color,
            },
            progress: progress::Progress::new(stderr_is_terminal && !quiet && verbosity == 0),
        }
    }

    /// The format asked for, else a table on a terminal and JSON for programs.
    pub fn format_for_lists(&self) -> Format {
        self.format.unwrap_or(if self.stdout_is_terminal {
            Format::Table
        } else {
            Format::Json
        })
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// [`Closed`] when the reader is gone; other write errors as they come.
    pub fn data(&self, bytes: &[u8]) -> anyhow::Result<()> {
        self.progress
            .suspend(|| {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            })
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => anyhow::Error::new(Closed),
                _ => anyhow::Error::new(error).context("cannot write to stdout"),
            })
    }

    /// Writes one line to stdout.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub fn line(&self, text: &str) -> anyhow::Result<()> {
        self.data(format!("{text}\n").as_bytes())
    }

    /// Writes one line to stdout that may repeat a server's words: secrets masked, control characters made harmless.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub fn report(&self, text: &str) -> anyhow::Result<()> {
        self.line(&harmless(&secret::mask(text)))
    }

    /// The same after a mark of ours, which may have a colour.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub fn report_after(&self, mark: &str, text: &str) -> anyhow::Result<()> {
        self.line(&format!("{mark}{}", harmless(&secret::mask(text))))
    }

    /// Prints JSON indented by two spaces, digits and key order as they are in `text`. For a terminal, characters that
    /// would steer it are escaped.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub fn json(&self, text: &str) -> anyhow::Result<()> {
        let indented = json::indent(text);
        if self.stdout_is_terminal {
            return self.line(&escaped_json(&indented));
        }
        self.line(&indented)
    }

    /// Something a person wants to know; silenced by `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// A link for a person to open, on a line of its own. It is shown as it is, since a masked link leads nowhere:
    /// the state in the link of a sign-in is good for that one sign-in only.
    pub fn link(&self, url: &url::Url) {
        self.write(url.as_str());
    }

    /// What a person has to do now; shown even with `--quiet`.
    pub fn ask(&self, text: &str) {
        self.say(text);
    }

    /// Something that may be wrong; shown even with `--quiet`.
    pub fn warn(&self, text: &str) {
        self.say_after("33", "Warning:", text);
    }

    /// What went wrong, as the last thing a command says.
    pub fn error(&self, text: &str) {
        self.say_after("31", "Error:", text);
    }

    /// What to try next.
    pub fn hint(&self, text: &str) {
        if !self.quiet {
            self.say_after("36", "Hint:", text);
        }
    }

    /// A line of the request trace, when `-v` was given often enough.
    pub fn trace(&self, level: u8, text: &str) {
        if self.verbosity >= level {
            self.say(text);
        }
    }

    /// The text in a colour of the terminal (SGR), where colour is wanted.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[1;{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// stderr, every known secret masked and what steers a terminal made harmless.
    fn say(&self, text: &str) {
        self.write(&harmless(&secret::mask(text)));
    }

    /// The same after a word of ours in a colour of ours, which is put on last.
    fn say_after(&self, color: &str, word: &str, text: &str) {
        let text = harmless(&secret::mask(text));
        self.write(&format!("{} {text}", self.paint(color, word)));
    }

    fn write(&self, text: &str) {
        self.progress.suspend(|| {
            let mut stderr = io::stderr().lock();
            let _ = writeln!(stderr, "{text}");
        });
    }
}
