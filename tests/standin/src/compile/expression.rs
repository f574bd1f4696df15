//! Expressions and conditions.

use sqlparser::ast::Spanned as _;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, Expr, Ident, TrimWhereField, UnaryOperator, Value as Literal,
};
use sqlparser::tokenizer::Location;

use crate::ServerError;
use crate::compile::arithmetic::Nulls;
use crate::compile::scope::{Found, Scope};
use crate::compile::{Compiler, Typed};
use crate::convert::Purpose;
use crate::errors::{Fallible, error, not_understood};
use crate::types::{Class, Type};

/// Begins the SQL of a placeholder that nobody declared.
const UNDECLARED: &str = "/*";

impl Compiler<'_> {
    /// An expression that has a value.
    pub(crate) fn expr(&mut self, expr: &Expr, scope: &Scope) -> Fallible<Typed> {
        self.deeper()?;
        let compiled = self.expr_within(expr, scope);
        self.depth -= 1;
        compiled
    }

    fn expr_within(&mut self, expr: &Expr, scope: &Scope) -> Fallible<Typed> {
        match expr {
            Expr::Identifier(ident) => self.column(std::slice::from_ref(ident), scope),
            Expr::CompoundIdentifier(path) => self.column(path, scope),
            Expr::Nested(inner) => {
                let inner = self.expr(inner, scope)?;
                Ok(Typed { sql: format!("({})", inner.sql), ..inner })
            }
            Expr::Value(value) => self.literal(&value.value, value.span.start),
            Expr::Prefixed { prefix, value } => match (prefix.value.to_uppercase().as_str(), value.as_ref()) {
                ("N" | "NQ" | "Q", literal) => {
                    let text = self.expr(literal, scope)?;
                    let name = if self.is_oracle() { "NCHAR" } else { "nvarchar" };
                    Ok(Typed { ty: Type { name: name.to_owned(), ..text.ty }, ..text })
                }
                _ => Err(self.unknown(expr)),
            },
            Expr::TypedString(typed) => {
                let Literal::SingleQuotedString(text) = &typed.value.value else { return Err(self.unknown(expr)) };
                self.typed_literal(&typed.data_type.to_string(), text)
            }
            Expr::Interval(interval) => self.interval(interval),
            Expr::UnaryOp { op, expr: inner } => match op {
                UnaryOperator::Plus => self.expr(inner, scope),
                UnaryOperator::Minus => {
                    let inner = self.expr(inner, scope)?;
                    if matches!(inner.ty.class(), Class::Integer | Class::Float) {
                        return Ok(Typed { sql: format!("(-{})", inner.sql), ..inner });
                    }
                    let ty = inner.ty.clone();
                    let zero =
                        Typed::certain("0", if self.is_oracle() { Type::new("NUMBER") } else { Type::new("int") });
                    let minus = self.calculate(&zero, "-", &inner)?;
                    Ok(Typed { ty: if ty.is_number() { ty } else { minus.ty.clone() }, ..minus })
                }
                _ => Err(self.unknown(expr)),
            },
            Expr::BinaryOp { left, op, right } => self.binary(expr, left, op, right, scope),
            Expr::Cast { kind, expr: inner, data_type, format } => {
                let inner = self.expr(inner, scope)?;
                let to = self.type_of(&data_type.to_string())?;
                if format.is_some() {
                    return Err(self.unknown(expr));
                }
                Ok(self.cast(&inner, &to, None, *kind == CastKind::TryCast))
            }
            Expr::Convert { is_try, expr: inner, data_type: Some(data_type), styles, .. } => {
                let inner = self.expr(inner, scope)?;
                let to = self.type_of(&data_type.to_string())?;
                let style = styles.first().map(|style| self.expr(style, scope)).transpose()?;
                Ok(self.cast(&inner, &to, style.as_ref().map(|style| style.sql.as_str()), *is_try))
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), scope)
            }
            Expr::Function(function) => self.call(function, scope),
            Expr::Subquery(query) => {
                self.must_not_order(query)?;
                let query = self.query(query, Some(scope))?;
                let [column] = query.columns.as_slice() else {
                    return Err(error(
                        if self.is_oracle() { 913 } else { 116 },
                        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
                    ));
                };
                Ok(Typed::new(format!("({})", query.sql), column.ty.clone()))
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                let moment = self.expr(timestamp, scope)?;
                let zone = self.expr(time_zone, scope)?;
                let (name, digits) = (
                    if self.is_oracle() { "TIMESTAMP WITH TIME ZONE" } else { "datetimeoffset" },
                    moment.ty.fraction_digits(),
                );
                let sql = format!("x_call('AT_TIME_ZONE', '{}', {}, {})", moment.ty, moment.sql, zone.sql);
                Ok(Typed { sql, ty: Type::sized(name, digits as i64), nullable: moment.nullable })
            }
            Expr::Collate { expr: inner, collation } => {
                let inner = self.expr(inner, scope)?;
                let ty = Type { collation: Some(collation.to_string()), ..inner.ty };
                Ok(Typed { sql: format!("({} COLLATE {})", inner.sql, ty.collation()), ty, nullable: inner.nullable })
            }
            Expr::Floor { expr: inner, .. } => self.named("FLOOR", &[inner], scope),
            Expr::Ceil { expr: inner, .. } => {
                self.named(if self.is_oracle() { "CEIL" } else { "CEILING" }, &[inner], scope)
            }
            Expr::Trim { trim_where, trim_what, expr: inner, .. } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "LTRIM",
                    Some(TrimWhereField::Trailing) => "RTRIM",
                    _ => "TRIM",
                };
                match trim_what {
                    Some(what) => self.named(name, &[inner, what], scope),
                    None => self.named(name, &[inner], scope),
                }
            }
            Expr::Substring { expr: inner, substring_from: Some(from), substring_for, .. } => {
                let mut arguments = vec![inner.as_ref(), from];
                arguments.extend(substring_for.as_deref());
                self.named(if self.is_oracle() { "SUBSTR" } else { "SUBSTRING" }, &arguments, scope)
            }
            Expr::Extract { field, expr: inner, .. } => {
                let inner = self.expr(inner, scope)?;
                let sql = format!("x_call('EXTRACT', '{}', '{field}', {})", inner.ty, inner.sql);
                Ok(Typed::new(sql, Type::new("NUMBER")))
            }
            Expr::Prior(_) => Err(self.unknown(expr)),
            other => Err(self.unknown(other)),
        }
    }

    fn unknown(&self, expr: &Expr) -> ServerError {
        self.at(not_understood(self.product, &expr.to_string()), expr.span().start)
    }

    /// A type by its name in the statement.
    pub(crate) fn type_of(&self, name: &str) -> Fallible<Type> {
        Type::parse_cast(self.product, name).ok_or_else(|| {
            if self.is_oracle() {
                error(902, "invalid datatype")
            } else {
                error(243, format!("Type {} is not a defined system type.", name.to_lowercase()))
            }
        })
    }

    pub(crate) fn cast(&self, inner: &Typed, to: &Type, style: Option<&str>, is_try: bool) -> Typed {
        let sql = self.convert_styled(inner, to, style, Purpose::Cast);
        let sql = if is_try { sql.replacen("x_convert(", "x_try_convert(", 1) } else { sql };
        Typed { sql, ty: to.clone(), nullable: inner.nullable || is_try }
    }

    fn column(&mut self, path: &[Ident], scope: &Scope) -> Fallible<Typed> {
        let location = path.first().map_or(Location::empty(), |ident| ident.span.start);
        let names = path.iter().map(|ident| self.name(ident)).collect::<Vec<_>>();
        if let [name] = names.as_slice()
            && !self.is_oracle()
            && name.starts_with('@')
        {
            return self.variable(name).map_err(|raised| self.at(raised, location));
        }
        match scope.find(self.product, &names) {
            Found::Column(column) => {
                self.bare.push((column.sql.clone(), names.join(".")));
                return Ok(column);
            }
            Found::Ambiguous => {
                let name = names.last().cloned().unwrap_or_default();
                let ambiguous = if self.is_oracle() {
                    error(918, "column ambiguously defined")
                } else {
                    error(209, format!("Ambiguous column name '{name}'."))
                };
                return Err(self.at(ambiguous, location));
            }
            Found::Nothing => {}
        }
        if let (Some("ROWID"), [qualifier @ .., _]) = (names.last().map(String::as_str), names.as_slice())
            && let Some(address) = self.row_address(scope, qualifier)
        {
            return Ok(address);
        }
        if let [ident] = path
            && ident.quote_style.is_none()
            && let Some(known) = self.word(&names[0])?
        {
            return Ok(known);
        }
        let raised = match (self.is_oracle(), names.len()) {
            (true, _) => {
                let quoted = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(".");
                error(904, format!("{quoted}: invalid identifier"))
            }
            (false, 1) => error(207, format!("Invalid column name '{}'.", names[0])),
            (false, _) => {
                let known = scope
                    .sources
                    .iter()
                    .any(|source| crate::compile::scope::is_meant(self.product, source, &names[..names.len() - 1]));
                if known {
                    error(207, format!("Invalid column name '{}'.", names[names.len() - 1]))
                } else {
                    error(4104, format!("The multi-part identifier \"{}\" could not be bound.", names.join(".")))
                }
            }
        };
        Err(self.at(raised, location))
    }

    /// A variable or bound value of SQL Server.
    pub(super) fn variable(&mut self, name: &str) -> Fallible<Typed> {
        if name.starts_with("@@") {
            return self.server_variable(name);
        }
        let found = self
            .parameters
            .iter()
            .position(|parameter| parameter.name.trim_start_matches('@').eq_ignore_ascii_case(&name[1..]));
        match found {
            Some(at) => self.parameter(at),
            None if self.suggestions.is_some() => Ok(self.undeclared(name)),
            None => Err(error(137, format!("Must declare the scalar variable \"{name}\"."))),
        }
    }

    /// A placeholder whose type is to be found; it can be told from the text of its expression.
    fn undeclared(&self, name: &str) -> Typed {
        if let Some(suggestions) = &self.suggestions {
            suggestions.borrow_mut().entry(name.to_owned()).or_default().uses += 1;
        }
        Typed::new(format!("{UNDECLARED}{name}*/ NULL"), Type::null())
    }

    /// Notes what a placeholder without a declaration is compared with.
    pub(crate) fn suggest(&self, value: &Typed, ty: &Type) {
        let name = value.sql.strip_prefix(UNDECLARED).and_then(|rest| rest.split_once("*/")).map(|(name, _)| name);
        if let (Some(name), Some(suggestions)) = (name, &self.suggestions)
            && let Some(suggestion) = suggestions.borrow_mut().get_mut(name)
        {
            suggestion.ty.get_or_insert_with(|| ty.clone());
        }
    }

    pub(crate) fn parameter(&self, at: usize) -> Fallible<Typed> {
        let declared = &self.parameters[at].declared;
        let ty = Type::parse(self.product, declared).ok_or_else(|| {
            if self.is_oracle() {
                error(902, "invalid datatype")
            } else {
                error(2715, format!("Cannot find data type {declared}."))
            }
        })?;
        Ok(Typed::new(format!("?{}", at + 1), ty))
    }

    /// Oracle's `:name`: by its name, else by its place among the names of the statement.
    pub(super) fn placeholder(&mut self, name: &str) -> Fallible<Typed> {
        let name = name.trim_start_matches(':');
        let by_name = self
            .parameters
            .iter()
            .position(|parameter| parameter.name.trim_start_matches(':').eq_ignore_ascii_case(name));
        let at = match self.placeholders.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            Some(at) => at,
            None => {
                self.placeholders.push(name.to_owned());
                self.placeholders.len() - 1
            }
        };
        match by_name.or_else(|| (at < self.parameters.len()).then_some(at)) {
            Some(at) => self.parameter(at),
            None => Err(error(1008, "not all variables bound")),
        }
    }

    fn binary(
        &mut self,
        whole: &Expr,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        scope: &Scope,
    ) -> Fallible<Typed> {
        let op = match op {
            BinaryOperator::StringConcat => {
                let parts = [self.expr(left, scope)?, self.expr(right, scope)?];
                return Ok(self.join(&parts, if self.is_oracle() { Nulls::LeftOut } else { Nulls::Spread }));
            }
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::BitwiseAnd => "&",
            BinaryOperator::BitwiseOr => "|",
            BinaryOperator::BitwiseXor => "^",
            _ => return Err(self.unknown(whole)),
        };
        let (a, b) = (self.expr(left, scope)?, self.expr(right, scope)?);
        self.calculate(&a, op, &b).map_err(|raised| self.at(raised, whole.span().start))
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        scope: &Scope,
    ) -> Fallible<Typed> {
        let operand = operand.map(|operand| self.expr(operand, scope)).transpose()?;
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for when in conditions {
            tests.push(match &operand {
                Some(operand) => {
                    let value = self.expr(&when.condition, scope)?;
                    self.compare(operand, "=", &value)?
                }
                None => self.condition(&when.condition, scope)?,
            });
            results.push(self.expr(&when.result, scope)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.expr(otherwise, scope)?,
            None => Typed::new("NULL", Type::null()),
        });
        let ty = self.common_of(&results);
        let nullable = results.iter().any(|result| result.nullable);
        let mut shown = results.iter().map(|result| self.aligned(result, &ty)).collect::<Vec<_>>();
        let otherwise = shown.pop().unwrap_or_default();
        let whens = tests.iter().zip(&shown).map(|(test, result)| format!("WHEN {test} THEN {result}"));
        let sql = format!("CASE {} ELSE {otherwise} END", whens.collect::<Vec<_>>().join(" "));
        Ok(Typed { sql: format!("({sql})"), ty, nullable })
    }

    /// The type that all of them can be.
    pub(crate) fn common_of(&self, values: &[Typed]) -> Type {
        values.iter().fold(Type::null(), |common, value| self.common(&common, &value.ty))
    }

    /// A value in the form of a type that it is to be shown as.
    pub(crate) fn aligned(&self, value: &Typed, ty: &Type) -> String {
        if value.ty == *ty || value.ty.name.is_empty() || value.sql == "NULL" {
            return value.sql.clone();
        }
        let padded = ty.is_padded() || value.ty.is_padded();
        if value.ty.class() == ty.class()
            && matches!(ty.class(), Class::Text | Class::Binary | Class::Integer)
            && !padded
        {
            return value.sql.clone();
        }
        if self.is_oracle() && value.ty.class() == Class::Text && ty.class() == Class::Text {
            return value.sql.clone();
        }
        self.convert(value, ty, Purpose::Cast)
    }

    /// An expression that is true or not.
    pub(crate) fn condition(&mut self, expr: &Expr, scope: &Scope) -> Fallible<String> {
        self.deeper()?;
        let compiled = self.condition_within(expr, scope).map_err(|raised| match raised.place {
            0 => self.at(raised, expr.span().start),
            _ => raised,
        });
        self.depth -= 1;
        compiled
    }

    fn condition_within(&mut self, expr: &Expr, scope: &Scope) -> Fallible<String> {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match expr {
            Expr::Nested(inner) => Ok(format!("({})", self.condition(inner, scope)?)),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(format!("NOT ({})", self.condition(expr, scope)?)),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Ok(format!("({} AND {})", self.condition(left, scope)?, self.condition(right, scope)?))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Ok(format!("({} OR {})", self.condition(left, scope)?, self.condition(right, scope)?))
            }
            Expr::BinaryOp { left, op, right } => {
                let op = match op {
                    BinaryOperator::Eq => "=",
                    BinaryOperator::NotEq => "<>",
                    BinaryOperator::Lt => "<",
                    BinaryOperator::LtEq => "<=",
                    BinaryOperator::Gt => ">",
                    BinaryOperator::GtEq => ">=",
                    _ => return Err(self.no_condition(expr)),
                };
                if let (Expr::Tuple(a), Expr::Tuple(b)) = (left.as_ref(), right.as_ref()) {
                    return self.tuples(a, op, b, scope);
                }
                let (a, b) = (self.expr(left, scope)?, self.expr(right, scope)?);
                self.compare(&a, op, &b)
            }
            Expr::IsNull(inner) => Ok(format!("({} IS NULL)", self.expr(inner, scope)?.sql)),
            Expr::IsNotNull(inner) => Ok(format!("({} IS NOT NULL)", self.expr(inner, scope)?.sql)),
            Expr::Between { expr, negated, low, high } => {
                let value = self.expr(expr, scope)?;
                let (low, high) = (self.expr(low, scope)?, self.expr(high, scope)?);
                Ok(format!(
                    "{}({} AND {})",
                    not(negated),
                    self.compare(&value, ">=", &low)?,
                    self.compare(&value, "<=", &high)?
                ))
            }
            Expr::InList { expr, list, negated } => {
                let value = self.expr(expr, scope)?;
                let mut tests = Vec::new();
                for item in list {
                    let item = self.expr(item, scope)?;
                    tests.push(self.compare(&value, "=", &item)?);
                }
                Ok(format!("{}({})", not(negated), tests.join(" OR ")))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.expr(expr, scope)?;
                let query = self.query(subquery, Some(scope))?;
                let column = query.columns.first().ok_or_else(|| self.no_condition(expr))?;
                let alias = self.fresh();
                let (alias, inner) = (crate::catalogue::quoted(&alias), crate::catalogue::quoted(&column.inner));
                let item = Typed::new(format!("{alias}.{inner}"), column.ty.clone());
                let (a, b, collation) = self.comparable(&value, &item)?;
                Ok(format!("({a}{collation}) {}IN (SELECT {b} FROM ({}) AS {alias})", not(negated), query.sql))
            }
            Expr::Exists { subquery, negated } => {
                let query = self.query(subquery, Some(scope))?;
                Ok(format!("{}EXISTS ({})", not(negated), query.sql))
            }
            Expr::Like { negated, expr, pattern, escape_char, .. } => {
                let (value, pattern) = (self.expr(expr, scope)?, self.expr(pattern, scope)?);
                let escape = match escape_char {
                    Some(escape) => self.expr(escape, scope)?.sql,
                    None => "NULL".to_owned(),
                };
                self.suggest(&pattern, &value.ty);
                let text = Type::sized(if self.is_oracle() { "VARCHAR2" } else { "nvarchar" }, crate::types::UNBOUNDED);
                let shown = |value: &Typed| {
                    if value.ty.class() == Class::Text {
                        value.sql.clone()
                    } else {
                        self.convert(value, &text, Purpose::Cast)
                    }
                };
                Ok(format!("{}x_like({}, {}, {escape})", not(negated), shown(&value), shown(&pattern)))
            }
            Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("REGEXP_LIKE") => {
                Err(self.no_condition(expr))
            }
            other => Err(self.no_condition(other)),
        }
    }

    fn no_condition(&self, expr: &Expr) -> ServerError {
        let raised = if self.is_oracle() {
            error(920, "invalid relational operator")
        } else {
            error(
                4145,
                format!(
                    "An expression of non-boolean type specified in a context where a condition is expected, near '{expr}'."
                ),
            )
        };
        self.at(raised, expr.span().start)
    }

    /// `(a, b) = (c, d)`, which Oracle has for equality only.
    fn tuples(&mut self, a: &[Expr], op: &str, b: &[Expr], scope: &Scope) -> Fallible<String> {
        if !self.is_oracle() || a.len() != b.len() || op != "=" {
            return Err(crate::errors::syntax(self.product, ","));
        }
        let mut tests = Vec::new();
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (self.expr(a, scope)?, self.expr(b, scope)?);
            tests.push(self.compare(&a, "=", &b)?);
        }
        Ok(format!("({})", tests.join(" AND ")))
    }
}
