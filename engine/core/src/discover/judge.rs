//! Which tables hold orders or bookings.

use std::collections::BTreeMap;

use engine_spec::model::TableType;

use super::events::events;
use super::forms::is_time_name;
use super::names::{is_change, is_indexed, table_sign};
use super::roles::roles;
use super::times::times;
use super::{
    Candidate, ChangeColumn, Confidence, Name, Role, RoleGuess, RowCount, Survey, TableFacts, TableKind, TimeColumn,
    TimeForm,
};

/// Score from which on a table is a candidate.
const SCORE_MIN: i32 = 35;
/// Weight of names and types from which on rows are worth a look.
const LOOK_MIN: i32 = 20;
/// The highest score.
const SCORE_MAX: i32 = 100;

/// The tables that may hold orders or bookings, the best first.
pub fn judge(survey: &Survey) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = survey.tables.iter().filter_map(|table| candidate(survey, table)).collect();
    found.sort_by(|left, right| right.score.cmp(&left.score).then_with(|| left.name.cmp(&right.name)));
    found
}

/// The tables whose rows are worth a look, by names and types alone, the most promising first.
pub fn worth_a_look(survey: &Survey, tables_max: usize) -> Vec<Name> {
    let mut found: Vec<(i32, &Name)> = survey
        .tables
        .iter()
        .filter(|table| table.rows != RowCount::Estimate(0) || table.kind == TableKind::View)
        .map(|table| {
            let times = times(survey, table);
            let roles = roles(survey, table, &times);
            let is_time = |column: &&super::ColumnFacts| is_time_name(&column.name);
            let named = i32::try_from(table.columns.iter().filter(is_time).take(2).count()).unwrap_or_default();
            let typed = i32::try_from(times.len().min(2)).unwrap_or_default();
            let subject = [Role::OrderCode, Role::MachineCode, Role::ProductCode, Role::Event];
            let meant =
                i32::try_from(subject.iter().filter(|role| roles.contains_key(role)).count()).unwrap_or_default();
            (table_sign(&table.name.table).0 + 8 * meant + 5 * named.max(typed), &table.name)
        })
        .filter(|(weight, _)| *weight >= LOOK_MIN)
        .collect();
    found.sort_by_key(|(weight, name)| (std::cmp::Reverse(*weight), *name));
    found.into_iter().take(tables_max).map(|(_, name)| name.clone()).collect()
}

fn candidate(survey: &Survey, table: &TableFacts) -> Option<Candidate> {
    let times = times(survey, table);
    let mut roles = roles(survey, table, &times);
    let actual = |role: Role| {
        let guess = roles.get(&role)?;
        times.iter().find(|time| time.is_meant(guess)).filter(|time| !time.planned)
    };
    let (start, end) = (actual(Role::Start), actual(Role::End));
    let is_interval = start.is_some() && end.is_some() && start != end;
    let has_event = roles.get(&Role::Event).is_some_and(|event| event.confidence >= Confidence::Likely);
    let timestamp = actual(Role::Timestamp);
    let kind = if is_interval || !has_event { TableType::Order } else { TableType::Booking };
    let mut weights: Vec<(i32, String)> = Vec::new();
    match kind {
        TableType::Order if is_interval => {
            let names = [start, end].into_iter().flatten().map(TimeColumn::label).collect::<Vec<_>>();
            weights.push((28, format!("two times that can be start and end: {}", names.join(", "))));
        }
        TableType::Order => {
            let planned = times.iter().filter(|time| time.planned).count();
            if planned >= 2 && start.is_none() {
                weights.push((6, "its times were planned; it says when nothing really began".to_owned()));
            } else if let Some(time) = start.or(timestamp) {
                weights.push((10, format!("one time, {}, and none for the other side", time.label())));
            }
        }
        TableType::Booking => {
            let event = roles.get(&Role::Event)?;
            weights.push((28, format!("a time and a short code: {}, {}", timestamp?.label(), event.column)));
        }
    }
    add_roles(&roles, &mut weights);
    add_table(survey, table, &mut weights);
    let has_subject = roles.contains_key(&Role::OrderCode) || roles.contains_key(&Role::MachineCode);
    let score: i32 = weights.iter().map(|(weight, _)| weight).sum();
    if times.is_empty() || !has_subject || score < SCORE_MIN {
        return None;
    }
    weights.sort_by_key(|(weight, _)| std::cmp::Reverse(weight.abs()));
    match kind {
        TableType::Order => roles.retain(|role, _| !matches!(role, Role::Timestamp | Role::Event)),
        TableType::Booking => roles.retain(|role, _| !matches!(role, Role::Start | Role::End)),
    }
    let events = if kind == TableType::Booking { events(table, &roles) } else { Vec::new() };
    Some(Candidate {
        name: table.name.clone(),
        table: kind,
        score: u32::try_from(score.clamp(0, SCORE_MAX)).unwrap_or_default(),
        reasons: weights.into_iter().map(|(_, reason)| reason).collect(),
        change: change(survey, table, &times),
        roles,
        times,
        events,
        key: key(table),
    })
}

