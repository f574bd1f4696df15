//! Neighbouring intervals of the same order, product and machine become one run.

use crate::pairing::Interval;
use crate::time::Instant;

/// Joins intervals of one series (one machine, order and product) that overlap, touch, or lie within `gap_nanos`.
///
/// The result does not depend on the order of the input. A joined run has the identity of the row that opens it, the
/// latest end, or none when one of its parts still runs; quantities are added up.
pub fn merge(mut parts: Vec<Interval<'_>>, gap_nanos: i128) -> Vec<Interval<'_>> {
    parts.sort_by(Interval::order);
    let mut runs: Vec<Interval<'_>> = Vec::with_capacity(parts.len());
    for part in parts {
        match runs.last_mut() {
            Some(run) if joins(run.end, part.start, gap_nanos) => {
                run.end = match (run.end, part.end) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    _ => None,
                };
                run.complete_from(&part.details);
            }
            _ => runs.push(part),
        }
    }
    runs
}

fn joins(end: Option<Instant>, start: Instant, gap_nanos: i128) -> bool {
    end.is_none_or(|end| start.total_nanos() - end.total_nanos() <= gap_nanos)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::canonical::{Details, RowKey};

    fn interval(key: u128, start: i64, end: Option<i64>) -> Interval<'static> {
        Interval {
            key: RowKey(key),
            start: Instant::from_micros(start * 1_000_000),
            end: end.map(|end| Instant::from_micros(end * 1_000_000)),
            details: Cow::Owned(Details::default()),
        }
    }

    fn check(parts: &[(i64, Option<i64>)], gap: i64, expected: &[(i64, Option<i64>)]) {
        let parts = parts.iter().enumerate().map(|(key, (start, end))| interval(key as u128, *start, *end)).collect();
        let runs: Vec<_> = merge(parts, i128::from(gap) * 1_000_000_000)
            .into_iter()
            .map(|run| (run.start.secs(), run.end.map(|end| end.secs())))
            .collect();
        assert_eq!(runs, expected);
    }

    #[test]
    fn neighbours_become_one() {
        check(&[(0, Some(10)), (10, Some(20))], 0, &[(0, Some(20))]);
        check(&[(0, Some(10)), (11, Some(20))], 0, &[(0, Some(10)), (11, Some(20))]);
        check(&[(0, Some(10)), (15, Some(20))], 5, &[(0, Some(20))]);
        check(&[(0, Some(30)), (5, Some(10))], 0, &[(0, Some(30))]);
        check(&[(0, None), (5, Some(10))], 0, &[(0, None)]);
        check(&[(0, Some(10)), (5, None)], 0, &[(0, None)]);
    }

    proptest! {
        #[test]
        fn the_order_of_the_parts_does_not_matter(
            parts in prop::collection::vec((0i64..50, prop::option::of(0i64..20)), 0..12), gap in 0i64..5,
        ) {
            let parts: Vec<Interval> = parts.into_iter().enumerate()
                .map(|(key, (start, length))| interval(key as u128, start, length.map(|length| start + length)))
                .collect();
            let backwards: Vec<Interval> = parts.iter().rev().cloned().collect();
            let gap = i128::from(gap) * 1_000_000_000;
            let merged = merge(parts, gap);
            prop_assert_eq!(&merged, &merge(backwards, gap));
            // Merging what is merged changes nothing.
            prop_assert_eq!(&merged, &merge(merged.clone(), gap));
        }
    }
}
