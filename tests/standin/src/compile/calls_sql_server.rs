//! SQL Server's functions.

use sqlparser::ast::Expr;

use crate::Value;
use crate::catalogue::{key, text_literal};
use crate::compile::scope::Scope;
use crate::compile::select::literal_text;
use crate::compile::{Compiler, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, error};
use crate::moment;
use crate::types::{Class, Type, UNBOUNDED};
use crate::views;

/// Bytes that `REPLICATE` gives at most where its text is not `max`.
const REPLICATE_MAX: i64 = 8000;

impl Compiler<'_> {
    /// `@@VERSION` and the like.
    pub(crate) fn server_variable(&self, name: &str) -> Fallible<Typed> {
        let int = |value: i64| self.constant(&Value::Int(value), Type::new("int"));
        Ok(match name.to_uppercase().as_str() {
            "@@VERSION" => {
                self.constant(&Value::Text(views::SQL_SERVER_VERSION_TEXT.to_owned()), Type::sized("nvarchar", 300))
            }
            "@@SPID" => self.constant(&Value::Int(i64::from(self.facts.number)), Type::new("smallint")),
            "@@SERVERNAME" => self.constant_text(views::SERVER_NAME),
            "@@SERVICENAME" => self.constant_text("MSSQLSERVER"),
            "@@LANGUAGE" => self.constant_text(self.facts.option("LANGUAGE").unwrap_or("us_english")),
            "@@LOCK_TIMEOUT" => int(self.facts.option("LOCK_TIMEOUT").and_then(|text| text.parse().ok()).unwrap_or(-1)),
            "@@TEXTSIZE" => int(self.facts.option("TEXTSIZE").and_then(|text| text.parse().ok()).unwrap_or(-1)),
            "@@DATEFIRST" => self.constant(
                &Value::Int(self.facts.option("DATEFIRST").and_then(|text| text.parse().ok()).unwrap_or(7)),
                Type::new("tinyint"),
            ),
            "@@TRANCOUNT" => int(self.facts.transactions),
            "@@ROWCOUNT" => int(self.facts.affected),
            "@@ERROR" => int(0),
            "@@IDENTITY" => self.constant(
                &self.facts.identity.map_or(Value::Null, |id| Value::Text(id.to_string())),
                Type::decimal(38, 0),
            ),
            "@@DBTS" => Typed::certain("x_row_version()", Type::sized("varbinary", 8)),
            "@@MAX_PRECISION" => self.constant(&Value::Int(38), Type::new("tinyint")),
            "@@OPTIONS" => int(5496),
            "@@MICROSOFTVERSION" => int(0x1000_0000),
            _ => return Err(error(137, format!("Must declare the scalar variable \"{name}\"."))),
        })
    }

    pub(crate) fn sql_server_special(
        &mut self,
        name: &str,
        arguments: &[&Expr],
        scope: &Scope,
    ) -> Fallible<Option<Typed>> {
        let text = |at: usize| arguments.get(at).and_then(|argument| literal_text(argument)).unwrap_or_default();
        let unit =
            |at: usize| arguments.get(at).map(|argument| argument.to_string().to_lowercase()).unwrap_or_default();
        Ok(Some(match (name, arguments.len()) {
            ("IIF", 3) => {
                let test = self.condition(arguments[0], scope)?;
                let values = [self.expr(arguments[1], scope)?, self.expr(arguments[2], scope)?];
                let ty = self.common_of(&values);
                let sql = format!(
                    "CASE WHEN {test} THEN {} ELSE {} END",
                    self.aligned(&values[0], &ty),
                    self.aligned(&values[1], &ty)
                );
                Typed { sql, ty, nullable: values.iter().any(|value| value.nullable) }
            }
            ("DATEADD", 3) => {
                let (count, moment) = (self.expr(arguments[1], scope)?, self.expr(arguments[2], scope)?);
                let ty = if moment.ty.is_moment() { moment.ty.clone() } else { Type::new("datetime") };
                let moment = self.cast(&moment, &ty, None, false);
                let sql = format!(
                    "x_call('DATEADD', {}, {}, {}, {})",
                    text_literal(&ty.to_string()),
                    text_literal(&unit(0)),
                    count.sql,
                    moment.sql
                );
                Typed::new(sql, ty)
            }
            ("DATEDIFF" | "DATEDIFF_BIG", 3) => {
                let exact = Type::sized("datetimeoffset", 7);
                let sides = [self.expr(arguments[1], scope)?, self.expr(arguments[2], scope)?];
                let [a, b] = sides.map(|side| self.cast(&side, &exact, None, false).sql);
                let ty = Type::new(if name == "DATEDIFF" { "int" } else { "bigint" });
                Typed::new(format!("x_call('{name}', {}, {a}, {b})", text_literal(&unit(0))), ty)
            }
            ("DATEPART" | "DATENAME", 2) => self.date_part(name, &unit(0), arguments[1], scope)?,
            ("YEAR" | "MONTH" | "DAY", 1) => self.date_part("DATEPART", &name.to_lowercase(), arguments[0], scope)?,
            ("SERVERPROPERTY", 1) => {
                let (value, ty) = views::server_property(&text(0));
                self.constant(&crate::variant::wrap(&ty.to_string(), &value), Type::new("sql_variant"))
            }
            ("DATABASEPROPERTYEX", 2) => self.property(views::database_property(&text(1))),
            ("SESSIONPROPERTY", 1) => {
                self.constant(&Value::Int(i64::from(text(0).to_uppercase() != "NUMERIC_ROUNDABORT")), Type::new("int"))
            }
            ("CONNECTIONPROPERTY", 1) => self.property(match text(0).to_lowercase().as_str() {
                "net_transport" => Some("TCP".to_owned()),
                "protocol_type" => Some("TSQL".to_owned()),
                "auth_scheme" => Some("SQL".to_owned()),
                "local_net_address" | "client_net_address" => Some("127.0.0.1".to_owned()),
                _ => None,
            }),
            ("HAS_PERMS_BY_NAME", 3..) => self.has_permission(arguments),
            ("IS_MEMBER" | "IS_ROLEMEMBER", 1 | 2) => {
                self.flag(self.facts.database_roles().iter().any(|role| role.eq_ignore_ascii_case(&text(0))))
            }
            ("IS_SRVROLEMEMBER", 1 | 2) => {
                self.flag(self.facts.administrator && text(0).eq_ignore_ascii_case("sysadmin"))
            }
            ("ERROR_NUMBER", 0) => {
                let number =
                    self.facts.failure.as_ref().map_or(Value::Null, |failure| Value::Int(i64::from(failure.number)));
                self.constant(&number, Type::new("int"))
            }
            ("ERROR_MESSAGE", 0) => {
                let message =
                    self.facts.failure.as_ref().map_or(Value::Null, |failure| Value::Text(failure.message.clone()));
                self.constant(&message, Type::sized("nvarchar", 4000))
            }
            ("OBJECT_ID", 1 | 2) => self.object_id(&text(0)),
            ("DB_ID", 0) => self.constant(&Value::Int(views::DATABASE_ID), Type::new("smallint")),
            ("DB_ID", 1) => {
                let own = text(0).eq_ignore_ascii_case(&self.facts.database);
                self.constant(&if own { Value::Int(views::DATABASE_ID) } else { Value::Null }, Type::new("smallint"))
            }
            ("DB_NAME", _) => self.constant_text(&self.facts.database),
            ("SCHEMA_NAME", _) => self.constant_text("dbo"),
            ("ORIGINAL_LOGIN" | "SUSER_SNAME" | "SUSER_NAME", _) => self.constant_text(&self.facts.login),
            ("USER_NAME", _) => self.constant_text(&self.facts.user()),
            ("HOST_NAME", 0) => self.constant_text(&self.facts.host),
            ("APP_NAME" | "PROGRAM_NAME", 0) => self.constant_text(&self.facts.program),
            ("CURRENT_TIMEZONE_ID", 0) => self.constant(&Value::Text("UTC".into()), Type::sized("varchar", 128)),
            ("CURRENT_TIMEZONE", 0) => {
                self.constant(&Value::Text("(UTC) Coordinated Universal Time".into()), Type::sized("varchar", 128))
            }
            ("XACT_STATE", 0) => self.constant(&Value::Int(self.facts.transactions.min(1)), Type::new("smallint")),
            ("SCOPE_IDENTITY", 0) => self.server_variable("@@IDENTITY")?,
            ("GETDATE" | "CURRENT_TIMESTAMP", 0) => self.now(&Type::new("datetime")),
            ("GETUTCDATE", 0) => self.now(&Type::new("datetime")),
            ("SYSDATETIME" | "SYSUTCDATETIME", 0) => self.now(&Type::sized("datetime2", 7)),
            ("SYSDATETIMEOFFSET", 0) => self.now(&Type::sized("datetimeoffset", 7)),
            ("NEWID" | "NEWSEQUENTIALID", 0) => {
                Typed::certain("x_call('NEWID', random(), random())", Type::new("uniqueidentifier"))
            }
            _ => return Ok(None),
        }))
    }

    /// Words that are calls without parentheses.
    pub(crate) fn word(&self, name: &str) -> Fallible<Option<Typed>> {
        if self.is_oracle() {
            return self.oracle_word(name);
        }
        Ok(match name.to_uppercase().as_str() {
            "CURRENT_TIMESTAMP" => Some(self.now(&Type::new("datetime"))),
            "CURRENT_USER" | "SESSION_USER" | "USER" => Some(self.constant_text(&self.facts.user())),
            "SYSTEM_USER" => Some(self.constant_text(&self.facts.login)),
            _ => None,
        })
    }

    /// The clock, which stands still while a statement runs.
    pub(crate) fn now(&self, ty: &Type) -> Typed {
        let now = jiff::Timestamp::now();
        let at = moment::Moment::of_timestamp(now, jiff::tz::Offset::UTC);
        let shown = moment::on_grid(&at, ty, &self.settings.zone).unwrap_or_default();
        self.constant(&Value::Text(shown), ty.clone())
    }

    fn flag(&self, is_so: impl Into<i64>) -> Typed {
        self.constant(&Value::Int(is_so.into()), Type::new("int"))
    }

    fn property(&self, value: Option<String>) -> Typed {
        match value {
            Some(text) => self.constant(&Value::Text(text), Type::sized("nvarchar", 128)),
            None => Typed::new("NULL", Type::sized("nvarchar", 128)),
        }
    }

    fn date_part(&mut self, name: &str, unit: &str, moment: &Expr, scope: &Scope) -> Fallible<Typed> {
        let moment = self.expr(moment, scope)?;
        let ty = if moment.ty.is_moment() { moment.ty.clone() } else { Type::new("datetime") };
        let moment = self.cast(&moment, &ty, None, false);
        let first = self.facts.option("DATEFIRST").unwrap_or("7");
        let sql = format!("x_call('{name}', {}, {}, {first})", text_literal(unit), moment.sql);
        Ok(Typed::new(sql, if name == "DATEPART" { Type::new("int") } else { Type::sized("nvarchar", 30) }))
    }

    fn object_id(&self, name: &str) -> Typed {
        let plain = name.replace(['[', ']', '"'], "");
        let mut parts = plain.rsplit('.');
        let table = parts.next().unwrap_or_default();
        let key = key(parts.next().filter(|schema| !schema.is_empty()).unwrap_or("dbo"), table);
        let tables = self.catalogue.tables.keys().chain(self.catalogue.views.keys());
        let temporary = self.facts.temporary.contains_key(&table.to_uppercase());
        let found = tables.enumerate().find(|(_, known)| **known == key).map(|(at, _)| at as i64);
        let id = found.or(temporary.then_some(-2));
        self.constant(&id.map_or(Value::Null, |at| Value::Int(at + views::OBJECT_ID_FIRST)), Type::new("int"))
    }

    /// `HAS_PERMS_BY_NAME('dbo.t', 'OBJECT', 'INSERT')`
    fn has_permission(&self, arguments: &[&Expr]) -> Typed {
        let text = |at: usize| arguments.get(at).and_then(|argument| literal_text(argument));
        let right = text(2).unwrap_or_default().to_uppercase();
        let class = text(1).unwrap_or_default().to_uppercase();
        let has = match (text(0), class.as_str()) {
            (Some(object), "OBJECT") => {
                let plain = object.replace(['[', ']', '"'], "").to_uppercase();
                let key = if plain.contains('.') { plain } else { format!("DBO.{plain}") };
                if !self.catalogue.tables.contains_key(&key) && !self.catalogue.views.contains_key(&key) {
                    return Typed::new("NULL", Type::new("int"));
                }
                self.facts.may(&right, &key)
            }
            _ => self.facts.may_on_all(&right),
        };
        self.flag(has)
    }

    pub(crate) fn sql_server_call(&mut self, name: &str, arguments: &[Typed]) -> Fallible<Option<Typed>> {
        let int = || Type::new("int");
        let of_first = |compiler: &Self, length: Option<i64>| {
            let text = compiler.texted(&arguments[0]);
            let ty = compiler.text_like(&text, length);
            let mut all = arguments.to_vec();
            all[0] = text;
            (all, ty)
        };
        let bound = |value: &Typed| value.sql.parse::<i64>().ok();
        Ok(Some(match (name, arguments) {
            ("ISNULL", [value, other]) => {
                let ty = if value.ty.name.is_empty() { other.ty.clone() } else { value.ty.clone() };
                let sql = format!("coalesce({}, {})", value.sql, self.aligned_strictly(other, &ty));
                Typed { sql, ty, nullable: value.nullable && other.nullable }
            }
            ("LTRIM" | "RTRIM" | "TRIM" | "UPPER" | "LOWER" | "REVERSE", [_, ..]) => {
                let (all, ty) = of_first(self, None);
                self.computed(name, &all, ty)
            }
            ("LEFT" | "RIGHT", [_, count]) => {
                let (all, ty) = of_first(self, bound(count));
                self.computed(name, &all, ty)
            }
            ("SUBSTRING", [value, _, count]) if value.ty.class() == Class::Binary => {
                let ty = Type::sized("varbinary", bound(count).or(value.ty.length).unwrap_or(UNBOUNDED));
                self.computed(name, arguments, ty)
            }
            ("SUBSTRING", [_, _, count]) => {
                let (all, ty) = of_first(self, bound(count));
                self.computed(name, &all, ty)
            }
            ("REPLACE", [_, _, _]) | ("STUFF", [_, _, _, _]) | ("TRANSLATE", [_, _, _]) => {
                let (all, ty) = of_first(self, Some(8000));
                self.computed(name, &all, ty)
            }
            ("REPLICATE", [_, _]) => {
                let (mut all, ty) = of_first(self, None);
                let most = if ty.length == Some(UNBOUNDED) {
                    UNBOUNDED
                } else if ty.name == "nvarchar" {
                    REPLICATE_MAX / 2
                } else {
                    REPLICATE_MAX
                };
                all.push(Typed::certain(most.to_string(), int()));
                self.computed(name, &all, Type { length: Some(most), ..ty })
            }
            ("SPACE", [_]) => self.computed(name, arguments, Type::sized("varchar", 8000)),
            ("LEN" | "CHARINDEX" | "PATINDEX" | "ASCII" | "UNICODE", [_, ..]) => {
                let all = arguments.iter().map(|argument| {
                    if argument.ty.is_number() && name != "LEN" { argument.clone() } else { self.texted(argument) }
                });
                self.computed(name, &all.collect::<Vec<_>>(), int())
            }
            ("DATALENGTH", [_]) => self.computed_of(name, arguments, int()),
            ("CHAR", [_]) => self.computed(name, arguments, Type::sized("char", 1)),
            ("NCHAR", [_]) => self.computed(name, arguments, Type::sized("nchar", 1)),
            ("STR", [_, ..]) => {
                self.computed(name, arguments, Type::sized("varchar", arguments.get(1).and_then(bound).unwrap_or(10)))
            }
            ("ABS" | "FLOOR" | "CEILING" | "SIGN" | "ROUND", [value, ..]) => {
                let ty = match (value.ty.class(), name) {
                    (Class::Decimal, "FLOOR" | "CEILING") if !value.ty.name.ends_with("money") => {
                        Type::decimal(value.ty.digits().0, 0)
                    }
                    (Class::Text | Class::Null, _) => Type::new("float"),
                    _ => value.ty.clone(),
                };
                let computed = self.computed(name, arguments, value.ty.clone());
                self.cast(&computed, &ty, None, false)
            }
            ("SQRT" | "EXP" | "LOG" | "LOG10", [_]) | ("POWER", [_, _]) => {
                self.computed(name, arguments, Type::new("float"))
            }
            ("EOMONTH", [value, ..]) => {
                let mut all = arguments.to_vec();
                all[0] = self.cast(value, &Type::new("date"), None, false);
                self.computed(name, &all, Type::new("date"))
            }
            ("DATEFROMPARTS", [_, _, _]) => self.computed("FROMPARTS", arguments, Type::new("date")),
            ("DATETIMEFROMPARTS", [_, _, _, _, _, _, _]) => {
                self.of_parts(&arguments[..6], &arguments[6], 3, &Type::new("datetime"))
            }
            ("DATETIME2FROMPARTS", [_, _, _, _, _, _, _, digits]) => {
                let digits = bound(digits).unwrap_or(7);
                self.of_parts(&arguments[..6], &arguments[6], digits, &Type::sized("datetime2", digits))
            }
            ("SWITCHOFFSET", [value, _]) => self.computed(name, arguments, value.ty.clone()),
            ("TODATETIMEOFFSET", [value, _]) => {
                self.computed(name, arguments, Type::sized("datetimeoffset", value.ty.fraction_digits() as i64))
            }
            ("ISNUMERIC" | "ISDATE", [_]) => self.computed(name, &[self.texted(&arguments[0])], int()),
            ("SQL_VARIANT_PROPERTY", [_, _]) => self.computed(name, arguments, Type::sized("nvarchar", 128)),
            ("MIN_ACTIVE_ROWVERSION", []) => Typed::certain("x_row_version()", Type::sized("binary", 8)),
            ("CONCAT_WS", [separator, parts @ ..]) => {
                let mut all = vec![self.texted(separator)];
                all.extend(parts.iter().map(|part| self.texted(part)));
                self.computed(name, &all, Type::sized("nvarchar", 4000))
            }
            _ => return Ok(None),
        }))
    }

    /// `ISNULL` keeps the type of its first argument, to the length.
    fn aligned_strictly(&self, value: &Typed, ty: &Type) -> String {
        if value.sql == "NULL" || value.ty == *ty { value.sql.clone() } else { self.convert(value, ty, Purpose::Cast) }
    }

    fn of_parts(&self, parts: &[Typed], fraction: &Typed, digits: i64, ty: &Type) -> Typed {
        let mut all = parts.to_vec();
        all.push(fraction.clone());
        all.push(Typed::certain(digits.to_string(), Type::new("int")));
        let made = self.computed("FROMPARTS", &all, Type::sized("datetime2", 7));
        self.cast(&made, ty, None, false)
    }
}
