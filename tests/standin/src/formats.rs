//! Moments and numbers as text: the styles of SQL Server's `CONVERT`, the format models of Oracle.

use jiff::civil::{Date, DateTime, Weekday, date};
use jiff::tz::TimeZone;

use crate::convert::{Settings, as_moment};
use crate::errors::{Fallible, error};
use crate::moment::{self, Moment};
use crate::number;
use crate::types::{Class, Type};
use crate::{Product, Value};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment in the form of the seam, as text for people.
pub(crate) fn moment_as_text(text: &str, from: &Type, style: Option<i64>, settings: &Settings) -> Fallible<String> {
    let Some(read) = as_moment(&Value::Text(text.to_owned()), from, settings) else { return Ok(text.to_owned()) };
    if settings.product == Product::Oracle {
        let format = match from.name.as_str() {
            "DATE" => &settings.date_format,
            "TIMESTAMP WITH TIME ZONE" => &settings.timestamp_zone_format,
            _ => &settings.timestamp_format,
        };
        return to_char(&read, format, from.fraction_digits());
    }
    let at = read.at;
    let day = at.date();
    let digits = from.fraction_digits();
    let fraction = format!("{:09}", at.subsec_nanosecond());
    let seconds = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    let precise = if digits == 0 { seconds.clone() } else { format!("{seconds}.{}", &fraction[..digits.min(9)]) };
    let offset = read.offset.map(|seconds| format!(" {}", moment::written_offset(seconds))).unwrap_or_default();
    let twelve = (at.hour() + 11) % 12 + 1;
    let half = if at.hour() < 12 { "AM" } else { "PM" };
    let old = from.name == "datetime" || from.name == "smalldatetime";
    let dated = match style.unwrap_or(if old { 0 } else { 121 }) {
        0 | 100 => format!(
            "{} {:>2} {} {twelve:>2}:{:02}{half}",
            &MONTHS[at.month() as usize - 1][..3],
            at.day(),
            at.year(),
            at.minute()
        ),
        1 => format!("{:02}/{:02}/{:02}", at.month(), at.day(), at.year() % 100),
        101 => format!("{:02}/{:02}/{:04}", at.month(), at.day(), at.year()),
        3 | 103 => format!("{:02}/{:02}/{:04}", at.day(), at.month(), at.year()),
        4 | 104 => format!("{:02}.{:02}.{:04}", at.day(), at.month(), at.year()),
        5 | 105 => format!("{:02}-{:02}-{:04}", at.day(), at.month(), at.year()),
        8 | 108 => return Ok(seconds),
        12 => format!("{:02}{:02}{:02}", at.year() % 100, at.month(), at.day()),
        112 => format!("{:04}{:02}{:02}", at.year(), at.month(), at.day()),
        14 | 114 => return Ok(format!("{seconds}:{}", &fraction[..3])),
        23 => day.to_string(),
        20 | 120 => format!("{day} {seconds}"),
        126 | 127 => format!("{day}T{}{}", moment::clock(at.time()), offset.trim()),
        _ if from.class() == Class::Date => day.to_string(),
        _ if from.class() == Class::Time => precise,
        _ => format!("{day} {precise}{offset}"),
    };
    Ok(match (from.class(), style) {
        (Class::Date, Some(20 | 120 | 126 | 127)) => day.to_string(),
        (Class::Time, Some(20 | 120)) => seconds,
        _ => dated,
    })
}

