//! What the columns of a table seem to mean.

use std::collections::BTreeMap;

use serde_json::Value;

use super::forms::is_date;
use super::names::{Spoken, is_change, is_creation, plain, sign};
use super::persons::persons;
use super::values::text;
use super::{ColumnFacts, ColumnSample, Confidence, Joined, Role, RoleGuess, Survey, TableFacts, TimeColumn};

/// Different values up to which a code column may be one of events.
const EVENT_CODES_MAX: u64 = 16;

/// Roles of columns that are no times, with the words that name them; the first word says most.
const NAMED: &[(Role, &[&str])] = &[
    (
        Role::OrderCode,
        &[
            "order_code",
            "auftragsnr",
            "fertigungsauftrag",
            "production_order",
            "work_order",
            "workorder_id",
            "production_id",
            "order_no",
            "anr",
            "aufnr",
            "fanr",
            "fauf",
            "wip_entity",
            "wip_entity_id",
            "fk_mo",
            "auftrag",
            "job_card",
            "mo",
            "fa",
            "work_effort_id",
            "workeffort",
            "order_id",
            "order_number",
            "order",
            "job",
            "ref",
            "parent",
        ],
    ),
    (
        Role::ProductCode,
        &[
            "product_code",
            "artikelnr",
            "artnr",
            "matnr",
            "material",
            "plnbez",
            "produkt",
            "artikel",
            "production_item",
            "item_no",
            "primary_item",
            "product",
            "item",
            "teilenr",
            "teil",
            "part",
            "sku",
            "source_no",
        ],
    ),
    (
        Role::MachineCode,
        &[
            "machine_code",
            "maschine",
            "mnr",
            "masch",
            "machine",
            "workcenter",
            "work_center",
            "workstation",
            "arbeitsplatz",
            "arbid",
            "arbpl",
            "aplatz",
            "anlage",
            "linie",
            "resource",
            "ressource",
            "equipment",
            "fixed_asset",
            "station",
            "location",
            "platz",
            "line",
        ],
    ),
    (Role::ProductName, &["artbez", "artikelbez", "product_name", "item_name", "bezeichnung", "produktname", "maktx"]),
    (
        Role::QuantityYield,
        &[
            "gutmenge",
            "gut",
            "yield",
            "lmnga",
            "igmng",
            "qty_produced",
            "produced",
            "good",
            "completed_qty",
            "quantity_completed",
            "output_quantity",
            "stocked",
            "qty_producing",
            "gutst",
        ],
    ),
    (
        Role::QuantityScrap,
        &["ausschuss", "scrap", "scrapped", "schrott", "xmnga", "iasmg", "rejected", "reject", "aus"],
    ),
    (Role::QuantityUnit, &["einheit", "unit", "uom", "meinh", "gmein", "meins", "mengeneinheit"]),
    (Role::QuantityTotal, &["menge", "qty", "quantity", "order_qty", "product_qty", "gamng", "sollmenge", "stueck"]),
    (Role::Cancelled, &["storno", "stokz", "erfart", "cancelled", "geloescht", "deleted", "docstatus", "reversal"]),
    (Role::Status, &["status", "state", "zustand", "status_type", "current_status_id", "ast"]),
];
/// What makes a word of [`NAMED`] mean something else.
const NOT_ORDER: &[&str] =
    &["sales", "purchase", "qty", "quantity", "menge", "verkauf", "kunde", "type", "reason", "date"];
const EVENT: &[&str] = &[
    "event",
    "kenn",
    "kennung",
    "kennz",
    "buchungsart",
    "meldeart",
    "satzart",
    "vorgangsart",
    "ereignis",
    "art",
    "typ",
    "type",
    "aktion",
    "action",
    "bkz",
    "meldung",
    "booking_type",
    "kind",
    "vorgang",
    "status",
    "code",
];
const START: &[&str] =
    &["start", "beginn", "begin", "anfang", "von", "from", "isdd", "gstri", "started", "date_start", "beg", "starting"];
