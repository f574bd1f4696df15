//! A mapper's fields, compiled for the columns of a result.

use engine_spec::diagnostic::did_you_mean;
use engine_spec::expr::RowExpr;
use engine_spec::model::{FieldSource, TextField, TimeField, TimeSource, Unmapped};

use super::codes::Codes;
use super::field::{Expression, Reader, TextReader, TimeColumn, TimeFrom};
use crate::plan::Plan;
use crate::time::{TimeReader, Zone};
use crate::transform::Transforms;
use crate::value::{Column, Columns};

/// Compiles the parts of a mapper and collects what does not fit.
pub(super) struct Build<'a> {
    pub(super) columns: &'a Columns,
    pub(super) errors: Vec<String>,
    pub(super) plan: &'a Plan,
}

impl Build<'_> {
    pub(super) fn place(&mut self, path: &str, name: &str) -> Option<usize> {
        match find_column(self.columns, name) {
            Ok(place) => Some(place),
            Err(message) => {
                self.errors.push(format!("{path}: {message}"));
                None
            }
        }
    }

    pub(super) fn places(&mut self, path: &str, names: &[String]) -> Vec<usize> {
        names.iter().filter_map(|name| self.place(path, name)).collect()
    }

    pub(super) fn reader(&mut self, path: &str, from: &FieldSource) -> Option<Reader> {
        Some(match from {
            FieldSource::Column(name) => Reader::Column(self.place(path, name)?),
            FieldSource::Value(scalar) => Reader::Constant(scalar.to_string()),
            FieldSource::Template(text) => {
                Reader::Expression(Box::new(self.expression(&format!("{path}.template"), text)?))
            }
        })
    }

    pub(super) fn expression(&mut self, path: &str, text: &str) -> Option<Expression> {
        let (expr, findings) = RowExpr::parse(text);
        let Some(expr) = expr else {
            self.errors.extend(findings.iter().map(|finding| format!("{path}: {}", finding.message)));
            return None;
        };
        let columns =
            expr.columns().into_iter().filter_map(|name| self.place(path, &name).map(|place| (name, place))).collect();
        let native = matches!(&expr, RowExpr::Condition(condition) if condition.operands_are_plain());
        Some(Expression { path: path.to_owned(), expr, columns, native })
    }

    pub(super) fn required_text(&mut self, name: &str, field: Option<&TextField>) -> Option<TextReader> {
        if field.is_none() {
            self.errors.push(format!("fields.{name} is missing"));
        }
        self.text(name, field)
    }

    pub(super) fn text(&mut self, name: &str, field: Option<&TextField>) -> Option<TextReader> {
        let field = field?;
        let path = format!("fields.{name}");
        let from = self.reader(&path, &field.from)?;
        let options = &field.options;
        let transforms = match Transforms::compile(&options.transform) {
            Ok(transforms) => transforms,
            Err(error) => {
                self.errors.push(format!("{path}.transform: {error}"));
                return None;
            }
        };
        let is_unchanged =
            transforms.is_empty() && options.map.is_none() && options.null_if.is_empty() && options.default.is_none();
        let as_it_is = match from {
            Reader::Column(place) if is_unchanged => Some(place),
            _ => None,
        };
        Some(TextReader {
            as_it_is,
            path,
            from,
            transforms,
            map: options.map.as_ref().map(Codes::of),
            unmapped: options.unmapped.unwrap_or(Unmapped::Reject),
            null_if: options.null_if.iter().map(ToString::to_string).collect(),
            default: options.default.as_ref().map(ToString::to_string),
        })
    }

    pub(super) fn required_time(&mut self, path: &'static str, field: Option<&TimeField>) -> Option<TimeColumn> {
        match field {
            Some(field) => self.time(path, field),
            None => {
                self.errors.push(format!("{path} is missing"));
                None
            }
        }
    }

    pub(super) fn time(&mut self, path: &'static str, field: &TimeField) -> Option<TimeColumn> {
        let zone = match &field.options.timezone {
            Some(name) => match jiff::tz::TimeZone::get(name) {
                Ok(zone) => zone,
                Err(_) => {
                    self.errors.push(format!("{path}.timezone: `{name}` is not an IANA time zone"));
                    return None;
                }
            },
            None => self.plan.zone.clone(),
        };
        let reader = match TimeReader::new(field, Zone::new(zone)) {
            Ok(reader) => reader,
            Err(error) => {
                self.errors.push(format!("{path}: {error}"));
                return None;
            }
        };
        let from = match &field.from {
            TimeSource::Whole(from) => TimeFrom::Whole(self.reader(path, from)?),
            TimeSource::Parts { date, time } => {
                let date = self.reader(&format!("{path}.date"), &date.from);
                let time = self.reader(&format!("{path}.time"), &time.from);
                TimeFrom::Parts { date: date?, time: time? }
            }
        };
        Some(TimeColumn { path, reader, from })
    }
}

/// The place of a column: its exact name, or its name in another case where that is unambiguous.
pub fn find_column(columns: &[Column], name: &str) -> Result<usize, String> {
    let exact: Vec<usize> = (0..columns.len()).filter(|place| columns[*place].name == name).collect();
    let places = if exact.is_empty() {
        let lower = name.to_lowercase();
        (0..columns.len()).filter(|place| columns[*place].name.to_lowercase() == lower).collect()
    } else {
        exact
    };
    match places.as_slice() {
        [place] => Ok(*place),
        [] => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let meant = did_you_mean(name, names.iter().copied());
            let meant = meant.map_or(String::new(), |meant| format!(" (did you mean `{meant}`?)"));
            Err(format!("the result has no column `{name}`{meant}; it has {}", names.join(", ")))
        }
        _ => Err(format!("the result has {} columns named `{name}`: give one of them another name", places.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;

    #[test]
    fn a_column_is_found_or_named() {
        let columns: Vec<Column> = ["anr", "MNR", "tag", "Tag"]
            .map(|name| Column { name: name.to_owned(), kind: Kind::Any, source_type: "test".to_owned() })
            .to_vec();
        let check = |name: &str, expected: Result<usize, &str>| {
            assert_eq!(find_column(&columns, name), expected.map_err(str::to_owned));
        };
        check("anr", Ok(0));
        check("mnr", Ok(1));
        check("Tag", Ok(3));
        check("TAG", Err("the result has 2 columns named `TAG`: give one of them another name"));
        check("anrr", Err("the result has no column `anrr` (did you mean `anr`?); it has anr, MNR, tag, Tag"));
        check("kenn", Err("the result has no column `kenn`; it has anr, MNR, tag, Tag"));
    }
}
