use std::collections::BTreeMap;

use clap::Parser as _;
use engine_core::discover::{ColumnFacts, ColumnSample, EventCode, TableSample};
use serde_json::json;

use super::*;
use crate::args::{Cli, Command};

fn args(flags: &[&str]) -> DiscoverArgs {
    let cli = Cli::parse_from(["engine", "discover", "s.yaml"].iter().chain(flags));
    let Command::Discover(args) = cli.command else { panic!("another command") };
    args
}

/// A table of one column, with as many rows sampled.
fn facts(name: &str, column: &str, rows: usize) -> TableFacts {
    let values: Vec<Vec<Value>> = (0..rows).map(|at| vec![json!(format!("v{at}"))]).collect();
    let seen = ColumnSample { looked_at: rows as u64, distinct: Some(rows as u64), ..ColumnSample::default() };
    TableFacts {
        name: Name { schema: None, table: name.to_owned() },
        kind: TableKind::Table,
        comment: None,
        rows: RowCount::MoreThan(100_000),
        columns: vec![ColumnFacts {
            name: column.to_owned(),
            source_type: "text".to_owned(),
            nullable: true,
            comment: None,
        }],
        primary_key: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        sample: Some(TableSample {
            looked_at: rows as u64,
            has_more: true,
            rows: values,
            columns: BTreeMap::from([(column.to_owned(), seen)]),
            left_out: vec!["foto".to_owned()],
            masked: vec!["bediener".to_owned()],
        }),
    }
}

fn survey(tables: Vec<TableFacts>) -> Survey {
    Survey {
        source_type: "postgres".to_owned(),
        version: "PostgreSQL".to_owned(),
        session_timezone: None,
        timezone: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        tables,
        notes: vec!["something was left out".to_owned()],
        statements: 3,
    }
}

/// Bookings with so many reasons, and so many codes.
fn bookings(name: &str, reasons: usize, codes: usize) -> Candidate {
    let code = |at| EventCode { code: format!("K{at}"), count: 1, meaning: None, why: "nothing tells".to_owned() };
    Candidate {
        name: Name { schema: None, table: name.to_owned() },
        table: TableType::Booking,
        score: 80,
        reasons: (0..reasons).map(|at| format!("reason {at}")).collect(),
        roles: BTreeMap::new(),
        times: Vec::new(),
        change: None,
        events: (0..codes).map(code).collect(),
        key: Vec::new(),
    }
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
}

#[track_caller]
fn says_nothing_of(text: &str, words: &[&str]) {
    for word in words {
        assert!(!text.contains(word), "{word} is in\n{text}");
    }
}

#[test]
fn reasons_and_codes_are_shown_up_to_a_number_and_the_rest_is_counted() {
    let survey = survey(vec![facts("bde", "zeit", 1)]);
    let shown = overview(&survey, &[bookings("bde", REASONS_SHOWN_MAX, CODES_SHOWN_MAX)], &args(&[]));
    says(&shown, &["reason 5", "K11", "more than 100000 rows", "note: something was left out"]);
    says_nothing_of(&shown, &["more reason", "more code"]);
    let shown = overview(&survey, &[bookings("bde", REASONS_SHOWN_MAX + 1, CODES_SHOWN_MAX + 2)], &args(&[]));
    says(&shown, &["and 1 more reason: `-o json` has them", "and 2 more codes: `-o json` has them"]);
    says_nothing_of(&shown, &["reason 6", "K12"]);
}

#[test]
fn other_tables_are_listed_up_to_a_number_and_the_rest_is_counted() {
    let tables = || (0..=OTHERS_SHOWN_MAX).map(|at| facts(&format!("t{at:02}"), "a", 1)).collect();
    let shown = overview(&survey(tables()), &[], &args(&[]));
    says(&shown, &["no table looks like orders or bookings", "t29", "and 1 more: `--all` lists them"]);
    says_nothing_of(&shown, &["t30"]);
    says(&overview(&survey(tables()), &[], &args(&["--all"])), &["t30"]);
}

#[test]
fn rows_and_cells_are_shown_up_to_a_number() {
    let long = "x".repeat(CELL_CHARS_MAX + 1);
    let shown = tables(&survey(vec![facts("t", &long, ROWS_SHOWN_MAX + 1)]), &[], &args(&["--table", "t"]));
    says(
        &shown,
        &[
            "latest rows: 5 of 6 that were looked at; the table has more",
            "v4",
            "not looked at: foto",
            "masked, as they look like persons: bediener",
        ],
    );
    says_nothing_of(&shown, &["v5", &long]);
    says(&shown, &[&clip(&long, CELL_CHARS_MAX)]);
}
