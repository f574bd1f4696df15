//! Tables of real systems among others: the right one is first, with the right meanings.

use engine_spec::model::TableType::{self, Booking, Order};
use serde_json::{Value, json};

use super::*;

mod pairs;
mod persons;
mod shapes;
mod stamps;

fn name(table: &str) -> Name {
    Name { schema: None, table: table.to_owned() }
}

/// A table of columns `name type`, its key the first.
fn table(table: &str, rows: u64, columns: &[&str]) -> TableFacts {
    let column = |text: &&str| {
        // A name with blanks is set off by a bar.
        let (name, source_type) = text.split_once('|').or_else(|| text.split_once(' ')).unwrap();
        ColumnFacts { name: name.to_owned(), source_type: source_type.to_owned(), nullable: true, comment: None }
    };
    let columns: Vec<ColumnFacts> = columns.iter().map(column).collect();
    TableFacts {
        name: name(table),
        kind: TableKind::Table,
        comment: None,
        rows: RowCount::Exact(rows),
        primary_key: vec![columns[0].name.clone()],
        columns,
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        sample: None,
    }
}

fn with_rows(mut table: TableFacts, rows: Vec<Vec<Value>>) -> TableFacts {
    table.sample = Some(TableSample { columns: summarise(&table.columns, &rows), rows, ..TableSample::default() });
    table
}

fn referring(mut table: TableFacts, column: &str, to: &str) -> TableFacts {
    let key = ForeignKey { columns: vec![column.to_owned()], to: name(to), to_columns: vec!["id".to_owned()] };
    table.foreign_keys.push(key);
    table
}

fn survey(source_type: &str, tables: Vec<TableFacts>) -> Survey {
    Survey {
        source_type: source_type.to_owned(),
        version: String::new(),
        session_timezone: None,
        timezone: Some("Europe/Berlin".to_owned()),
        now: "2025-07-01T10:00:00Z".parse().unwrap(),
        tables: tables.into_iter().chain(others()).collect(),
        notes: Vec::new(),
        statements: 0,
    }
}

/// What every database has beside.
fn others() -> Vec<TableFacts> {
    vec![
        table(
            "users",
            40,
            &["id int", "login varchar(40)", "created timestamp", "last_login timestamp", "status varchar(8)"],
        ),
        table("app_config", 90, &["id int", "config_key varchar(80)", "value text", "updated timestamp"]),
        table(
            "audit_log",
            900_000,
            &["id bigint", "event varchar(20)", "machine varchar(8)", "event_time timestamp", "user_id int"],
        ),
        table(
            "lagerbestand",
            5_000,
            &["id int", "artikel varchar(20)", "menge int", "stand timestamp", "platz varchar(8)"],
        ),
        table(
            "sales_order",
            9_000,
            &[
                "id int",
                "order_no varchar(20)",
                "customer int",
                "start_date timestamp",
                "end_date timestamp",
                "product int",
            ],
        ),
        table("machine", 20, &["id int", "code varchar(8)", "name varchar(40)"]),
    ]
}

/// The roles that are asked for, as `role=column`.
#[track_caller]
fn check(survey: &Survey, first: &str, kind: TableType, roles: &[(Role, &str)]) {
    let candidates = judge(survey);
    let best = candidates.first().unwrap();
    let ranks: Vec<(&str, u32)> = candidates.iter().map(|one| (one.name.table.as_str(), one.score)).collect();
    assert_eq!((best.name.table.as_str(), best.table), (first, kind), "{ranks:?} {:?}", best.reasons);
    for (role, column) in roles {
        let found = best.roles.get(role).map(|guess| guess.column.as_str());
        assert_eq!(found, Some(*column), "{role:?} of {first}");
    }
    assert!(!best.reasons.is_empty());
}

