//! Drafts of every dialect validate, whatever the names are.

use engine_spec::diagnostic::Severity;
use engine_spec::{NoCompanions, load};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::discover::{
    Basis, ChangeColumn, ColumnFacts, ColumnSample, EventCode, Joined, Name, RoleGuess, RowCount, TableKind,
    TableSample, TimeColumn, TimeForm, judge, summarise,
};

fn column(name: &str, source_type: &str) -> ColumnFacts {
    ColumnFacts { name: name.to_owned(), source_type: source_type.to_owned(), nullable: true, comment: None }
}

fn name(table: &str) -> Name {
    Name { schema: None, table: table.to_owned() }
}

fn table(table: &str, columns: Vec<ColumnFacts>) -> TableFacts {
    TableFacts {
        name: name(table),
        kind: TableKind::Table,
        comment: None,
        rows: RowCount::Exact(240),
        columns,
        primary_key: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        sample: Some(TableSample::default()),
    }
}

fn survey(dialect: Dialect, tables: Vec<TableFacts>) -> Survey {
    Survey {
        source_type: dialect.source_type().to_owned(),
        version: dialect.name().to_owned(),
        session_timezone: None,
        timezone: None,
        now: "2026-11-25T08:00:00Z".parse::<Timestamp>().expect("an instant"),
        tables,
        notes: Vec::new(),
        statements: 0,
    }
}

fn guess(column: &str, confidence: Confidence) -> RoleGuess {
    RoleGuess {
        column: column.to_owned(),
        time_of_day: None,
        joined: None,
        confidence,
        why: "by its name".to_owned(),
        alternatives: Vec::new(),
    }
}

fn time(column: &str, form: TimeForm) -> TimeColumn {
    TimeColumn {
        column: column.to_owned(),
        form,
        time_of_day: None,
        basis: Basis::Local,
        planned: false,
        indexed: true,
        fillers: Vec::new(),
        time_of_day_fillers: Vec::new(),
        why: String::new(),
    }
}

fn answers(dialect: Dialect) -> Answers {
    let place = match dialect {
        Dialect::Sqlite => "path: mes.db".to_owned(),
        _ => "host: 10.20.0.5\n  database: mes\n  username: reader\n  password: { env: MES_PASSWORD }".to_owned(),
    };
    Answers {
        id: "plant".to_owned(),
        source: format!("source:\n  type: {}\n  {place}", dialect.source_type()),
        zone: "Europe/Berlin".to_owned(),
        zone_from: ZoneFrom::Said,
        constants: BTreeMap::new(),
        events: BTreeMap::new(),
        cancelled: Vec::new(),
        cancelled_states: Vec::new(),
        waiting_states: Vec::new(),
        delivery: Delivery::Stdout,
    }
}

/// Whether a text validates without a warning; panics with the findings where it does not.
fn validate(text: &str) {
    let loaded = load("draft.yaml", text.as_bytes(), &NoCompanions);
    let found: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|finding| finding.severity >= Severity::Warning || finding.severity == Severity::Error)
        .map(|finding| format!("{}: {}", finding.code, finding.message))
        .collect();
    assert!(found.is_empty() && loaded.spec.is_some(), "{found:#?}\n{text}");
}

