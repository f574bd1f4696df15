//! Tables of systems as they are in the field, among what those systems have beside. Only shapes and words are known of
//! them here: no name of a product decides anything.

use super::*;

fn columns(facts: &TableFacts) -> Vec<&str> {
    facts.columns.iter().map(|column| column.name.as_str()).collect()
}

/// Rows of a table, of which only some columns say something; the others are `other`.
fn rows_of(facts: TableFacts, count: u32, other: &Value, said: impl Fn(u32, &str) -> Option<Value>) -> TableFacts {
    let row = |at: u32| columns(&facts).iter().map(|name| said(at, name).unwrap_or_else(|| other.clone())).collect();
    let rows = (0..count).map(row).collect();
    with_rows(facts, rows)
}

/// Manufacturing orders that were only ever planned, and the parts that were booked out and in for them.
#[test]
fn dolibarr() {
    let order = table(
        "llx_mrp_mo",
        900,
        &[
            "rowid int",
            "entity int",
            "ref varchar(128)",
            "mrptype int",
            "label varchar(255)",
            "qty double",
            "fk_warehouse int",
            "fk_soc int",
            "note_public text",
            "date_creation datetime",
            "date_valid datetime",
            "tms timestamp",
            "fk_user_creat int",
            "status int",
            "fk_product int",
            "date_start_planned datetime",
            "date_end_planned datetime",
            "fk_bom int",
            "fk_project int",
        ],
    );
    let order = referring(order, "fk_product", "llx_product");
    let order = rows_of(order, 20, &json!(1), |at, name| {
        let day = format!("2025-06-{:02}T06:00:00", 1 + at);
        match name {
            "ref" => Some(json!(format!("MO2506-{at:04}"))),
            "date_creation" | "date_valid" | "date_start_planned" | "date_end_planned" => Some(json!(day)),
            "tms" => Some(json!("2025-06-30T06:00:00Z")),
            "label" | "note_public" => Some(Value::Null),
            _ => None,
        }
    });
    let booked = table(
        "llx_mrp_production",
        7_000,
        &[
            "rowid int",
            "fk_mo int",
            "position int",
            "fk_product int",
            "fk_warehouse int",
            "qty double",
            "disable_stock_change smallint",
            "batch varchar(128)",
            "role varchar(10)",
            "fk_mrp_production int",
            "fk_stock_movement int",
            "date_creation datetime",
            "tms timestamp",
            "fk_user_creat int",
            "fk_default_workstation int",
        ],
    );
    let booked = ["fk_mo", "fk_product", "fk_default_workstation"]
        .into_iter()
        .zip(["llx_mrp_mo", "llx_product", "llx_workstation_workstation"])
        .fold(booked, |booked, (column, to)| referring(booked, column, to));
    let booked = rows_of(booked, 20, &json!(1), |at, name| match name {
        "rowid" | "fk_mo" => Some(json!(at)),
        "role" => Some(json!(["toconsume", "consumed", "produced"][at as usize % 3])),
        "date_creation" => Some(json!(format!("2025-06-{:02}T06:{at:02}:00", 1 + at))),
        "tms" => Some(json!("2025-06-30T06:00:00Z")),
        _ => None,
    });
    let product = table("llx_product", 400, &["rowid int", "ref varchar(128)", "label varchar(255)", "price double"]);
    let station = table("llx_workstation_workstation", 9, &["rowid int", "ref varchar(128)", "label varchar(255)"]);
    let agenda = table(
        "llx_actioncomm",
        80_000,
        &["id int", "ref varchar(30)", "datep datetime", "datep2 datetime", "fk_user_author int", "label varchar(255)"],
    );
    let sold = table(
        "llx_commande",
        5_000,
        &[
            "rowid int",
            "ref varchar(30)",
            "fk_soc int",
            "date_commande date",
            "date_livraison datetime",
            "tms timestamp",
        ],
    );
    let found = survey("mysql", vec![agenda, order, product, booked, sold, station]);
    // The plan is no run: what was booked is what happened.
    check(
        &found,
        "llx_mrp_production",
        Order,
        &[
            (Role::OrderCode, "ref"),
            (Role::ProductCode, "ref"),
            (Role::MachineCode, "ref"),
            (Role::QuantityTotal, "qty"),
        ],
    );
    let candidates = judge(&found);
    let best = &candidates[0];
    for (role, column, to) in [
        (Role::OrderCode, "fk_mo", "llx_mrp_mo"),
        (Role::ProductCode, "fk_product", "llx_product"),
        (Role::MachineCode, "fk_default_workstation", "llx_workstation_workstation"),
    ] {
        let joined = best.roles[&role].joined.as_ref().expect("a table that has the text");
        assert_eq!((joined.columns[0].as_str(), joined.to.table.as_str()), (column, to));
    }
    let planned = candidates.iter().find(|one| one.name.table == "llx_mrp_mo").expect("a candidate");
    assert_eq!(planned.roles[&Role::OrderCode].column, "ref");
    assert!(planned.reasons.iter().any(|reason| reason.contains("planned")), "{:?}", planned.reasons);
}

