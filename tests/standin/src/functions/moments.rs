//! Functions over dates and times.

use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, ToSpan};

use crate::convert::{Settings, as_moment};
use crate::errors::{Fallible, error};
use crate::functions::text::shown;
use crate::moment::{self, Moment};
use crate::types::{Class, Type};
use crate::{Product, Value, formats, intervals, number};

const DAY_NS: i128 = 86_400_000_000_000;

fn read(value: &Value) -> Fallible<Moment> {
    moment::read(&shown(value), moment::DATE_ORDER)
        .ok_or_else(|| error(241, "Conversion failed when converting date and/or time from character string."))
}

fn out_of_range() -> crate::ServerError {
    error(517, "Adding a value to a column caused an overflow.")
}

fn moved(at: DateTime, nanoseconds: i128) -> Fallible<DateTime> {
    at.checked_add(SignedDuration::from_nanos_i128(nanoseconds)).map_err(|_| out_of_range())
}

fn written(moment: &Moment, ty: &Type, settings: &Settings) -> Fallible<Value> {
    moment::on_grid(moment, ty, &settings.zone).map(Value::Text).ok_or_else(out_of_range)
}

/// Sums in which a date or an interval takes part.
pub(crate) fn calculate(
    op: &str,
    a: (&Value, &Type),
    b: (&Value, &Type),
    ty: &Type,
    settings: &Settings,
) -> Fallible<Value> {
    let sign = if op == "-" { -1 } else { 1 };
    let days = |value: &Value| -> Fallible<i128> {
        let days = number::of(value).ok_or_else(|| error(1722, "invalid number"))?;
        let exact = (days * bigdecimal::BigDecimal::from(DAY_NS)).with_scale_round(0, bigdecimal::RoundingMode::HalfUp);
        bigdecimal::ToPrimitive::to_i128(&exact).ok_or_else(out_of_range)
    };
    let length = |side: (&Value, &Type)| -> Fallible<i128> {
        match side.1.class() {
            Class::Interval => intervals::read(&shown(side.0)).ok_or_else(|| error(1867, "the interval is invalid")),
            _ => days(side.0),
        }
    };
    match (a.1.is_moment(), b.1.is_moment()) {
        (true, true) if ty.class() == Class::Decimal || ty.class() == Class::Interval => {
            let instant = |side: (&Value, &Type)| -> Fallible<i128> {
                let moment = as_moment(side.0, side.1, settings).ok_or_else(|| error(1843, "not a valid month"))?;
                let here = Offset::UTC;
                Ok(moment.instant(here).ok_or_else(out_of_range)?.as_nanosecond())
            };
            let difference = instant(a)? - instant(b)?;
            if ty.class() == Class::Interval {
                return Ok(Value::Text(intervals::write(difference)));
            }
            let exact = bigdecimal::BigDecimal::from(difference) / bigdecimal::BigDecimal::from(DAY_NS);
            Ok(Value::Text(number::trimmed(&exact)))
        }
        (true, true) => {
            let (left, right) = (read(a.0)?, read(b.0)?);
            let since = right.at.duration_since(date(1900, 1, 1).at(0, 0, 0, 0)).as_nanos();
            written(&Moment { at: moved(left.at, since * sign)?, ..left }, ty, settings)
        }
        (true, false) => {
            let left = read(a.0)?;
            written(&Moment { at: moved(left.at, length(b)? * sign)?, ..left }, ty, settings)
        }
        (false, true) => {
            let right = read(b.0)?;
            written(&Moment { at: moved(right.at, length(a)?)?, ..right }, ty, settings)
        }
        (false, false) => {
            let factor = |value: &Value| number::float(value).ok_or_else(|| error(1722, "invalid number"));
            let result = match (op, a.1.class()) {
                ("+" | "-", _) => length(a)? + length(b)? * sign,
                ("*", Class::Interval) => (length(a)? as f64 * factor(b.0)?) as i128,
                ("*", _) => (length(b)? as f64 * factor(a.0)?) as i128,
                _ => (length(a)? as f64 / factor(b.0)?) as i128,
            };
            Ok(Value::Text(intervals::write(result)))
        }
    }
}

