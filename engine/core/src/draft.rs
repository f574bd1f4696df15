//! A spec, drafted from a survey: what was found, what was answered, and a comment wherever somebody must look.
//!
//! The draft is a text that validates as it is. It is a pure function of the survey, of the table that was chosen in it,
//! and of the answers; nothing is in it that neither the survey nor the answers say.

mod examples;
mod fields;
mod name;
mod query;
mod times;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use engine_spec::model::TableType;
use engine_spec::sql::Dialect;
use engine_spec::yaml::emit::{self, comment};
use serde_json::Value;

pub use self::examples::{Example, examples_text};
pub use self::name::id_of;
use self::query::Query;
use crate::discover::{Candidate, Confidence, Role, Survey, TableFacts};

/// Columns whose meaning a spec must know, by table type.
pub fn required_roles(table: TableType) -> &'static [Role] {
    match table {
        TableType::Order => &[Role::OrderCode, Role::ProductCode, Role::MachineCode, Role::Start, Role::End],
        TableType::Booking => &[Role::OrderCode, Role::ProductCode, Role::MachineCode, Role::Timestamp, Role::Event],
    }
}

/// Name of a role in a spec and on the command line.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::OrderCode => "order_code",
        Role::ProductCode => "product_code",
        Role::MachineCode => "machine_code",
        Role::Start => "start",
        Role::End => "end",
        Role::Timestamp => "timestamp",
        Role::Event => "event",
        Role::ProductName => "product_name",
        Role::QuantityTotal => "quantity_total",
        Role::QuantityScrap => "quantity_scrap",
        Role::QuantityYield => "quantity_yield",
        Role::QuantityUnit => "quantity_unit",
        Role::Status => "status",
        Role::Cancelled => "cancelled",
    }
}

/// Every role, in the order of a spec.
pub const ROLES: [Role; 14] = [
    Role::OrderCode,
    Role::ProductCode,
    Role::ProductName,
    Role::MachineCode,
    Role::Start,
    Role::End,
    Role::Timestamp,
    Role::Event,
    Role::QuantityTotal,
    Role::QuantityYield,
    Role::QuantityScrap,
    Role::QuantityUnit,
    Role::Status,
    Role::Cancelled,
];

/// What a code of the event column does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It starts one.
    Start,
    /// It ends one.
    End,
    /// Neither: rows with it are left out.
    Neither,
}

/// Where the runs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Where the device config says.
    Device,
    /// To standard output.
    Stdout,
    /// To the platform at this address.
    Platform(String),
}

/// Why the zone is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneFrom {
    /// The source block has it already.
    Source,
    /// Somebody said so.
    Said,
    /// It is that of the machine on which the draft was made.
    Machine,
}

/// What cannot be seen in a database, or was not certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The id of the pipeline.
    pub id: String,
    /// The text of the source block, from `source:` to its end.
    pub source: String,
    /// Zone of naive date-times.
    pub zone: String,
    /// Where the zone is from.
    pub zone_from: ZoneFrom,
    /// Constants in place of columns.
    pub constants: BTreeMap<Role, String>,
    /// What the codes of the event column do; a code that is not here goes to quarantine.
    pub events: BTreeMap<String, Meaning>,
    /// Values of the column with the role `cancelled` that say that a row does not count.
    pub cancelled: Vec<Value>,
    /// Values of the column with the role `status` that say likewise.
    pub cancelled_states: Vec<Value>,
    /// Values of the column with the role `status` that say that nothing has begun.
    pub waiting_states: Vec<Value>,
    /// Where the runs go.
    pub delivery: Delivery,
}

/// Why there is no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A name of the source that no query can have.
    #[error("{0}")]
    Name(String),
    /// A column that a spec must have.
    #[error("no column is known for `{}`", role_name(*.0))]
    Missing(Role),
    /// The table is not in the survey.
    #[error("table `{0}` is not in the survey")]
    Table(String),
    /// The source has no SQL.
    #[error("a source of type `{0}` has no tables")]
    Source(String),
}

/// The text of a spec, without tests.
pub fn spec_text(survey: &Survey, candidate: &Candidate, answers: &Answers) -> Result<String, DraftError> {
    let dialect =
        Dialect::of_source_type(&survey.source_type).ok_or_else(|| DraftError::Source(survey.source_type.clone()))?;
    let table = facts(survey, candidate)?;
    for role in required_roles(candidate.table) {
        if !candidate.roles.contains_key(role) && !answers.constants.contains_key(role) {
            return Err(DraftError::Missing(*role));
        }
    }
    let draft = Draft { dialect, survey, candidate, answers, table };
    let query = Query::new(&draft)?;
    let mut out = String::new();
    draft.head(&mut out);
    draft.source(&mut out);
    draft.reasons(&mut out);
    query.write(&draft, &mut out)?;
    draft.key(&query, &mut out);
    fields::write(&draft, &query, &mut out);
    draft.machines(&mut out);
    draft.conditions(&query, &mut out);
    draft.pairing(&query, &mut out);
    draft.sync(&mut out);
    draft.delivery(&mut out);
    Ok(out)
}