/// Records that are all text: blanks behind codes, dates and times as a German clock writes them, counts with a sign.
fn hydra() -> TableFacts {
    let records = table(
        "bde_rueckmeldung",
        2_000_000,
        &[
            "rmnr char(40)",
            "sart char(1)",
            "erfart char(1)",
            "anr char(40)",
            "artnr char(20)",
            "mnr char(8)",
            "kenn char(1)",
            "ast char(1)",
            "datfb char(10)",
            "zeifb char(5)",
            "gut char(9)",
            "aus char(9)",
            "persnr char(8)",
        ],
    );
    rows_of(records, 20, &json!(" "), |at, name| {
        Some(json!(match name {
            "rmnr" => format!("{at:010}"),
            "sart" => "A".to_owned(),
            "erfart" => ["E", " ", "S"][at as usize % 3].to_owned(),
            "anr" => format!("{:<40}", format!("00471{:03}0010", at / 4)),
            "artnr" => format!("{:<20}", format!("25-100{}", at % 3)),
            "mnr" => format!("{:<8}", format!("M{}", at % 2)),
            "kenn" => ["A", "U", "E"][at as usize % 3].to_owned(),
            "ast" => ["L", "U", "E"][at as usize % 3].to_owned(),
            "datfb" => format!("{:02}.06.2025", 30 - at),
            "zeifb" => format!("{at:02}:15"),
            "gut" => format!("+00{:03}.00", at * 7),
            "aus" => format!("+00{at:03}.50"),
            _ => return None,
        }))
    })
}

#[test]
fn records_of_hydra() {
    let persons = table(
        "bde_person",
        3_000_000,
        &["rmnr char(40)", "sart char(1)", "persnr char(8)", "kenn char(1)", "datfb char(10)", "zeifb char(5)"],
    );
    let head = table(
        "auftrag_kopf",
        30_000,
        &["anr char(40)", "artnr char(20)", "sollmenge char(9)", "datst char(10)", "zeist char(5)", "kunde char(20)"],
    );
    let machines = table("masch_stamm", 40, &["mnr char(8)", "bez char(40)", "mgruppe char(8)"]);
    let faults = table("stoer_historie", 9_000, &["mnr char(8)", "datfb char(10)", "zeifb char(5)", "kenn char(4)"]);
    let found = survey("sqlserver", vec![persons, head, hydra(), machines, faults]);
    check(
        &found,
        "bde_rueckmeldung",
        Booking,
        &[
            (Role::Timestamp, "datfb"),
            (Role::Event, "kenn"),
            (Role::OrderCode, "anr"),
            (Role::ProductCode, "artnr"),
            (Role::MachineCode, "mnr"),
            (Role::Cancelled, "erfart"),
            (Role::Status, "ast"),
            (Role::QuantityYield, "gut"),
            (Role::QuantityScrap, "aus"),
        ],
    );
    let best = &judge(&found)[0];
    assert_eq!(best.roles[&Role::Timestamp].time_of_day.as_deref(), Some("zeifb"));
    assert_eq!(best.times[0].form, TimeForm::DottedDate);
    let meant: Vec<Option<&str>> = best.events.iter().map(|event| event.meaning.as_deref()).collect();
    assert_eq!(meant, [Some("START"), Some("END"), Some("END")], "{:?}", best.events);
}

/// Text throughout, `00000000` for no date, and every date twice: as planned and as it was.
fn afko() -> TableFacts {
    let order = table(
        "AFKO",
        40_000,
        &[
            "AUFNR varchar(12)",
            "MANDT varchar(3)",
            "PLNBEZ varchar(18)",
            "GAMNG decimal(13,3)",
            "GMEIN varchar(3)",
            "IGMNG decimal(13,3)",
            "IASMG decimal(13,3)",
            "GSTRP varchar(8)",
            "GSUZP varchar(6)",
            "GLTRP varchar(8)",
            "GLUZP varchar(6)",
            "FTRMS varchar(8)",
            "GSTRI varchar(8)",
            "GSUZI varchar(6)",
            "GLTRI varchar(8)",
            "GETRI varchar(8)",
            "GEUZI varchar(6)",
        ],
    );
    rows_of(order, 20, &json!(7), |at, name| {
        Some(json!(match name {
            "AUFNR" => format!("0000471{at:05}"),
            "MANDT" => "100".to_owned(),
            "PLNBEZ" => format!("{:018}", 25_100 + at % 3),
            "GMEIN" => "ST".to_owned(),
            "GSUZP" | "GLUZP" => "000000".to_owned(),
            "GSUZI" | "GEUZI" => format!("{at:02}3000"),
            "GAMNG" | "IGMNG" | "IASMG" => return None,
            // One order runs: it has not ended.
            "GLTRI" | "GETRI" if at == 0 => "00000000".to_owned(),
            _ => format!("202506{:02}", 1 + at),
        }))
    })
}

