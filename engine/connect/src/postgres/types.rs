//! What the types of PostgreSQL become. A test beside the decoder compares it with them.

use engine_core::value::{Kind, TypeRule};

/// The contract of types: how documentation says what the decoder does.
pub(super) const TYPES: &[TypeRule] = &[
    TypeRule { types: &["bool"], kind: Kind::Bool, note: "" },
    TypeRule { types: &["int2", "int4", "int8", "oid", "xid", "cid"], kind: Kind::Int, note: "Exact." },
    TypeRule {
        types: &["float4", "float8"],
        kind: Kind::Float,
        note: "`float4` by its shortest digits: 0.1 stays 0.1. `NaN` and infinity reject the row.",
    },
    TypeRule {
        types: &["numeric"],
        kind: Kind::Decimal,
        note: "Every digit, trailing zeros included. `NaN` and infinity reject the row.",
    },
    TypeRule {
        types: &["text", "varchar", "name", "\"char\"", "xml", "citext", "unknown"],
        kind: Kind::Text,
        note: "Enums too.",
    },
    TypeRule { types: &["char"], kind: Kind::Text, note: "Without trailing blanks." },
    TypeRule {
        types: &["uuid", "bit", "varbit"],
        kind: Kind::Text,
        note: "A UUID in lower case with dashes, bits as `0` and `1`.",
    },
    TypeRule {
        types: &["timetz"],
        kind: Kind::Text,
        note: "With its offset, which says nothing without a date: `01:02:03+02:00`.",
    },
    TypeRule { types: &["bytea"], kind: Kind::Bytes, note: "" },
    TypeRule { types: &["date"], kind: Kind::Date, note: "Infinity, and years beyond 9999, reject the row." },
    TypeRule {
        types: &["time", "interval"],
        kind: Kind::Time,
        note: "To the microsecond. A day of an interval has 24 hours; one with months has no length and rejects the row.",
    },
    TypeRule {
        types: &["timestamp"],
        kind: Kind::Civil,
        note: "To the microsecond, read in `source.timezone`. Infinity, and years beyond 9999, reject the row.",
    },
    TypeRule {
        types: &["timestamptz"],
        kind: Kind::Instant,
        note: "To the microsecond; the session is in UTC. Infinity, and years beyond 9999, reject the row.",
    },
    TypeRule { types: &["json", "jsonb"], kind: Kind::Json, note: "" },
    TypeRule {
        types: &["money"],
        kind: Kind::Any,
        note: "Not carried: its scale depends on the server's locale. Cast it: `x::numeric`.",
    },
    TypeRule {
        types: OTHER,
        kind: Kind::Any,
        note: "Not carried, and so are arrays, ranges, composites and all other types. Cast them: `x::text`. A domain is \
            read as its base type.",
    },
];
/// Well-known types that are not read.
pub(super) const OTHER: &[&str] = &["inet", "cidr", "macaddr", "point", "tsvector"];