/// A float as the server prints it: six digits in SQL Server, all of them in Oracle.
pub(crate) fn float_as_text(float: f64, product: Product) -> String {
    if product == Product::Oracle {
        return number::of(&Value::Float(float)).map_or_else(|| float.to_string(), |number| number::trimmed(&number));
    }
    let scientific = format!("{float:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return float.to_string() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-5..15).contains(&exponent) && float != 0.0 {
        let places = (5 - exponent).max(0) as usize;
        let fixed = format!("{float:.places$}");
        return if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed };
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    if float == 0.0 {
        "0".to_owned()
    } else {
        format!("{digits}e{}{:03}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

/// An interval in the form of the seam.
pub(crate) fn interval(text: &str, to: &Type) -> Option<String> {
    let text = text.trim();
    if to.name == "INTERVAL YEAR TO MONTH" {
        let (years, months) = text.split_once('-').unwrap_or((text, "0"));
        return Some(format!("{}-{:02}", years.parse::<i64>().ok()?, months.parse::<i64>().ok()?));
    }
    let negative = text.starts_with('-');
    let (days, clock) = text.trim_start_matches(['+', '-']).split_once(' ')?;
    let read = moment::read(clock, moment::DATE_ORDER)?;
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{} {}", days.parse::<i64>().ok()?, moment::clock(read.at.time())))
}

/// Text as a moment, read by the session's own format, as Oracle does without `TO_DATE`.
pub(crate) fn by_session(value: &Value, to: &Type, settings: &Settings) -> Fallible<Moment> {
    let Value::Text(text) = value else { return Err(error(932, "inconsistent datatypes")) };
    let format = match to.name.as_str() {
        "DATE" => &settings.date_format,
        "TIMESTAMP WITH TIME ZONE" => &settings.timestamp_zone_format,
        _ => &settings.timestamp_format,
    };
    from_format(text, format)
}

/// Cuts a format model into its elements.
fn elements(format: &str) -> Fallible<Vec<String>> {
    const KNOWN: [&str; 41] = [
        "SYYYY", "YYYY", "RRRR", "IYYY", "YYY", "YY", "RR", "Y", "MONTH", "MON", "MM", "DDD", "DD", "DAY", "DY", "D",
        "HH24", "HH12", "HH", "MI", "SSSSS", "SS", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "FF7", "FF8", "FF9", "FF",
        "TZH", "TZM", "TZR", "TZD", "IW", "WW", "Q", "J", "X",
    ];
    let mut rest = format;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let upper = rest.to_uppercase();
        if upper.starts_with("FM") || upper.starts_with("FX") {
            found.push(upper[..2].to_owned());
            rest = &rest[2..];
        } else if let Some(half) = ["A.M.", "P.M.", "AM", "PM"].iter().find(|half| upper.starts_with(**half)) {
            found.push("AM".to_owned());
            rest = &rest[half.len()..];
        } else if first == '"' {
            let end = rest[1..].find('"').ok_or_else(|| error(1821, "date format not recognized"))?;
            found.push(format!("'{}", &rest[1..=end]));
            rest = &rest[end + 2..];
        } else if let Some(known) = KNOWN.iter().find(|known| upper.starts_with(**known)) {
            let written = &rest[..known.len()];
            found.push(if matches!(*known, "MON" | "MONTH" | "DAY" | "DY") {
                written.to_owned()
            } else {
                (*known).to_owned()
            });
            rest = &rest[known.len()..];
        } else if first.is_alphanumeric() {
            return Err(error(1821, "date format not recognized"));
        } else {
            found.push(format!("'{first}"));
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(found)
}

/// `TO_CHAR` of a moment.
pub(crate) fn to_char(moment: &Moment, format: &str, digits: usize) -> Fallible<String> {
    let at = moment.at;
    let fraction = format!("{:09}", at.subsec_nanosecond());
    let mut filled = true;
    let mut text = String::new();
    for element in elements(format)? {
        let cased = |word: &str, width: usize, filled: bool| {
            let word = match element.chars().take(2).map(char::is_uppercase).collect::<Vec<_>>().as_slice() {
                [true, true] => word.to_uppercase(),
                [true, false] => word.to_owned(),
                _ => word.to_lowercase(),
            };
            if filled { format!("{word:<width$}") } else { word }
        };
        let two = |number: i8| if filled { format!("{number:02}") } else { number.to_string() };
        let piece = match element.to_uppercase().as_str() {
            "FM" => {
                filled = !filled;
                String::new()
            }
            "FX" => String::new(),
            "YYYY" | "SYYYY" | "RRRR" => format!("{:04}", at.year()),
            "IYYY" => format!("{:04}", at.date().iso_week_date().year()),
            "YYY" => format!("{:03}", at.year() % 1000),
            "YY" | "RR" => format!("{:02}", at.year() % 100),
            "Y" => (at.year() % 10).to_string(),
            "MM" => two(at.month()),
            "MON" => cased(&MONTHS[at.month() as usize - 1][..3], 3, filled),
            "MONTH" => cased(MONTHS[at.month() as usize - 1], 9, filled),
            "DD" => two(at.day()),
            "DDD" => format!("{:03}", at.date().day_of_year()),
            "D" => at.weekday().to_sunday_one_offset().to_string(),
            "DAY" => cased(weekday(at.weekday()), 9, filled),
            "DY" => cased(&weekday(at.weekday())[..3], 3, filled),
            "HH24" => two(at.hour()),
            "HH" | "HH12" => two((at.hour() + 11) % 12 + 1),
            "MI" => two(at.minute()),
            "SS" => two(at.second()),
            "SSSSS" => {
                format!("{:05}", i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second()))
            }
            "FF" => fraction[..digits.clamp(1, 9)].to_owned(),
            ff if ff.starts_with("FF") => fraction[..ff[2..].parse::<usize>().unwrap_or(9)].to_owned(),
            "AM" => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            "TZR" => moment.offset.map(moment::written_offset).unwrap_or_default(),
            "TZD" => String::new(),
            "TZH" => moment.offset.map(|offset| moment::written_offset(offset)[..3].to_owned()).unwrap_or_default(),
            "TZM" => moment.offset.map(|offset| moment::written_offset(offset)[4..].to_owned()).unwrap_or_default(),
            "IW" => format!("{:02}", at.date().iso_week_date().week()),
            "WW" => format!("{:02}", (at.date().day_of_year() - 1) / 7 + 1),
            "Q" => ((at.month() - 1) / 3 + 1).to_string(),
            "J" => (at.date().since(date(1, 1, 1)).map(|span| i64::from(span.get_days())).unwrap_or(0) + 1_721_426)
                .to_string(),
            "X" => ".".to_owned(),
            literal => literal.strip_prefix('\'').map_or_else(String::new, |_| element[1..].to_owned()),
        };
        text.push_str(&piece);
    }
    Ok(text)
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// What was read so far of a text.
struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    afternoon: Option<Afternoon>,
    offset: Option<i32>,
    zone: Option<TimeZone>,
}

#[derive(Clone, Copy, PartialEq)]
enum Afternoon {
    Before,
    After,
}

/// `TO_DATE`, `TO_TIMESTAMP` and `TO_TIMESTAMP_TZ`.
pub(crate) fn from_format(text: &str, format: &str) -> Fallible<Moment> {
    let now = jiff::Zoned::now().date();
    let mut parts = Parts {
        year: now.year(),
        month: now.month(),
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        afternoon: None,
        offset: None,
        zone: None,
    };
    let mut rest = text.trim();
    for element in elements(format)? {
        if rest.is_empty() {
            break;
        }
        rest = read_element(&element, rest, &mut parts)?;
    }
    if !rest.trim().is_empty() {
        return Err(error(1830, "date format picture ends before converting entire input string"));
    }
    if let Some(afternoon) = parts.afternoon {
        parts.hour = parts.hour % 12 + if afternoon == Afternoon::After { 12 } else { 0 };
    }
    let day =
        Date::new(parts.year, parts.month, parts.day).map_err(|_| error(1839, "date not valid for month specified"))?;
    let at: DateTime = day.at(parts.hour, parts.minute, parts.second, parts.nanosecond);
    let offset = parts.offset.or_else(|| parts.zone.as_ref().map(|zone| moment::offset_at(zone, at).seconds()));
    Ok(Moment { at, offset, dated: true })
}

fn read_element<'a>(element: &str, rest: &'a str, parts: &mut Parts) -> Fallible<&'a str> {
    let number = |width: usize| -> Fallible<(i64, &'a str)> {
        let end = rest.bytes().take(width).take_while(u8::is_ascii_digit).count();
        let value = rest[..end]
            .parse()
            .map_err(|_| error(1858, "a non-numeric character was found where a numeric was expected"))?;
        Ok((value, &rest[end..]))
    };
    let bounded = |range: std::ops::RangeInclusive<i64>, code: u32, message: &str| -> Fallible<(i8, &'a str)> {
        let (value, rest) = number(2)?;
        if range.contains(&value) { Ok((value as i8, rest)) } else { Err(error(code, message)) }
    };
    let after;
    match element.to_uppercase().as_str() {
        "FM" | "FX" | "TZD" => return Ok(rest),
        "YYYY" | "SYYYY" | "RRRR" => {
            let (year, left) = number(4)?;
            (parts.year, after) = (year as i16, left);
        }
        "YY" | "RR" => {
            let (year, left) = number(2)?;
            (parts.year, after) = ((if year < 50 || element == "YY" { 2000 + year } else { 1900 + year }) as i16, left);
        }
        "MM" => (parts.month, after) = bounded(1..=12, 1843, "not a valid month")?,
        "MON" | "MONTH" => {
            let upper = rest.to_uppercase();
            let found = MONTHS.iter().position(|month| upper.starts_with(&month.to_uppercase()[..3]));
            let month = found.ok_or_else(|| error(1843, "not a valid month"))?;
            parts.month = month as i8 + 1;
            let whole = upper.starts_with(&MONTHS[month].to_uppercase());
            after = &rest[if whole { MONTHS[month].len() } else { 3 }..];
        }
        "DD" => (parts.day, after) = bounded(1..=31, 1847, "day of month must be between 1 and last day of month")?,
        "HH24" => (parts.hour, after) = bounded(0..=23, 1850, "hour must be between 0 and 23")?,
        "HH" | "HH12" => (parts.hour, after) = bounded(1..=12, 1849, "hour must be between 1 and 12")?,
        "MI" => (parts.minute, after) = bounded(0..=59, 1851, "minutes must be between 0 and 59")?,
        "SS" => (parts.second, after) = bounded(0..=59, 1852, "seconds must be between 0 and 59")?,
        ff if ff.starts_with("FF") => {
            let end = rest.bytes().take(9).take_while(u8::is_ascii_digit).count();
            parts.nanosecond = format!("{:0<9}", &rest[..end]).parse().unwrap_or(0);
            after = &rest[end..];
        }
        "X" => after = rest.strip_prefix(['.', ',']).unwrap_or(rest),
        "AM" => {
            let end = rest.find(|c: char| !c.is_alphabetic() && c != '.').unwrap_or(rest.len());
            parts.afternoon =
                Some(if rest[..end].to_uppercase().starts_with('P') { Afternoon::After } else { Afternoon::Before });
            after = &rest[end..];
        }
        "TZH" | "TZR" => {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let name = if element == "TZH" { rest.split(':').next().unwrap_or(rest) } else { &rest[..end] };
            let zone = moment::zone(name).ok_or_else(|| error(1882, "timezone region not found"))?;
            parts.offset = moment::offset(name);
            parts.zone = Some(zone);
            after = &rest[name.len()..];
        }
        "TZM" => {
            let (minutes, left) = number(2)?;
            let hours = parts.offset.unwrap_or(0);
            parts.offset = Some(hours + (if hours < 0 { -60 } else { 60 }) * minutes as i32);
            after = left;
        }
        _ => {
            let literal = element.strip_prefix('\'').unwrap_or(element);
            let mark = |letter: char| letter.is_ascii_punctuation() || letter == ' ' || letter == 'T' && literal == " ";
            after = rest
                .strip_prefix(literal)
                .or_else(|| rest.strip_prefix(mark))
                .ok_or_else(|| error(1861, "literal does not match format string"))?;
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_models_read_and_write() {
        let cases = [
            ("30-MAR-25", "DD-MON-RR", "2025-03-30 00:00:00"),
            ("2025-03-30 01:30:00.12", "YYYY-MM-DD HH24:MI:SS.FF", "2025-03-30 01:30:00.12"),
            ("20250330013000", "YYYYMMDDHH24MISS", "2025-03-30 01:30:00"),
            ("2025-03-30T11:30:00", "YYYY-MM-DD\"T\"HH24:MI:SS", "2025-03-30 11:30:00"),
        ];
        for (text, format, expected) in cases {
            let moment = from_format(text, format).unwrap();
            assert_eq!(moment::civil(moment.at), expected, "{text}");
            assert_eq!(to_char(&moment, format, 2).unwrap(), text);
        }
        assert_eq!(from_format("2025-13-01", "YYYY-MM-DD").unwrap_err().number, 1843);
        assert_eq!(from_format("abc", "YYYY").unwrap_err().number, 1858);
    }
}
