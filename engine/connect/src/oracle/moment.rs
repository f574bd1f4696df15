//! Dates, instants and intervals in the parts that both drivers give.

use engine_core::value::{Column, Kind, RowBatch, Slot};

use crate::slots::{DAY_SECS, epoch_days, push_bad};

const SECOND_NANOS: i64 = 1_000_000_000;

/// A date with a time of day, as the driver reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub year: i32,
    pub month: u8,
    pub day: u8,
    pub time: Time,
    /// Seconds that the reading is ahead of UTC; zero where the driver has taken them off.
    pub offset_secs: i32,
}

/// A time of day, or an interval beside its days. The parts of a negative interval are negative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    pub hours: i32,
    pub minutes: i32,
    pub seconds: i32,
    pub nanos: i32,
}

impl Time {
    fn secs(self) -> i64 {
        i64::from(self.hours) * 3_600 + i64::from(self.minutes) * 60 + i64::from(self.seconds)
    }
}

/// Appends an instant where the column is one, else a reading of a clock.
pub(super) fn push_moment(at: Moment, column: &Column, batch: &mut RowBatch) {
    let days = if at.year > 0 { epoch_days(at.year, at.month, at.day) } else { None };
    let (Some(days), Ok(nanos)) = (days, u32::try_from(at.time.nanos)) else {
        push_bad(batch, column, &format!("{}-{:02}-{:02} is no date of the calendar", at.year, at.month, at.day));
        return;
    };
    let secs = i64::from(days) * DAY_SECS + at.time.secs();
    batch.push(if column.kind == Kind::Instant {
        Slot::Instant { secs: secs - i64::from(at.offset_secs), nanos }
    } else {
        Slot::Civil { secs, nanos }
    });
}

/// Appends an interval of days and a time.
pub(super) fn push_interval(days: i32, time: Time, column: &Column, batch: &mut RowBatch) {
    let secs = i64::from(days) * DAY_SECS + time.secs();
    match secs.checked_mul(SECOND_NANOS).and_then(|nanos| nanos.checked_add(time.nanos.into())) {
        Some(nanos) => batch.push(Slot::Time(nanos)),
        None => push_bad(batch, column, "an interval of more than 290 years"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use engine_core::value::{Cell, Columns};

    use super::*;

    const NO_TIME: Time = Time { hours: 0, minutes: 0, seconds: 0, nanos: 0 };

    /// Compares what is appended for a column of this kind; of a bad value, a part of the reason.
    pub(in crate::oracle) fn check(kind: Kind, push: impl FnOnce(&Column, &mut RowBatch), expected: Cell<'_>) {
        let columns: Columns = [Column { name: "c".to_owned(), kind, source_type: "t".to_owned() }].into();
        let mut batch = RowBatch::new();
        batch.reset(&columns);
        push(&columns[0], &mut batch);
        match (batch.row(0).get(0), expected) {
            (Cell::Bad(why), Cell::Bad(part)) => assert!(why.contains(part), "{why}"),
            (seen, expected) => assert_eq!(seen, expected),
        }
    }

    #[test]
    fn dates_are_readings_of_a_clock_and_zoned_ones_instants() {
        let time = Time { hours: 2, minutes: 30, seconds: 0, nanos: 5 };
        let at = Moment { year: 2025, month: 3, day: 30, time, offset_secs: 7_200 };
        for (kind, at, expected) in [
            (Kind::Civil, at, Cell::Civil { secs: 1_743_301_800, nanos: 5 }),
            (Kind::Instant, at, Cell::Instant { secs: 1_743_294_600, nanos: 5 }),
            (Kind::Instant, Moment { offset_secs: 0, ..at }, Cell::Instant { secs: 1_743_301_800, nanos: 5 }),
            (Kind::Civil, Moment { year: -44, month: 3, day: 15, ..at }, Cell::Bad("no date of the calendar")),
            (Kind::Civil, Moment { year: 0, ..at }, Cell::Bad("no date of the calendar")),
            (Kind::Instant, Moment { month: 2, ..at }, Cell::Bad("2025-02-30 is no date of the calendar")),
        ] {
            check(kind, |column, batch| push_moment(at, column, batch), expected);
        }
    }

    #[test]
    fn an_interval_may_be_negative_or_too_long() {
        let back = Time { hours: -1, minutes: -2, seconds: -3, nanos: -4 };
        check(Kind::Time, |column, batch| push_interval(0, back, column, batch), Cell::Time(-3_723_000_000_004));
        check(Kind::Time, |column, batch| push_interval(2, NO_TIME, column, batch), Cell::Time(172_800_000_000_000));
        for days in [-999_999_999, 999_999_999] {
            check(Kind::Time, |column, batch| push_interval(days, NO_TIME, column, batch), Cell::Bad("290 years"));
        }
    }
}