/// What the survey says of the chosen table.
pub fn facts<'a>(survey: &'a Survey, candidate: &Candidate) -> Result<&'a TableFacts, DraftError> {
    let found = survey.tables.iter().find(|table| table.name == candidate.name);
    found.ok_or_else(|| DraftError::Table(candidate.name.table.clone()))
}

/// Everything that a draft is made of.
struct Draft<'a> {
    dialect: Dialect,
    survey: &'a Survey,
    candidate: &'a Candidate,
    answers: &'a Answers,
    table: &'a TableFacts,
}

impl Draft<'_> {
    fn head(&self, out: &mut String) {
        let (what, table) = (self.what(), shown(self.candidate));
        let version = comment(&self.survey.version);
        let date = self.survey.now.strftime("%Y-%m-%d");
        let _ = write!(
            out,
            "# {what} of {table}, drafted on {date} from {version}.\n\
             # What is marked with `?` was guessed: look at it.\n\
             version: 1\nid: {}\ndescription: {}\n\n",
            self.answers.id,
            emit::scalar(&format!("{what} of {table}")),
        );
    }

    fn what(&self) -> &'static str {
        match self.candidate.table {
            TableType::Order => "Orders",
            TableType::Booking => "Bookings",
        }
    }

    fn source(&self, out: &mut String) {
        let written = self.answers.source.trim_end();
        let zone = emit::scalar(&self.answers.zone);
        let remark = match self.answers.zone_from {
            ZoneFrom::Source => None,
            ZoneFrom::Said => Some(String::new()),
            ZoneFrom::Machine => Some("   # ? the zone of the machine where this was drafted".to_owned()),
        };
        match remark {
            None => out.push_str(written),
            Some(remark) => match in_braces(written) {
                Some(flow) => {
                    let _ = write!(out, "{}, timezone: {zone} }}{remark}", flow.trim_end().trim_end_matches(','));
                }
                None => {
                    let second = written.lines().skip(1).find(|line| !line.trim_start().starts_with('#'));
                    let indent = second.map_or(2, |line| line.len() - line.trim_start().len());
                    let _ = write!(out, "{written}\n{:indent$}timezone: {zone}{remark}", "");
                }
            },
        }
        out.push_str("\n\n");
    }

    fn reasons(&self, out: &mut String) {
        if !self.candidate.reasons.is_empty() {
            let word = self.what().to_lowercase();
            let _ = writeln!(out, "# Read as {word}, because:");
            for reason in &self.candidate.reasons {
                let _ = writeln!(out, "# - {}", comment(reason));
            }
        }
        let table = match self.candidate.table {
            TableType::Order => "order",
            TableType::Booking => "booking",
        };
        let _ = write!(out, "table: {table}");
        if self.candidate.key.is_empty() {
            let _ = write!(
                out,
                "   # engine: allow(key_left_out): {} has no key that the survey saw",
                shown(self.candidate)
            );
        }
        out.push_str("\n\n");
    }

    fn key(&self, query: &Query, out: &mut String) {
        if self.candidate.key.is_empty() {
            out.push_str(
                "# ? No key was found. A row is known by what it says: a correction is a deletion and a new row.\n\
                 # Where columns identify a row for ever, name them: `key: [id]`.\n\n",
            );
            return;
        }
        let names: Vec<String> =
            self.candidate.key.iter().map(|column| emit::scalar(query.result_name(column))).collect();
        let _ = writeln!(out, "key: [{}]\n", names.join(", "));
    }

    /// The codes of the machines that were seen, for the ids of the platform.
    fn machines(&self, out: &mut String) {
        const MACHINES: usize = 50;
        let Some(guess) = self.candidate.roles.get(&Role::MachineCode) else { return };
        let owner = match &guess.joined {
            Some(joined) => self.survey.tables.iter().find(|table| table.name == joined.to),
            None => Some(self.table),
        };
        let codes: std::collections::BTreeSet<String> = owner
            .map(|table| frequent(table, &guess.column))
            .unwrap_or_default()
            .iter()
            .map(|(v, _)| plain(v))
            .collect();
        let codes: Vec<&String> = codes.iter().filter(|code| !code.is_empty()).take(MACHINES).collect();
        if codes.is_empty() {
            return;
        }
        out.push_str(
            "# Machines that were seen. To send the ids of the platform with them, fill these in.\n# machines:\n",
        );
        for code in codes {
            let _ = writeln!(out, "#   {}: 00000000-0000-0000-0000-000000000000", emit::scalar(code));
        }
        out.push('\n');
    }

    fn conditions(&self, query: &Query, out: &mut String) {
        let of = |role: Role, values: &[Value]| -> Option<String> {
            // What identifies a row decides nothing about it: the row that it was would be gone.
            let guess = self.candidate.roles.get(&role).filter(|guess| !self.candidate.key.contains(&guess.column))?;
            (!values.is_empty()).then(|| fields::one_of(query.role_name(role, guess), values))
        };
        let cancelled: Vec<String> =
            [of(Role::Cancelled, &self.answers.cancelled), of(Role::Status, &self.answers.cancelled_states)]
                .into_iter()
                .flatten()
                .collect();
        let neither = self.answers.events.iter().filter(|(_, meaning)| **meaning == Meaning::Neither);
        let neither: Vec<Value> = neither.map(|(code, _)| self.value_of_event(code)).collect();
        let skipped: Vec<String> = [of(Role::Event, &neither), of(Role::Status, &self.answers.waiting_states)]
            .into_iter()
            .flatten()
            .chain(self.without_times(query))
            .collect();
        for (key, why, conditions) in [
            ("cancelled_when", "such a row does not count; what was made of it is undone", &cancelled),
            ("skip_when", "such a row starts and ends nothing", &skipped),
        ] {
            if !conditions.is_empty() {
                let _ = writeln!(out, "{key}: {}   # {why}", emit::scalar(&conditions.join(" or ")));
            }
        }
        if !cancelled.is_empty() || !skipped.is_empty() {
            out.push('\n');
        }
    }

    /// Conditions that find rows whose times nobody typed in.
    fn without_times(&self, query: &Query) -> Vec<String> {
        let mut conditions = Vec::new();
        for (_, guess) in query::used_roles(self) {
            let time = times::time_of(self, guess);
            let Some((column, _)) = &time.time_of_day else { continue };
            let fillers: Vec<Value> = time.time_of_day_fillers.iter().map(|filler| filler.as_str().into()).collect();
            if !fillers.is_empty() {
                conditions.push(fields::one_of(query.result_name(column), &fillers));
            }
        }
        conditions
    }

    /// A code as the source gives it, which may be a number.
    fn value_of_event(&self, code: &str) -> Value {
        let column = self.candidate.roles.get(&Role::Event).map(|guess| guess.column.as_str());
        let values = column.map(|column| frequent(self.table, column)).unwrap_or_default();
        let found = values.iter().map(|(value, _)| value).find(|value| plain(value) == code && !value.is_string());
        found.cloned().unwrap_or_else(|| Value::from(code))
    }

    /// A key that is one number was counted up as bookings came in: of one second, it says which was first.
    fn pairing(&self, query: &Query, out: &mut String) {
        let [key] = self.candidate.key.as_slice() else { return };
        let is_number = self.table.columns.iter().any(|column| column.name == *key && is_whole(&column.source_type));
        if self.candidate.table == TableType::Booking && is_number {
            let name = emit::scalar(query.result_name(key));
            let _ =
                writeln!(out, "pairing: {{ tie_break: [{name}] }}   # of one second, the key says which came first\n");
        }
    }

    fn sync(&self, out: &mut String) {
        out.push_str("sync:\n  mode: window\n  lookback: 14d   # as far back as rows are still corrected\n");
        if let Some(change) = &self.candidate.change {
            let index = if change.indexed { "has an index" } else { "has no index" };
            let _ = writeln!(
                out,
                "# `{}` seems to tell that a row changed ({}), and {index}.\n# `mode: cursor` would read by it, and never see \
                 that a row is gone.",
                comment(&change.column),
                comment(&change.why)
            );
        }
        out.push('\n');
    }

    fn delivery(&self, out: &mut String) {
        match &self.answers.delivery {
            Delivery::Device => out.push_str("# destination: that of the device config, engine.yaml\n"),
            Delivery::Stdout => out.push_str(
                "destination: { type: stdout }   # a trial; without this line, the device config says where to\n",
            ),
            Delivery::Platform(url) => {
                let url = emit::scalar(url);
                let _ = writeln!(out, "destination:\n  type: enlyze\n  url: {url}\n  token: {{ env: ENLYZE_TOKEN }}");
            }
        }
    }
}

/// A source block that is written in braces, up to the last of them.
fn in_braces(source: &str) -> Option<&str> {
    let value = source.split_once(':')?.1.trim_start();
    if value.starts_with('{') { source.strip_suffix('}') } else { None }
}

/// The mark of a guess that should be looked at.
fn doubt(confidence: Confidence) -> &'static str {
    if confidence == Confidence::Guess { "? " } else { "" }
}

/// A table's name for people.
fn shown(candidate: &Candidate) -> String {
    let name = match &candidate.name.schema {
        Some(schema) => format!("{schema}.{}", candidate.name.table),
        None => candidate.name.table.clone(),
    };
    comment(&name)
}

/// The values of a column that were seen most often.
pub fn frequent<'a>(table: &'a TableFacts, column: &str) -> &'a [(Value, u64)] {
    table.sample.as_ref().and_then(|sample| sample.columns.get(column)).map_or(&[], |sample| &sample.frequent)
}

/// A value as text, without the blanks around it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

fn is_whole(source_type: &str) -> bool {
    let lower = source_type.to_lowercase();
    ["int", "serial", "number", "numeric", "decimal"].iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests;
