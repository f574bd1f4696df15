//! `fields`: column names, event values, regular expressions, patterns and zones.

use jiff::civil::{DateTime, date};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::Checker;
use crate::codes;
use crate::diagnostic::{child, did_you_mean};
use crate::model::{FieldSource, Scalar, Spec, TextField, TimeField, TimeFormat, TimePart, TimeSource, Transform};

/// What patterns are tried out on: no two of its numbers are equal, and the hour is in the afternoon.
const PROBE: DateTime = date(2001, 2, 3).at(16, 5, 6, 789_000_000);

pub(super) fn check(checker: &mut Checker<'_>, spec: &Spec) {
    let fields = &spec.fields;
    for (pointer, field) in fields.texts() {
        text(checker, &pointer, field);
    }
    for (name, field) in fields.times() {
        time(checker, &child("/fields", name), field, name);
    }
    if let Some(event) = &fields.event {
        event_values(checker, event);
    }
    for (index, column) in spec.key.iter().enumerate() {
        checker.not_empty(&format!("/key/{index}"), column);
    }
}

fn source(checker: &mut Checker<'_>, pointer: &str, from: &FieldSource) {
    if let FieldSource::Template(template) = from
        && !template.trim().is_empty()
    {
        return checker.expression(&child(pointer, "template"), template);
    }
    let (key, text) = match from {
        FieldSource::Column(column) => ("column", column),
        FieldSource::Template(template) => ("template", template),
        FieldSource::Value(_) => return,
    };
    let inner = child(pointer, key);
    let is_object = checker.file.value.pointer(pointer).is_some_and(serde_json::Value::is_object);
    checker.not_empty(if is_object { &inner } else { pointer }, text);
}

fn text(checker: &mut Checker<'_>, pointer: &str, field: &TextField) {
    source(checker, pointer, &field.from);
    transforms(checker, pointer, &field.options.transform);
    if field.options.unmapped.is_some() && field.options.map.is_none() {
        let message = "`unmapped` says what happens to a code that `map` lacks; there is no `map`";
        checker.key(codes::KEY_NOT_HERE, &child(pointer, "unmapped"), message).help =
            Some("add `map`, or remove `unmapped`".to_owned());
    }
}

fn event_values(checker: &mut Checker<'_>, event: &TextField) {
    let mut written: Vec<(String, String)> = Vec::new();
    for (code, value) in event.options.map.iter().flatten() {
        written.push((child("/fields/event/map", code), value.clone()));
    }
    if let FieldSource::Value(value) = &event.from
        && event.options.map.is_none()
    {
        written.push(("/fields/event/value".to_owned(), value.to_string()));
    }
    if let Some(default @ Scalar::Text(_)) = &event.options.default {
        written.push(("/fields/event/default".to_owned(), default.to_string()));
    }
    for (pointer, value) in written {
        if value != "START" && value != "END" {
            let finding =
                checker.value(codes::EVENT_VALUE, &pointer, format!("an event is `START` or `END`, not `{value}`"));
            if let Some(meant) = did_you_mean(&value, ["START", "END"]) {
                finding.help = Some(format!("did you mean `{meant}`?"));
            }
        }
    }
}

fn transforms(checker: &mut Checker<'_>, pointer: &str, steps: &[Transform]) {
    for (index, step) in steps.iter().enumerate() {
        let step_at = format!("{pointer}/transform/{index}");
        match step {
            Transform::Extract(pattern) => {
                if let Some(regex) = regex(checker, &format!("{step_at}/extract"), pattern) {
                    let groups = regex.captures_len() - 1;
                    if groups != 1 {
                        let message = format!("`extract` needs exactly one group; the expression has {groups}");
                        checker.value(codes::EXTRACT_GROUPS, &format!("{step_at}/extract"), message).help =
                            Some("put `(…)` around what to take, and `(?:…)` around other groups".to_owned());
                    }
                }
            }
            Transform::Replace { pattern, .. } => {
                regex(checker, &format!("{step_at}/replace/pattern"), pattern);
            }
            Transform::Trim
            | Transform::Upper
            | Transform::Lower
            | Transform::StripLeading(_)
            | Transform::PadLeft { .. }
            | Transform::Split { .. } => {}
        }
    }
}

fn regex(checker: &mut Checker<'_>, pointer: &str, pattern: &str) -> Option<regex::Regex> {
    match regex::Regex::new(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let message = format!("the regular expression is wrong: {reason}");
            checker.value(codes::BAD_REGEX, pointer, message);
            None
        }
    }
}