/// A function over dates and times by its name; `None` where there is none.
pub(crate) fn call(name: &str, values: &[Value], settings: &Settings) -> Fallible<Option<Value>> {
    let whole = |at: usize| values.get(at).and_then(number::float).map(|float| float as i64);
    let text = |at: usize| values.get(at).map(shown).unwrap_or_default();
    Ok(Some(match (name, values) {
        ("DATEADD", [ty, unit, _, at]) => {
            let ty = Type::parse(settings.product, &shown(ty)).unwrap_or_else(Type::null);
            let start = read(at)?;
            let at = added(start.at, &shown(unit), whole(2).unwrap_or(0))?;
            written(&Moment { at, ..start }, &ty, settings)?
        }
        ("DATEDIFF" | "DATEDIFF_BIG", [unit, a, b]) => {
            let difference = boundaries(read(a)?.at, read(b)?.at, &shown(unit))?;
            if name == "DATEDIFF" && i32::try_from(difference).is_err() {
                return Err(error(
                    535,
                    "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
                ));
            }
            Value::Int(difference)
        }
        ("DATEPART", [unit, at, first]) => {
            Value::Int(part(&read(at)?, &shown(unit), number::float(first).unwrap_or(7.0) as i64)?)
        }
        ("DATENAME", [unit, at, first]) => {
            let moment = read(at)?;
            Value::Text(match shown(unit).as_str() {
                "month" | "mm" | "m" => formats::to_char(&moment, "FMMonth", 0)?,
                "weekday" | "dw" => formats::to_char(&moment, "FMDay", 0)?,
                unit => part(&moment, unit, number::float(first).unwrap_or(7.0) as i64)?.to_string(),
            })
        }
        ("EOMONTH" | "LAST_DAY", [at, ..]) => {
            let moment = read(at)?;
            let day = moment
                .at
                .date()
                .checked_add(Span::new().months(whole(1).unwrap_or(0)))
                .map_err(|_| out_of_range())?
                .last_of_month();
            Value::Text(if name == "EOMONTH" {
                day.to_string()
            } else {
                moment::civil(day.to_datetime(moment.at.time()))
            })
        }
        ("FROMPARTS", [_, _, _, rest @ ..]) => {
            let small = |at: usize| whole(at).and_then(|number| i8::try_from(number).ok()).unwrap_or(-1);
            let refused = || {
                error(289, "Cannot construct data type date, some of the arguments have values which are not valid.")
            };
            let day = Date::new(whole(0).unwrap_or(0) as i16, small(1), small(2)).map_err(|_| refused())?;
            if rest.is_empty() {
                return Ok(Some(Value::Text(day.to_string())));
            }
            let digits = whole(7).unwrap_or(7).clamp(0, 9) as u32;
            let nanoseconds = whole(6).unwrap_or(0) * 10_i64.pow(9 - digits);
            let time = Time::new(small(3), small(4), small(5), nanoseconds as i32).map_err(|_| refused())?;
            Value::Text(moment::civil(day.to_datetime(time)))
        }
        ("SWITCHOFFSET", [at, _]) => {
            let moment = read(at)?;
            let seconds = moment::offset(&text(1))
                .ok_or_else(|| error(9812, "The timezone provided to builtin function switchoffset is invalid."))?;
            let offset = Offset::from_seconds(seconds).map_err(|_| out_of_range())?;
            let instant = moment.instant(Offset::UTC).ok_or_else(out_of_range)?;
            Value::Text(format!("{} {}", moment::civil(offset.to_datetime(instant)), moment::written_offset(seconds)))
        }
        ("TODATETIMEOFFSET", [at, _]) => {
            let seconds = moment::offset(&text(1))
                .ok_or_else(|| error(9812, "The timezone provided to builtin function todatetimeoffset is invalid."))?;
            Value::Text(format!("{} {}", moment::civil(read(at)?.at), moment::written_offset(seconds)))
        }
        ("AT_TIME_ZONE", [_, at, zone]) => at_zone(&read(at)?, &shown(zone), settings)?,
        ("SYS_EXTRACT_UTC", [at]) => Value::Text(read(at)?.utc().ok_or_else(out_of_range)?),
        ("EXTRACT", [_, field, at]) => extract(&shown(field), at)?,
        ("TRUNC_DATE" | "ROUND_DATE", [at, rest @ ..]) => {
            let format = rest.first().map_or("DD".to_owned(), |format| shown(format).to_uppercase());
            let at = read(at)?.at;
            let at = if name == "ROUND_DATE" && format == "DD" {
                at.checked_add(12.hours()).map_err(|_| out_of_range())?
            } else {
                at
            };
            Value::Text(moment::civil(truncated(at, &format)?))
        }
        ("ADD_MONTHS", [at, _]) => {
            let at = read(at)?.at;
            let moved = at.checked_add(Span::new().months(whole(1).unwrap_or(0))).map_err(|_| out_of_range())?;
            let last = at.date() == at.date().last_of_month();
            Value::Text(moment::civil(if last {
                moved.date().last_of_month().to_datetime(moved.time())
            } else {
                moved
            }))
        }
        ("MONTHS_BETWEEN", [a, b]) => {
            let (a, b) = (read(a)?.at, read(b)?.at);
            let months = (i64::from(a.year()) - i64::from(b.year())) * 12 + i64::from(a.month()) - i64::from(b.month());
            let whole_months =
                a.day() == b.day() || a.date() == a.date().last_of_month() && b.date() == b.date().last_of_month();
            let rest = if whole_months { 0.0 } else { f64::from(a.day() - b.day()) / 31.0 };
            Value::Text((months as f64 + rest).to_string())
        }
        ("NUMTODSINTERVAL", [count, unit]) => Value::Text(
            intervals::of_unit(&shown(count), &shown(unit).to_uppercase())
                .ok_or_else(|| error(1760, "illegal argument for function"))?,
        ),
        ("TO_CHAR", [ty, value, format]) => to_char(&shown(ty), value, &shown(format), settings)?,
        ("TO_MOMENT", [ty, value, format]) => {
            let ty = Type::parse(settings.product, &shown(ty)).unwrap_or_else(Type::null);
            written(&formats::from_format(&shown(value), &shown(format))?, &ty, settings)?
        }
        _ => return Ok(None),
    }))
}

