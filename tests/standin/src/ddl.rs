//! Statements that make, change and remove tables and views.

use sqlparser::ast::Query;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::batch::{self, Tokens, closing, shown, word, words};
use crate::catalogue::{Table, TableColumn, View, key, quoted};
use crate::compile::Compiled;
use crate::errors::{Fallible, error, not_understood, syntax};
use crate::session::{Flow, StandIn};
use crate::statements::{plain, split_at_commas};
use crate::types::{Class, Type};
use crate::{Outcome, Product, Sink};

/// Words after which a column's type has ended.
const AFTER_TYPE: [&str; 13] = [
    "NOT",
    "NULL",
    "DEFAULT",
    "PRIMARY",
    "UNIQUE",
    "CONSTRAINT",
    "REFERENCES",
    "CHECK",
    "IDENTITY",
    "GENERATED",
    "AS",
    "ENABLE",
    "SPARSE",
];

/// A table as it is being described.
#[derive(Default)]
struct Plan {
    columns: Vec<TableColumn>,
    /// `PRIMARY KEY (a, b)` and the like, in SQLite's words.
    constraints: Vec<String>,
}

impl StandIn {
    /// `CREATE`, `DROP`, `ALTER`, `TRUNCATE`.
    pub(crate) fn define(&mut self, tokens: &Tokens, sink: &mut dyn Sink) -> Fallible<Flow> {
        if self.product() == Product::Oracle && !self.connection.is_autocommit() {
            // Oracle ends a transaction before it changes the catalogue.
            self.commit()?;
        }
        if self.facts.option("SHOWPLAN_XML") == Some("ON") {
            return Ok(Flow::Next);
        }
        let first = words(tokens, 6);
        let skipped = first
            .iter()
            .filter(|word| {
                matches!(
                    word.as_str(),
                    "OR" | "REPLACE"
                        | "GLOBAL"
                        | "TEMPORARY"
                        | "PRIVATE"
                        | "UNIQUE"
                        | "CLUSTERED"
                        | "NONCLUSTERED"
                        | "FORCE"
                )
            })
            .count();
        let kind = first.get(1 + skipped).cloned().unwrap_or_default();
        let rest = tokens.get(2 + skipped..).unwrap_or_default();
        match (first[0].as_str(), kind.as_str()) {
            ("CREATE", "TABLE") => return self.create_table(rest, sink),
            ("CREATE", "VIEW") => self.create_view(rest, tokens)?,
            ("CREATE", "INDEX") => self.create_index(rest, first.contains(&"UNIQUE".to_owned()))?,
            ("CREATE" | "DROP", "SCHEMA" | "SEQUENCE" | "SYNONYM" | "INDEX" | "STATISTICS") | ("COMMENT", _) => {}
            ("DROP", "TABLE") => self.drop_table(rest)?,
            ("DROP", "VIEW") => self.drop_view(rest)?,
            ("ALTER", "TABLE") => self.alter_table(rest)?,
            ("ALTER", "DATABASE") => {}
            ("TRUNCATE", "TABLE") => {
                let table = self.known(rest)?;
                self.store(&format!("DELETE FROM {}", quoted(&table.store)))?;
            }
            _ => return Err(not_understood(self.product(), &shown(&tokens[..tokens.len().min(3)]))),
        }
        Ok(if sink.done(0).is_continue() { Flow::Next } else { Flow::Ended(Outcome::Cancelled) })
    }