fn time(checker: &mut Checker<'_>, pointer: &str, field: &TimeField, name: &str) {
    match &field.from {
        TimeSource::Whole(from) => {
            source(checker, pointer, from);
            pattern(checker, &child(pointer, "format"), field.options.format.as_ref(), Shape::Whole);
        }
        TimeSource::Parts { date, time } => {
            part(checker, &child(pointer, "date"), date, Shape::Date);
            part(checker, &child(pointer, "time"), time, Shape::Time);
            for (key, given) in
                [("format", field.options.format.is_some()), ("transform", !field.options.transform.is_empty())]
            {
                if given {
                    let message = format!("`{key}` stands inside `date` and `time` where there are two columns");
                    checker.key(codes::KEY_NOT_HERE, &child(pointer, key), message).help =
                        Some(format!("for example `date: {{ column: …, {key}: … }}`"));
                }
            }
        }
    }
    transforms(checker, pointer, &field.options.transform);
    if let Some(zone) = &field.options.timezone {
        checker.zone(&child(pointer, "timezone"), zone);
    }
    if field.options.after.is_some() && name != "end" {
        let message = format!("`after` belongs to `end`, not to `{name}`");
        checker.key(codes::KEY_NOT_HERE, &child(pointer, "after"), message);
    }
}

fn part(checker: &mut Checker<'_>, pointer: &str, part: &TimePart, shape: Shape) {
    source(checker, pointer, &part.from);
    transforms(checker, pointer, &part.transform);
    pattern(checker, &child(pointer, "format"), part.format.as_ref(), shape);
}

/// What a format must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole,
    Date,
    Time,
}

fn pattern(checker: &mut Checker<'_>, pointer: &str, format: Option<&TimeFormat>, shape: Shape) {
    let wrong = match (format, shape) {
        (Some(TimeFormat::Pattern(pattern)), shape) => try_out(pattern, shape).err(),
        (Some(TimeFormat::Hhmmss | TimeFormat::SecondsOfDay), Shape::Date | Shape::Whole) => {
            Some("the format says a time of day, but no date".to_owned())
        }
        (Some(TimeFormat::Yyyymmdd | TimeFormat::EpochS | TimeFormat::EpochMs), Shape::Time) => {
            Some("the format says a date, but no time of day".to_owned())
        }
        _ => None,
    };
    if let Some(message) = wrong {
        checker.value(codes::TIME_PATTERN, pointer, message).help =
            Some("for example `format: \"%d.%m.%Y %H:%M\"`, or `date` and `time` with formats of their own".to_owned());
    }
}

/// A pattern must read back what it writes, and say what its place needs.
fn try_out(pattern: &str, shape: Shape) -> Result<(), String> {
    if pattern.contains("%Z") || pattern.contains("%Q") {
        return Err("the pattern reads a zone's name; use `timezone`, or `%z`".to_owned());
    }
    let probe = PROBE.to_zoned(TimeZone::UTC).expect("the probe has a place in UTC");
    let written =
        BrokenDownTime::from(&probe).to_string(pattern).map_err(|error| format!("the pattern is wrong: {error}"))?;
    let read = BrokenDownTime::parse(pattern, &written)
        .map_err(|error| format!("the pattern cannot be read back: {error}"))?;
    if read.timestamp().is_some() {
        return Ok(());
    }
    if shape != Shape::Time && read.to_date().ok() != Some(PROBE.date()) {
        return Err("the pattern does not say a whole date: use `%Y`, `%m` and `%d`".to_owned());
    }
    let says_time = read.hour().is_some() || read.minute().is_some() || read.second().is_some();
    if (says_time || shape == Shape::Time) && !read.to_time().is_ok_and(|time| time.hour() == PROBE.hour()) {
        return Err("the pattern does not say the hour of the day: use `%H`, or `%I` together with `%p`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_tried_out() {
        for (pattern, shape, expected) in [
            ("%d.%m.%Y %H:%M", Shape::Whole, ""),
            ("%Y-%m-%dT%H:%M:%S%z", Shape::Whole, ""),
            ("%Y-%m-%d", Shape::Whole, ""),
            ("%Y%m%d", Shape::Date, ""),
            ("%H%M", Shape::Time, ""),
            ("%I:%M %p", Shape::Time, ""),
            ("%s", Shape::Whole, ""),
            ("%I:%M", Shape::Time, "hour of the day"),
            ("%H:%M", Shape::Whole, "whole date"),
            ("%m/%Y", Shape::Date, "whole date"),
            ("%Y-%m-%d %K", Shape::Whole, "pattern is wrong"),
            ("%Y-%m-%d %H:%M %Z", Shape::Whole, "zone's name"),
            ("%Y-%m-%d", Shape::Time, "hour of the day"),
        ] {
            match try_out(pattern, shape) {
                Ok(()) => assert_eq!(expected, "", "{pattern}"),
                Err(reason) => assert!(!expected.is_empty() && reason.contains(expected), "{pattern}: {reason}"),
            }
        }
    }
}
