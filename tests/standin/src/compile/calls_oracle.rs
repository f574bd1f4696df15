//! Oracle's functions.

use sqlparser::ast::Expr;

use crate::Value;
use crate::compile::scope::Scope;
use crate::compile::select::literal_text;
use crate::compile::{Compiler, Typed};
use crate::errors::{Fallible, error};
use crate::moment;
use crate::types::{Class, Type};
use crate::views;

impl Compiler<'_> {
    /// Words that are calls without parentheses, and pseudo-columns.
    pub(crate) fn oracle_word(&self, name: &str) -> Fallible<Option<Typed>> {
        let digits = |name: &str| Type::sized(name, 6);
        Ok(Some(match name {
            "SYSDATE" | "CURRENT_DATE" => self.now(&Type::new("DATE")),
            "SYSTIMESTAMP" => self.now(&digits("TIMESTAMP WITH TIME ZONE")),
            "CURRENT_TIMESTAMP" => {
                let at = jiff::Timestamp::now();
                let at = moment::Moment::of_timestamp(at, self.settings.zone.to_offset(at));
                let ty = digits("TIMESTAMP WITH TIME ZONE");
                let shown = moment::on_grid(&at, &ty, &self.settings.zone).unwrap_or_default();
                self.constant(&Value::Text(shown), ty)
            }
            "LOCALTIMESTAMP" => self.now(&digits("TIMESTAMP")),
            "USER" => self.constant_text(&self.facts.login.to_uppercase()),
            "UID" => self.constant(&Value::Text("108".into()), Type::new("NUMBER")),
            "SESSIONTIMEZONE" => {
                let zone = self.facts.option("TIME_ZONE").unwrap_or("+00:00").to_owned();
                self.constant(&Value::Text(zone), Type::sized("VARCHAR2", 75))
            }
            "DBTIMEZONE" => self.constant(&Value::Text("+00:00".into()), Type::sized("VARCHAR2", 6)),
            "ROWNUM" => Typed::certain("CAST(row_number() OVER () AS TEXT)", Type::new("NUMBER")),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn oracle_special(&mut self, name: &str, arguments: &[&Expr], scope: &Scope) -> Fallible<Option<Typed>> {
        match (name, arguments) {
            ("SYS_CONTEXT", [namespace, item, ..]) => {
                let namespace = literal_text(namespace).unwrap_or_default();
                let item = literal_text(item).unwrap_or_default();
                if !namespace.eq_ignore_ascii_case("USERENV") {
                    return Ok(Some(Typed::new("NULL", Type::sized("VARCHAR2", 256))));
                }
                let value =
                    views::context(self.facts, &item).ok_or_else(|| error(2003, "invalid USERENV parameter"))?;
                Ok(Some(self.constant(&Value::Text(value), Type::sized("VARCHAR2", 256))))
            }
            ("DECODE", [value, rest @ ..]) if rest.len() >= 2 => {
                let value = self.expr(value, scope)?;
                let rest = rest.iter().map(|argument| self.expr(argument, scope)).collect::<Fallible<Vec<_>>>()?;
                let mut results = rest.chunks(2).map(|pair| pair[pair.len() - 1].clone()).collect::<Vec<_>>();
                if rest.len() % 2 == 0 {
                    results.push(Typed::new("NULL", Type::null()));
                }
                let ty = self.common_of(&results);
                let mut sql = String::from("CASE");
                for pair in rest.chunks_exact(2) {
                    let test = if pair[0].sql == "NULL" {
                        format!("{} IS NULL", value.sql)
                    } else {
                        self.compare(&value, "=", &pair[0])?
                    };
                    sql.push_str(&format!(" WHEN {test} THEN {}", self.aligned(&pair[1], &ty)));
                }
                if let Some(otherwise) = results.last() {
                    sql.push_str(&format!(" ELSE {}", self.aligned(otherwise, &ty)));
                }
                Ok(Some(Typed::new(format!("({sql} END)"), ty)))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn oracle_call(&mut self, name: &str, arguments: &[Typed]) -> Fallible<Option<Typed>> {
        let number = || Type::new("NUMBER");
        let texted = |compiler: &Self| {
            let mut all = arguments.to_vec();
            all[0] = compiler.texted(&arguments[0]);
            all
        };
        let length = |value: &Typed| value.sql.trim_matches('\'').parse::<i64>().ok();
        Ok(Some(match (name, arguments) {
            ("BITAND", [a, b]) => self.calculate(a, "&", b)?,
            ("NVL", [_, _]) => self.first_of(arguments),
            ("NVL2", [test, given, missing]) => {
                let ty = self.common_of(&[given.clone(), missing.clone()]);
                let sql = format!(
                    "CASE WHEN {} IS NOT NULL THEN {} ELSE {} END",
                    test.sql,
                    self.aligned(given, &ty),
                    self.aligned(missing, &ty)
                );
                Typed::new(format!("({sql})"), ty)
            }
            ("LTRIM" | "RTRIM" | "TRIM" | "UPPER" | "LOWER" | "INITCAP" | "REPLACE" | "TRANSLATE", [_, ..]) => {
                let all = texted(self);
                let ty = self.text_like(&all[0], if name == "REPLACE" { Some(4000) } else { None });
                self.computed(name, &all, ty)
            }
            ("SUBSTR" | "SUBSTRB", [_, _, rest @ ..]) => {
                let all = texted(self);
                let ty = self.text_like(&all[0], rest.first().and_then(length));
                self.computed("SUBSTR", &all, ty)
            }
            ("LPAD" | "RPAD", [_, count, ..]) => {
                let all = texted(self);
                let ty = self.text_like(&all[0], Some(length(count).unwrap_or(4000)));
                self.computed(name, &all, ty)
            }
            ("LENGTH" | "LENGTHB" | "INSTR" | "ASCII", [_, ..]) => {
                let all = texted(self);
                self.computed_of(name, &all, number())
            }
            ("DBMS_LOB.GETLENGTH", [_]) => self.computed_of("LENGTH", arguments, number()),
            ("DBMS_LOB.SUBSTR", [value, rest @ ..]) => {
                let from = rest.get(1).cloned().unwrap_or_else(|| Typed::certain("1", number()));
                let count = rest.first().cloned().unwrap_or_else(|| Typed::certain("4000", number()));
                self.computed("SUBSTR", &[value.clone(), from, count], Type::sized("VARCHAR2", 4000))
            }
            ("CHR", [_]) => self.computed("CHAR", arguments, Type::sized("VARCHAR2", 1)),
            ("TO_CHAR" | "TO_NCHAR", [value]) => self.texted(value),
            ("TO_CHAR" | "TO_NCHAR", [value, ..]) => {
                self.computed_of("TO_CHAR", &self.shown_here(value, arguments), Type::sized("VARCHAR2", 75))
            }
            ("TO_NUMBER", [value]) => self.cast(value, &number(), None, false),
            ("TO_NUMBER", [_, ..]) => self.computed("TO_NUMBER", &arguments[..1], number()),
            ("TO_DATE" | "TO_TIMESTAMP" | "TO_TIMESTAMP_TZ", [value, rest @ ..]) => {
                let ty = match name {
                    "TO_DATE" => Type::new("DATE"),
                    "TO_TIMESTAMP" => Type::sized("TIMESTAMP", 9),
                    _ => Type::sized("TIMESTAMP WITH TIME ZONE", 9),
                };
                if rest.is_empty() || value.sql == "NULL" {
                    return Ok(Some(self.cast(value, &ty, None, false)));
                }
                let mut all = vec![
                    Typed::certain(crate::catalogue::text_literal(&ty.to_string()), Type::null()),
                    self.texted(value),
                ];
                all.push(rest[0].clone());
                self.computed("TO_MOMENT", &all, ty)
            }
            ("TO_BINARY_DOUBLE", [value]) => self.cast(value, &Type::new("BINARY_DOUBLE"), None, false),
            ("TO_BINARY_FLOAT", [value]) => self.cast(value, &Type::new("BINARY_FLOAT"), None, false),
            ("TO_CLOB", [value]) => self.cast(value, &Type::new("CLOB"), None, false),
            ("TO_NCLOB", [value]) => self.cast(value, &Type::new("NCLOB"), None, false),
            ("TO_BLOB" | "TO_LOB", [value]) => self.cast(value, &Type::new("BLOB"), None, false),
            ("EMPTY_CLOB", []) => Typed::new("NULL", Type::new("CLOB")),
            ("EMPTY_BLOB", []) => Typed::certain("x''", Type::new("BLOB")),
            ("HEXTORAW", [value]) => {
                let length = value.ty.length.map_or(2000, |length| (length + 1) / 2);
                self.cast(value, &Type::sized("RAW", length.max(1)), None, false)
            }
            ("RAWTOHEX", [_]) => self.computed(name, arguments, Type::sized("VARCHAR2", 4000)),
            ("UTL_RAW.CAST_TO_RAW", [value]) => {
                Typed::new(format!("CAST({} AS BLOB)", value.sql), Type::sized("RAW", 2000))
            }
            ("UTL_RAW.CAST_TO_VARCHAR2", [value]) => {
                Typed::new(format!("x_call('RAW_TEXT', {})", value.sql), Type::sized("VARCHAR2", 4000))
            }
            ("SYS_GUID", []) => Typed::certain("randomblob(16)", Type::sized("RAW", 16)),
            ("TRUNC" | "ROUND", [value, ..]) if value.ty.is_moment() => {
                let mut all = arguments.to_vec();
                all[0] = self.cast(value, &Type::new("DATE"), None, false);
                self.computed(&format!("{name}_DATE"), &all, Type::new("DATE"))
            }
            (
                "TRUNC" | "ROUND" | "MOD" | "ABS" | "CEIL" | "FLOOR" | "SIGN" | "POWER" | "SQRT" | "EXP" | "LN"
                | "REMAINDER",
                [value, ..],
            ) => {
                let name = if name == "CEIL" { "CEILING" } else { name };
                let ty = if value.ty.class() == Class::Float { value.ty.clone() } else { number() };
                let computed = self.computed(name, arguments, ty.clone());
                self.cast(&computed, &ty, None, false)
            }
            ("ADD_MONTHS", [value, _]) => {
                let all = [self.cast(value, &Type::new("DATE"), None, false), arguments[1].clone()];
                self.computed(name, &all, Type::new("DATE"))
            }
            ("LAST_DAY", [value]) => {
                self.computed(name, &[self.cast(value, &Type::new("DATE"), None, false)], Type::new("DATE"))
            }
            ("MONTHS_BETWEEN", [_, _]) => self.computed(name, arguments, number()),
            ("NUMTODSINTERVAL", [_, _]) => self.computed(
                name,
                arguments,
                Type { length: Some(9), scale: Some(9), ..Type::new("INTERVAL DAY TO SECOND") },
            ),
            ("TO_DSINTERVAL", [value]) => self.cast(
                value,
                &Type { length: Some(9), scale: Some(9), ..Type::new("INTERVAL DAY TO SECOND") },
                None,
                false,
            ),
            ("FROM_TZ", [value, _]) => {
                let all =
                    [Typed::certain(format!("'{}'", value.ty), Type::null()), value.clone(), arguments[1].clone()];
                self.computed(
                    "AT_TIME_ZONE",
                    &all,
                    Type::sized("TIMESTAMP WITH TIME ZONE", value.ty.fraction_digits() as i64),
                )
            }
            ("SYS_EXTRACT_UTC", [value]) => {
                let zoned = self.cast(value, &Type::sized("TIMESTAMP WITH TIME ZONE", 9), None, false);
                self.computed(name, &[zoned], Type::sized("TIMESTAMP", value.ty.fraction_digits() as i64))
            }
            _ => return Ok(None),
        }))
    }

    /// A moment of the session's zone is shown in it.
    fn shown_here(&self, value: &Typed, arguments: &[Typed]) -> Vec<Typed> {
        let mut all = arguments.to_vec();
        if value.ty.class() == Class::Local {
            all[0] = self.cast(
                value,
                &Type::sized("TIMESTAMP WITH TIME ZONE", value.ty.fraction_digits() as i64),
                None,
                false,
            );
        }
        all
    }
}
