//! From when the next export of a series asks.

use jiff::{SignedDuration, Timestamp};

use super::instant;
use super::state::document;
use crate::words;

/// A server's clock and its database may differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);

/// From when the next export asks, and what there is to say of it: the earliest time that any page or reading of the
/// manifest gave, since nothing later is in all files, and not later than the kick-off, since what a server says of the
/// future says nothing of what it gave.
pub(super) fn next_since(
    state: &document::State,
    now: Timestamp,
) -> (Option<String>, Option<String>) {
    let stated = state.transaction_time.as_deref().unwrap_or_default();
    let Some(time) = instant::read(stated) else {
        let shown = match stated {
            "" => "The manifest has no transactionTime".to_owned(),
            stated => format!(
                "The transactionTime {} of the manifest is no point in time",
                words::shortened(stated)
            ),
        };
        let warning = format!("{shown}, so the next export of the series asks for the same again.");
        return (None, Some(warning));
    };
    let asked = asked_at(state).filter(|asked| *asked < time);
    let Some(asked) = asked else {
        return (instant::normalised(stated), None);
    };
    let begun = state.started.as_deref().and_then(instant::read);
    let passed = now
        .duration_since(begun.unwrap_or(now))
        .max(SignedDuration::ZERO);
    let is_future = time.duration_since(asked) > passed + CLOCKS;
    let warning = is_future.then(|| {
        format!(
            "The transactionTime {} of the manifest lies in the future, so the next export of the series asks for \
             what changed since {asked}, when this one was asked for.",
            words::shortened(stated)
        )
    });
    (Some(asked.to_string()), warning)
}

/// When a job was asked for, by the server's clock where it told it.
pub(super) fn asked_at(state: &document::State) -> Option<Timestamp> {
    let asked = state.asked_at.as_deref().or(state.started.as_deref());
    asked.and_then(instant::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(stated: Option<&str>, asked: &str, hours: i64) -> (Option<String>, bool) {
        let state: document::State = serde_json::from_value(serde_json::json!({
            "version": 2, "request": null, "phase": "done", "started": "2026-11-28T10:00:00Z",
            "status_url": null, "statusUrl": null, "transactionTime": stated, "askedAt": asked,
        }))
        .unwrap();
        let now = "2026-11-28T10:00:00Z".parse::<Timestamp>().unwrap();
        let (since, warning) = next_since(&state, now + SignedDuration::from_hours(hours));
        (since, warning.is_some())
    }

    #[test]
    fn the_next_export_asks_from_the_earliest_time_and_never_from_the_future() {
        let asked = "2026-11-28T10:00:05Z";
        let text = |text: &str| Some(text.to_owned());
        for (stated, hours, expected) in [
            (
                Some("2026-11-28T10:00:00.000Z"),
                0,
                (text("2026-11-28T10:00:00.000Z"), false),
            ),
            (
                Some("2026-11-28T10:00:00"),
                0,
                (text("2026-11-28T10:00:00Z"), false),
            ),
            // The job waited for its turn.
            (Some("2026-11-28T11:30:00Z"), 2, (text(asked), false)),
            (Some("2099-01-01T00:00:00Z"), 2, (text(asked), true)),
            (Some("soon"), 0, (None, true)),
            (None, 0, (None, true)),
        ] {
            assert_eq!(next(stated, asked, hours), expected, "{stated:?}");
        }
    }
}
