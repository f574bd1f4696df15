//! What names say, in German and English.

use std::borrow::Cow;

use super::TableFacts;

/// A name in small letters without marks: `Auftrags_Nr` is `auftragsnr`.
pub(super) fn plain(name: &str) -> String {
    words(name).concat()
}

/// The words of a name: `plannedStart_Time` is `planned`, `start`, `time`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_small = false;
    for char in name.chars() {
        if !char.is_alphanumeric() || (char.is_uppercase() && before_is_small) {
            words.push(String::new());
        }
        before_is_small = char.is_lowercase() || char.is_ascii_digit();
        if let (true, Some(word)) = (char.is_alphanumeric(), words.last_mut()) {
            match char.to_lowercase().next().unwrap_or(char) {
                'ä' => word.push_str("ae"),
                'ö' => word.push_str("oe"),
                'ü' => word.push_str("ue"),
                'ß' => word.push_str("ss"),
                small => word.push(small),
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Letters from which on a sign may stand anywhere in a name; a shorter one is a word of it, or the whole.
const SIGN_LETTERS_MIN: usize = 5;

/// A name, taken apart once to be held against many signs.
pub(super) struct Spoken {
    words: Vec<String>,
    plain: String,
}

impl Spoken {
    pub(super) fn of(name: &str) -> Self {
        let words = words(name);
        Self { plain: words.concat(), words }
    }

    /// Whether the name is the sign and nothing else.
    pub(super) fn is(&self, sign: &str) -> bool {
        self.plain == bare(sign)
    }

    /// Whether the name has the sign as a word of it, or the sign is long enough to stand anywhere in it.
    pub(super) fn shows(&self, sign: &str) -> bool {
        let bare = bare(sign);
        let is_within = || bare.len() >= SIGN_LETTERS_MIN && self.plain.contains(bare.as_ref());
        self.plain == bare || self.words.iter().any(|word| *word == bare) || is_within()
    }
}

fn bare(sign: &str) -> Cow<'_, str> {
    if sign.contains('_') { sign.replace('_', "").into() } else { sign.into() }
}

/// The first of these signs that a name shows.
pub(super) fn sign<'a>(name: &str, signs: &[&'a str]) -> Option<&'a str> {
    let spoken = Spoken::of(name);
    signs.iter().copied().find(|sign| spoken.shows(sign))
}

/// Names of tables whose rows are bookings.
const BOOKINGS: &[&str] = &[
    "buchung",
    "rueckmeld",
    "stempelung",
    "booking",
    "afru",
    "bde",
    "productivity",
    "time_log",
    "time_entry",
    "capacity_ledger",
    "move_transaction",
    "confirmation",
    "logbuch",
    "mde",
    "schicht",
];
/// Names of tables whose rows are orders, or operations of them.
const ORDERS: &[&str] = &[
    "fertigungsauftrag",
    "arbeitsgang",
    "auftrag",
    "work_order",
    "production_order",
    "manufacturing_order",
    "mrp_mo",
    "mrp_production",
    "afko",
    "discrete_job",
    "job_card",
    "work_effort",
    "operation",
    "fa",
    "produktion",
    "production",
    "job",
    "mes",
    "order",
];
/// Names of tables that hold something else, whatever their columns look like.
const OTHERS: &[&str] = &[
    "config",
    "konfig",
    "setting",
    "einstellung",
    "parameter",
    "audit",
    "user",
    "benutzer",
    "permission",
    "recht",
    "rolle",
    "stock",
    "lager",
    "bestand",
    "history",
    "historie",
    "hist",
    "archiv",
    "sales",
    "verkauf",
    "purchase",
    "einkauf",
    "customer",
    "kunde",
    "kunden",
    "invoice",
    "rechnung",
    "price",
    "preis",
    "calendar",
    "kalender",
    "migration",
    "session",
    "temp",
    "tmp",
    "employee",
    "mitarbeiter",
    "urlaub",
    "document",
    "dokument",
    "address",
    "adresse",
    "supplier",
    "lieferant",
    "lieferung",
    "shipment",
    "wartung",
    "maintenance",
    "message",
    "mail",
    "alarm",
    "personal",
    "bestell",
    "syslog",
    "log",
    "protokoll",
    "queue",
    "loss",
    "type",
    "stamm",
    "schichtplan",
    "schichtmodell",
];