#[test]
fn odoo() {
    let productivity = table(
        "mrp_workcenter_productivity",
        4_000,
        &[
            "id int",
            "workcenter_id int",
            "workorder_id int",
            "user_id int",
            "loss_id int",
            "date_start timestamp without time zone",
            "date_end timestamp without time zone",
            "duration double precision",
            "create_date timestamp",
            "write_date timestamp",
        ],
    );
    let productivity = referring(productivity, "workcenter_id", "mrp_workcenter");
    let workcenter = table("mrp_workcenter", 12, &["id int", "name varchar", "code varchar", "write_date timestamp"]);
    let found = survey("postgres", vec![productivity, workcenter]);
    check(
        &found,
        "mrp_workcenter_productivity",
        Order,
        &[
            (Role::Start, "date_start"),
            (Role::End, "date_end"),
            (Role::OrderCode, "workorder_id"),
            (Role::MachineCode, "code"),
        ],
    );
    let best = &judge(&found)[0];
    let machine = &best.roles[&Role::MachineCode];
    assert_eq!(machine.joined.as_ref().unwrap().columns, ["workcenter_id"]);
    assert_eq!(best.change.as_ref().unwrap().column, "write_date");
    assert_eq!(best.key, ["id"]);
}

#[test]
fn erpnext() {
    let card = table(
        "tabJob Card",
        3_000,
        &[
            "name varchar(140)",
            "modified datetime(6)",
            "work_order varchar(140)",
            "workstation varchar(140)",
            "production_item varchar(140)",
            "actual_start_date datetime(6)",
            "actual_end_date datetime(6)",
            "expected_start_date datetime(6)",
            "expected_end_date datetime(6)",
            "total_completed_qty decimal(21,9)",
            "status varchar(140)",
        ],
    );
    let found = survey("mariadb", vec![card]);
    check(
        &found,
        "tabJob Card",
        Order,
        &[
            (Role::Start, "actual_start_date"),
            (Role::End, "actual_end_date"),
            (Role::OrderCode, "work_order"),
            (Role::MachineCode, "workstation"),
            (Role::ProductCode, "production_item"),
        ],
    );
    let times = &judge(&found)[0].times;
    let planned: Vec<&str> = times.iter().filter(|time| time.planned).map(|time| time.column.as_str()).collect();
    assert_eq!(planned, ["expected_start_date", "expected_end_date"]);
}

#[test]
fn adventureworks() {
    let routing = table(
        "WorkOrderRouting",
        67_000,
        &[
            "WorkOrderID int",
            "ProductID int",
            "OperationSequence smallint",
            "LocationID smallint",
            "ScheduledStartDate datetime",
            "ScheduledEndDate datetime",
            "ActualStartDate datetime",
            "ActualEndDate datetime",
            "ModifiedDate datetime",
        ],
    );
    let history = table(
        "TransactionHistory",
        113_000,
        &["TransactionID int", "ProductID int", "TransactionDate datetime", "TransactionType nchar(1)", "Quantity int"],
    );
    check(
        &survey("sqlserver", vec![history, routing]),
        "WorkOrderRouting",
        Order,
        &[
            (Role::Start, "ActualStartDate"),
            (Role::End, "ActualEndDate"),
            (Role::OrderCode, "WorkOrderID"),
            (Role::MachineCode, "LocationID"),
            (Role::ProductCode, "ProductID"),
        ],
    );
}

/// Bookings of an unknown German system: a time in two columns, and codes that alternate on each machine.
fn bde(latest_hour: u32) -> TableFacts {
    let bde = table(
        "bde_buchung",
        2_000_000,
        &[
            "satznr int",
            "anr char(12)",
            "artnr varchar(20)",
            "mnr char(8)",
            "kenn char(1)",
            "gebucht datetime",
            "personalnr varchar(8)",
        ],
    );
    let row = |at: u32| {
        vec![
            json!(at),
            json!(format!("00471100{}", at / 4)),
            json!("25-1002"),
            json!(format!("M{}", at % 2)),
            json!(if (at / 2).is_multiple_of(2) { "E" } else { "A" }),
            json!(format!("2025-07-01T{latest_hour:02}:{:02}:00", 59 - at)),
            json!("00815"),
        ]
    };
    with_rows(bde, (0..40).map(row).collect())
}