const END: &[&str] = &[
    "end",
    "ende",
    "finish",
    "finished",
    "bis",
    "to",
    "thru",
    "iedd",
    "gltri",
    "getri",
    "completion",
    "completed",
    "ending",
    "stop",
];

/// The roles of a table's columns, at most one guess each.
pub(super) fn roles(survey: &Survey, table: &TableFacts, times: &[TimeColumn]) -> BTreeMap<Role, RoleGuess> {
    let mut found = BTreeMap::new();
    let is_time = |name: &str| {
        times
            .iter()
            .any(|time| time.column == name || time.time_of_day.as_ref().is_some_and(|(column, _)| column == name))
    };
    let persons = persons(table, table.sample.as_ref().map_or(&[], |sample| &sample.rows));
    let others: Vec<&ColumnFacts> = table
        .columns
        .iter()
        .filter(|column| !is_time(&column.name) && !is_change(&column.name))
        .filter(|column| !persons.contains(&column.name.as_str()))
        .collect();
    let mut taken: Vec<String> = Vec::new();
    for (role, words) in NAMED {
        let mut fitting: Vec<(usize, &ColumnFacts)> = others
            .iter()
            .filter(|column| !taken.contains(&column.name) && !is_only_key(table, *role, &column.name))
            .filter(|column| *role != Role::OrderCode || sign(&column.name, NOT_ORDER).is_none())
            .filter(|column| !is_quantity(*role) || is_number(column) || are_numbers(table, &column.name))
            .filter_map(|column| Some((rank(column, words)?, *column)))
            .collect();
        fitting.sort_by_key(|(rank, _)| *rank);
        let Some((at, best)) = fitting.first() else { continue };
        taken.push(best.name.clone());
        let alternatives = fitting[1..].iter().map(|(_, column)| column.name.clone()).take(4).collect();
        found.insert(*role, named_guess(survey, table, *role, best, words[*at % words.len()], alternatives));
    }
    if let Some(guess) = event(table, &others, &taken) {
        found.insert(Role::Event, guess);
    }
    found.extend(time_roles(table, times));
    found
}

/// How well a column's name, or else its comment, fits words: their place in the list.
fn rank(column: &ColumnFacts, words: &[&str]) -> Option<usize> {
    let name = Spoken::of(&column.name);
    let exact = words.iter().position(|word| name.is(word));
    let by_name = || words.iter().position(|word| name.shows(word)).map(|at| at + words.len());
    let by_comment = || {
        let comment = Spoken::of(column.comment.as_deref()?);
        words.iter().position(|word| word.len() >= 5 && comment.shows(word)).map(|at| at + 2 * words.len())
    };
    exact.or_else(by_name).or_else(by_comment)
}

/// A number that only counts the rows is no code of an order; where nothing else names it, the key of an order is.
fn is_only_key(table: &TableFacts, role: Role, column: &str) -> bool {
    role != Role::OrderCode && table.primary_key.len() == 1 && table.primary_key[0] == column
}

fn is_quantity(role: Role) -> bool {
    matches!(role, Role::QuantityTotal | Role::QuantityScrap | Role::QuantityYield)
}

fn is_number(column: &ColumnFacts) -> bool {
    let small = column.source_type.to_ascii_lowercase();
    let kinds = ["int", "num", "dec", "float", "real", "double", "money", "quan"];
    kinds.iter().any(|kind| small.contains(kind)) && !small.contains("tinyint(1)")
}

/// Whether the values of a text are numbers: `+00120.00`.
fn are_numbers(table: &TableFacts, column: &str) -> bool {
    let is_number = |value: &Value| text(value).trim().parse::<f64>().is_ok_and(f64::is_finite);
    let ends = sample_of(table, column).and_then(|sample| sample.min.as_ref().zip(sample.max.as_ref()));
    ends.is_some_and(|(min, max)| is_number(min) && is_number(max))
}

fn sample_of<'a>(table: &'a TableFacts, column: &str) -> Option<&'a ColumnSample> {
    table.sample.as_ref().and_then(|sample| sample.columns.get(column)).filter(|sample| sample.looked_at > 0)
}