/// What a table's name says: how much it speaks for orders or bookings, and which word says it.
pub(super) fn table_sign(name: &str) -> (i32, Option<&'static str>) {
    if let Some(sign) = sign(name, OTHERS) {
        return (-30, Some(sign));
    }
    if let Some(sign) = sign(name, BOOKINGS) {
        return (24, Some(sign));
    }
    match sign(name, ORDERS) {
        Some(sign) => (18, Some(sign)),
        None => (0, None),
    }
}

/// Whether a table's name has a word of bookings or of orders, whatever else it says.
pub(super) fn is_booking_or_order(name: &str) -> bool {
    sign(name, BOOKINGS).is_some() || sign(name, ORDERS).is_some()
}

/// How much a table's name speaks for orders or bookings; negative where it speaks against them.
pub fn name_weight(table: &str) -> i32 {
    table_sign(table).0
}

/// Whether the values of a type may be large, or are no text at all.
pub fn is_bulky(source_type: &str) -> bool {
    const BULKY: &[&str] = &[
        "blob",
        "clob",
        "bytea",
        "image",
        "binary",
        "long",
        "raw",
        "bfile",
        "xml",
        "json",
        "geometry",
        "geography",
        "ntext",
        "hierarchyid",
        "sql_variant",
        "tsvector",
        "(max)",
    ];
    let small = source_type.to_ascii_lowercase();
    BULKY.iter().any(|bulky| small.contains(bulky)) && !small.contains("rowversion")
}

/// Names of columns that were planned.
pub(super) fn is_planned(name: &str) -> bool {
    const PLANNED: &[&str] = &[
        "soll",
        "plan",
        "geplant",
        "planned",
        "plannedstart",
        "scheduled",
        "due",
        "expected",
        "estimated",
        "deadline",
        "termin",
        "gstrp",
        "gltrp",
        "gstrs",
        "gltrs",
        "gsuzp",
        "gluzp",
        "ftrms",
        "faellig",
    ];
    sign(name, PLANNED).is_some()
}

/// Names of dates on which something was booked, and not only written about.
pub(super) fn is_of_booking(name: &str) -> bool {
    const BOOKED: &[&str] = &["posting", "buchung", "buch", "budat", "buchdat", "booking", "schicht", "shift", "tag"];
    sign(name, BOOKED).is_some()
}

/// Names of columns that say how long something took.
pub(super) fn is_duration(name: &str) -> bool {
    const DURATIONS: &[&str] = &[
        "dauer",
        "duration",
        "laufzeit",
        "ruestzeit",
        "bearbeitungszeit",
        "standzeit",
        "stoerzeit",
        "taktzeit",
        "setup_time",
        "run_time",
        "stop_time",
        "cycle_time",
        "lead_time",
        "minuten",
        "minutes",
        "in_mins",
        "stunden",
        "hours",
    ];
    sign(name, DURATIONS).is_some()
}

/// Names of columns that say when a row was written first.
pub(super) fn is_creation(name: &str) -> bool {
    const CREATED: &[&str] =
        &["created", "createdat", "create_date", "creation", "inserted", "angelegt", "anlage_am", "ersda", "erstellt"];
    sign(name, CREATED).is_some()
}

/// Names of columns that say when a row was changed last.
pub(super) fn is_change(name: &str) -> bool {
    const CHANGED: &[&str] = &[
        "geaendert",
        "aenderung",
        "aend",
        "updated",
        "update_date",
        "last_update",
        "modified",
        "write_date",
        "laeda",
        "tms",
        "rowversion",
        "row_version",
        "changed",
        "mutation",
    ];
    sign(name, CHANGED).is_some()
}

/// Whether an index begins with a column.
pub(super) fn is_indexed(table: &TableFacts, column: &str) -> bool {
    table.indexes.iter().any(|index| index.columns.first().is_some_and(|first| first == column))
        || table.primary_key.first().is_some_and(|first| first == column)
}