fn at_zone(moment: &Moment, name: &str, settings: &Settings) -> Fallible<Value> {
    let windows = [
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Romance Standard Time", "Europe/Paris"),
        ("GMT Standard Time", "Europe/London"),
        ("Eastern Standard Time", "America/New_York"),
    ];
    let name = windows.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map_or(name, |(_, iana)| iana);
    let zone = moment::zone(name).ok_or_else(|| match settings.product {
        Product::SqlServer => {
            error(9820, format!("The time zone parameter '{name}' provided to AT TIME ZONE clause is invalid."))
        }
        Product::Oracle => error(1882, "timezone region not found"),
    })?;
    let (at, offset) = match moment.offset {
        Some(_) => {
            let instant = moment.instant(Offset::UTC).ok_or_else(out_of_range)?;
            let offset = zone.to_offset(instant);
            (offset.to_datetime(instant), offset)
        }
        None => (moment.at, moment::offset_at(&zone, moment.at)),
    };
    Ok(Value::Text(format!("{} {}", moment::civil(at), moment::written_offset(offset.seconds()))))
}

fn extract(field: &str, value: &Value) -> Fallible<Value> {
    if let Some(length) =
        intervals::read(&shown(value)).filter(|_| !shown(value).contains('-') || shown(value).starts_with('-'))
    {
        let seconds = length / 1_000_000_000;
        let shown = match field {
            "DAY" => (seconds / 86_400).to_string(),
            "HOUR" => (seconds / 3600 % 24).to_string(),
            "MINUTE" => (seconds / 60 % 60).to_string(),
            _ => format!("{}.{:09}", seconds % 60, length.abs() % 1_000_000_000)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned(),
        };
        return Ok(Value::Text(shown));
    }
    let moment = read(value)?;
    let at = moment.at;
    Ok(Value::Text(match field {
        "YEAR" => at.year().to_string(),
        "MONTH" => at.month().to_string(),
        "DAY" => at.day().to_string(),
        "HOUR" => at.hour().to_string(),
        "MINUTE" => at.minute().to_string(),
        "SECOND" => number::read(&moment::clock(at.time())[6..])
            .map_or_else(|| "0".to_owned(), |seconds| number::trimmed(&seconds)),
        _ => return Err(error(907, "missing right parenthesis")),
    }))
}

