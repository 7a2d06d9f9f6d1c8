//! Sets of ordinals, kept as ranges: what earlier runs settled, what waits.

use std::collections::BTreeMap;

/// Ranges of ordinals, each with its length.
#[derive(Clone, Debug, Default)]
pub struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    /// Adds a range; ranges that touch become one.
    pub fn add(&mut self, start: u64, length: u64) {
        let (mut start, mut end) = (start, start + length);
        while let Some((&from, &to)) = self.0.range(..=end).next_back() {
            if to < start {
                break;
            }
            self.0.remove(&from);
            start = start.min(from);
            end = end.max(to);
        }
        self.0.insert(start, end);
    }

    /// Takes a range out.
    pub fn remove(&mut self, start: u64, length: u64) {
        let end = start + length;
        while let Some((&from, &to)) = self.0.range(..end).next_back() {
            if to <= start {
                break;
            }
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start);
            }
            if to > end {
                self.0.insert(end, to);
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ordinals there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Whether an ordinal is in one of the ranges.
    pub fn contains(&self, ordinal: u64) -> bool {
        self.0
            .range(..=ordinal)
            .next_back()
            .is_some_and(|(_, &end)| ordinal < end)
    }
}

/// Ordinals as ranges, in the order in which they come.
pub fn ranges(ordinals: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for ordinal in ordinals {
        match ranges.last_mut() {
            Some((start, length)) if *start + *length == ordinal => *length += 1,
            _ => ranges.push((ordinal, 1)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together_and_are_cut() {
        let mut intervals = Intervals::default();
        for (start, length) in [(10, 5), (0, 5), (5, 5), (20, 1)] {
            intervals.add(start, length);
        }
        assert_eq!(intervals.0, BTreeMap::from([(0, 15), (20, 21)]));
        intervals.remove(3, 2);
        intervals.remove(18, 9);
        assert_eq!(intervals.0, BTreeMap::from([(0, 3), (5, 15)]));
        assert!(
            intervals.contains(2)
                && !intervals.contains(3)
                && intervals.contains(14)
                && !intervals.contains(15)
        );
        assert_eq!(ranges([1, 2, 3, 7, 8, 1]), [(1, 3), (7, 2), (1, 1)]);
    }

    proptest::proptest! {
        #[test]
        fn intervals_hold_what_was_added_and_not_removed(steps in proptest::collection::vec((0_u64..60, 1_u64..9, proptest::bool::ANY), 0..40)) {
            let (mut intervals, mut plain) = (Intervals::default(), std::collections::BTreeSet::new());
            for (start, length, add) in steps {
                for ordinal in start..start + length {
                    if add { plain.insert(ordinal); } else { plain.remove(&ordinal); }
                }
                if add { intervals.add(start, length); } else { intervals.remove(start, length); }
            }
            for ordinal in 0..80 {
                proptest::prop_assert_eq!(intervals.contains(ordinal), plain.contains(&ordinal));
            }
        }
    }
}
