//! A session: its settings, its variables, its transaction.

mod answers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr, Statement};

use crate::batch::{self, Node, Tokens};
use crate::catalogue::{Catalogue, Table};
use crate::compile::{Compiled, Compiler, Scope};
use crate::convert::Settings;
use crate::database::{Database, Living, Seen, Shared};
use crate::errors::{Fallible, error, from_sqlite, not_understood};
use crate::execute::{self, Work};
use crate::types::Type;
use crate::{Outcome, Parameter, Product, ServerError, Session, Sink, Value, functions, views};

/// How long a change of the catalogue waits for other sessions.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Rounds of a `WHILE` at most.
const ROUNDS_MAX: usize = 100_000;

/// What is known of a session while a statement is compiled.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub number: u32,
    pub login: String,
    pub database: String,
    pub schema: String,
    pub program: String,
    pub host: String,
    pub version: String,
    pub administrator: bool,
    pub rights: BTreeSet<(String, String)>,
    /// All accounts, in upper case.
    pub logins: BTreeSet<String>,
    pub roles: BTreeSet<String>,
    /// What was said with `SET` or `ALTER SESSION SET`.
    pub options: BTreeMap<String, String>,
    pub temporary: HashMap<String, Table>,
    pub transactions: i64,
    pub affected: i64,
    pub identity: Option<i64>,
    /// What a `CATCH` handles.
    pub failure: Option<ServerError>,
}

impl Facts {
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }
}

/// What a transaction did to the catalogue.
pub(crate) enum Changed {
    Made(Table),
    Removed(Table),
}

/// How a statement went on.
pub(crate) enum Flow {
    Next,
    Ended(Outcome),
}

/// A session of a [`Database`].
pub(crate) struct StandIn {
    pub shared: Arc<Shared>,
    pub connection: Connection,
    pub facts: Facts,
    pub settings: Arc<Mutex<Settings>>,
    pub killed: Arc<AtomicBool>,
    /// Bound values, then variables.
    pub parameters: Vec<Parameter>,
    pub text: String,
    /// Tables that were made and removed in the transaction, newest last.
    pub changed: Vec<Changed>,
    /// After `SET TRANSACTION READ ONLY`.
    pub reads_only: bool,
}

impl StandIn {
    pub(crate) fn open(database: &Database, login: &str) -> Fallible<StandIn> {
        let shared = Arc::clone(&database.shared);
        let product = shared.product;
        let refused = |failure: &rusqlite::Error| from_sqlite(product, failure);
        let connection = Connection::open(&shared.file).map_err(|failure| refused(&failure))?;
        let settings = Arc::new(Mutex::new(Settings::new(product)));
        connection
            .busy_timeout(LOCK_WAIT)
            .and_then(|()| {
                connection
                    .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;")
            })
            .and_then(|()| connection.busy_timeout(Duration::ZERO))
            .and_then(|()| functions::register(&connection, &settings, &shared.counters))
            .map_err(|failure| refused(&failure))?;
        let number = shared.next_session();
        let killed = Arc::new(AtomicBool::new(false));
        let mut state = shared.state();
        let living = Living {
            login: login.to_owned(),
            program: String::new(),
            host: "localhost".to_owned(),
            serial: number * 7 + 1,
            command: None,
            sql: String::new(),
            options: BTreeMap::new(),
            killed: Arc::clone(&killed),
        };
        state.sessions.insert(number, living);
        let version = state.version.clone().unwrap_or_else(|| views::standard_version(product).to_owned());
        drop(state);
        let schema = match product {
            Product::SqlServer => "dbo".to_owned(),
            Product::Oracle => login.to_uppercase(),
        };
        let facts = Facts {
            number,
            login: login.to_owned(),
            database: shared.name.clone(),
            schema,
            program: String::new(),
            host: "localhost".to_owned(),
            version,
            administrator: false,
            rights: BTreeSet::new(),
            logins: BTreeSet::new(),
            roles: BTreeSet::new(),
            options: BTreeMap::new(),
            temporary: HashMap::new(),
            transactions: 0,
            affected: 0,
            identity: None,
            failure: None,
        };
        Ok(StandIn {
            shared,
            connection,
            facts,
            settings,
            killed,
            parameters: Vec::new(),
            text: String::new(),
            changed: Vec::new(),
            reads_only: false,
        })
    }

