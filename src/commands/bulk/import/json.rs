//! What came of an import, for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bulk::import::settle::report::Report;

pub(super) fn of(report: &Report) -> Value {
    let total = report.total();
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let latency = &report.latency;
    json!({
        "files": report.files,
        "resources": total.all(),
        "bytes": report.bytes,
        "seconds": report.elapsed.as_secs_f64(),
        "resourcesPerSecond": speed(report),
        "danglingReferences": report.dangling,
        "absoluteReferences": report.absolute,
        "conditionalReferences": report.conditional,
        "lostConditions": report.lost_conditions,
        "requests": report.requests,
        "created": total.created,
        "updated": total.updated,
        "unchanged": total.unchanged,
        "refused": total.refused,
        "refusedHere": total.held_back,
        "notSent": total.not_sent,
        "unknown": total.unknown,
        "deleted": total.deleted,
        "types": report.in_order().into_iter().map(|(name, counts)| json!({
            "type": name,
            "created": counts.created,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "refusedHere": counts.held_back,
            "notSent": counts.not_sent,
            "unknown": counts.unknown,
            "deleted": counts.deleted,
        })).collect::<Vec<_>>(),
        "latencyMs": {
            "mean": millis(latency.mean()),
            "p50": millis(latency.percentile(50)),
            "p95": millis(latency.percentile(95)),
            "p99": millis(latency.percentile(99)),
            "max": millis(latency.max()),
        },
        "rejects": report.rejects.as_ref().map(|path| path.display().to_string()),
        "outcomes": report.outcomes.as_ref().map(|path| path.display().to_string()),
    })
}

/// Resources settled in a second.
pub(super) fn speed(report: &Report) -> f64 {
    let total = report.total();
    let settled = (total.all() - total.not_sent) as f64;
    (settled / report.elapsed.as_secs_f64().max(0.001) * 10.0).round() / 10.0
}
