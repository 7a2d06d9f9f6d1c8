//! What came of an import: every line by type and outcome, and how long requests took.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bulk::import::any_name;
use crate::bulk::import::order::rank;

/// What became of resources, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    /// Those that were held back here among them.
    pub refused: u64,
    /// Of those that are refused, what never went to the server: it cannot be sent, or points at what is not there.
    pub held_back: u64,
    pub not_sent: u64,
    pub unknown: u64,
    pub deleted: u64,
}

impl Counts {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.created
            + self.updated
            + self.unchanged
            + self.refused
            + self.not_sent
            + self.unknown
            + self.deleted
    }

    /// Those that the server refused.
    pub fn refused_by_server(&self) -> u64 {
        self.refused.saturating_sub(self.held_back)
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.refused += other.refused;
        self.held_back += other.held_back;
        self.not_sent += other.not_sent;
        self.unknown += other.unknown;
        self.deleted += other.deleted;
    }
}

/// Counts by resource type; lines without one stand under the empty name.
pub type ByType = BTreeMap<String, Counts>;

/// The report of one run; after a resume, the counts are those of all runs together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub files: u64,
    /// Bytes of resources that were read to be sent.
    pub bytes: u64,
    pub elapsed: Duration,
    pub requests: u64,
    pub types: ByType,
    #[serde(skip)]
    pub latency: Latency,
    /// The file of what was refused or is unknown, when there is any.
    #[serde(with = "any_name::optional")]
    pub rejects: Option<PathBuf>,
    /// Beside it, what the server said to each.
    #[serde(with = "any_name::optional")]
    pub outcomes: Option<PathBuf>,
    /// References that lead to nothing that is imported: `urn:uuid`, and where the server gives the ids also `Type/id`.
    pub dangling: u64,
    /// References by a whole URL to a resource of another server; they are sent as they are.
    pub absolute: u64,
    /// Resources whose entries have an `ifNoneExist`, and were written under their ids whatever is there.
    pub lost_conditions: u64,
    /// What the server answered when that could no longer be written down.
    #[serde(skip)]
    pub unrecorded: u64,
    /// References by a search, which servers follow within transactions only (FHIR R4 §2.3.0.2).
    pub conditional: u64,
}

impl Report {
    /// The counts of all types together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.types.values().for_each(|counts| total.add(counts));
        total
    }

    /// The types in the order in which they are sent.
    pub fn in_order(&self) -> Vec<(&str, &Counts)> {
        let mut types: Vec<(&str, &Counts)> = self
            .types
            .iter()
            .map(|(name, counts)| (name.as_str(), counts))
            .collect();
        types.sort_by_key(|(name, _)| (rank::rank(name), *name));
        types
    }
}

/// Request latencies in buckets that are each at most 1/32 wide.
#[derive(Clone, Debug)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: vec![0; 64 * 32],
            count: 0,
            sum: Duration::ZERO,
            max: Duration::ZERO,
        }
    }
}

impl Latency {
    /// Counts one request.
    pub fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.sum += latency;
        self.max = self.max.max(latency);
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        u32::try_from(self.count.max(1)).map_or(Duration::ZERO, |count| self.sum / count)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The time within which `percent` of all requests were answered, to about 3 %.
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, number) in self.buckets.iter().enumerate() {
            seen += number;
            if seen >= wanted {
                return Duration::from_micros(upper_end(at)).min(self.max);
            }
        }
        self.max
    }
}

/// 32 buckets for each power of two.
fn bucket(micros: u64) -> usize {
    if micros < 32 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = micros.ilog2();
    let within = (micros >> (power - 5)) & 31;
    usize::try_from(u64::from(power - 4) * 32 + within).unwrap_or(0)
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 32 {
        return bucket;
    }
    let (power, within) = (bucket / 32 + 4, bucket % 32);
    ((32 + within + 1) << (power - 5)).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_few_percent() {
        let mut latency = Latency::default();
        for micros in 1..=10_000 {
            latency.add(Duration::from_micros(micros));
        }
        for percent in [50, 95, 99, 100] {
            let (found, right) = (
                latency.percentile(percent).as_micros() as f64,
                percent as f64 * 100.0,
            );
            assert!((found / right - 1.0).abs() < 0.04, "{percent}: {found}");
        }
        assert_eq!(latency.mean(), Duration::from_nanos(5_000_500));
        latency.add(Duration::from_secs(1 << 40));
        assert_eq!(Latency::default().percentile(50), Duration::ZERO);
    }
}