    pub(crate) fn product(&self) -> Product {
        self.shared.product
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs SQL of SQLite's that says nothing to the client.
    pub(crate) fn store(&self, sql: &str) -> Fallible<()> {
        let begun = Instant::now();
        loop {
            match self.connection.execute_batch(sql) {
                Err(failure)
                    if matches!(
                        failure.sqlite_error_code(),
                        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
                    ) && begun.elapsed() < LOCK_WAIT =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                done => return done.map_err(|failure| from_sqlite(self.product(), &failure)),
            }
        }
    }

    /// Compiles with the catalogue as it is now, and fills the server's views that are asked for.
    pub(crate) fn compile<T>(&self, compile: impl FnOnce(&mut Compiler) -> Fallible<T>) -> Fallible<T> {
        let catalogue: Catalogue = self.shared.state().catalogue.clone();
        let settings = self.settings();
        let mut compiler = Compiler::new(&catalogue, &self.facts, &settings, &self.parameters, &self.text);
        let compiled = compile(&mut compiler)?;
        for view in compiler.views {
            views::fill(self, view)?;
        }
        Ok(compiled)
    }

    /// The value of an expression, now.
    pub(crate) fn value(&self, expr: &Expr) -> Fallible<(Value, Type)> {
        let typed = self.compile(|compiler| compiler.expr(expr, &Scope::default()))?;
        Ok((self.scalar(&typed.sql)?, typed.ty))
    }

    fn scalar(&self, sql: &str) -> Fallible<Value> {
        let refused = |failure: rusqlite::Error| from_sqlite(self.product(), &failure);
        let mut statement = self.connection.prepare(&format!("SELECT {sql}")).map_err(refused)?;
        for at in 1..=statement.parameter_count() {
            let value = self.parameters.get(at - 1).map_or(Value::Null, |parameter| parameter.value.clone());
            statement.raw_bind_parameter(at, functions::to_sqlite(value)).map_err(refused)?;
        }
        let mut rows = statement.raw_query();
        let row = rows.next().map_err(refused)?;
        Ok(match row {
            Some(row) => functions::from_sqlite(row.get_ref(0).map_err(refused)?),
            None => Value::Null,
        })
    }

    fn holds(&self, condition: &Tokens) -> Fallible<bool> {
        let expr = batch::parse_condition(self.product(), &self.text, condition)?;
        let sql = self.compile(|compiler| compiler.condition(&expr, &Scope::default()))?;
        Ok(self.scalar(&sql)? == Value::Int(1))
    }

    pub(crate) fn nodes(&mut self, nodes: &[Node], sink: &mut dyn Sink) -> Fallible<Flow> {
        for node in nodes {
            if let Flow::Ended(outcome) = self.node(node, sink)? {
                return Ok(Flow::Ended(outcome));
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, sink: &mut dyn Sink) -> Fallible<Flow> {
        match node {
            Node::Plain(tokens) => self.statement(tokens, sink),
            Node::Block(nodes) => self.nodes(nodes, sink),
            Node::If { condition, then, otherwise } => match (self.holds(condition)?, otherwise) {
                (true, _) => self.node(then, sink),
                (false, Some(otherwise)) => self.node(otherwise, sink),
                (false, None) => Ok(Flow::Next),
            },
            Node::While { condition, body } => {
                for _ in 0..ROUNDS_MAX {
                    if !self.holds(condition)? {
                        return Ok(Flow::Next);
                    }
                    if let Flow::Ended(outcome) = self.node(body, sink)? {
                        return Ok(Flow::Ended(outcome));
                    }
                }
                Err(not_understood(self.product(), "WHILE"))
            }
            Node::Try { body, handler } => match self.nodes(body, sink) {
                Err(failure) => {
                    self.facts.failure = Some(failure);
                    let handled = self.nodes(handler, sink);
                    self.facts.failure = None;
                    handled
                }
                done => done,
            },
        }
    }

    /// A statement that sqlparser reads.
    pub(crate) fn parsed(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        let mut statement = batch::parse_statement(self.product(), &self.text, tokens)?;
        if let Statement::Query(query) = &mut statement {
            if let Some(assignments) = assignments(query) {
                return self.assign(&assignments, sink);
            }
            if let SetExpr::Select(select) = query.body.as_mut()
                && let Some(into) = select.into.take()
            {
                let name = into.targets.first().map(ToString::to_string).unwrap_or_default();
                return self.table_of_query(&name, query, sink);
            }
        }
        match statement {
            Statement::Query(query) => self.query(&query, sink),
            Statement::Insert(insert) => self.change(|compiler| compiler.insert(&insert), sink),
            Statement::Update(update) => self.change(|compiler| compiler.update(&update), sink),
            Statement::Delete(delete) => self.change(|compiler| compiler.delete(&delete), sink),
            other => Err(not_understood(self.product(), &other.to_string())),
        }
    }

    fn query(&mut self, query: &Query, sink: &mut dyn Sink) -> Fallible<Flow> {
        let compiled = self.compile(|compiler| compiler.query(query, None))?;
        if self.facts.option("SHOWPLAN_XML") == Some("ON") {
            return self.plan(sink);
        }
        self.answer(&compiled, sink)
    }

    /// The plan of a statement in place of its rows.
    fn plan(&self, sink: &mut dyn Sink) -> Fallible<Flow> {
        let column = crate::Column {
            name: "Microsoft SQL Server 2005 XML Showplan".to_owned(),
            declared: "xml".to_owned(),
            nullable: true,
        };
        let row = Value::Text(views::show_plan(&self.text));
        let flow =
            sink.columns(&[column]).is_continue() && sink.row(&[row]).is_continue() && sink.done(1).is_continue();
        Ok(if flow { Flow::Next } else { Flow::Ended(Outcome::Cancelled) })
    }

    fn answer(&mut self, compiled: &Compiled, sink: &mut dyn Sink) -> Fallible<Flow> {
        let product = self.product();
        let columns = compiled.columns.iter().map(|column| column.to_column(product)).collect::<Vec<_>>();
        if sink.columns(&columns) == ControlFlow::Break(()) {
            return Ok(Flow::Ended(Outcome::Cancelled));
        }
        self.work(&compiled.sql, compiled, sink)
    }

    fn change(
        &mut self,
        compile: impl FnOnce(&mut Compiler) -> Fallible<String>,
        sink: &mut dyn Sink,
    ) -> Fallible<Flow> {
        let sql = self.compile(compile)?;
        if self.facts.option("SHOWPLAN_XML") == Some("ON") {
            return self.plan(sink);
        }
        if self.reads_only {
            return Err(error(1456, "may not perform insert, delete, update operation inside a READ ONLY transaction"));
        }
        if self.product() == Product::Oracle && self.connection.is_autocommit() {
            self.store("BEGIN IMMEDIATE")?;
        }
        self.work(&sql, &Compiled { sql: String::new(), columns: Vec::new() }, sink)
    }

    pub(crate) fn work(&mut self, sql: &str, compiled: &Compiled, sink: &mut dyn Sink) -> Fallible<Flow> {
        let zone = self.settings().zone;
        let lock_timeout = self
            .facts
            .option("LOCK_TIMEOUT")
            .and_then(|text| text.parse::<i64>().ok())
            .and_then(|most| u64::try_from(most).ok());
        let work = Work {
            product: self.shared.product,
            sql,
            parameters: &self.parameters,
            columns: &compiled.columns,
            zone: &zone,
            lock_timeout: lock_timeout.map(Duration::from_millis),
        };
        let ended = execute::run(&mut self.connection, &work, &self.killed, sink)?;
        self.facts.affected = ended.rows as i64;
        if ended.outcome == Outcome::Complete {
            return Ok(if sink.done(ended.rows).is_continue() { Flow::Next } else { Flow::Ended(Outcome::Cancelled) });
        }
        Ok(Flow::Ended(ended.outcome))
    }

    /// `SELECT @a = 1, @b = 2`
    fn assign(&mut self, assignments: &[(String, Query)], sink: &mut dyn Sink) -> Fallible<Flow> {
        for (name, query) in assignments {
            let compiled = self.compile(|compiler| compiler.query(query, None))?;
            let value = self.scalar(&format!("({})", compiled.sql))?;
            let ty = compiled.columns.first().map_or_else(Type::null, |column| column.ty.clone());
            self.set_variable(name, &value, &ty)?;
        }
        Ok(if sink.done(1).is_continue() { Flow::Next } else { Flow::Ended(Outcome::Cancelled) })
    }

    /// What was granted since, and what the session is called.
    fn refresh(&mut self) {
        let state = self.shared.state();
        self.facts.logins = state.logins.keys().cloned().collect();
        if let Some(login) = state.logins.get(&self.facts.login.to_uppercase()) {
            self.facts.administrator = login.administrator;
            self.facts.rights.clone_from(&login.rights);
            self.facts.roles.clone_from(&login.roles);
        }
        if let Some(living) = state.sessions.get(&self.facts.number) {
            self.facts.program.clone_from(&living.program);
            self.facts.host.clone_from(&living.host);
        }
    }

    /// Notes a change of the catalogue, in case the transaction is taken back.
    pub(crate) fn note(&mut self, change: Changed) {
        if !self.connection.is_autocommit() {
            self.changed.push(change);
        }
    }

    /// Takes the catalogue back to where it was before the transaction.
    pub(crate) fn undo(&mut self) {
        let mut state = self.shared.state();
        for change in self.changed.drain(..).rev() {
            match change {
                Changed::Made(table) => {
                    self.facts.temporary.remove(&table.name.to_uppercase());
                    state.catalogue.tables.remove(&table.key());
                }
                Changed::Removed(table) => {
                    state.catalogue.tables.insert(table.key(), table);
                }
            }
        }
    }

    /// Says to other sessions what this one does.
    fn show(&self, command: Option<String>) {
        if let Some(living) = self.shared.state().sessions.get_mut(&self.facts.number) {
            living.sql.clone_from(&self.text);
            living.options.clone_from(&self.facts.options);
            living.command = command;
        }
    }

    pub(crate) fn run_batch(&mut self, sink: &mut dyn Sink) -> Fallible<Outcome> {
        if let Some(answer) = self.prepared()
            && let Some(outcome) = self.give(answer, sink)?
        {
            return Ok(outcome);
        }
        let text = self.text.clone();
        let tokens = batch::tokens(self.product(), &text)?;
        let flow = match self.product() {
            Product::SqlServer => self.nodes(&batch::split(&tokens)?, sink)?,
            Product::Oracle => self.oracle(&tokens, sink)?,
        };
        Ok(match flow {
            Flow::Next => Outcome::Complete,
            Flow::Ended(outcome) => outcome,
        })
    }
}

/// The variables that a `SELECT` sets, each with the query of its value.
fn assignments(query: &Query) -> Option<Vec<(String, Query)>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let of_item = |item: &SelectItem| {
        let SelectItem::ExprWithAlias { expr, alias } = item else { return None };
        let name = alias.value.strip_prefix('@')?;
        let single = Select { projection: vec![SelectItem::UnnamedExpr(expr.clone())], ..select.as_ref().clone() };
        Some((name.to_owned(), Query { body: Box::new(SetExpr::Select(Box::new(single))), ..query.clone() }))
    };
    select.projection.iter().map(of_item).collect()
}

impl Session for StandIn {
    fn number(&self) -> u32 {
        self.facts.number
    }

    fn client(&mut self, program: &str, host: &str) {
        if let Some(living) = self.shared.state().sessions.get_mut(&self.facts.number) {
            living.program = program.to_owned();
            living.host = host.to_owned();
        }
    }

    fn encrypted(&mut self) {
        self.shared.state().encrypted.insert(self.facts.number);
    }

    fn run(&mut self, sql: &str, parameters: &[Parameter], sink: &mut dyn Sink) -> Result<Outcome, ServerError> {
        if self.is_killed() {
            return Ok(Outcome::Killed);
        }
        let seen = Seen { session: self.facts.number, sql: sql.to_owned(), parameters: parameters.to_vec() };
        self.shared.state().seen.push(seen);
        self.refresh();
        self.text = sql.to_owned();
        self.parameters = parameters.to_vec();
        let command = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
        self.show(Some(command));
        let outcome = self.run_batch(sink);
        self.show(None);
        outcome
    }

    fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.undo();
        let mut state = self.shared.state();
        state.sessions.remove(&self.facts.number);
        state.encrypted.remove(&self.facts.number);
    }
}