fn add_roles(roles: &BTreeMap<Role, RoleGuess>, weights: &mut Vec<(i32, String)>) {
    for (role, weight, what) in [
        (Role::OrderCode, 14, "order"),
        (Role::MachineCode, 14, "machine"),
        (Role::ProductCode, 8, "product"),
        (Role::QuantityYield, 5, "yield"),
        (Role::QuantityScrap, 4, "scrap"),
        (Role::QuantityTotal, 3, "quantity"),
    ] {
        let Some(guess) = roles.get(&role) else { continue };
        let weight = if guess.confidence == Confidence::Guess { weight / 2 } else { weight };
        let way = guess.joined.as_ref().map(|joined| format!(", by way of {}", joined.to.table)).unwrap_or_default();
        weights.push((weight, format!("a column that looks like the {what}: {}{way}", guess.column)));
    }
}

fn add_table(survey: &Survey, table: &TableFacts, weights: &mut Vec<(i32, String)>) {
    match table_sign(&table.name.table) {
        (weight, Some(word)) if weight < 0 => {
            weights.push((weight, format!("its name says that it holds something else: `{word}`")));
        }
        (weight, Some(word)) => weights.push((weight, format!("its name says `{word}`"))),
        (_, None) => {
            if let Some((weight, Some(word))) = table.comment.as_deref().map(table_sign) {
                weights.push((weight / 2, format!("its comment says `{word}`")));
            }
        }
    }
    match table.rows {
        RowCount::Exact(0) => weights.push((-30, "it is empty".to_owned())),
        RowCount::Exact(rows) if rows < 3 => weights.push((-6, "it has hardly a row".to_owned())),
        RowCount::Exact(rows) | RowCount::Estimate(rows) | RowCount::MoreThan(rows) if rows >= 1_000 => {
            weights.push((4, "it has many rows".to_owned()));
        }
        _ => {}
    }
    let is_referred_to = survey.tables.iter().any(|other| other.foreign_keys.iter().any(|key| key.to == table.name));
    if table.kind == TableKind::View {
        weights.push((-2, "it is a view: no index can be seen".to_owned()));
    } else if is_referred_to {
        weights.push((2, "other tables refer to it".to_owned()));
    }
}

/// What tells that a row changed.
fn change(survey: &Survey, table: &TableFacts, times: &[TimeColumn]) -> Option<ChangeColumn> {
    let is_row_version = |source_type: &str| {
        let small = source_type.to_ascii_lowercase();
        small == "rowversion" || (survey.source_type == "sqlserver" && small == "timestamp")
    };
    let set_by_server = |comment: &Option<String>| {
        comment.as_deref().is_some_and(|comment| comment.to_ascii_lowercase().contains("on update current_timestamp"))
    };
    let found = table
        .columns
        .iter()
        .find(|column| is_row_version(&column.source_type) || set_by_server(&column.comment))
        .map(|column| (column, "set by the server on every update"))
        .or_else(|| {
            let by_name = |column: &&super::ColumnFacts| {
                is_change(&column.name) && times.iter().any(|time| time.column == column.name)
            };
            table.columns.iter().find(by_name).map(|column| {
                let is_day = times.iter().any(|time| {
                    time.column == column.name
                        && matches!(time.form, TimeForm::Date | TimeForm::Yyyymmdd)
                        && time.time_of_day.is_none()
                });
                (
                    column,
                    if is_day {
                        "by its name; it has the day only"
                    } else {
                        "by its name; what writes past the application may not set it"
                    },
                )
            })
        });
    found.map(|(column, why)| ChangeColumn {
        column: column.name.clone(),
        indexed: is_indexed(table, &column.name),
        why: why.to_owned(),
    })
}

/// The columns of the primary key; without one, those of the shortest unique index.
fn key(table: &TableFacts) -> Vec<String> {
    if !table.primary_key.is_empty() {
        return table.primary_key.clone();
    }
    let unique = table.indexes.iter().filter(|index| index.unique);
    unique.min_by_key(|index| index.columns.len()).map(|index| index.columns.clone()).unwrap_or_default()
}
