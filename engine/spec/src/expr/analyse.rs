//! What a row expression says, read from its syntax tree.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{CallArg, Expr, Stmt};
use minijinja::machinery::{parse as parse_template, parse_expr};

use super::filters::{FILTERS, TESTS, one_group, pad_left};
use super::native::{column, recognise};
use super::script::Script;
use super::{EXPR_BYTES_MAX, RowExpr};
use crate::jinja::{Findings, check_names, children, oversized, range_of, span_range, syntax, syntax_finding};
use crate::template::TemplateFinding;

/// The name that a template has while it is read.
const TEMPLATE_NAME: &str = "row";

pub(super) fn parse(text: &str) -> (Option<RowExpr>, Vec<TemplateFinding>) {
    let mut walk = Walk::default();
    if text.trim().is_empty() {
        walk.findings.error("expr_syntax", 0..text.len(), "there is no expression", None);
    }
    if text.len() > EXPR_BYTES_MAX {
        let message = format!("the expression has {} bytes; the limit is {EXPR_BYTES_MAX}", text.len());
        walk.findings.error("expr_too_long", 0..0, message, None);
    }
    let is_template = text.contains("{{") || text.contains("{%");
    if let Some((range, message)) = oversized(text, !is_template) {
        walk.findings.error("expr_too_long", range, message, None);
    }
    if walk.findings.has_error() {
        return (None, walk.findings.0);
    }
    let expr = if is_template { walk.template(text) } else { walk.expression(text) };
    let findings = walk.findings;
    if findings.has_error() { (None, findings.sorted()) } else { (expr, findings.sorted()) }
}

/// The one `{{ … }}` that a text is, white space around it aside, and its source. It gives a value, where a longer
/// text gives a text: no value stays no value.
fn only_expression<'t, 'a>(root: &'t Stmt<'a>, text: &'t str) -> Option<(&'t Expr<'a>, &'t str)> {
    let Stmt::Template(template) = root else { return None };
    let is_blank = |statement: &&Stmt<'_>| matches!(statement, Stmt::EmitRaw(raw) if raw.raw.trim().is_empty());
    let mut rest = template.children.iter().filter(|statement| !is_blank(statement));
    let (Some(Stmt::EmitExpr(emit)), None) = (rest.next(), rest.next()) else { return None };
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some((&emit.expr, inner.strip_suffix(['-', '+']).unwrap_or(inner)))
}

#[derive(Default)]
struct Walk {
    findings: Findings,
    columns: BTreeSet<String>,
    /// Names that the text binds itself.
    locals: BTreeSet<String>,
}

impl Walk {
    fn expression(&mut self, text: &str) -> Option<RowExpr> {
        let expr = match parse_expr(text) {
            Ok(expr) => expr,
            Err(error) => {
                self.findings.0.push(syntax_finding("expr_syntax", text, &error));
                return None;
            }
        };
        self.expr(&expr);
        if self.findings.has_error() {
            return None;
        }
        recognise(&expr).or_else(|| self.script(text, Script::expression))
    }

    fn template(&mut self, text: &str) -> Option<RowExpr> {
        let root = match parse_template(text, TEMPLATE_NAME, syntax()) {
            Ok(root) => root,
            Err(error) => {
                self.findings.0.push(syntax_finding("expr_syntax", text, &error));
                return None;
            }
        };
        self.statement(&root);
        if self.findings.has_error() {
            return None;
        }
        match only_expression(&root, text) {
            Some((expr, source)) => recognise(expr).or_else(|| self.script(source, Script::expression)),
            None => self.script(text, Script::template),
        }
    }

    fn script(
        &mut self,
        text: &str,
        compile: fn(&str, BTreeSet<String>) -> Result<Script, minijinja::Error>,
    ) -> Option<RowExpr> {
        match compile(text, self.columns.clone()) {
            Ok(script) => Some(RowExpr::Script(script)),
            Err(error) => {
                self.findings.0.push(syntax_finding("expr_syntax", text, &error));
                None
            }
        }
    }