fn to_char(declared: &str, value: &Value, format: &str, settings: &Settings) -> Fallible<Value> {
    let ty = Type::parse(settings.product, declared).unwrap_or_else(Type::null);
    if !ty.is_moment() {
        return number_to_char(value, format);
    }
    let moment = as_moment(value, &ty, settings).ok_or_else(|| error(1843, "not a valid month"))?;
    Ok(Value::Text(formats::to_char(&moment, format, ty.fraction_digits().max(1))?))
}

/// `TO_CHAR(12.5, 'FM9990.00')`
fn number_to_char(value: &Value, format: &str) -> Fallible<Value> {
    let upper = format.to_uppercase();
    let filled = !upper.starts_with("FM");
    let picture = upper.trim_start_matches("FM");
    let Some(number) = number::of(value) else { return Err(error(1722, "invalid number")) };
    let (whole, fraction) = picture.split_once(['.', 'D']).unwrap_or((picture, ""));
    if picture.chars().any(|letter| !"09.D,GSM".contains(letter)) {
        return Err(error(1481, "invalid number format model"));
    }
    let digits = number::fixed(&number, fraction.len() as i64);
    let negative = digits.starts_with('-');
    let digits = digits.trim_start_matches('-');
    let (own_whole, own_fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = whole.find('0').map_or(0, |at| whole[at..].matches(['0', '9']).count());
    let width = whole.matches(['0', '9']).count();
    if own_whole.len() > width && own_whole != "0" {
        return Ok(Value::Text("#".repeat(picture.len() + 1)));
    }
    let own_whole = if own_whole == "0" && zeros == 0 && !fraction.is_empty() { "" } else { own_whole };
    let mut text = format!("{own_whole:0>zeros$}");
    if !fraction.is_empty() {
        let kept = if filled || fraction.contains('0') { own_fraction } else { own_fraction.trim_end_matches('0') };
        text = format!("{text}.{kept}");
    }
    let signed = format!("{}{text}", if negative { "-" } else { "" });
    let width = picture.len() + 1;
    Ok(Value::Text(if filled { format!("{signed:>width$}") } else { signed }))
}

fn truncated(at: DateTime, format: &str) -> Fallible<DateTime> {
    let day = at.date();
    let midnight = |day: Date| day.to_datetime(Time::midnight());
    let refused = |_| out_of_range();
    Ok(match format {
        "DD" | "DDD" | "J" => midnight(day),
        "MM" | "MON" | "MONTH" | "RM" => midnight(day.first_of_month()),
        "YYYY" | "YY" | "Y" | "YEAR" | "SYYYY" => midnight(day.first_of_year()),
        "Q" => midnight(Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).map_err(refused)?),
        "IW" => midnight(day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).map_err(refused)?),
        "D" | "DAY" | "DY" => {
            midnight(day.checked_sub(i64::from(day.weekday().to_sunday_zero_offset()).days()).map_err(refused)?)
        }
        "HH" | "HH24" | "HH12" => day.at(at.hour(), 0, 0, 0),
        "MI" => day.at(at.hour(), at.minute(), 0, 0),
        _ => return Err(error(1898, "too many precision specifiers")),
    })
}

