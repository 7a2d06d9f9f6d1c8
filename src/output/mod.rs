//! Where text goes: data to stdout, everything else to stderr. Nothing else in the crate prints.

pub mod json;
pub mod progress;
pub mod table;

use std::io::{self, IsTerminal, Write};

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
        self.line(&printable(&secret::mask(text), self.color))
    }

    /// Prints JSON indented by two spaces, digits and key order as they are in `text`.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub fn json(&self, text: &str) -> anyhow::Result<()> {
        self.line(&json::indent(text))
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
        self.say(&format!("{} {text}", self.paint("33", "Warning:")));
    }

    /// What went wrong, as the last thing a command says.
    pub fn error(&self, text: &str) {
        self.say(&format!("{} {text}", self.paint("31", "Error:")));
    }

    /// What to try next.
    pub fn hint(&self, text: &str) {
        if !self.quiet {
            self.say(&format!("{} {text}", self.paint("36", "Hint:")));
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

    /// stderr, every known secret masked and control characters of a server's words made harmless.
    fn say(&self, text: &str) {
        self.write(&secret::mask(text));
    }

    fn write(&self, text: &str) {
        let text = printable(text, self.color);
        self.progress.suspend(|| {
            let mut stderr = io::stderr().lock();
            let _ = writeln!(stderr, "{text}");
        });
    }
}

/// The text without control characters that could drive a terminal (our own colours stay).
fn printable(text: &str, color: bool) -> String {
    text.char_indices()
        .map(|(at, character)| match character {
            '\n' | '\t' => character,
            '\x1b' if color && is_color(&text[at + 1..]) => character,
            control if control.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

/// Whether an escape that goes on like this sets a colour (SGR) and does nothing else.
fn is_color(rest: &str) -> bool {
    let parameters = rest.strip_prefix('[').unwrap_or("x");
    let end = parameters.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
    end.starts_with('m')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_server_set_colours_at_most() {
        for (text, color, shown) in [
            ("\x1b[1;31mred\x1b[0m", true, "\x1b[1;31mred\x1b[0m"),
            (
                "\x1b[1;31mred\x1b[0m",
                false,
                "\u{fffd}[1;31mred\u{fffd}[0m",
            ),
            (
                "a\x1b[2Jb\x1b]0;title\x07",
                true,
                "a\u{fffd}[2Jb\u{fffd}]0;title\u{fffd}",
            ),
            ("end\x1b", true, "end\u{fffd}"),
        ] {
            assert_eq!(printable(text, color), shown, "{text:?}");
        }
    }
}
