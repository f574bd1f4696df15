//! The registry of findings: every code, what it means, and an example that provokes it.
//!
//! The reference page is made from this table, and a test runs every example.

use crate::diagnostic::Severity;
use crate::template;

/// One kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// Stable name.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Why it is a finding and what to do; empty where the meaning says it all.
    pub explanation: &'static str,
    /// Top-level keys of a spec that provoke it when they replace those of the base spec; a device config where the
    /// first line is `# engine.yaml`. Empty where only bytes, a second file, or a key that was renamed can provoke it.
    pub example: &'static str,
}

/// Every code: those of specs and device configs, then those of templates and row expressions. The example of the
/// latter is a query or an expression, not a part of a spec.
pub fn all() -> impl Iterator<Item = CodeInfo> {
    let of_templates = template::CODES.iter().map(|found| CodeInfo {
        code: found.code,
        severity: found.severity.into(),
        meaning: found.meaning,
        explanation: "",
        example: found.example,
    });
    ALL.iter().copied().chain(of_templates)
}

/// The entry of a code.
pub fn find(code: &str) -> Option<CodeInfo> {
    all().find(|info| info.code == code)
}

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident, $meaning:literal, $explanation:literal, $example:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// The codes of specs and device configs, in the order of the reference.
        pub const ALL: &[CodeInfo] = &[$(CodeInfo {
            code: $code,
            severity: Severity::$severity,
            meaning: $meaning,
            explanation: $explanation,
            example: $example,
        }),*];
    };
}

