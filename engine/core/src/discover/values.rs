//! What the values of sampled columns look like.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use super::forms::{form_of_type, is_time_name};
use super::{ColumnFacts, ColumnSample, TableFacts};

/// Different values up to which they count as few, and are listed.
pub const FREQUENT_VALUES_MAX: usize = 24;

/// What the values of columns look like, over rows in the order of the columns.
pub fn summarise(columns: &[ColumnFacts], rows: &[Vec<Value>]) -> BTreeMap<String, ColumnSample> {
    columns.iter().enumerate().map(|(at, column)| (column.name.clone(), of_column(at, rows))).collect()
}

fn of_column(at: usize, rows: &[Vec<Value>]) -> ColumnSample {
    let mut sample = ColumnSample::default();
    let mut counts: BTreeMap<String, (Value, u64)> = BTreeMap::new();
    for row in rows {
        sample.looked_at += 1;
        let value = row.get(at).unwrap_or(&Value::Null);
        if value.is_null() {
            sample.nulls += 1;
            continue;
        }
        counts.entry(value.to_string()).or_insert_with(|| (value.clone(), 0)).1 += 1;
        if sample.min.as_ref().is_none_or(|min| compare(value, min).is_lt()) {
            sample.min = Some(value.clone());
        }
        if sample.max.as_ref().is_none_or(|max| compare(value, max).is_gt()) {
            sample.max = Some(value.clone());
        }
    }
    sample.distinct = Some(counts.len() as u64);
    if counts.len() <= FREQUENT_VALUES_MAX {
        sample.frequent = counts.into_values().collect();
        sample.frequent.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| compare(&left.0, &right.0)));
    }
    sample
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => text(left).cmp(&text(right)),
    }
}

/// A value as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The column whose largest values are the latest rows: a time that an index begins with, else the first column of the
/// key; where the table may be sorted, any time.
pub fn latest_by(table: &TableFacts, may_sort: bool) -> Option<String> {
    let is_time = |name: &str| {
        table.columns.iter().any(|column| column.name == name && form_of_type("", &column.source_type).is_some())
    };
    let is_planned = |name: &str| super::names::is_planned(name);
    let leading = || table.indexes.iter().filter_map(|index| index.columns.first());
    let of_index = leading().filter(|name| is_time(name)).min_by_key(|name| is_planned(name));
    let mut times: Vec<&String> =
        table.columns.iter().map(|column| &column.name).filter(|name| is_time(name) && is_time_name(name)).collect();
    times.sort_by_key(|name| (is_planned(name), super::names::is_change(name)));
    let of_table = times.first().copied().filter(|_| may_sort);
    of_index.or(of_table).or_else(|| table.primary_key.first()).cloned()
}
