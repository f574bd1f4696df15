//! The names of spans and attributes: those of OpenTelemetry's conventions where it has one, and the engine's own.

use std::fmt::Write as _;

use opentelemetry_semantic_conventions::attribute::{
    DB_NAMESPACE, DB_RESPONSE_RETURNED_ROWS, DB_SYSTEM_NAME, ERROR_TYPE, HTTP_REQUEST_METHOD,
    HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_STATUS_CODE, SERVER_ADDRESS, SERVER_PORT,
};

pub(super) const RUN: &str = "run";
pub(super) const PLAN: &str = "plan";
pub(super) const LOAD: &str = "load";
pub(super) const OPEN: &str = "open";
pub(super) const EXPECT: &str = "expect";
pub(super) const QUESTION: &str = "question";
pub(super) const DERIVE: &str = "derive";
pub(super) const COMMIT: &str = "commit";
pub(super) const DELIVER: &str = "deliver";

pub(super) const PIPELINE: &str = "engine.pipeline";
pub(super) const SOURCE_TYPE: &str = "engine.source.type";
pub(super) const OUTCOME: &str = "engine.outcome";
pub(super) const STATEMENTS: &str = "engine.statements";
pub(super) const ROWS_READ: &str = "engine.rows.read";
pub(super) const ROWS_NEW: &str = "engine.rows.new";
pub(super) const ROWS_CHANGED: &str = "engine.rows.changed";
pub(super) const ROWS_GONE: &str = "engine.rows.gone";
pub(super) const ROWS_UNCHANGED: &str = "engine.rows.unchanged";
pub(super) const ROWS_REJECTED: &str = "engine.rows.rejected";
pub(super) const RECORDS_UPSERTED: &str = "engine.records.upserted";
pub(super) const RECORDS_DELETED: &str = "engine.records.deleted";
pub(super) const STATEMENT_NUMBER: &str = "engine.statement.number";
pub(super) const WINDOW_START: &str = "engine.window.start";
pub(super) const WINDOW_END: &str = "engine.window.end";
pub(super) const FETCH_SECONDS: &str = "engine.fetch.seconds";
pub(super) const MAP_SECONDS: &str = "engine.map.seconds";
pub(super) const PARCEL_RECORDS: &str = "engine.parcel.records";
pub(super) const PARCEL_BYTES: &str = "engine.parcel.bytes";
pub(super) const PARCEL_REJECTED: &str = "engine.parcel.rejected";
pub(super) const ANSWER: &str = "engine.answer";

/// A kind of span.
struct SpanInfo {
    name: &'static str,
    parent: Option<&'static str>,
    /// In a sentence.
    about: &'static str,
    attributes: &'static [&'static str],
}

/// All spans, in the order in which a run makes them.
const SPANS: &[SpanInfo] = &[
    SpanInfo {
        name: RUN,
        parent: None,
        about: "One run of a pipeline",
        attributes: &[
            PIPELINE,
            SOURCE_TYPE,
            OUTCOME,
            STATEMENTS,
            ROWS_READ,
            ROWS_NEW,
            ROWS_CHANGED,
            ROWS_GONE,
            ROWS_UNCHANGED,
            ROWS_REJECTED,
            RECORDS_UPSERTED,
            RECORDS_DELETED,
            ERROR_TYPE,
        ],
    },
    SpanInfo {
        name: PLAN,
        parent: Some(RUN),
        about: "The spec becomes a plan, with its references resolved",
        attributes: &[ERROR_TYPE],
    },
    SpanInfo {
        name: LOAD,
        parent: Some(RUN),
        about: "What is remembered is read from the state",
        attributes: &[ERROR_TYPE],
    },
    SpanInfo { name: OPEN, parent: Some(RUN), about: "A connection to the source, with its login", attributes: SOURCE },
    SpanInfo {
        name: EXPECT,
        parent: Some(RUN),
        about: "What the ledger has in the window is read: what must come back",
        attributes: &[ERROR_TYPE],
    },
    SpanInfo {
        name: QUESTION,
        parent: Some(RUN),
        about: "One question to the source, until its last row is mapped and compared",
        attributes: &[
            DB_SYSTEM_NAME,
            DB_NAMESPACE,
            SERVER_ADDRESS,
            SERVER_PORT,
            STATEMENT_NUMBER,
            WINDOW_START,
            WINDOW_END,
            DB_RESPONSE_RETURNED_ROWS,
            FETCH_SECONDS,
            MAP_SECONDS,
            ERROR_TYPE,
        ],
    },
    SpanInfo {
        name: DERIVE,
        parent: Some(RUN),
        about: "Records are made of what was found, and written to the state. Within a question, where more is found than is kept in memory",
        attributes: &[ERROR_TYPE],
    },
    SpanInfo {
        name: COMMIT,
        parent: Some(RUN),
        about: "The transaction of the state is committed",
        attributes: &[ERROR_TYPE],
    },
    SpanInfo {
        name: DELIVER,
        parent: Some(RUN),
        about: "One parcel is sent to the destination, once. It belongs to the run that the pipeline began last, whichever found its records; before the first run since the start it is a trace of its own",
        attributes: &[
            PIPELINE,
            SERVER_ADDRESS,
            SERVER_PORT,
            HTTP_REQUEST_METHOD,
            HTTP_RESPONSE_STATUS_CODE,
            HTTP_REQUEST_RESEND_COUNT,
            PARCEL_RECORDS,
            PARCEL_BYTES,
            PARCEL_REJECTED,
            ANSWER,
            ERROR_TYPE,
        ],
    },
];

