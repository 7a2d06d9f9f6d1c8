//! One file per command: its arguments, which are its help, and what it does.

pub mod auth_help;
pub mod bulk;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod keys;
pub mod login;
pub mod logout;
pub mod profile;
pub mod rest;
pub mod sandbox;
pub mod token;
pub mod whoami;

use std::time::Duration;

/// Reads a time: seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// The text is no time.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        unit => {
            return Err(format!(
                "`{unit}` is no unit of time; known are ms, s, m, h, d"
            ));
        }
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| "write it as 90, 90s, 5m, 2h or 1d".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_unit() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "m", "5 weeks", "-1", "1e400"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
