//! Which columns hold persons.

use super::*;

#[test]
fn persons_are_known_by_their_columns() {
    for (column, expected) in [
        ("personalnr", true),
        ("PERSNR", true),
        ("Bediener", true),
        ("create_uid", true),
        ("employee_name", true),
        ("maschine", false),
        ("perspektive_id", false),
        ("anr", false),
        ("kennung", false),
    ] {
        assert_eq!(super::super::persons::is_person(column), expected, "{column}");
    }
}

#[test]
fn persons_are_known_by_the_table() {
    for (name, columns, expected) in [
        ("mitarbeiter", &["id int", "nr int", "kurz varchar(8)", "eintritt date"][..], &["nr", "kurz"][..]),
        ("users", &["id int", "login varchar(40)", "active boolean"], &["login"]),
        ("tblPersonal", &["ID int", "PersNr int", "Name varchar(40)"], &["PersNr", "Name"]),
        ("employee", &["id int", "badge_number int", "first varchar(40)"], &["badge_number", "first"]),
        // What persons booked is not what they are.
        ("bde_personal_buchung", &["id int", "anr varchar(12)", "mnr varchar(8)", "persnr int"], &["persnr"]),
        ("maschine", &["id int", "nr varchar(8)", "name varchar(40)"], &[]),
    ] {
        assert_eq!(persons(&table(name, 9, columns), &[]), expected, "{name}");
    }
    let bookings = table("buchung", 9, &["id int", "erfasst varchar(8)", "mnr varchar(8)"]);
    let bookings = referring(referring(bookings, "erfasst", "mitarbeiter"), "mnr", "maschine");
    assert_eq!(persons(&bookings, &[]), ["erfasst"]);
}

#[test]
fn persons_are_known_by_their_values() {
    for (column, values, expected) in [
        ("info", &["Kunz, Eva", "von der Ahe, Karl-Heinz", "Müller-Lüdenscheidt, E."][..], true),
        ("info", &["Kunz, Eva", "Nachtschicht", "O’Neill, Shaun"], true),
        ("info", &["Kunz, Eva", "Nachtschicht", "Probelauf"], false),
        ("info", &["ok", "siehe Mail", "eva.kunz@werk.example"], true),
        ("info", &["Schraube, verzinkt", "Welle, lang, 20 mm", "M1, M2"], false),
        ("info", &["5@8", "a@b", "@home"], false),
        // Things have such names as well.
        ("bezeichnung", &["Welle, Stahl", "Flansch, Guss", "Bolzen, Messing"], false),
    ] {
        let facts = table("buchung", 9, &["id int", &format!("{column} varchar(80)")]);
        let rows: Vec<Vec<Value>> = values.iter().map(|value| vec![json!(1), json!(value)]).collect();
        assert_eq!(!persons(&facts, &rows).is_empty(), expected, "{values:?}");
    }
}

#[test]
fn a_column_that_was_masked_is_none_of_an_order() {
    let mut facts = table("bde_buchung", 9, &["id int", "anr text", "mnr text", "auftrag text", "zeit timestamp"]);
    facts.sample = Some(TableSample { masked: vec!["anr".to_owned()], ..TableSample::default() });
    let best = &judge(&survey("postgres", vec![facts]))[0];
    assert_eq!(best.roles[&Role::OrderCode].column, "auftrag");
}
