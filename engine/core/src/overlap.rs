//! Runs of one machine at the same time, where each row is a run and nothing is folded.

use crate::state::{StateError, StateTransaction};
use crate::touched::Touched;

/// Counts the overlaps on machines where runs are new or changed, from the first change on, and forgets the machines. The
/// ledger has the runs by now, and so those that began before anything that was read.
pub(crate) fn count(changed: &mut Touched, tx: &mut dyn StateTransaction) -> Result<u64, StateError> {
    let mut count = 0;
    for (machine, from) in changed.take() {
        count += overlaps(&tx.lane_spans(&machine, from)?, from);
    }
    Ok(count)
}

/// The runs that begin at or after a time while another one is not over. Each has its start and its end, and they come
/// by start; one that ends as it begins overlaps nothing.
fn overlaps(runs: &[(i64, i64)], from: i64) -> u64 {
    let (mut count, mut latest) = (0, i64::MIN);
    for (start, end) in runs {
        count += u64::from(*start >= from && latest > *start && end > start);
        latest = latest.max(*end);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::LIVE;

    #[test]
    fn runs_that_begin_before_another_ends_are_counted() {
        for (runs, from, expected) in [
            (&[][..], 0, 0),
            (&[(0, 5), (5, 9)], 0, 0),
            (&[(0, 6), (5, 9)], 0, 1),
            (&[(0, 6), (5, 9)], 6, 0),
            // All that begin while the first one runs, whatever ended meanwhile.
            (&[(0, 20), (5, 9), (10, 15), (20, 25)], 0, 2),
            (&[(0, 20), (5, 9), (10, 15), (20, 25)], 10, 1),
            (&[(0, LIVE), (5, 9), (10, LIVE)], 0, 2),
            (&[(3, 5), (3, 5)], 0, 1),
            (&[(0, 9), (5, 5), (7, 7)], 0, 0),
        ] {
            assert_eq!(overlaps(runs, from), expected, "{runs:?} from {from}");
        }
    }
}
