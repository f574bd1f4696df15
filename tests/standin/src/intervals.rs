//! Oracle's intervals of days, as nanoseconds and as text.

/// Nanoseconds of a second and of a day.
const SECOND_NS: i128 = 1_000_000_000;
const DAY_NS: i128 = 86_400 * SECOND_NS;

/// Reads the form of the seam: `-1 02:03:04.5`.
pub(crate) fn read(text: &str) -> Option<i128> {
    let (days, clock) = text.trim_start_matches('-').split_once(' ')?;
    let mut fields = clock.split(':');
    let hours = fields.next()?.parse::<i128>().ok()?;
    let minutes = fields.next()?.parse::<i128>().ok()?;
    let (seconds, fraction) = fields.next().map(|field| field.split_once('.').unwrap_or((field, "0")))?;
    let seconds = seconds.parse::<i128>().ok()?;
    let fraction = format!("{fraction:0<9}").get(..9)?.parse::<i128>().ok()?;
    let whole = days.parse::<i128>().ok()? * DAY_NS + ((hours * 60 + minutes) * 60 + seconds) * SECOND_NS + fraction;
    Some(if text.starts_with('-') { -whole } else { whole })
}

/// Writes the form of the seam.
pub(crate) fn write(nanoseconds: i128) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let whole = nanoseconds.abs();
    let (days, rest) = (whole / DAY_NS, whole % DAY_NS);
    let (seconds, fraction) = (rest / SECOND_NS, format!("{:09}", rest % SECOND_NS));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{days} {:02}:{:02}:{:02}{point}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `5` of `MINUTE`.
pub(crate) fn of_unit(count: &str, unit: &str) -> Option<String> {
    let count = count.trim().parse::<f64>().ok()?;
    let seconds = match unit.split('(').next().unwrap_or(unit).trim() {
        "DAY" => 86_400.0,
        "HOUR" => 3600.0,
        "MINUTE" => 60.0,
        "SECOND" => 1.0,
        _ => return None,
    };
    Some(write((count * seconds * SECOND_NS as f64).round() as i128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_written_as_it_was_read() {
        for text in ["1 02:03:04.5", "-0 00:00:01", "400 23:59:59.999999999"] {
            assert_eq!(write(read(text).unwrap()), text);
        }
        assert_eq!(of_unit("90", "MINUTE").as_deref(), Some("0 01:30:00"));
    }
}