const SOURCE: &[&str] = &[DB_SYSTEM_NAME, DB_NAMESPACE, SERVER_ADDRESS, SERVER_PORT, ERROR_TYPE];

/// What each attribute says, in the order of the first span that has it.
const ATTRIBUTES: &[(&str, &str)] = &[
    (PIPELINE, "The `id` of the spec"),
    (SOURCE_TYPE, "`source.type` of the spec"),
    (OUTCOME, "`ok` or `failed`"),
    (STATEMENTS, "Questions that were sent to the source"),
    (ROWS_READ, "Rows that the source gave"),
    (ROWS_NEW, "Of these, new ones"),
    (ROWS_CHANGED, "Of these, changed ones"),
    (ROWS_GONE, "Rows that were gone"),
    (ROWS_UNCHANGED, "Rows that the ledger knew as they are"),
    (ROWS_REJECTED, "Rows that were rejected"),
    (RECORDS_UPSERTED, "Records to be written that were handed to the outbox"),
    (RECORDS_DELETED, "Records to be deleted that were handed to the outbox"),
    (
        ERROR_TYPE,
        "What kind of failure: of a run, and of the part in which it failed, `spec`, `environment`, `source`, `query`, `brake`, `rejected`, `state` or `cancelled`; of a parcel, the answer, or its status. Missing where all went well",
    ),
    (
        DB_SYSTEM_NAME,
        "The kind of database: `postgresql`, `mysql`, `mariadb`, `microsoft.sql_server`, `oracle.db`, `sqlite`. Files and APIs have none",
    ),
    (DB_NAMESPACE, "The database, or the service of Oracle"),
    (SERVER_ADDRESS, "Host of the source, or of the destination"),
    (SERVER_PORT, "Its port, where it is known"),
    (STATEMENT_NUMBER, "The number of the question within the run, from 1"),
    (WINDOW_START, "Start of the window that was asked for, as an instant"),
    (WINDOW_END, "Its end; it is not part of the window"),
    (DB_RESPONSE_RETURNED_ROWS, "Rows of the answer, from whatever source"),
    (FETCH_SECONDS, "How long the source was waited for"),
    (MAP_SECONDS, "How long its rows were mapped, and compared with the ledger"),
    (HTTP_REQUEST_METHOD, "Method of the delivery, where the destination speaks HTTP"),
    (HTTP_RESPONSE_STATUS_CODE, "Status of the answer, where there was one"),
    (
        HTTP_REQUEST_RESEND_COUNT,
        "How often the same parcel was sent before, one after the other; missing for the first time",
    ),
    (PARCEL_RECORDS, "Records of the parcel"),
    (PARCEL_BYTES, "Their size in bytes, before compression"),
    (PARCEL_REJECTED, "Of these, records that the destination refused, where it took the others"),
    (ANSWER, "`accepted`, `invalid`, `too_large`, `refused`, `later`, or `unknown` where it may have arrived"),
];

/// The tables of the documents.
pub fn reference() -> String {
    let mut out = "\n## Spans\n\n| span | within | what it is | attributes |\n| --- | --- | --- | --- |\n".to_owned();
    for span in SPANS {
        let parent = span.parent.map_or(String::new(), |parent| format!("`{parent}`"));
        let attributes: Vec<String> = span.attributes.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "| `{}` | {parent} | {}. | {} |", span.name, span.about, attributes.join(", "));
    }
    out.push_str("\n## Attributes\n\n| attribute | what it says |\n| --- | --- |\n");
    for (name, about) in ATTRIBUTES {
        let _ = writeln!(out, "| `{name}` | {about}. |");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attribute_of_a_span_is_explained_once() {
        let used: BTreeSet<&str> = SPANS.iter().flat_map(|span| span.attributes.iter().copied()).collect();
        let explained: BTreeSet<&str> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
        assert_eq!(used, explained);
        assert_eq!(explained.len(), ATTRIBUTES.len());
    }
}