/// Bookings whose date and time of day are two columns, with a cancelled one and a code that means nothing.
fn bookings(dialect: Dialect) -> (Survey, Candidate, Answers) {
    let upper = |name: &str| if dialect == Dialect::Oracle { name.to_uppercase() } else { name.to_owned() };
    let mut facts = table(
        &upper("bde_buchung"),
        [("satznr", "bigint"), ("auftragnr", "char(12)"), ("artikel", "varchar(20)"), ("maschine", "char(8)")]
            .into_iter()
            .chain([("kennung", "char(1)"), ("buchdat", "char(8)"), ("buchzeit", "integer"), ("storno", "char(1)")])
            .map(|(name, kind)| column(&upper(name), kind))
            .collect(),
    );
    let machines = ColumnSample { frequent: vec![(json!("M1  "), 3), (json!("M2"), 2)], ..ColumnSample::default() };
    let sample = facts.sample.as_mut().expect("a sample");
    sample.columns.insert(upper("maschine"), machines);
    let event = |code: &str, count, meaning: Option<&str>| EventCode {
        code: code.to_owned(),
        count,
        meaning: meaning.map(str::to_owned),
        why: "by the word".to_owned(),
    };
    let roles = [
        (Role::OrderCode, guess(&upper("auftragnr"), Confidence::Sure)),
        (
            Role::ProductCode,
            RoleGuess { alternatives: vec![upper("satznr")], ..guess(&upper("artikel"), Confidence::Guess) },
        ),
        (Role::MachineCode, guess(&upper("maschine"), Confidence::Likely)),
        (Role::Timestamp, guess(&upper("buchdat"), Confidence::Sure)),
        (Role::Event, guess(&upper("kennung"), Confidence::Sure)),
        (Role::Cancelled, guess(&upper("storno"), Confidence::Likely)),
    ];
    let candidate = Candidate {
        name: name(&upper("bde_buchung")),
        table: TableType::Booking,
        score: 90,
        reasons: vec!["a time and a short code: buchdat, kennung".to_owned()],
        roles: roles.into_iter().collect(),
        times: vec![TimeColumn {
            time_of_day: Some((upper("buchzeit"), TimeForm::SecondsOfDay)),
            fillers: vec!["00000000".to_owned()],
            ..time(&upper("buchdat"), TimeForm::Yyyymmdd)
        }],
        change: None,
        events: vec![event("A", 120, Some("START")), event("E", 110, Some("END")), event("X", 3, None)],
        key: vec![upper("satznr")],
    };
    let mut answers = answers(dialect);
    answers.events = [("A", Meaning::Start), ("E", Meaning::End), ("M", Meaning::Neither)]
        .into_iter()
        .map(|(code, meaning)| (code.to_owned(), meaning))
        .collect();
    answers.cancelled = vec![json!("J")];
    (survey(dialect, vec![facts]), candidate, answers)
}

/// Orders in UTC whose machine stands in another table, in words that need quotes.
fn orders(dialect: Dialect) -> (Survey, Candidate, Answers) {
    let stamp = match dialect {
        Dialect::Sqlite => "TEXT",
        _ => "timestamp",
    };
    let orders = table(
        "Work Order",
        [("Id", "int"), ("Order", "varchar(20)"), ("Item.No", "varchar(20)"), ("machine_id", "int"), ("State", "int")]
            .into_iter()
            .chain([("started", stamp), ("finished", stamp), ("changed", stamp), ("Qty {{ok}}", "decimal(9,2)")])
            .map(|(name, kind)| column(name, kind))
            .collect(),
    );
    let machine = table("Machine", vec![column("id", "int"), column("code", "varchar(20)")]);
    let joined =
        Joined { columns: vec!["machine_id".to_owned()], to: name("Machine"), to_columns: vec!["id".to_owned()] };
    let roles = [
        (Role::OrderCode, guess("Order", Confidence::Sure)),
        (Role::ProductCode, guess("Item.No", Confidence::Sure)),
        (Role::MachineCode, RoleGuess { joined: Some(joined), ..guess("code", Confidence::Sure) }),
        (Role::Start, guess("started", Confidence::Sure)),
        (Role::End, guess("finished", Confidence::Likely)),
        (Role::QuantityYield, guess("Qty {{ok}}", Confidence::Guess)),
        (Role::Status, guess("State", Confidence::Guess)),
    ];
    let utc = |column: &str| TimeColumn { basis: Basis::Utc, ..time(column, TimeForm::Civil) };
    let candidate = Candidate {
        name: name("Work Order"),
        table: TableType::Order,
        score: 80,
        reasons: vec!["two times: started, finished".to_owned()],
        roles: roles.into_iter().collect(),
        times: vec![utc("started"), TimeColumn { fillers: vec!["1900-01-01".to_owned()], ..utc("finished") }],
        change: Some(ChangeColumn { column: "changed".to_owned(), indexed: false, why: "by its name".to_owned() }),
        events: Vec::new(),
        key: vec!["Id".to_owned()],
    };
    let mut answers = answers(dialect);
    answers.cancelled_states = vec![json!(9)];
    answers.waiting_states = vec![json!(0), json!(1)];
    (survey(dialect, vec![machine, orders]), candidate, answers)
}