#[test]
fn hydra_like_bookings() {
    let found = survey("mysql", vec![bde(11)]);
    check(
        &found,
        "bde_buchung",
        Booking,
        &[
            (Role::Timestamp, "gebucht"),
            (Role::Event, "kenn"),
            (Role::OrderCode, "anr"),
            (Role::MachineCode, "mnr"),
            (Role::ProductCode, "artnr"),
        ],
    );
    let best = &judge(&found)[0];
    let events: Vec<(&str, Option<&str>)> =
        best.events.iter().map(|event| (event.code.as_str(), event.meaning.as_deref())).collect();
    assert_eq!(events, [("A", Some("START")), ("E", Some("END"))]);
    assert!(best.events.iter().all(|event| event.why.contains("alternates")), "{:?}", best.events);
}

#[test]
fn the_clock_of_the_latest_booking_tells_local_from_utc() {
    // Now is 10:00 UTC, and 12:00 in the factory.
    for (hour, expected) in [(11, Basis::Local), (9, Basis::Utc), (3, Basis::Unknown)] {
        let best = &judge(&survey("mysql", vec![bde(hour)]))[0];
        assert_eq!(best.times[0].basis, expected, "{hour}: {}", best.times[0].why);
    }
}

#[test]
fn oracle_ebs() {
    let jobs = table(
        "WIP_DISCRETE_JOBS",
        40_000,
        &[
            "WIP_ENTITY_ID NUMBER",
            "ORGANIZATION_ID NUMBER",
            "PRIMARY_ITEM_ID NUMBER",
            "STATUS_TYPE NUMBER",
            "START_QUANTITY NUMBER",
            "QUANTITY_COMPLETED NUMBER",
            "QUANTITY_SCRAPPED NUMBER",
            "SCHEDULED_START_DATE DATE",
            "DATE_RELEASED DATE",
            "DATE_COMPLETED DATE",
            "LAST_UPDATE_DATE DATE",
        ],
    );
    check(
        &survey("oracle", vec![jobs]),
        "WIP_DISCRETE_JOBS",
        Order,
        &[
            (Role::OrderCode, "WIP_ENTITY_ID"),
            (Role::ProductCode, "PRIMARY_ITEM_ID"),
            (Role::End, "DATE_COMPLETED"),
            (Role::QuantityYield, "QUANTITY_COMPLETED"),
        ],
    );
}

#[test]
fn ofbiz_and_business_central() {
    let effort = table(
        "WORK_EFFORT",
        9_000,
        &[
            "WORK_EFFORT_ID varchar(20)",
            "CURRENT_STATUS_ID varchar(20)",
            "ESTIMATED_START_DATE timestamp",
            "ESTIMATED_COMPLETION_DATE timestamp",
            "ACTUAL_START_DATE timestamp",
            "ACTUAL_COMPLETION_DATE timestamp",
            "FIXED_ASSET_ID varchar(20)",
            "QUANTITY_PRODUCED numeric(18,6)",
            "QUANTITY_REJECTED numeric(18,6)",
            "LAST_MODIFIED_DATE timestamp",
        ],
    );
    check(
        &survey("postgres", vec![effort]),
        "WORK_EFFORT",
        Order,
        &[
            (Role::Start, "ACTUAL_START_DATE"),
            (Role::End, "ACTUAL_COMPLETION_DATE"),
            (Role::MachineCode, "FIXED_ASSET_ID"),
            (Role::QuantityYield, "QUANTITY_PRODUCED"),
            (Role::QuantityScrap, "QUANTITY_REJECTED"),
        ],
    );
    let ledger = table(
        "CRONUS$Capacity Ledger Entry",
        90_000,
        &[
            "Entry No_|int",
            "Posting Date|datetime",
            "Work Center No_|nvarchar(20)",
            "Order No_|nvarchar(20)",
            "Item No_|nvarchar(20)",
            "Starting Time|datetime",
            "Ending Time|datetime",
            "Output Quantity|decimal(38,20)",
            "Scrap Quantity|decimal(38,20)",
            "timestamp|timestamp",
        ],
    );
    let found = survey("sqlserver", vec![ledger]);
    assert_eq!(judge(&found)[0].name.table, "CRONUS$Capacity Ledger Entry");
    let change = judge(&found)[0].change.clone().unwrap();
    assert_eq!((change.column.as_str(), change.why.as_str()), ("timestamp", "set by the server on every update"));
}