fn named_guess(
    survey: &Survey,
    table: &TableFacts,
    role: Role,
    column: &ColumnFacts,
    word: &str,
    alternatives: Vec<String>,
) -> RoleGuess {
    let in_comment = sign(&column.name, &[word]).is_none();
    let mut why = if in_comment { format!("its comment says `{word}`") } else { format!("its name says `{word}`") };
    let mut confidence = if in_comment { Confidence::Guess } else { Confidence::Likely };
    if let Some(sample) = sample_of(table, &column.name) {
        let values = sample.looked_at - sample.nulls;
        let different = sample.distinct.unwrap_or(u64::MAX);
        if values == 0 {
            confidence = Confidence::Guess;
            why.push_str("; it was empty in every row that was looked at");
        } else if match role {
            // The same few come again and again.
            Role::MachineCode => values >= 10 && different.saturating_mul(3) <= values,
            Role::OrderCode => values >= 5 && different >= 3,
            _ => false,
        } {
            confidence = Confidence::Sure;
            why.push_str(&format!("; {different} different values"));
        }
    }
    if let Some((joined, code)) = joined(survey, table, column, role) {
        why.push_str(&format!("; it refers to {}, which has the text", joined.to.table));
        return RoleGuess { column: code, time_of_day: None, joined: Some(joined), confidence, why, alternatives };
    }
    RoleGuess { column: column.name.clone(), time_of_day: None, joined: None, confidence, why, alternatives }
}

/// Where a column leads that holds only the number of a row of another table.
fn joined(survey: &Survey, table: &TableFacts, column: &ColumnFacts, role: Role) -> Option<(Joined, String)> {
    const CODES: &[&str] = &[
        "code",
        "default_code",
        "nummer",
        "number",
        "product_number",
        "nr",
        "ref",
        "kurzbez",
        "arbpl",
        "wip_entity_name",
    ];
    const NAMES: &[&str] = &["name", "bezeichnung"];
    if !matches!(role, Role::OrderCode | Role::ProductCode | Role::MachineCode) || !is_number(column) {
        return None;
    }
    let key = table.foreign_keys.iter().find(|key| key.columns.contains(&column.name))?;
    let other = survey.tables.iter().find(|other| other.name == key.to && other.name != table.name)?;
    let is_text = |column: &&ColumnFacts| {
        !is_number(column) && super::forms::form_of_type(&survey.source_type, &column.source_type).is_none()
    };
    // A code by its whole name, then one by how its name ends, then what people call it.
    let ends_like_code = |name: &str| ["nr", "nummer", "code"].iter().any(|end| plain(name).ends_with(end));
    let rank = |column: &ColumnFacts| match rank(column, CODES) {
        Some(at) => Some(at),
        None if ends_like_code(&column.name) => Some(3 * CODES.len()),
        None => rank(column, NAMES).map(|at| 3 * CODES.len() + 1 + at),
    };
    let mut texts: Vec<(usize, &ColumnFacts)> =
        other.columns.iter().filter(is_text).filter_map(|column| Some((rank(column)?, column))).collect();
    texts.sort_by_key(|(rank, _)| *rank);
    let to_columns =
        if key.to_columns.iter().all(String::is_empty) { other.primary_key.clone() } else { key.to_columns.clone() };
    let joined = Joined { columns: key.columns.clone(), to: key.to.clone(), to_columns };
    Some((joined, texts.first()?.1.name.clone()))
}

