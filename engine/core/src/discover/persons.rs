//! Which columns hold persons: their values are masked in what a survey shows.

use serde_json::Value;

use super::names::{is_booking_or_order, sign, words};
use super::{ColumnFacts, TableFacts};

/// Names of tables whose rows are persons.
const PERSON_TABLES: &[&str] = &[
    "person",
    "mitarbeiter",
    "bediener",
    "werker",
    "benutzer",
    "anwender",
    "employee",
    "operator",
    "worker",
    "user",
    "users",
    "staff",
    "contact",
    "ansprechpartner",
];
/// Names, of codes and things, whose values may look like the names of persons: `Welle, Stahl`.
const THINGS: &[&str] = &[
    "artikel",
    "produkt",
    "product",
    "item",
    "material",
    "teil",
    "part",
    "masch",
    "machine",
    "anlage",
    "platz",
    "station",
    "bezeichnung",
    "artbez",
];
/// Share of the values, in percent, that must look like a name.
const NAMES_PERCENT_MIN: usize = 50;

/// The columns of a table that look like persons: by their name, by the table, or by the rows that were seen.
pub fn persons<'a>(table: &'a TableFacts, rows: &[Vec<Value>]) -> Vec<&'a str> {
    let is_of_persons = is_table_of_persons(&table.name.table);
    let is_masked = |column: &ColumnFacts| table.sample.iter().any(|sample| sample.masked.contains(&column.name));
    let columns = table.columns.iter().enumerate().filter(|(at, column)| {
        is_masked(column)
            || is_person(&column.name)
            || (is_of_persons && (is_text(column) || is_number_of_person(&column.name)))
            || refers_to_persons(table, column)
            || look_like_persons(column, rows.iter().filter_map(|row| row.get(*at)))
    });
    columns.map(|(_, column)| column.name.as_str()).collect()
}

/// Whether a name is one of a table of persons, and not of what they booked.
fn is_table_of_persons(table: &str) -> bool {
    sign(table, PERSON_TABLES).is_some() && !is_booking_or_order(table)
}

/// Whether a column refers to a table of persons: it holds a number or a name of one.
fn refers_to_persons(table: &TableFacts, column: &ColumnFacts) -> bool {
    let mut keys = table.foreign_keys.iter().filter(|key| key.columns.contains(&column.name));
    keys.any(|key| is_table_of_persons(&key.to.table))
}

/// In a table of persons, a column by which one is known.
fn is_number_of_person(column: &str) -> bool {
    const NUMBERS: &[&str] = &["nr", "no", "nummer", "number", "pin", "geburtsdatum", "geburtstag", "birthday"];
    sign(column, NUMBERS).is_some()
        || words(column).iter().any(|word| ["nr", "nummer", "birth", "geb"].iter().any(|end| word.ends_with(end)))
}

/// Whether values are addresses of mail, or most of them names as people are listed.
fn look_like_persons<'a>(column: &ColumnFacts, values: impl Iterator<Item = &'a Value>) -> bool {
    let texts: Vec<&str> = values.filter_map(Value::as_str).map(str::trim).filter(|text| !text.is_empty()).collect();
    let listed = texts.iter().filter(|text| is_listed_name(text)).count();
    texts.iter().any(|text| is_mail_address(text))
        || (listed > 0 && listed * 100 >= texts.len() * NAMES_PERCENT_MIN && sign(&column.name, THINGS).is_none())
}

/// `eva.kunz@werk.example`
fn is_mail_address(text: &str) -> bool {
    let fits = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_' | '+');
    let Some((name, host)) = text.split_once('@') else { return false };
    let domain = host.rsplit_once('.').is_some_and(|(before, last)| !before.is_empty() && last.len() >= 2);
    domain && !name.is_empty() && name.chars().chain(host.chars()).all(fits)
}

/// `Kunz, Eva`, `von der Ahe, Karl-Heinz`, `Meier, E.`
fn is_listed_name(text: &str) -> bool {
    const PARTICLES: &[&str] = &["von", "van", "der", "den", "de", "zu", "del", "di", "la", "el", "bin", "ter"];
    let is_name = |word: &str| {
        let mut chars = word.chars();
        chars.next().is_some_and(char::is_uppercase)
            && chars.all(|char| char.is_alphabetic() || matches!(char, '-' | '\'' | '’' | '.'))
    };
    let are_names = |part: &str| {
        let words: Vec<&str> = part.split_whitespace().collect();
        (1..=4).contains(&words.len())
            && words.last().is_some_and(|last| is_name(last))
            && words.iter().all(|word| is_name(word) || PARTICLES.contains(word))
    };
    let long = |part: &str| part.chars().filter(|char| char.is_alphabetic()).count() >= 2;
    text.split_once(", ").is_some_and(|(last, first)| long(last) && are_names(last) && are_names(first))
}

fn is_text(column: &ColumnFacts) -> bool {
    let small = column.source_type.to_ascii_lowercase();
    ["char", "text", "clob", "string", "enum"].iter().any(|kind| small.contains(kind))
}

/// Whether a column looks like a person by its name: a name, or a number of one.
pub(super) fn is_person(column: &str) -> bool {
    const PERSONS: &[&str] = &[
        "person",
        "pers",
        "persnr",
        "pnr",
        "mitarbeiter",
        "bediener",
        "werker",
        "benutzer",
        "employee",
        "worker",
        "operator",
        "user",
        "vorname",
        "nachname",
        "firstname",
        "lastname",
        "surname",
        "email",
        "telefon",
        "phone",
        "ernam",
        "aenam",
        "owner",
        "modified_by",
        "created_by",
        "updated_by",
        "create_uid",
        "write_uid",
        "erfasser",
        "sachbearbeiter",
        "ausweis",
        "kuerzel",
        "unterschrift",
        "signature",
        "geburtsdatum",
        "familienname",
    ];
    sign(column, PERSONS).is_some()
}