fn afru() -> TableFacts {
    let confirmations = table(
        "AFRU",
        800_000,
        &[
            "RUECK varchar(10)",
            "RMZHL varchar(8)",
            "MANDT varchar(3)",
            "ERSDA varchar(8)",
            "ERNAM varchar(12)",
            "LAEDA varchar(8)",
            "BUDAT varchar(8)",
            "ARBID varchar(8)",
            "WERKS varchar(4)",
            "LTXA1 varchar(40)",
            "ISDD varchar(8)",
            "ISDZ varchar(6)",
            "IEDD varchar(8)",
            "IEDZ varchar(6)",
            "AUFNR varchar(12)",
            "VORNR varchar(4)",
            "LMNGA decimal(13,3)",
            "XMNGA decimal(13,3)",
            "RMNGA decimal(13,3)",
            "MEINH varchar(3)",
            "STOKZ varchar(1)",
            "STZHL varchar(8)",
            "AUERU varchar(1)",
            "SATZA varchar(3)",
        ],
    );
    rows_of(confirmations, 20, &json!(" "), |at, name| {
        Some(match name {
            "RUECK" => json!(format!("{at:010}")),
            "RMZHL" => json!("00000001"),
            "ERSDA" | "BUDAT" | "ISDD" | "IEDD" => json!(format!("202506{:02}", 1 + at)),
            "LAEDA" => json!("00000000"),
            "ERNAM" => json!("KUNZ"),
            "ARBID" => json!(format!("1000001{}", at % 2)),
            "ISDZ" => json!("060000"),
            "IEDZ" => json!(if at == 3 { "240000" } else { "143000" }),
            "AUFNR" => json!(format!("0000471{at:05}")),
            "LMNGA" | "XMNGA" | "RMNGA" => json!(at),
            "STOKZ" => json!(if at == 5 { "X" } else { " " }),
            _ => return None,
        })
    })
}

#[test]
fn orders_and_confirmations_of_sap() {
    let item = table(
        "AFPO",
        40_000,
        &["AUFNR varchar(12)", "POSNR varchar(4)", "MATNR varchar(18)", "PSMNG decimal(13,3)", "LTRMI varchar(8)"],
    );
    let center = table("CRHD", 90, &["OBJID varchar(8)", "OBJTY varchar(2)", "ARBPL varchar(8)", "WERKS varchar(4)"]);
    let found = survey("oracle", vec![item, afko(), center, afru()]);
    check(
        &found,
        "AFRU",
        Order,
        &[
            (Role::Start, "ISDD"),
            (Role::End, "IEDD"),
            (Role::OrderCode, "AUFNR"),
            (Role::MachineCode, "ARBID"),
            (Role::QuantityYield, "LMNGA"),
            (Role::QuantityScrap, "XMNGA"),
            (Role::QuantityUnit, "MEINH"),
            (Role::Cancelled, "STOKZ"),
        ],
    );
    let of_day = |candidate: &Candidate, role| candidate.roles[&role].time_of_day.clone().unwrap_or_default();
    let candidates = judge(&found);
    let (confirmations, orders) = (&candidates[0], &candidates[1]);
    assert_eq!((of_day(confirmations, Role::Start), of_day(confirmations, Role::End)), ("ISDZ".into(), "IEDZ".into()));
    // Who has no confirmations reads the orders: what was, and not what was planned.
    assert_eq!(orders.name.table, "AFKO");
    for (role, column) in [
        (Role::Start, "GSTRI"),
        (Role::End, "GETRI"),
        (Role::OrderCode, "AUFNR"),
        (Role::ProductCode, "PLNBEZ"),
        (Role::QuantityYield, "IGMNG"),
        (Role::QuantityScrap, "IASMG"),
        (Role::QuantityTotal, "GAMNG"),
    ] {
        assert_eq!(orders.roles[&role].column, column, "{role:?}");
    }
    assert_eq!((of_day(orders, Role::Start), of_day(orders, Role::End)), ("GSUZI".into(), "GEUZI".into()));
}