#[test]
fn what_is_unrelated_is_no_candidate() {
    let found = judge(&survey("postgres", Vec::new()));
    let names: Vec<&str> = found.iter().map(|one| one.name.table.as_str()).collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn rows_of_text_dates_are_worth_a_look() {
    let orders = table("auftrag", 5, &["id INTEGER", "anr TEXT", "mnr TEXT", "tag TEXT", "beginn TEXT", "ende TEXT"]);
    assert_eq!(worth_a_look(&survey("sqlite", vec![orders]), 1), [name("auftrag")]);
}

#[test]
fn few_values_are_listed_and_many_are_not() {
    let column = ColumnFacts { name: "a".into(), source_type: "int".into(), nullable: true, comment: None };
    let few: Vec<Vec<Value>> = (0..FREQUENT_VALUES_MAX).map(|value| vec![json!(value)]).collect();
    let many: Vec<Vec<Value>> =
        (0..=FREQUENT_VALUES_MAX).map(|value| vec![json!(value)]).chain([vec![Value::Null]]).collect();
    let of = |rows: &[Vec<Value>]| summarise(std::slice::from_ref(&column), rows)["a"].clone();
    assert_eq!(of(&few).frequent.len(), FREQUENT_VALUES_MAX);
    let many = of(&many);
    assert_eq!((many.frequent.len(), many.nulls, many.distinct), (0, 1, Some(25)));
    assert_eq!((many.min, many.max), (Some(json!(0)), Some(json!(24))));
}

/// Bookings with so many different codes.
fn coded(codes: u32) -> TableFacts {
    let bde = table("bde_buchung", 50, &["id int", "anr text", "mnr text", "kenn text", "zeit timestamp"]);
    let row = |at: u32| {
        let time = format!("2025-06-30T08:{at:02}:00");
        vec![json!(at), json!(format!("4711{at}")), json!("M1"), json!(format!("K{}", at % codes)), json!(time)]
    };
    with_rows(bde, (0..50).map(row).collect())
}

#[test]
fn few_codes_are_events_and_many_are_not() {
    for (codes, expected) in [(1, false), (2, true), (16, true), (17, false)] {
        let best = &judge(&survey("postgres", vec![coded(codes)]))[0];
        assert_eq!(best.roles.contains_key(&Role::Event), expected, "{codes} codes");
    }
}

#[test]
fn a_score_ends_at_a_hundred() {
    let all = table(
        "bde_buchung",
        2_000,
        &[
            "id int",
            "anr char(12)",
            "artnr text",
            "mnr char(8)",
            "kenn char(1)",
            "zeit timestamp",
            "gutmenge int",
            "ausschuss int",
            "menge int",
        ],
    );
    let referring = referring(table("teil_buchung", 9, &["id int", "bde_id int"]), "bde_id", "bde_buchung");
    let best = &judge(&survey("postgres", vec![all, referring]))[0];
    assert_eq!((best.name.table.as_str(), best.score), ("bde_buchung", 100), "{:?}", best.reasons);
}

#[test]
fn a_time_far_ahead_was_planned() {
    // Now is 10:00 UTC; a clock is 14 hours ahead of it at most.
    for (latest, expected) in [("2025-07-02T00:30:00", false), ("2025-07-02T01:30:00", true)] {
        let orders = table("auftrag", 5, &["id int", "anr text", "mnr text", "beginn timestamp", "ende timestamp"]);
        let row = vec![json!(1), json!("4711"), json!("M1"), json!(latest), json!(null)];
        let best = &judge(&survey("postgres", vec![with_rows(orders, vec![row])]))[0];
        assert_eq!(best.times[0].planned, expected, "{latest}: {}", best.times[0].why);
    }
}