#[test]
fn drafts_validate_without_a_warning_in_every_dialect() {
    for dialect in Dialect::ALL {
        for (kind, (survey, candidate, answers)) in [("bookings", bookings(dialect)), ("orders", orders(dialect))] {
            let text = spec_text(&survey, &candidate, &answers).expect("a draft");
            validate(&text);
            insta::assert_snapshot!(format!("{}_{kind}", dialect.source_type()), text);
        }
    }
}

#[test]
fn every_form_of_a_time_validates() {
    use TimeForm::{Civil, Date, DottedDate, EpochMillis, EpochSeconds, Hhmmss, Instant, Iso8601, Yyyymmdd};
    for dialect in Dialect::ALL {
        for form in [Civil, Instant, Date, Yyyymmdd, DottedDate, Iso8601, EpochSeconds, EpochMillis] {
            for basis in [Basis::Local, Basis::Utc, Basis::Zoned, Basis::Unknown] {
                let (survey, mut candidate, answers) = bookings(dialect);
                let known = &mut candidate.times[0];
                (known.form, known.basis) = (form, basis);
                known.time_of_day =
                    matches!(form, Date | DottedDate).then(|| (known.column.replace("dat", "zeit"), Hhmmss));
                validate(&spec_text(&survey, &candidate, &answers).expect("a draft"));
            }
        }
    }
}

/// A shift of an order in each row, with one date and two times of day, as the survey judges it.
fn shifts(dialect: Dialect) -> (Survey, Candidate, Answers) {
    let mut facts = table(
        "Schicht Buchung",
        [("Nr", "int"), ("Datum", "datetime"), ("Auftrag", "varchar(20)"), ("Artikel", "varchar(20)")]
            .into_iter()
            .chain([("Maschine", "varchar(8)"), ("Beginn", "datetime"), ("Ende", "datetime"), ("Gut", "char(9)")])
            .map(|(name, kind)| column(name, kind))
            .collect(),
    );
    facts.primary_key = vec!["Nr".to_owned()];
    let row = |at: u32| {
        let start = if at == 3 { "1753-01-01T00:00:00".to_owned() } else { format!("1754-01-01T22:{at:02}:00") };
        let end = if at == 3 { "1753-01-01T00:00:00".to_owned() } else { format!("1754-01-01T06:{at:02}:00") };
        vec![
            json!(at),
            json!(format!("2026-11-{:02}T00:00:00", 1 + at)),
            json!(format!("4711{at}")),
            json!("25-1002"),
            json!(format!("M{}", at % 2)),
            json!(start),
            json!(end),
            json!(format!("+00{at:03}.50")),
        ]
    };
    let rows: Vec<Vec<Value>> = (0..20).map(row).collect();
    let columns = summarise(&facts.columns, &rows);
    facts.sample = Some(TableSample { rows, columns, ..TableSample::default() });
    let survey = survey(dialect, vec![facts]);
    let best = judge(&survey).into_iter().next().expect("a candidate");
    (survey, best, answers(dialect))
}

#[test]
fn a_row_with_one_date_and_two_times_of_day_is_drafted() {
    for dialect in Dialect::ALL {
        let (survey, candidate, answers) = shifts(dialect);
        let text = spec_text(&survey, &candidate, &answers).expect("a draft");
        validate(&text);
        assert!(text.contains("after: start"), "{text}");
        if dialect == Dialect::SqlServer {
            insta::assert_snapshot!("shifts", text);
        }
    }
}

#[test]
fn what_the_rows_say_of_a_clock_is_written_beside_the_time() {
    let (survey, mut candidate, answers) = bookings(Dialect::Postgres);
    candidate.times[0].basis = Basis::Unknown;
    let text = spec_text(&survey, &candidate, &answers).expect("a draft");
    assert!(text.contains("\n  # ? nothing tells whether this is local time or UTC\n"), "{text}");
    "in 20 of 20 rows `created` differs by 2 h".clone_into(&mut candidate.times[0].why);
    let text = spec_text(&survey, &candidate, &answers).expect("a draft");
    assert!(text.contains("\n  # ? local time or UTC: in 20 of 20 rows `created` differs by 2 h\n"), "{text}");
}

#[test]
fn a_table_without_a_key_says_what_that_costs() {
    let (survey, mut candidate, answers) = orders(Dialect::Postgres);
    candidate.key.clear();
    let text = spec_text(&survey, &candidate, &answers).expect("a draft");
    validate(&text);
    assert!(text.contains("# engine: allow(key_left_out): Work Order has no key"), "{text}");
}

