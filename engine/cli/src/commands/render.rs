//! `engine render`: the SQL or the request that would be sent, and its typed parameters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use engine_core::plan::Plan;
use engine_core::ports::{Ask, HttpSourceConfig, SourceConfig};
use engine_spec::model::SyncMode;
use engine_spec::template::{BindValue, RenderedRequest, Scope, Statement, TemplateError};
use jiff::{SignedDuration, Timestamp};

use crate::args::{Output, RenderArgs};
use crate::exit::{CommandError, Kind};
use crate::project::Project;

/// Prints the statement of every spec. Connects to nothing.
pub fn run(args: &RenderArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let project = Project::open(&args.paths, config)?;
    let now = args.now.unwrap_or_else(crate::clock::now);
    let mut json = Vec::new();
    for spec in &project.specs {
        let plan = project.plan(spec, true)?;
        let Some(statement) = statement(&plan, now)? else {
            continue;
        };
        match args.output {
            Output::Text => crate::show::print(&text(&plan, &statement)),
            Output::Json => json.push(as_json(&plan, &statement)),
        }
    }
    if args.output == Output::Json {
        crate::show::print(&format!("{}\n", serde_json::Value::from(json)));
    }
    if project.broken { Err(CommandError::said(Kind::Usage)) } else { Ok(()) }
}

/// What a run would ask at an instant, from a cursor on.
pub fn ask(plan: &Plan, now: Timestamp, cursor: &BTreeMap<String, BindValue>) -> Result<Ask, CommandError> {
    let sync = &plan.sync;
    let moved = |by: std::time::Duration, back: bool| {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let moved = if back { now.saturating_sub(by) } else { now.saturating_add(by) };
        moved.unwrap_or(now)
    };
    let window = (sync.mode == SyncMode::Window).then(|| (moved(sync.lookback, true), moved(sync.lookahead, false)));
    let scope = Scope { params: &plan.params, window, cursor, now, zone: &plan.zone };
    let statement = plan.query.as_ref().map(|query| query.render(&scope)).transpose();
    let statement = statement.map_err(|error| wrong(plan, "query: ", &error))?;
    Ok(Ask { statement, window, cursor: cursor.clone(), now, batch_rows_max: None })
}

fn wrong(plan: &Plan, part: &str, error: &TemplateError) -> CommandError {
    CommandError::new(Kind::Usage, format!("{}: {part}{error}", plan.id))
}

/// The statement, or the request, that a run would send at an instant, of a pipeline that has read nothing yet.
pub fn statement(plan: &Plan, now: Timestamp) -> Result<Option<Statement>, CommandError> {
    let cursor = match plan.sync.mode {
        SyncMode::Cursor => plan.sync.cursor.iter().map(|name| (name.clone(), BindValue::Null)).collect(),
        SyncMode::Window | SyncMode::Full => BTreeMap::new(),
    };
    let asked = ask(plan, now, &cursor)?;
    let SourceConfig::Http(api) = &plan.source else { return Ok(asked.statement) };
    let scope = Scope { params: &plan.params, window: asked.window, cursor: &asked.cursor, now, zone: &plan.zone };
    let request = api.request.render(&scope).map_err(|error| wrong(plan, "source.", &error))?;
    Ok(Some(Statement { sql: as_text(api, &request), binds: request.binds }))
}

/// The first request of an API as it goes over the wire, without its login and what the pages add.
fn as_text(api: &HttpSourceConfig, request: &RenderedRequest) -> String {
    let mut out = format!("{} {}\n", request.method.name(), request.address(&api.url, &[]));
    for (name, value) in &request.headers {
        let _ = writeln!(out, "{name}: {value}");
    }
    for (name, _) in &api.secret_headers {
        let _ = writeln!(out, "{name}: ***");
    }
    if let Some(body) = &request.body {
        let _ = writeln!(out, "\n{body}");
    }
    out
}

/// A statement and its parameters, for people.
pub(crate) fn text(plan: &Plan, statement: &Statement) -> String {
    let mut out = format!("-- {} ({})\n{}", plan.id, plan.source_type, statement.sql);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    for (number, bind) in statement.binds.iter().enumerate() {
        let (kind, value) = describe(&bind.value);
        let _ = writeln!(out, "-- {}: {value} ({kind}, {})", number + 1, bind.origin);
    }
    out.push('\n');
    out
}

/// A statement and its parameters, for programs.
pub(super) fn as_json(plan: &Plan, statement: &Statement) -> serde_json::Value {
    let params: Vec<serde_json::Value> = statement
        .binds
        .iter()
        .map(|bind| {
            let (kind, _) = describe(&bind.value);
            serde_json::json!({"origin": bind.origin, "type": kind, "value": bind_json(&bind.value)})
        })
        .collect();
    let text = if plan.query.is_some() { "sql" } else { "request" };
    serde_json::json!({"pipeline": plan.id, "source": plan.source_type, text: statement.sql, "params": params})
}

/// The type and the text of a bound value.
pub fn describe(value: &BindValue) -> (&'static str, String) {
    match value {
        BindValue::Null => ("null", "null".to_owned()),
        BindValue::Bool(truth) => ("boolean", truth.to_string()),
        BindValue::Int(number) => ("integer", number.to_string()),
        BindValue::Float(number) => ("float", number.to_string()),
        BindValue::Decimal(digits) => ("decimal", digits.clone()),
        BindValue::Text(text) => ("text", format!("'{text}'")),
        BindValue::Bytes(bytes) => {
            ("bytes", bytes.iter().fold(String::from("0x"), |out, byte| format!("{out}{byte:02x}")))
        }
        BindValue::Date(date) => ("date", date.to_string()),
        BindValue::Civil { civil, .. } => ("local date-time", civil.to_string()),
        BindValue::Instant { instant, .. } => ("instant", instant.to_string()),
    }
}

/// A bound value as JSON: what `expect.params` of a test is compared with.
pub fn bind_json(value: &BindValue) -> serde_json::Value {
    match value {
        BindValue::Null => serde_json::Value::Null,
        BindValue::Bool(truth) => (*truth).into(),
        BindValue::Int(number) => (*number).into(),
        BindValue::Float(number) => (*number).into(),
        BindValue::Text(text) => text.as_str().into(),
        other => describe(other).1.into(),
    }
}
