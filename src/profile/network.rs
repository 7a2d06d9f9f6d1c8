//! Settings of a profile that say how its servers are reached.

use std::path::PathBuf;
use std::time::Duration;

use super::{Key, Layer, ProfileError};

/// What the layers say of the network; `None` leaves it to the default.
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// Certificates to trust besides the system's, as PEM.
    pub ca_cert: Option<PathBuf>,
    /// The layer that says that certificates are not checked.
    pub insecure_from: Option<Layer>,
    /// Longest time to connect.
    pub connect_timeout: Option<Duration>,
    /// Requests that may begin in a second, and the layer that says so.
    pub max_requests_per_second: Option<(Layer, f64)>,
}

/// A value with the layer it is from.
type Given<'a> = Option<(Layer, &'a str)>;

impl NetworkSettings {
    pub(super) fn read(
        ca_cert: Given<'_>,
        insecure: Given<'_>,
        connect_timeout: Given<'_>,
        max_requests_per_second: Given<'_>,
    ) -> Result<Self, ProfileError> {
        let insecure_from = match insecure {
            None => None,
            Some((layer, value)) => flag(Key::Insecure, value)?.then_some(layer),
        };
        let connect_timeout = connect_timeout
            .map(|(_, text)| {
                duration(text)
                    .and_then(|time| match time {
                        Duration::ZERO => Err("no connection is made in no time".to_owned()),
                        time => Ok(time),
                    })
                    .map_err(|reason| bad(Key::ConnectTimeout, text, &reason))
            })
            .transpose()?;
        let max_requests_per_second = max_requests_per_second
            .map(|(layer, text)| match rate(text) {
                Ok(rate) => Ok((layer, rate)),
                Err(reason) => Err(bad(Key::MaxRequestsPerSecond, text, reason)),
            })
            .transpose()?;
        Ok(Self {
            ca_cert: ca_cert.map(|(_, path)| PathBuf::from(path)),
            insecure_from,
            connect_timeout,
            max_requests_per_second,
        })
    }
}

fn bad(key: Key, value: &str, reason: &str) -> ProfileError {
    ProfileError::BadSetting {
        key,
        value: value.to_owned(),
        reason: reason.to_owned(),
    }
}

/// A setting that is on or off.
///
/// # Errors
/// [`ProfileError::BadSetting`]: a word that may mean either must not mean "off".
pub fn flag(key: Key, text: &str) -> Result<bool, ProfileError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(bad(key, text, "known are true, false")),
    }
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate: f64 = text
        .trim()
        .parse()
        .map_err(|_| "write it as a number, such as 5 or 0.5")?;
    // A request an hour is slower than any server asks for.
    if rate.is_finite() && rate >= 1.0 / 3600.0 {
        Ok(rate)
    } else {
        Err("it must be a positive number")
    }
}

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

    #[test]
    fn rates_are_positive_numbers() {
        assert_eq!(rate("5"), Ok(5.0));
        assert_eq!(rate(" 0.5 "), Ok(0.5));
        for bad in ["", "0", "-1", "NaN", "inf", "1e-300", "5/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whether_certificates_are_checked_is_said_clearly_or_refused() {
        let read = |text| {
            NetworkSettings::read(None, Some((Layer::Profile, text)), None, None)
                .map(|network| network.insecure_from.is_some())
                .ok()
        };
        assert_eq!(read("true"), Some(true));
        assert_eq!(read("0"), Some(false));
        assert_eq!(read("maybe"), None);
    }
}