/// The short names of SQL Server's date parts, in full.
fn unit_of(short: &str) -> &str {
    match short {
        "yy" | "yyyy" => "year",
        "qq" | "q" => "quarter",
        "mm" | "m" => "month",
        "dy" | "y" => "dayofyear",
        "dd" | "d" => "day",
        "wk" | "ww" => "week",
        "dw" | "w" => "weekday",
        "hh" => "hour",
        "mi" | "n" => "minute",
        "ss" | "s" => "second",
        "ms" => "millisecond",
        "mcs" => "microsecond",
        "ns" => "nanosecond",
        "tz" => "tzoffset",
        "isowk" | "isoww" => "iso_week",
        other => other,
    }
}

fn nanoseconds_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "week" => 7 * DAY_NS,
        "day" | "dayofyear" | "weekday" => DAY_NS,
        "hour" => 3_600_000_000_000,
        "minute" => 60_000_000_000,
        "second" => 1_000_000_000,
        "millisecond" => 1_000_000,
        "microsecond" => 1_000,
        "nanosecond" => 1,
        _ => return None,
    })
}

fn not_a_part(unit: &str) -> crate::ServerError {
    error(155, format!("'{unit}' is not a recognized datepart option."))
}

fn added(at: DateTime, unit: &str, count: i64) -> Fallible<DateTime> {
    let months = match unit_of(unit) {
        "year" => 12,
        "quarter" => 3,
        "month" => 1,
        other => return moved(at, nanoseconds_of(other).ok_or_else(|| not_a_part(unit))? * i128::from(count)),
    };
    let span = Span::new().try_months(months * count).map_err(|_| out_of_range())?;
    at.checked_add(span).map_err(|_| out_of_range())
}

/// How many boundaries of a unit lie between two moments.
fn boundaries(a: DateTime, b: DateTime, unit: &str) -> Fallible<i64> {
    let months = |at: DateTime| i64::from(at.year()) * 12 + i64::from(at.month()) - 1;
    let full = unit_of(unit);
    let step = match full {
        "year" => return Ok(i64::from(b.year()) - i64::from(a.year())),
        "quarter" => return Ok(months(b) / 3 - months(a) / 3),
        "month" => return Ok(months(b) - months(a)),
        other => nanoseconds_of(other).ok_or_else(|| not_a_part(unit))?,
    };
    // The first of January of year 1 was a Monday; weeks begin on Sunday whatever DATEFIRST says.
    let origin = if full == "week" { date(0, 12, 31) } else { date(1, 1, 1) }.at(0, 0, 0, 0);
    let since = |at: DateTime| at.duration_since(origin).as_nanos().div_euclid(step);
    i64::try_from(since(b) - since(a)).map_err(|_| out_of_range())
}

fn part(moment: &Moment, unit: &str, first: i64) -> Fallible<i64> {
    let at = moment.at;
    Ok(match unit_of(unit) {
        "year" => at.year().into(),
        "quarter" => ((at.month() - 1) / 3 + 1).into(),
        "month" => at.month().into(),
        "dayofyear" => at.date().day_of_year().into(),
        "day" => at.day().into(),
        "hour" => at.hour().into(),
        "minute" => at.minute().into(),
        "second" => at.second().into(),
        "millisecond" => (at.subsec_nanosecond() / 1_000_000).into(),
        "microsecond" => (at.subsec_nanosecond() / 1_000).into(),
        "nanosecond" => at.subsec_nanosecond().into(),
        "tzoffset" => (moment.offset.unwrap_or(0) / 60).into(),
        "iso_week" => at.date().iso_week_date().week().into(),
        "weekday" => (i64::from(at.weekday().to_monday_one_offset()) - first).rem_euclid(7) + 1,
        "week" => {
            let new_year = i64::from(at.date().first_of_year().weekday().to_monday_one_offset());
            (i64::from(at.date().day_of_year()) - 1 + (new_year - first).rem_euclid(7)) / 7 + 1
        }
        _ => return Err(not_a_part(unit)),
    })
}