/// The column whose few codes say what happened.
fn event(table: &TableFacts, columns: &[&ColumnFacts], taken: &[String]) -> Option<RoleGuess> {
    let mut best: Option<(i32, &ColumnFacts, String)> = None;
    for column in columns.iter().filter(|column| !taken.contains(&column.name) || plain(&column.name) == "status") {
        let Some(at) = rank(column, EVENT) else { continue };
        let mut weight = 20 - i32::try_from(at / 2).unwrap_or(20);
        let mut why = format!("its name says `{}`", EVENT[at % EVENT.len()]);
        if let Some(sample) = sample_of(table, &column.name) {
            let different = sample.distinct.unwrap_or(u64::MAX);
            if !(2..=EVENT_CODES_MAX).contains(&different) || sample.nulls * 2 > sample.looked_at {
                continue;
            }
            let meant =
                sample.frequent.iter().filter(|(code, _)| super::events::meaning(&text(code)).is_some()).count();
            weight += 6 * i32::try_from(meant.min(3)).unwrap_or(3);
            why.push_str(&format!("; {different} different codes"));
        }
        if best.as_ref().is_none_or(|(most, ..)| weight > *most) {
            best = Some((weight, column, why));
        }
    }
    let (weight, column, why) = best?;
    let confidence = if weight >= 26 {
        Confidence::Sure
    } else if weight >= 12 {
        Confidence::Likely
    } else {
        Confidence::Guess
    };
    Some(RoleGuess {
        column: column.name.clone(),
        time_of_day: None,
        joined: None,
        confidence,
        why,
        alternatives: Vec::new(),
    })
}

/// Start, end and timestamp among the times.
fn time_roles(table: &TableFacts, times: &[TimeColumn]) -> Vec<(Role, RoleGuess)> {
    let fits = |words: &'static [&'static str]| {
        // Of two that fit, the one that says a time of day.
        let is_day_only = |time: &TimeColumn| is_date(time.form) && time.time_of_day.is_none();
        let mut fitting: Vec<(bool, usize, &TimeColumn)> = times
            .iter()
            .filter(|time| !is_creation(&time.column) && !is_change(&time.column))
            .filter_map(|time| {
                let column = table.columns.iter().find(|column| column.name == time.column)?;
                let of_day = time.time_of_day.as_ref().map(|(column, _)| column);
                // `tag` says nothing, `beginn` beside it does; of a date with several times of day, only they do.
                let is_shared = times.iter().filter(|other| other.column == time.column).count() > 1;
                let by_date = || rank(column, words).filter(|_| !is_shared);
                let by_time =
                    || of_day.and_then(|of_day| words.iter().position(|word| sign(of_day, &[word]).is_some()));
                Some((time.planned, by_date().or_else(by_time)?, time))
            })
            .collect();
        fitting.sort_by_key(|(planned, rank, time)| (*planned, is_day_only(time), *rank));
        fitting
    };
    let guess = |fitting: &[(bool, usize, &TimeColumn)], what: &str| {
        let (planned, _, time) = fitting.first()?;
        let confidence = if *planned { Confidence::Guess } else { Confidence::Likely };
        let mut why = format!("its name says {what}");
        if *planned {
            why.push_str("; but it was planned");
        }
        let alternatives = fitting[1..].iter().map(|(.., time)| time.label()).take(4).collect();
        Some(of_time(time, confidence, why, alternatives))
    };
    let mut found = Vec::new();
    found.extend(guess(&fits(START), "start").map(|guess| (Role::Start, guess)));
    found.extend(guess(&fits(END), "end").map(|guess| (Role::End, guess)));
    let mut any: Vec<(bool, usize, &TimeColumn)> = times
        .iter()
        .filter(|time| !time.planned)
        .map(|time| (is_creation(&time.column) || is_change(&time.column), usize::from(!time.indexed), time))
        .collect();
    any.sort_by_key(|(late, unindexed, _)| (*late, *unindexed));
    if let Some((is_stamp, _, time)) = any.first() {
        let why = if *is_stamp {
            "the only time, though it says when the row was written"
        } else {
            "a time that was not planned"
        };
        let confidence = if *is_stamp || any.len() > 2 { Confidence::Guess } else { Confidence::Likely };
        let alternatives = any[1..].iter().map(|(.., time)| time.label()).take(4).collect();
        let guess = of_time(time, confidence, why.to_owned(), alternatives);
        found.push((Role::Timestamp, guess));
    }
    found
}

fn of_time(time: &TimeColumn, confidence: Confidence, why: String, alternatives: Vec<String>) -> RoleGuess {
    let time_of_day = time.time_of_day.as_ref().map(|(column, _)| column.clone());
    RoleGuess { column: time.column.clone(), time_of_day, joined: None, confidence, why, alternatives }
}
