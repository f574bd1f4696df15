//! A booking as JSON, by hand: the cheapest way there is, and therefore the one to compare with.

/// What stands before each of the seven values.
pub const KEYS: [&[u8]; 7] = [
    b"{\"id\":",
    b",\"order_code\":",
    b",\"product_code\":",
    b",\"machine_code\":",
    b",\"event\":",
    b",\"booked_at\":",
    b",\"changed_at\":",
];

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's clock begins.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;

/// A local date-time.
pub struct Civil {
    /// Year, month, day, hour, minute, second, millisecond.
    pub parts: [u32; 7],
}

impl Civil {
    /// PostgreSQL's binary timestamp: microseconds since 2000-01-01.
    pub fn of_postgres(micros: i64) -> Self {
        let seconds = micros.div_euclid(1_000_000);
        let (year, month, day) = civil_day(seconds.div_euclid(86_400) + POSTGRES_EPOCH_DAYS);
        let of_day = seconds.rem_euclid(86_400) as u32;
        let millis = (micros.rem_euclid(1_000_000) / 1000) as u32;
        Self { parts: [year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60, millis] }
    }

    /// `"2024-01-01T00:00:00.000"`, in quotes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let [year, month, day, hour, minute, second, millis] = self.parts;
        out.push(b'"');
        two_digits(out, year / 100);
        two_digits(out, year % 100);
        for (mark, part) in [(b'-', month), (b'-', day), (b'T', hour), (b':', minute), (b':', second)] {
            out.push(mark);
            two_digits(out, part);
        }
        out.extend_from_slice(&[b'.', b'0' + (millis / 100) as u8]);
        two_digits(out, millis % 100);
        out.push(b'"');
    }
}

fn two_digits(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil_day(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    ((year_of_era + era * 400 + i64::from(month <= 2)) as u32, month as u32, day as u32)
}

/// A whole number.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A text in quotes, in one piece where nothing must be escaped.
pub fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    if bytes.iter().any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        for &byte in bytes {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_texts_are_json() {
        let mut out = Vec::new();
        Civil::of_postgres(757_382_400_000_000 + 15_700_613).write(&mut out);
        text(&mut out, b"a\"b\n");
        integer(&mut out, -7);
        assert_eq!(String::from_utf8(out).ok().as_deref(), Some("\"2024-01-01T00:00:15.700\"\"a\\\"b\\u000a\"-7"));
    }
}