#[test]
fn a_source_gets_its_zone_however_it_is_written() {
    let (survey, candidate, mut answers) = orders(Dialect::Sqlite);
    for source in [
        "source: { type: sqlite, path: mes.db }",
        "source: { type: sqlite, path: mes.db, }",
        "\"source\": {\n    \"type\": \"sqlite\",\n    \"path\": \"mes.db\"\n  }",
        "source:\n    type: sqlite\n    path: mes.db   # beside\n    timeouts: { query: 1m }\n",
        "source:\n  type: sqlite\n  path: { env: MES_DB }",
        "source:\n  type: sqlite\n  path: mes.db\n  timeouts:\n    query: 1m",
    ] {
        source.clone_into(&mut answers.source);
        validate(&spec_text(&survey, &candidate, &answers).expect("a draft"));
    }
}

#[test]
fn what_is_missing_is_named() {
    let (survey, mut candidate, mut answers) = orders(Dialect::Sqlite);
    candidate.roles.remove(&Role::ProductCode);
    assert_eq!(spec_text(&survey, &candidate, &answers), Err(DraftError::Missing(Role::ProductCode)));
    answers.constants.insert(Role::ProductCode, "none: at all".to_owned());
    validate(&spec_text(&survey, &candidate, &answers).expect("a draft"));
}

#[test]
fn examples_are_tests() {
    let row = |value: Value| value.as_object().cloned().unwrap_or_default();
    let text = examples_text(&[Example {
        name: "the latest: rows".to_owned(),
        rows: vec![row(json!({"id": 7, "anr": "0047", "at": "2026-11-24T06:00:00", "no": "no"}))],
        runs: vec![row(json!({"order_code": "0047", "start": "2026-11-24T05:00:00Z", "run_id": "x"}))],
    }]);
    assert_eq!(
        text,
        "\ntests:\n  - name: \"the latest: rows\"\n    rows:\n      - { id: 7, anr: \"0047\", at: 2026-11-24T06:00:00, \
         \"no\": \"no\" }\n    expect:\n      runs:\n        - { order_code: \"0047\", start: 2026-11-24T05:00:00Z, end: \
         null }\n"
    );
    assert_eq!(examples_text(&[]), "");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever the tables, columns, codes and comments of a database are called, the draft validates, or says which name
    /// no query can have.
    #[test]
    fn no_name_breaks_a_draft(
        names in proptest::collection::btree_set("[a-zA-ZäöüßÄ_ .:#'\"`\\[\\]{}%$\\\\;,-]{1,9}|order|Select|nein|END", 7),
        words in "\\PC{0,30}",
        codes in proptest::collection::btree_set("\\PC{1,4}", 2),
        dialect in proptest::sample::select(&Dialect::ALL[..]),
    ) {
        let (mut survey, mut candidate, mut answers) = bookings(dialect);
        let names: Vec<String> = names.into_iter().collect();
        let facts = &mut survey.tables[0];
        facts.name = name(&names[6]);
        candidate.name = name(&names[6]);
        facts.columns = names[..6].iter().map(|name| column(name, "varchar(20)")).collect();
        let roles = [Role::OrderCode, Role::ProductCode, Role::MachineCode, Role::Timestamp, Role::Event, Role::Cancelled];
        candidate.roles = roles.into_iter().zip(&names).map(|(role, name)| {
            (role, RoleGuess { why: words.clone(), alternatives: names.clone(), ..guess(name, Confidence::Guess) })
        }).collect();
        candidate.times = vec![time(&names[3], TimeForm::Civil)];
        candidate.key = vec![names[0].clone(), names[5].clone()];
        candidate.reasons = vec![words.clone()];
        survey.version.clone_from(&words);
        answers.events = codes.iter().cloned().zip([Meaning::Start, Meaning::End]).collect();
        answers.cancelled = vec![json!(words), json!(codes)];
        answers.cancelled.truncate(1);
        if codes.iter().any(|code| code.trim().is_empty()) {
            return Ok(());
        }
        match spec_text(&survey, &candidate, &answers) {
            Ok(text) => validate(&text),
            Err(DraftError::Name(message)) => prop_assert!(message.contains("cannot be written") || message.contains("is not a name")),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