    /// Schema and name at the start of tokens, and how many tokens they take.
    fn object_name(&self, tokens: &[TokenWithSpan]) -> Fallible<(String, String, usize)> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(Token::Word(word)) = tokens.get(at).map(|token| &token.token) {
            parts.push(match (self.product(), word.quote_style) {
                (Product::Oracle, None) => word.value.to_uppercase(),
                (Product::SqlServer, Some('[')) => word.value.replace("]]", "]"),
                _ => word.value.clone(),
            });
            at += 1;
            if tokens.get(at).map(|token| &token.token) != Some(&Token::Period) {
                break;
            }
            at += 1;
        }
        let near = tokens.first().map(|token| token.token.to_string()).unwrap_or_default();
        let name = parts.pop().ok_or_else(|| syntax(self.product(), &near))?;
        let schema = parts.pop().unwrap_or_else(|| self.facts.schema.clone());
        Ok((schema, name, at))
    }

    fn known(&self, tokens: &[TokenWithSpan]) -> Fallible<Table> {
        let (schema, name, _) = self.object_name(tokens)?;
        if let Some(own) = self.facts.temporary.get(&name.to_uppercase()) {
            return Ok(own.clone());
        }
        let found = self.shared.state().catalogue.tables.get(&key(&schema, &name)).cloned();
        found.ok_or_else(|| match self.product() {
            Product::SqlServer => error(
                4902,
                format!("Cannot find the object \"{name}\" because it does not exist or you do not have permissions."),
            ),
            Product::Oracle => error(942, "table or view does not exist"),
        })
    }

    fn create_table(&mut self, tokens: &[TokenWithSpan], sink: &mut dyn Sink) -> Fallible<Flow> {
        let (schema, name, used) = self.object_name(tokens)?;
        self.must_be_new(&schema, &name)?;
        let rest = &tokens[used..];
        if words(rest, 1).first().is_some_and(|word| word == "AS") {
            let query = batch::parse_statement(self.product(), &self.text, &rest[1..])?;
            let sqlparser::ast::Statement::Query(query) = query else { return Err(syntax(self.product(), "AS")) };
            return self.table_of_query(&format!("\"{schema}\".\"{name}\""), &query, sink);
        }
        if rest.first().map(|token| &token.token) != Some(&Token::LParen) {
            return Err(syntax(self.product(), &name));
        }
        let end = closing(rest, 0);
        let mut plan = Plan::default();
        for part in split_at_commas(&rest[1..end]) {
            self.part_of_table(part, &mut plan)?;
        }
        self.make(&schema, &name, plan)?;
        Ok(if sink.done(0).is_continue() { Flow::Next } else { Flow::Ended(Outcome::Cancelled) })
    }

    fn must_be_new(&self, schema: &str, name: &str) -> Fallible<()> {
        let key = key(schema, name);
        let state = self.shared.state();
        let taken = self.facts.temporary.contains_key(&name.to_uppercase())
            || state.catalogue.tables.contains_key(&key)
            || state.catalogue.views.contains_key(&key);
        if taken {
            return Err(match self.product() {
                Product::SqlServer => {
                    error(2714, format!("There is already an object named '{name}' in the database."))
                }
                Product::Oracle => error(955, "name is already used by an existing object"),
            });
        }
        Ok(())
    }

    /// Makes the table in SQLite and in the catalogue.
    fn make(&mut self, schema: &str, name: &str, plan: Plan) -> Fallible<Table> {
        let own = name.starts_with('#');
        if !own
            && !self.facts.administrator
            && !self.facts.may("CREATE TABLE", "")
            && !self.facts.schema.eq_ignore_ascii_case(&self.facts.login)
        {
            return Err(match self.product() {
                Product::SqlServer => {
                    error(262, format!("CREATE TABLE permission denied in database '{}'.", self.facts.database))
                }
                Product::Oracle => error(1031, "insufficient privileges"),
            });
        }
        let table = Table {
            schema: schema.to_owned(),
            name: name.to_owned(),
            store: format!("{schema}.{name}").to_lowercase(),
            columns: plan.columns,
        };
        let columns = table.columns.iter().map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {} COLLATE {}{null}", quoted(&column.name), column.ty.affinity(), column.ty.collation())
        });
        let parts = columns.chain(plan.constraints).collect::<Vec<_>>().join(", ");
        self.store(&format!("CREATE {}TABLE {} ({parts})", if own { "TEMP " } else { "" }, quoted(&table.store)))?;
        if own {
            self.facts.temporary.insert(name.to_uppercase(), table.clone());
        } else {
            self.shared.state().catalogue.tables.insert(table.key(), table.clone());
        }
        Ok(table)
    }

    /// A column, or a constraint of the whole table.
    fn part_of_table(&self, part: &[TokenWithSpan], plan: &mut Plan) -> Fallible<()> {
        let first = words(part, 1);
        match first.first().map(String::as_str) {
            Some("PRIMARY" | "UNIQUE" | "CONSTRAINT" | "FOREIGN" | "CHECK") => {
                let key = part.iter().position(|token| matches!(word(&token.token).as_str(), "PRIMARY" | "UNIQUE"));
                let Some(key) = key else { return Ok(()) };
                let open = part.iter().skip(key).position(|token| token.token == Token::LParen).map(|at| at + key);
                let open = open.ok_or_else(|| syntax(self.product(), "KEY"))?;
                let named = split_at_commas(&part[open + 1..closing(part, open)]);
                let names = named
                    .iter()
                    .map(|name| self.object_name(name).map(|(_, name, _)| quoted(&name)))
                    .collect::<Fallible<Vec<_>>>()?;
                let kind = if word(&part[key].token) == "PRIMARY" { "PRIMARY KEY" } else { "UNIQUE" };
                if kind == "PRIMARY KEY" {
                    plan.columns
                        .iter_mut()
                        .filter(|column| names.contains(&quoted(&column.name)))
                        .for_each(|column| column.nullable = false);
                }
                plan.constraints.push(format!("{kind} ({})", names.join(", ")));
                Ok(())
            }
            _ => self.column_of_table(part, plan),
        }
    }

    fn column_of_table(&self, part: &[TokenWithSpan], plan: &mut Plan) -> Fallible<()> {
        let (_, name, used) = self.object_name(part)?;
        let rest = &part[used..];
        let mut depth = 0;
        let end = rest.iter().position(|token| {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            depth == 0 && AFTER_TYPE.contains(&word(&token.token).as_str())
        });
        let (declared, options) = rest.split_at(end.unwrap_or(rest.len()));
        let declared = shown(declared).replace(" ( ", "(").replace(" )", ")").replace(" , ", ",");
        let ty = Type::parse(self.product(), &declared).ok_or_else(|| match self.product() {
            Product::SqlServer => error(
                2715,
                format!(
                    "Column, parameter, or variable #{}: Cannot find data type {declared}.",
                    plan.columns.len() + 1
                ),
            ),
            Product::Oracle => error(902, "invalid datatype"),
        })?;
        let found = options.iter().map(|token| word(&token.token)).collect::<Vec<_>>();
        let has = |words: [&str; 2]| found.windows(2).any(|pair| pair == words);
        let default = found
            .iter()
            .position(|word| word == "DEFAULT")
            .filter(|at| found.get(at + 1).is_none_or(|next| next != "AS"));
        let default = default.map(|at| {
            let more = &options[at + 1..];
            let mut depth = 0;
            let end = more.iter().position(|token| {
                match token.token {
                    Token::LParen => depth += 1,
                    Token::RParen => depth -= 1,
                    _ => {}
                }
                depth == 0 && AFTER_TYPE.contains(&word(&token.token).as_str()) && word(&token.token) != "NULL"
            });
            shown(&more[..end.unwrap_or(more.len())])
        });
        let identity = found.iter().any(|word| word == "IDENTITY");
        let primary = has(["PRIMARY", "KEY"]);
        if primary {
            plan.constraints.push(format!("PRIMARY KEY ({})", quoted(&name)));
        } else if found.iter().any(|word| word == "UNIQUE") {
            plan.constraints.push(format!("UNIQUE ({})", quoted(&name)));
        }
        let nullable = !primary && !identity && !has(["NOT", "NULL"]) && ty.name != "rowversion";
        plan.columns.push(TableColumn { name, ty, nullable, default, identity });
        Ok(())
    }

    /// `SELECT … INTO t` and `CREATE TABLE t AS SELECT …`.
    pub(crate) fn table_of_query(&mut self, name: &str, query: &Query, sink: &mut dyn Sink) -> Fallible<Flow> {
        let tokens = batch::tokens(self.product(), name)?;
        let (schema, name, _) = self.object_name(&tokens)?;
        self.must_be_new(&schema, &name)?;
        let compiled = self.compile(|compiler| compiler.query(query, None))?;
        let product = self.product();
        let columns = compiled.columns.iter().map(|column| {
            let declared = column.to_column(product).declared;
            let ty = Type::parse(product, &declared).unwrap_or_else(Type::null);
            let ty =
                if ty.class() == Class::Text && ty.length == Some(0) { Type { length: Some(1), ..ty } } else { ty };
            TableColumn { name: column.name.clone(), ty, nullable: column.nullable, default: None, identity: false }
        });
        let plan = Plan { columns: columns.collect(), constraints: Vec::new() };
        let table = self.make(&schema, &name, plan)?;
        let names = table.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
        let sql = self.compile(|compiler| compiler.rows_of_query(&compiled, &table.columns, &[]))?;
        self.work(
            &format!("INSERT INTO {} ({names}) {sql}", quoted(&table.store)),
            &Compiled { sql: String::new(), columns: Vec::new() },
            sink,
        )
    }

    fn create_view(&mut self, rest: &[TokenWithSpan], all: &Tokens) -> Fallible<()> {
        let (schema, name, used) = self.object_name(rest)?;
        let replaces = all.iter().any(|token| word(&token.token) == "REPLACE");
        if !replaces {
            self.must_be_new(&schema, &name)?;
        }
        let start = rest.iter().skip(used).position(|token| word(&token.token) == "AS").map(|at| at + used + 1);
        let start = start.ok_or_else(|| syntax(self.product(), &name))?;
        let query = shown(&rest[start..]);
        let parsed = batch::parse_query(self.product(), &query)?;
        self.compile(|compiler| compiler.query(&parsed, None))?;
        let view = View { schema: schema.clone(), name: name.clone(), query };
        self.shared.state().catalogue.views.insert(key(&schema, &name), view);
        Ok(())
    }

    /// A unique index refuses rows; of the others nothing is to be seen.
    fn create_index(&mut self, rest: &[TokenWithSpan], unique: bool) -> Fallible<()> {
        let on =
            rest.iter().position(|token| word(&token.token) == "ON").ok_or_else(|| syntax(self.product(), "INDEX"))?;
        let table = self.known(&rest[on + 1..])?;
        let open = rest
            .iter()
            .position(|token| token.token == Token::LParen)
            .ok_or_else(|| syntax(self.product(), "INDEX"))?;
        let named = split_at_commas(&rest[open + 1..closing(rest, open)]);
        let mut names = Vec::new();
        for part in named {
            let (_, name, _) = self.object_name(part)?;
            match table.column(self.product(), &name) {
                Some(column) => names.push(quoted(&column.name)),
                None => return Ok(()),
            }
        }
        let index = quoted(&format!("{} {}", table.store, shown(&rest[..1])));
        self.store(&format!(
            "CREATE {}INDEX {index} ON {} ({})",
            if unique { "UNIQUE " } else { "" },
            quoted(&table.store),
            names.join(", ")
        ))
    }

    fn drop_table(&mut self, rest: &[TokenWithSpan]) -> Fallible<()> {
        let lenient = words(rest, 2) == ["IF", "EXISTS"];
        for part in split_at_commas(if lenient { &rest[2..] } else { rest }) {
            match self.known(part) {
                Ok(table) => {
                    self.store(&format!("DROP TABLE {}", quoted(&table.store)))?;
                    if self.facts.temporary.remove(&table.name.to_uppercase()).is_none() {
                        self.shared.state().catalogue.tables.remove(&table.key());
                    }
                }
                Err(_) if lenient => {}
                Err(unknown) => {
                    let name = shown(part).replace(' ', "");
                    return Err(match self.product() {
                        Product::SqlServer => error(
                            3701,
                            format!(
                                "Cannot drop the table '{name}', because it does not exist or you do not have permission."
                            ),
                        ),
                        Product::Oracle => unknown,
                    });
                }
            }
        }
        Ok(())
    }

    fn drop_view(&mut self, rest: &[TokenWithSpan]) -> Fallible<()> {
        let lenient = words(rest, 2) == ["IF", "EXISTS"];
        let (schema, name, _) = self.object_name(if lenient { &rest[2..] } else { rest })?;
        let removed = self.shared.state().catalogue.views.remove(&key(&schema, &name));
        if removed.is_some() || lenient {
            return Ok(());
        }
        Err(match self.product() {
            Product::SqlServer => error(
                3701,
                format!("Cannot drop the view '{name}', because it does not exist or you do not have permission."),
            ),
            Product::Oracle => error(942, "table or view does not exist"),
        })
    }

    /// `ADD` and `DROP COLUMN`.
    fn alter_table(&mut self, rest: &[TokenWithSpan]) -> Fallible<()> {
        let mut table = self.known(rest)?;
        let (.., used) = self.object_name(rest)?;
        let more = words(&rest[used..], 2);
        match more.first().map(String::as_str) {
            Some("ADD") => {
                let mut described = &rest[used + 1..];
                if let Some(Token::LParen) = described.first().map(|token| &token.token) {
                    described = &described[1..closing(described, 0)];
                }
                for part in split_at_commas(described) {
                    let mut plan = Plan::default();
                    self.part_of_table(part, &mut plan)?;
                    for column in plan.columns {
                        self.store(&format!(
                            "ALTER TABLE {} ADD COLUMN {} {} COLLATE {}",
                            quoted(&table.store),
                            quoted(&column.name),
                            column.ty.affinity(),
                            column.ty.collation()
                        ))?;
                        table.columns.push(column);
                    }
                }
            }
            Some("DROP") if more.get(1).is_some_and(|word| word == "COLUMN") => {
                let dropped = rest.get(used + 2).map(|token| plain(&token.token)).unwrap_or_default();
                let at = table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&dropped));
                let at = at.ok_or_else(|| {
                    error(4924, format!("ALTER TABLE DROP COLUMN failed because column '{dropped}' does not exist."))
                })?;
                let column = table.columns.remove(at);
                self.store(&format!("ALTER TABLE {} DROP COLUMN {}", quoted(&table.store), quoted(&column.name)))?;
            }
            _ => return Err(not_understood(self.product(), &shown(rest))),
        }
        self.shared.state().catalogue.tables.insert(table.key(), table);
        Ok(())
    }
}