codes! {
    FILE_TOO_BIG = "file_too_big", Error, "The file is larger than 256 KiB.",
        "A spec is written by a person and has some dozen lines. Long SQL goes to `query.file`.", "";
    NOT_UTF8 = "not_utf8", Error, "The file is not UTF-8.",
        "Specs are UTF-8, with or without a byte order mark. Save the file again in that encoding.", "";
    EMPTY_FILE = "empty_file", Error, "The file holds no value.",
        "A spec is a map of keys. Start with `version: 1`, or with a copy of a spec that works.", "";
    YAML_SYNTAX = "yaml_syntax", Error, "The text is not YAML.",
        "Most often a quote or bracket is not closed, the indent is uneven, or a text that contains `: ` needs quotes.",
        "description: \"not closed\n";
    SEVERAL_DOCUMENTS = "several_documents", Error, "The file holds more than one YAML document.",
        "One file is one pipeline. Move what follows `---` to a file of its own.",
        "description: one\n---\ndescription: two\n";
    TOO_DEEP = "too_deep", Error, "Lists and maps are nested deeper than 64 levels.",
        "No key of a spec needs that depth; it is refused before it costs memory.",
        "labels: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n";
    TOO_MANY_VALUES = "too_many_values", Error, "The file holds more than 50,000 values, repeated aliases included.",
        "Aliases can repeat aliases, so that a few lines name billions of values. Such a file is refused.",
        "labels:\n  a: &a [1,1,1,1,1,1,1,1,1,1]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    DUPLICATE_KEY = "duplicate_key", Error, "A key is given twice in one map.",
        "Readers of YAML disagree on which of the two counts. Keep one.",
        "schedule: { every: 2m, every: 5m }\n";
    AMBIGUOUS_SCALAR = "ambiguous_scalar", Error, "A text without quotes that readers of YAML understand differently.",
        "`no` is a truth value or a country, `00123` a number or an order, `12:30` a time or 750. Write it in quotes.",
        "labels: { country: no }\n";
    TAG = "tag", Error, "A tag changes how a value is read.",
        "Specs have no tags. Text is written in quotes.", "description: !!str 5\n";
    BAD_KEY = "bad_key", Error, "A key that is not text.",
        "A list or a map cannot be a key.", "labels: { [a]: b }\n";
    BAD_MERGE = "bad_merge", Error, "`<<` is given something else than a map.",
        "`<<` adds the entries of a map, or of a list of maps; what is written beside it wins.",
        "labels: { <<: text }\n";
    UNKNOWN_KEY = "unknown_key", Error, "A key that the format does not have.",
        "Unknown keys are errors, so that a typing mistake never switches something off in silence.",
        "shedule: { every: 2m }\n";
    RENAMED_KEY = "renamed_key", Warning, "A key that has another name by now.",
        "It is read as before. `--fix` writes the new name, which a device with an older engine does not know: bring those up to date first.", "";
    MISSING_KEY = "missing_key", Error, "A required key is missing.",
        "The finding names the key. `engine schema` and the editor show what belongs there.",
        "source: { type: sqlite }\n";
    WRONG_TYPE = "wrong_type", Error, "A value of the wrong type.",
        "Text, number, truth value, list and map are not converted into each other.",
        "key: id\n";
    EMPTY_VALUE = "empty_value", Error, "A key with nothing behind it.",
        "A key that is left out has its default; a key without a value is a mistake.",
        "description:\n";
    BAD_VALUE = "bad_value", Error, "A value that does not have the required form or range.",
        "The finding shows the form: a period is `5m`, a share `5%`, a size `1MiB`.",
        "schedule: { every: 5 minutes }\n";
    UNKNOWN_VALUE = "unknown_value", Error, "A value that is not one of those allowed.",
        "The finding lists them.", "table: orders\n";
    EXACTLY_ONE = "exactly_one", Error, "Of several keys exactly one must be given.",
        "They exclude each other: each says the same thing in another way.",
        "query: { sql: SELECT 1, file: a.sql }\n";
    LITERAL_SECRET = "literal_secret", Error, "A secret is written into the spec.",
        "Specs are shared and versioned. A secret takes a reference: `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`.",
        "destination: { type: enlyze, url: \"https://app.enlyze.com\", token: abc }\n";
    BAD_SHAPE = "bad_shape", Error, "The value does not have the shape that its key needs.",
        "The finding says what was expected.",
        "destination: { type: http, url: \"https://a.example\", batch: { max_records: 5.0 } }\n";
    WRONG_TABLE = "wrong_table", Error, "A key that belongs to the other table type.",
        "Order tables have `start` and `end`; booking tables have `timestamp`, `event` and `pairing`.",
        "table: order\nfields: { order_code: a, product_code: b, machine_code: c, start: d, end: e, event: f }\n";
    KEY_NOT_HERE = "key_not_here", Error, "A key that means nothing beside the others.",
        "It would be ignored, which is never what was wanted. The finding says which key it belongs to.",
        "schedule: { every: 2m, timezone: Europe/Berlin }\n";
    OUT_OF_RANGE = "out_of_range", Error, "A number or period that is too small.",
        "Zero would mean an endless loop, or nothing at all.",
        "sync: { lookback: 0s }\n";
    BAD_CRON = "bad_cron", Error, "A cron expression that cannot be read, or that never comes true.",
        "Five fields: minute, hour, day of month, month, day of week. `* * 30 2 *` is well-formed and never comes.",
        "schedule: { cron: \"* * 30 2 *\" }\n";
    UNKNOWN_ZONE = "unknown_zone", Error, "A time zone that does not exist.",
        "Zones have IANA names, such as `Europe/Berlin`. Abbreviations such as `CEST` are ambiguous.",
        "schedule: { cron: \"0 6 * * *\", timezone: Europe/Bonn }\n";
    EVENT_VALUE = "event_value", Error, "An event that is neither `START` nor `END`.",
        "`fields.event` says, after `map`, whether a booking starts or ends a run.",
        "fields: { timestamp: ts, order_code: a, product_code: b, machine_code: c, event: { column: k, map: { A: BEGIN } } }\n";
    BAD_REGEX = "bad_regex", Error, "A regular expression that cannot be compiled.",
        "The syntax is that of Rust's regex crate: no look-around and no back-references.",
        "fields: { timestamp: ts, order_code: { column: a, transform: [{ extract: \"(\" }] }, product_code: b, machine_code: c, event: e }\n";
    EXTRACT_GROUPS = "extract_groups", Error, "`extract` without exactly one group.",
        "The group is what is taken. Further groups are written `(?:…)`.",
        "fields: { timestamp: ts, order_code: { column: a, transform: [{ extract: \"[0-9]+\" }] }, product_code: b, machine_code: c, event: e }\n";
    TIME_PATTERN = "time_pattern", Error, "A time format that cannot read what it must.",
        "A pattern must know its directives, say a whole date where a date is needed, and the hour of the day.",
        "fields: { timestamp: { column: ts, format: \"%H:%M\" }, order_code: a, product_code: b, machine_code: c, event: e }\n";
    BAD_JSON_PATH = "bad_json_path", Error, "A JSONPath that cannot be read.",
        "`records` and the paths of `pagination` are JSONPath as in RFC 9535: they begin with `$`, and a name with other signs than letters is written `['@odata.nextLink']`.",
        "source: { type: http, url: \"https://mes.acme.example\", records: \"data[*]\", timezone: UTC }\nquery: { params: {} }\nsync: { mode: full }\n";
    SECRET_OVER_HTTP = "secret_over_http", Error, "A secret would be sent without encryption.",
        "Plain `http://` is allowed to loopback only wherever a login is sent.",
        "destination: { type: enlyze, url: \"http://app.enlyze.com\", token: { env: T } }\n";
    BOUND_UNUSED = "bound_unused", Error, "The query does not use a bound of its window.",
        "A run would read the whole table, and take what it does not see for deleted.",
        "query: { sql: \"SELECT id FROM t WHERE ts >= {{ window.start }}\" }\n";
    CURSOR_UNUSED = "cursor_unused", Error, "The query does not use a column of its cursor.",
        "A run would read the same rows again, or jump over some.",
        "query: { sql: \"SELECT id FROM t\" }\nsync: { mode: cursor, cursor: [id] }\n";
    NAME_NOT_IN_MODE = "name_not_in_mode", Error, "The query uses a window that its mode does not have.",
        "Only the mode `window` has `window.start` and `window.end`. With `cursor` a run reads what lies after the cursor, with `full` everything; the name has no value there, and every run would fail.",
        "sync: { mode: full }\n";
    DIALECT_SYNTAX = "dialect_syntax", Error, "The query has syntax of another server.",
        "`LIMIT` in SQL Server and Oracle, `TOP` elsewhere, `FROM t AS x` in Oracle, backticks and square brackets outside their servers. The finding has this server's own spelling.",
        "query:\n  sql: |\n    SELECT TOP 100 id, a, b, c, k, ts FROM t WHERE ts >= {{ window.start }} AND ts < {{ window.end }}\n";
    FILE_UNREADABLE = "file_unreadable", Error, "A file that the spec names cannot be read.",
        "Paths are relative to the spec. The finding says what was tried and what came back.",
        "query: { file: missing.sql }\n";
    MACHINES_CSV = "machines_csv", Error, "A machine list that cannot be read.",
        "A header line, then two columns: the code and the platform's id. No code twice.", "";
    TESTS_WITHOUT_SPEC = "tests_without_spec", Error, "Tests whose spec is not beside them.",
        "`bookings.tests.yaml` holds tests of `bookings.yaml`, in the same folder. Without it nothing executes them.", "";
    TEST_FAILED = "test_failed", Error, "A test of a spec does not give what it expects.",
        "`engine test -o github` says it, with what differs; `validate-spec` executes no tests.", "";
    DUPLICATE_ID = "duplicate_id", Error, "Two specs of one device have the same id.",
        "All state hangs on the id: two pipelines of one id would overwrite each other.", "";
    UNRESOLVED_REFERENCE = "unresolved_reference", Error, "A reference has no value here.",
        "Set the variable, or write the file. Checked with `--env` only; the value is never shown.", "";
    SECRET_DEFAULT = "secret_default", Warning, "The reference of a secret has a default.",
        "The default is a secret in the spec, and a device that lacks the variable would start with it.",
        "destination: { type: enlyze, url: \"https://app.enlyze.com\", token: { env: T, default: x } }\n";
    KEY_LEFT_OUT = "key_left_out", Warning, "`key` is left out.",
        "Rows are then known by what they say, so that a correction of their time or order is a deletion and a new row.",
        "key: []\n";
    ZONE_LEFT_OUT = "zone_left_out", Warning, "`timezone` is left out where times may be naive.",
        "Naive times are then read as UTC. Plants in other zones find their runs shifted by hours.",
        "source: { type: sqlite, path: mes.db }\n";
    WINDOWS_LOGIN = "windows_login", Warning, "A Windows login to SQL Server, which is not possible from the device.",
        "`domain` is part of the format, but the driver's support for Windows logins on Linux cannot be in one program with Oracle's driver. Ask for a login of SQL Server's own; the server must admit both (mixed mode).",
        "source: { type: sqlserver, host: h, database: d, username: u, domain: ACME, timezone: UTC }\n";
    LIVE_ROWS_LEFT_OUT = "live_rows_left_out", Warning, "The query leaves out the live runs that began before its window.",
        "An order row is read again until its run has ended. Where the end comes later than the lookback, a query that asks for the window alone never sees it, and the run stays live at the destination.",
        "table: order\nfields: { order_code: a, product_code: b, machine_code: c, start: d, end: e }\nquery:\n  sql: |\n    SELECT id, a, b, c, d, e FROM t WHERE d >= {{ window.start }} AND d < {{ window.end }}\n";
    WINDOW_COLUMN_DIFFERS = "window_column_differs", Warning, "The query's window is on another column than the run's.",
        "A delivered record is gone when its `start`, `timestamp` or `sync.column` lies in the window and its row is not in the result. A query on another column leaves out rows that are there, or never shows that they are gone.",
        "query:\n  sql: |\n    SELECT id, a, b, c, k, ts, seen FROM t WHERE seen >= {{ window.start }} AND seen < {{ window.end }}\n";
    WINDOW_BOUND_INCLUSIVE = "window_bound_inclusive", Warning, "A bound of the window is compared as if it were not half-open.",
        "The window holds its start and not its end: `>=` and `<`. `BETWEEN` holds both.",
        "query:\n  sql: |\n    SELECT id, a, b, c, k, ts FROM t WHERE ts BETWEEN {{ window.start }} AND {{ window.end }}\n";
    SELECT_STAR = "select_star", Warning, "The query reads all columns of a table.",
        "Columns come, go and change their order with updates of the source, and every one of them is read and compared. Queries that only rearrange a query inside, and `EXISTS (SELECT * …)`, are not meant.",
        "query:\n  sql: |\n    SELECT * FROM t WHERE ts >= {{ window.start }} AND ts < {{ window.end }}\n";
    WINDOW_COLUMN_IN_FUNCTION = "window_column_in_function", Warning, "The window's column is compared after a function was applied to it.",
        "A server cannot use the index of `ts` for `date(ts) >= …`: it reads the whole table on every run. Compare the column itself, and convert the bound with a filter. A column that holds its time as text must be converted, and is not meant; neither is `CAST(ts AS date)` in SQL Server, which knows how to use the index.",
        "query:\n  sql: |\n    SELECT id, a, b, c, k, ts FROM t WHERE date(ts) >= {{ window.start | date }} AND ts < {{ window.end }}\n";
    WINDOW_END_CUT = "window_end_cut", Warning, "The query cuts the time of day off the end of the window.",
        "`ts < CAST({{ window.end }} AS date)` leaves out what was booked today. The filter `| date` moves outward: of the end it gives the day after.",
        "query:\n  sql: |\n    SELECT id, a, b, c, k, ts FROM t WHERE ts >= {{ window.start }} AND ts < date({{ window.end }})\n";
    DIRTY_READ = "dirty_read", Warning, "The query reads what may be undone, or leaves out what is being changed.",
        "Under `NOLOCK`, `READUNCOMMITTED` and `READPAST`, SQL Server may miss a row that moves at that moment. A missed row counts as gone and is deleted until the next run. `isolation: snapshot` reads without waiting, and without such gaps.",
        "source: { type: sqlserver, host: h, database: d, username: u, password: { env: P }, timezone: UTC }\nquery:\n  sql: |\n    SELECT id, a, b, c, k, ts FROM t WITH (NOLOCK) WHERE ts >= {{ window.start }} AND ts < {{ window.end }}\n";
    ORDER_BY_UNNEEDED = "order_by_unneeded", Warning, "The query sorts its result for nothing.",
        "Bookings are ordered by their time and by `pairing.tie_break`, whatever the order in which they come. Sorting costs the server memory, and the first row comes only when all are read. With `LIMIT`, `TOP` or `FETCH FIRST` it decides what comes, and is not meant.",
        "query:\n  sql: |\n    SELECT id, a, b, c, k, ts FROM t WHERE ts >= {{ window.start }} AND ts < {{ window.end }} ORDER BY ts\n";
    DIALECT_FUNCTION = "dialect_function", Warning, "The query calls a function that this server does not have of its own.",
        "It fails, unless somebody made a function of that name there. The finding has a spelling that works.",
        "query:\n  sql: |\n    SELECT id, NVL(a, '') AS a, b, c, k, ts FROM t WHERE ts >= {{ window.start }} AND ts < {{ window.end }}\n";
    KEY_CHANGES = "key_changes", Warning, "`key` holds a column that changes.",
        "A row whose key changes is, to the engine, a row that went and another that came: a deletion and a new run, each time. `end`, quantities, the state that `cancelled_when` asks for and the change column of a cursor change; the primary key stays.",
        "table: order\nkey: [d, e]\nfields: { order_code: a, product_code: b, machine_code: c, start: d, end: e }\n";
    CODE_UNMAPPED = "code_unmapped", Warning, "A row of `tests` has a code that `map` lacks.",
        "The row is rejected, and a test that does not say what is rejected passes all the same. Add the code, decide with `unmapped`, or write what is rejected under `expect`.",
        "tests:\n  - { name: one, rows: [{ id: 1, a: x, b: w, c: z, k: U, ts: 2025-03-29T21:00:00Z }], expect: { runs: [] } }\n";
    BAD_ALLOW = "bad_allow", Warning, "An `allow` comment without a code or a reason.",
        "`# engine: allow(code): reason` silences a warning on its line, or on the next one where it stands alone; in SQL, `-- engine: allow(code): reason`. Whoever comes later must learn why.",
        "description: example  # engine: allow(select_star)\n";
    ALLOW_UNKNOWN_CODE = "allow_unknown_code", Warning, "An `allow` comment with a code that does not exist.",
        "It silences nothing.",
        "description: example  # engine: allow(selct_star): a view of ours\n";
    ALLOW_UNUSED = "allow_unused", Warning, "An `allow` comment that silences nothing.",
        "What it was for is gone, or on another line, or it is an error: errors cannot be allowed.",
        "description: example  # engine: allow(select_star): a view of ours\n";
}

#[cfg(test)]
mod tests;
