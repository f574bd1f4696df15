//! What the codes of an event column seem to mean.

use std::collections::BTreeMap;

use serde_json::Value;

use super::names::words;
use super::values::text;
use super::{EventCode, Role, RoleGuess, TableFacts};

const STARTS: &[&str] = &[
    "start",
    "started",
    "gestartet",
    "a",
    "an",
    "anf",
    "anfang",
    "beg",
    "beginn",
    "begin",
    "b",
    "ste",
    "zzs",
    "running",
    "in",
    "kommen",
    "anmelden",
    "login",
    "s",
    "on",
];
const ENDS: &[&str] = &[
    "end",
    "ende",
    "beendet",
    "fertig",
    "e",
    "finish",
    "finished",
    "stop",
    "u",
    "unt",
    "unterbrechung",
    "interrupt",
    "zze",
    "done",
    "out",
    "gehen",
    "abmelden",
    "logout",
    "pause",
    "off",
    "complete",
    "completed",
];
/// Share of the machine's bookings, in percent, that must follow one another for two codes to alternate.
const ALTERNATING_PERCENT_MIN: usize = 80;
/// Pairs of bookings from which on it can be said.
const PAIRS_MIN: usize = 6;

/// `START` or `END`, where a code says it by itself.
pub(super) fn meaning(code: &str) -> Option<&'static str> {
    let words = words(code);
    let says = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    match (says(STARTS), says(ENDS)) {
        (true, false) => Some("START"),
        (false, true) => Some("END"),
        _ => None,
    }
}

/// The codes of the event column, the most frequent first.
pub(super) fn events(table: &TableFacts, roles: &BTreeMap<Role, RoleGuess>) -> Vec<EventCode> {
    let (Some(event), Some(sample)) = (roles.get(&Role::Event), &table.sample) else { return Vec::new() };
    let Some(column) = sample.columns.get(&event.column) else { return Vec::new() };
    let alternate = alternating(table, roles);
    column
        .frequent
        .iter()
        .map(|(value, count)| {
            let code = text(value);
            let said = meaning(&code);
            let why = match (said, alternate.contains(&code)) {
                (Some(_), true) => "its letters say it, and it alternates with the other on each machine",
                (Some(_), false) => "its letters say it",
                (None, true) => "it alternates with another code on each machine: one is START, the other END",
                (None, false) => "nothing tells",
            };
            EventCode { code, count: *count, meaning: said.map(str::to_owned), why: why.to_owned() }
        })
        .collect()
}

/// The two most frequent codes, where on each machine one follows the other.
fn alternating(table: &TableFacts, roles: &BTreeMap<Role, RoleGuess>) -> Vec<String> {
    let place = |role| {
        let guess = roles.get(&role)?;
        let name = guess.joined.as_ref().map_or(Some(&guess.column), |joined| joined.columns.first())?;
        table.columns.iter().position(|column| column.name == *name)
    };
    let (Some(event), Some(sample)) = (place(Role::Event), &table.sample) else { return Vec::new() };
    let machine = place(Role::MachineCode);
    let mut last: BTreeMap<String, &Value> = BTreeMap::new();
    let (mut pairs, mut changes) = (0_usize, 0_usize);
    for row in &sample.rows {
        let (Some(code), of) = (row.get(event), machine.and_then(|at| row.get(at))) else { continue };
        if let Some(before) = last.insert(of.map(text).unwrap_or_default(), code) {
            pairs += 1;
            changes += usize::from(before != code);
        }
    }
    let alternates = pairs >= PAIRS_MIN && changes * 100 >= pairs * ALTERNATING_PERCENT_MIN;
    let codes = roles.get(&Role::Event).and_then(|guess| sample.columns.get(&guess.column));
    match codes {
        Some(codes) if alternates => codes.frequent.iter().take(2).map(|(value, _)| text(value)).collect(),
        _ => Vec::new(),
    }
}
