//! Dates as the spans of time they stand for: `2024` is a whole year (FHIR R4 §3.1.1.4.8).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::Value;

/// From its start up to its end, the end not included.
#[derive(Debug, PartialEq)]
pub(super) struct Period {
    start: Timestamp,
    end: Timestamp,
}

/// The prefixes of a date in a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    StartsAfter,
    EndsBefore,
    Around,
}

impl Period {
    /// What a search asks for: `ge2024-05`.
    pub(super) fn wanted(text: &str) -> Option<(Comparison, Self)> {
        let comparison = match text.get(..2)? {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            "sa" => Comparison::StartsAfter,
            "eb" => Comparison::EndsBefore,
            "ap" => Comparison::Around,
            _ => return Some((Comparison::Equal, Self::read(text)?)),
        };
        Some((comparison, Self::read(&text[2..])?))
    }

    /// What an element holds: a date, an instant, or a Period that may be open.
    pub(super) fn of(element: &Value) -> Option<Self> {
        if let Some(text) = element.as_str() {
            return Self::read(text);
        }
        let side = |name: &str| element[name].as_str().and_then(Self::read);
        let (start, end) = (side("start"), side("end"));
        if start.is_none() && end.is_none() {
            return None;
        }
        Some(Self {
            start: start.map_or(Timestamp::MIN, |start| start.start),
            end: end.map_or(Timestamp::MAX, |end| end.end),
        })
    }

    pub(super) fn is(&self, comparison: Comparison, wanted: &Self) -> bool {
        let equal = wanted.start <= self.start && self.end <= wanted.end;
        match comparison {
            Comparison::Equal => equal,
            Comparison::NotEqual => !equal,
            Comparison::Greater => self.end > wanted.end,
            Comparison::GreaterOrEqual => equal || self.end > wanted.end,
            Comparison::Less => self.start < wanted.start,
            Comparison::LessOrEqual => equal || self.start < wanted.start,
            Comparison::StartsAfter => self.start >= wanted.end,
            Comparison::EndsBefore => self.end <= wanted.start,
            Comparison::Around => self.start < wanted.end && wanted.start < self.end,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let day = |text: &str| text.parse::<Date>().ok();
        let (first, next) = match text.len() {
            4 => {
                let first = day(&format!("{text}-01-01"))?;
                (first, first.checked_add(1.year()).ok()?)
            }
            7 => {
                let first = day(&format!("{text}-01"))?;
                (first, first.checked_add(1.month()).ok()?)
            }
            10 => {
                let first = day(text)?;
                (first, first.tomorrow().ok()?)
            }
            _ => return Self::instant(text),
        };
        let midnight = |day: Date| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok();
        Some(Self {
            start: midnight(first)?,
            end: midnight(next)?,
        })
    }

    /// A time; without a zone it is in UTC.
    fn instant(text: &str) -> Option<Self> {
        let start = text.parse::<Timestamp>().ok().or_else(|| {
            TimeZone::UTC
                .to_timestamp(text.parse::<DateTime>().ok()?)
                .ok()
        })?;
        let time = text.split_once('T')?.1;
        let clock = time.split(['Z', '+', '-']).next().unwrap_or(time);
        let length = match clock.len() {
            0..=5 => SignedDuration::from_mins(1),
            6..=8 => SignedDuration::from_secs(1),
            _ => SignedDuration::from_millis(1),
        };
        Some(Self {
            start,
            end: start.checked_add(length).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_stands_for_all_of_its_time() {
        let span = |text| {
            let period = Period::read(text).unwrap();
            format!("{} {}", period.start, period.end)
        };
        assert_eq!(span("2023"), "2023-01-01T00:00:00Z 2024-01-01T00:00:00Z");
        assert_eq!(span("2024-02"), "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z");
        assert_eq!(
            span("2024-02-29"),
            "2024-02-29T00:00:00Z 2024-03-01T00:00:00Z"
        );
        assert_eq!(
            span("2024-01-01T01:00+02:00"),
            "2023-12-31T23:00:00Z 2023-12-31T23:01:00Z"
        );
        assert_eq!(
            span("2024-01-01T01:00:00"),
            "2024-01-01T01:00:00Z 2024-01-01T01:00:01Z"
        );
        for wrong in [
            "",
            "24",
            "2024-13",
            "2024-02-30",
            "yesterday",
            "2024-01-01T",
        ] {
            assert_eq!(Period::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_open_period_has_no_end() {
        let open = Period::of(&serde_json::json!({"start": "2024-05-01"})).unwrap();
        let (_, year) = Period::wanted("2024").unwrap();
        assert!(open.is(Comparison::Around, &year) && open.is(Comparison::Greater, &year));
        assert!(!open.is(Comparison::Equal, &year) && !open.is(Comparison::Less, &year));
    }
}