    fn bind(&mut self, target: &Expr<'_>) {
        if let Expr::Var(var) = target {
            self.locals.insert(var.id.to_owned());
        }
        children(target).into_iter().for_each(|target| self.bind(target));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(t) => t.children.iter().for_each(|s| self.statement(s)),
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(t) => self.expr(&t.expr),
            Stmt::IfCond(t) => {
                self.expr(&t.expr);
                t.true_body.iter().chain(&t.false_body).for_each(|s| self.statement(s));
            }
            Stmt::ForLoop(t) => {
                self.expr(&t.iter);
                self.bind(&t.target);
                self.locals.insert("loop".to_owned());
                t.filter_expr.iter().for_each(|expr| self.expr(expr));
                t.body.iter().chain(&t.else_body).for_each(|s| self.statement(s));
            }
            Stmt::Set(t) => {
                self.expr(&t.expr);
                self.bind(&t.target);
            }
            other => {
                let range = match other {
                    Stmt::WithBlock(t) => span_range(t.span()),
                    Stmt::SetBlock(t) => span_range(t.span()),
                    Stmt::AutoEscape(t) => span_range(t.span()),
                    Stmt::FilterBlock(t) => span_range(t.span()),
                    Stmt::Do(t) => span_range(t.span()),
                    _ => 0..0,
                };
                let help = Some("there are `if`, `for` and `set`".to_owned());
                self.findings.error("expr_not_allowed", range, "this statement is not allowed over a row", help);
            }
        }
    }

    fn expr(&mut self, expr: &Expr<'_>) {
        const CODES: (&str, &str, &str) = ("expr_unknown_filter", "expr_unknown_test", "expr_unknown_function");
        check_names(expr, (FILTERS, TESTS), CODES, &mut self.findings);
        if let Some(column) = column(expr) {
            let root = column.split('.').next().unwrap_or_default();
            if !self.locals.contains(root) {
                self.columns.insert(column);
            }
            return;
        }
        match expr {
            Expr::IfExpr(choice) if choice.false_expr.is_none() => {
                let help = Some("add `else none` for no value".to_owned());
                self.findings.error(
                    "expr_if_without_else",
                    range_of(expr),
                    "without `else` there may be no value",
                    help,
                );
            }
            Expr::Filter(filter) => self.arguments(expr, filter.name, &filter.args),
            Expr::Call(call) => {
                // What is called was reported; it is no column.
                for child in children(expr).into_iter().skip(1) {
                    self.expr(child);
                }
                if let Expr::GetAttr(attr) = &call.expr {
                    self.expr(&attr.expr);
                }
                return;
            }
            _ => {}
        }
        children(expr).into_iter().for_each(|child| self.expr(child));
    }

    /// Checks arguments that are written out.
    fn arguments(&mut self, expr: &Expr<'_>, filter: &str, args: &[CallArg<'_>]) {
        let constant = |place: usize| match args.get(place) {
            Some(CallArg::Pos(Expr::Const(value))) => Some(value.value.clone()),
            _ => None,
        };
        let wrong = match (filter, constant(0), constant(1)) {
            ("extract", Some(pattern), _) => pattern.as_str().and_then(|pattern| one_group(pattern).err()),
            ("pad_left", Some(width), Some(with)) => match (width.as_usize(), with.as_str()) {
                (Some(width), Some(with)) => pad_left(width, with).err(),
                _ => Some("`pad_left` takes a width and a character, as in `pad_left(12, '0')`".to_owned()),
            },
            ("extract", None, _) if args.is_empty() => {
                Some("`extract` takes a regular expression with one group".to_owned())
            }
            ("pad_left", ..) if args.len() != 2 => {
                Some("`pad_left` takes a width and a character, as in `pad_left(12, '0')`".to_owned())
            }
            ("strip_leading", ..) if args.len() != 1 => {
                Some("`strip_leading` takes characters, as in `strip_leading('0')`".to_owned())
            }
            ("replace", ..) if args.len() != 2 => Some("`replace` takes two texts".to_owned()),
            _ => None,
        };
        if let Some(message) = wrong {
            self.findings.error("expr_argument", range_of(expr), message, None);
        }
    }
}
