//! Points in time as servers write them, made instants that every server takes (FHIR R4, instant).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};

/// Seconds since 1970 that are milliseconds in truth: the year 5138 is far.
const MILLISECONDS: i64 = 100_000_000_000;

/// The instant that a text means, as it goes out in `_since`; `None` when it means none. What is an instant stays as it
/// is, so that it keeps its zone and its digits.
pub fn normalised(text: &str) -> Option<String> {
    let text = text.trim();
    let is_proper = text.len() >= 20 && text.as_bytes()[10] == b'T' && has_colon_zone(text);
    let parsed = read(text)?;
    if is_proper {
        return Some(text.to_owned());
    }
    Some(parsed.to_string())
}

/// The point in time that a text means.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    if let Ok(number) = text.parse::<i64>() {
        return match number {
            ..=0 => None,
            1..MILLISECONDS => Timestamp::from_second(number).ok(),
            _ => Timestamp::from_millisecond(number).ok(),
        };
    }
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Timestamp::try_from(date).ok();
    }
    // Without a zone it is UTC, as most servers mean it.
    let civil = text.parse::<DateTime>().ok()?;
    civil
        .to_zoned(TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// `Z`, `+02:00` or `-02:00` at the end.
fn has_colon_zone(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [.., b'Z'] => true,
        [.., sign, _, _, b':', _, _] => matches!(sign, b'+' | b'-'),
        _ => false,
    }
}

/// The earlier of two times; one that means no instant is later than any.
pub fn earlier(one: Option<String>, other: Option<String>) -> Option<String> {
    let (Some(first), Some(second)) = (&one, &other) else {
        return one.or(other);
    };
    match (read(first), read(second)) {
        (None, Some(_)) => other,
        (Some(first), Some(second)) if second < first => other,
        _ => one,
    }
}

/// Reads a point in time: an instant with its zone, a date (midnight UTC), or how long ago (`2d`, `12h`).
///
/// # Errors
/// The text is none of these.
pub fn typed(text: &str, now: Timestamp) -> Result<String, String> {
    let text = text.trim();
    if text.parse::<Timestamp>().is_ok()
        && let Some(instant) = normalised(text)
    {
        // An instant stays as it was typed: servers compare, and it keeps its own zone.
        return Ok(instant);
    }
    if text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok() {
        return Ok(format!("{text}T00:00:00Z"));
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let hours = match &text[digits.len()..] {
        "h" => Some(1),
        "d" => Some(24),
        "w" => Some(24 * 7),
        _ => None,
    };
    let ago = digits
        .parse::<u32>()
        .ok()
        .zip(hours)
        .map(|(number, hours)| SignedDuration::from_hours(i64::from(number) * hours));
    if let Some(instant) = ago.and_then(|ago| now.checked_sub(ago).ok()) {
        return Ok(format!(
            "{:.0}",
            instant.round(Unit::Second).unwrap_or(instant)
        ));
    }
    Err(format!(
        "`{text}` is no instant such as 2026-01-31T10:00:00Z, no date such as 2026-01-31, and no time ago such as 2d"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_an_instant_a_date_or_a_time_ago() {
        let parse = |text| typed(text, "2026-11-22T10:20:30.5Z".parse().unwrap());
        assert_eq!(parse("2026-01-31").unwrap(), "2026-01-31T00:00:00Z");
        assert_eq!(
            parse("2026-01-31T10:00:00+02:00").unwrap(),
            "2026-01-31T10:00:00+02:00"
        );
        // Azure passed over these and exported everything.
        assert_eq!(
            parse("2026-01-31 10:00:00Z").unwrap(),
            "2026-01-31T10:00:00Z"
        );
        assert_eq!(
            parse("2026-01-31T10:00:00+0200").unwrap(),
            "2026-01-31T08:00:00Z"
        );
        assert_eq!(parse("2d").unwrap(), "2026-11-20T10:20:31Z");
        assert_eq!(parse("12h").unwrap(), "2026-11-21T22:20:31Z");
        for bad in [
            "yesterday",
            "2026-01-31T10:00:00",
            "2026-13-01",
            "",
            "d",
            "-2d",
            "2 days",
            "99999999999d",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn usual_forms_become_instants_and_instants_stay() {
        for (text, expected) in [
            ("2026-01-31T10:00:00.000Z", Some("2026-01-31T10:00:00.000Z")),
            (
                "2026-01-31T10:00:00+02:00",
                Some("2026-01-31T10:00:00+02:00"),
            ),
            ("2026-01-31T10:00:00", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31 10:00:00Z", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31T10:00:00+0200", Some("2026-01-31T08:00:00Z")),
            ("2026-01-31t10:00:00z", Some("2026-01-31T10:00:00Z")),
            (
                "Sat, 31 Jan 2026 10:00:00 GMT",
                Some("2026-01-31T10:00:00Z"),
            ),
            ("1769853600", Some("2026-01-31T10:00:00Z")),
            ("1769853600000", Some("2026-01-31T10:00:00Z")),
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("soon", None),
            ("", None),
            ("0", None),
            ("2026-01-31T10:00:00Z\nError", None),
        ] {
            assert_eq!(normalised(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_never_the_earlier_one() {
        let text = |text: &str| Some(text.to_owned());
        let (early, late) = (
            text("2026-01-01T00:00:00Z"),
            text("2026-01-01T02:00:00+01:00"),
        );
        assert_eq!(earlier(late.clone(), early.clone()), early);
        assert_eq!(earlier(early.clone(), late), early);
        assert_eq!(earlier(text("?"), early.clone()), early);
        assert_eq!(earlier(None, early.clone()), early);
        assert_eq!(earlier(early.clone(), None), early);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = normalised(&text);
        }
    }
}
