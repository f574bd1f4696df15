//! Bookings as an API serves them: the same rows as in the databases, computed by their numbers.

use std::fmt::Write as _;

/// Rows of one page at most.
const PAGE_ROWS_MAX: u64 = 10_000;
/// Machines of the plant.
const MACHINES: u64 = 120;
/// Milliseconds from booking to booking.
const STEP_MILLIS: u64 = 15_700;

/// A page of the first so many bookings: `/bookings/100` and `page=1&size=50`.
pub fn page(path: &str, query: &str) -> Option<String> {
    let last: u64 = path.strip_prefix("/bookings/")?.parse().ok()?;
    let number = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1.parse::<u64>().ok()
    };
    let size = number("size")?.min(PAGE_ROWS_MAX);
    let first = number("page")?.checked_sub(1)? * size + 1;
    let mut out = String::from(r#"{"rows":["#);
    for id in first..(first + size).min(last + 1) {
        if id > first {
            out.push(',');
        }
        booking(&mut out, id);
    }
    out.push_str("]}");
    Some(out)
}

/// One booking: what `db/postgres.sql` makes of the number.
fn booking(out: &mut String, id: u64) {
    let at = id - 1;
    let machine = at % MACHINES;
    let order = at / (4 * MACHINES) * MACHINES + machine + 1;
    let event = ["S", "P", "R", "E"][(at / MACHINES % 4) as usize];
    // Writing to a `String` does not fail.
    let _ = write!(
        out,
        r#"{{"id":{id},"order_code":"FA-{order:08}","product_code":"PRD-{:05}","machine_code":"M-{machine:03}","event":"{event}","booked_at":"{}","changed_at":"{}"}}"#,
        order * 7919 % 5000,
        time(id * STEP_MILLIS + id * 613 % 1000),
        time(id * STEP_MILLIS + 90_000),
    );
}

/// The time so many milliseconds after the first day's beginning.
fn time(millis: u64) -> String {
    let (mut year, mut day) = (2024, millis / 86_400_000);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    let months = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let of_day = millis % 86_400_000;
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_is_the_one_of_the_databases() {
        let row = page("/bookings/3", "page=1&size=1").unwrap_or_default();
        assert_eq!(
            row,
            r#"{"rows":[{"id":1,"order_code":"FA-00000001","product_code":"PRD-02919","machine_code":"M-000","event":"S","booked_at":"2024-01-01T00:00:16.313","changed_at":"2024-01-01T00:01:45.700"}]}"#
        );
        assert!(page("/bookings/3", "page=3&size=1").unwrap_or_default().contains(r#""id":3,"#));
        assert_eq!(page("/bookings/3", "page=4&size=1").as_deref(), Some(r#"{"rows":[]}"#));
        assert_eq!(page("/bookings/3", "page=1"), None);
    }

    #[test]
    fn days_of_leap_years_are_counted() {
        assert_eq!(time(59 * 86_400_000), "2024-02-29T00:00:00.000");
        assert_eq!(time(366 * 86_400_000), "2025-01-01T00:00:00.000");
        assert_eq!(time((366 + 59) * 86_400_000 + 1), "2025-03-01T00:00:00.001");
    }
}
