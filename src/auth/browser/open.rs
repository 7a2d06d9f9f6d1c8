//! A URL opened in the person's browser, never through a shell: the URL holds what a server chose.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use url::Url;

use crate::profile::Key;

/// A browser that fails does so within this time; one that runs on has the URL.
const LONGEST_WATCH: Duration = Duration::from_secs(1);

/// Opens a URL: with `$BROWSER` if it is set, else as the desktop does.
///
/// # Errors
/// Why no browser could be opened.
pub(super) async fn in_browser(url: &Url) -> Result<(), String> {
    let url = url.as_str().to_owned();
    let opening = tokio::task::spawn_blocking(move || {
        match std::env::var("BROWSER")
            .ok()
            .filter(|list| !list.is_empty())
        {
            Some(list) => with_one_of(&list, &url),
            // xdg-open and its kin, `open`, Explorer: each called with the URL as one argument.
            None => as_the_desktop_does(&url),
        }
    });
    opening.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// The first of the desktop's own ways that starts.
fn as_the_desktop_does(url: &str) -> Result<(), String> {
    let mut reason = "no program that opens addresses is known here".to_owned();
    for command in open::commands(url) {
        match watch(command) {
            Ok(()) => return Ok(()),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// `$BROWSER` is a list of commands, the first that starts wins; `%s` stands for the URL, else it comes last.
fn with_one_of(list: &str, url: &str) -> Result<(), String> {
    let mut reason = "BROWSER names no program".to_owned();
    for command in std::env::split_paths(list) {
        let command = command.to_string_lossy().into_owned();
        let words = words(&command, url);
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        match start(program, arguments) {
            Ok(()) => return Ok(()),
            Err(error) => reason = format!("{program}: {error}"),
        }
    }
    Err(reason)
}

fn words(command: &str, url: &str) -> Vec<String> {
    let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    if command.contains("%s") {
        words = words.iter().map(|word| word.replace("%s", url)).collect();
    } else if !words.is_empty() {
        words.push(url.to_owned());
    }
    words
}

fn start(program: &str, arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    watch(command)
}

/// Starts a browser, without the secrets that are in the environment of this program: a browser lives long.
fn watch(mut command: Command) -> Result<(), String> {
    for variable in Key::secret_variables() {
        command.env_remove(variable);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let started = Instant::now();
    while started.elapsed() < LONGEST_WATCH {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_argument_whatever_it_holds() {
        let url = "https://h.example/?a=$(touch x)&b=`y`;z";
        assert_eq!(
            words("firefox -P work", url),
            ["firefox", "-P", "work", url]
        );
        assert_eq!(words("w3m %s -T", url), ["w3m", url, "-T"]);
        assert_eq!(words(" ", url), [""; 0]);
    }
}
