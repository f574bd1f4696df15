//! What templates and row expressions share: reading the syntax tree, places, suggestions.

use std::ops::Range;

use minijinja::machinery::ast::{CallArg, Expr};
use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

use crate::diagnostic::guess;
use crate::template::{Meant, Severity, TemplateFinding};

/// Words and signs of one expression. The tree of a longer one is as deep, and is walked by recursion.
pub(crate) const EXPR_TOKENS_MAX: usize = 1_000;
/// Tags of statements in a template, for the same reason.
pub(crate) const TEMPLATE_STATEMENTS_MAX: usize = 200;

/// The syntax of templates: nothing of the text around a tag is dropped unless the tag says so.
pub(crate) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the default delimiters are valid")
}

/// The findings of one template, in the making.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<TemplateFinding>);

impl Findings {
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        range: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let (severity, message) = (Severity::Error, message.into());
        self.0.push(TemplateFinding { code, severity, message, range, help, meant: None });
    }

    /// A name that there is not: the known one that is near it is suggested, and `otherwise` is said where none is.
    pub(crate) fn unknown<S: AsRef<str>>(
        &mut self,
        code: &'static str,
        range: Range<usize>,
        message: impl Into<String>,
        name: &str,
        known: &[S],
        otherwise: impl FnOnce() -> String,
    ) {
        let near = guess(name, known.iter().map(AsRef::as_ref));
        let help = near.map_or_else(otherwise, |near| format!("did you mean `{}`?", near.name));
        self.error(code, range, message, Some(help));
        if let (Some(finding), Some(near)) = (self.0.last_mut(), near.filter(|near| near.is_certain)) {
            finding.meant = Some(Box::new(Meant { wrong: name.to_owned(), right: near.name.to_owned() }));
        }
    }

    pub(crate) fn has_error(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The findings in the order of their places, each once.
    pub(crate) fn sorted(mut self) -> Vec<TemplateFinding> {
        self.0.sort_by(|a, b| (a.range.start, a.range.end, a.code).cmp(&(b.range.start, b.range.end, b.code)));
        self.0.dedup_by(|a, b| a.code == b.code && a.range == b.range);
        self.0
    }
}

/// Bytes of a span.
pub(crate) fn span_range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// Bytes of an expression. The tree places an operator at the token before its left side; the left side is right.
pub(crate) fn range_of(expr: &Expr<'_>) -> Range<usize> {
    let own = span_range(expr.span());
    let start = match expr {
        Expr::BinOp(op) => range_of(&op.left).start,
        Expr::Compare(op) => range_of(&op.expr).start,
        Expr::IfExpr(op) => range_of(&op.true_expr).start,
        Expr::Test(op) => range_of(&op.expr).start,
        Expr::Filter(op) => op.expr.as_ref().map_or(own.start, |expr| range_of(expr).start),
        Expr::GetAttr(op) => range_of(&op.expr).start,
        Expr::GetItem(op) => range_of(&op.expr).start,
        Expr::Slice(op) => range_of(&op.expr).start,
        Expr::Call(op) => range_of(&op.expr).start,
        Expr::UnaryOp(_) | Expr::Var(_) | Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => own.start,
    };
    start..own.end.max(start)
}

/// The expressions right below an expression.
pub(crate) fn children<'t, 'a>(expr: &'t Expr<'a>) -> Vec<&'t Expr<'a>> {
    match expr {
        Expr::Var(_) | Expr::Const(_) => vec![],
        Expr::Slice(e) => std::iter::once(&e.expr).chain(&e.start).chain(&e.stop).chain(&e.step).collect(),
        Expr::UnaryOp(e) => vec![&e.expr],
        Expr::BinOp(e) => vec![&e.left, &e.right],
        Expr::Compare(e) => std::iter::once(&e.expr).chain(e.ops.iter().map(|op| &op.expr)).collect(),
        Expr::IfExpr(e) => [&e.test_expr, &e.true_expr].into_iter().chain(&e.false_expr).collect(),
        Expr::Filter(e) => e.expr.iter().chain(e.args.iter().map(argument)).collect(),
        Expr::Test(e) => std::iter::once(&e.expr).chain(e.args.iter().map(argument)).collect(),
        Expr::GetAttr(e) => vec![&e.expr],
        Expr::GetItem(e) => vec![&e.expr, &e.subscript_expr],
        Expr::Call(e) => std::iter::once(&e.expr).chain(e.args.iter().map(argument)).collect(),
        Expr::List(e) => e.items.iter().collect(),
        Expr::Tuple(e) => e.items.iter().collect(),
        Expr::Map(e) => e.keys.iter().chain(&e.values).collect(),
    }
}

fn argument<'t, 'a>(argument: &'t CallArg<'a>) -> &'t Expr<'a> {
    match argument {
        CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => expr,
    }
}

/// Reports a filter, test or call that an environment does not have. `known` are the filters and tests.
pub(crate) fn check_names(
    expr: &Expr<'_>,
    (filters, tests): (&[&str], &[&str]),
    codes: (&'static str, &'static str, &'static str),
    findings: &mut Findings,
) {
    match expr {
        Expr::Filter(filter) if !filters.contains(&filter.name) => {
            let (range, message) = (range_of(expr), format!("there is no filter `{}`", filter.name));
            if matches!(filter.name, "safe" | "raw" | "escape" | "e") {
                let help = "there is no way to put a value into the text: it is always bound".to_owned();
                findings.error(codes.0, range, message, Some(help));
            } else {
                let otherwise = || format!("there are: {}", filters.join(", "));
                findings.unknown(codes.0, range, message, filter.name, filters, otherwise);
            }
        }
        Expr::Test(test) if !tests.contains(&test.name) => {
            let message = format!("there is no test `{}`", test.name);
            let otherwise = || format!("there are: {}", tests.join(", "));
            findings.unknown(codes.1, range_of(expr), message, test.name, tests, otherwise);
        }
        Expr::Call(call) => {
            let name = match &call.expr {
                Expr::Var(var) => format!("there is no function `{}`", var.id),
                Expr::GetAttr(attr) => format!("values have no methods; `{}` is one", attr.name),
                _ => "this cannot be called".to_owned(),
            };
            let help = match &call.expr {
                Expr::GetAttr(attr) if filters.contains(&attr.name) => Some(format!("write `| {}`", attr.name)),
                Expr::Var(var) if filters.contains(&var.id) => Some(format!("write `value | {}`", var.id)),
                _ => None,
            };
            findings.error(codes.2, range_of(expr), name, help);
        }
        _ => {}
    }
}

/// What of a text is too large to be read; `in_expr` where it is one expression.
pub(crate) fn oversized(text: &str, in_expr: bool) -> Option<(Range<usize>, String)> {
    let (mut tokens, mut statements) = (0, 0);
    for (token, span) in tokenize(text, in_expr, syntax()).map_while(Result::ok) {
        tokens += 1;
        match token {
            Token::TemplateData(_) | Token::VariableStart => tokens = 0,
            Token::BlockStart => {
                tokens = 0;
                statements += 1;
            }
            _ => {}
        }
        if tokens > EXPR_TOKENS_MAX {
            let message = format!("an expression has more than {EXPR_TOKENS_MAX} words and signs");
            return Some((clamp(span_range(span), text), message));
        }
        if statements > TEMPLATE_STATEMENTS_MAX {
            let message = format!("there are more than {TEMPLATE_STATEMENTS_MAX} statements");
            return Some((clamp(span_range(span), text), message));
        }
    }
    None
}

/// A syntax error as a finding.
pub(crate) fn syntax_finding(code: &'static str, text: &str, error: &Error) -> TemplateFinding {
    let range = clamp(error.range().unwrap_or(0..text.len()), text);
    let what = error.detail().unwrap_or("it cannot be read");
    let message = if error.kind() == ErrorKind::SyntaxError { format!("syntax: {what}") } else { what.to_owned() };
    TemplateFinding { code, severity: Severity::Error, message, range, help: None, meant: None }
}

/// A range that lies within a text, at its characters' boundaries.
pub(crate) fn clamp(range: Range<usize>, text: &str) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(range.start);
    start..floor(range.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested() {
        let check = |known: &[&str], name: &str, help: &str, meant: Option<&str>| {
            let mut findings = Findings::default();
            findings.unknown("template_unknown_name", 0..0, "", name, known, || "none".to_owned());
            let found = &findings.0[0];
            assert_eq!(found.help.as_deref(), Some(help), "{name}");
            let meant = meant.map(|right| Meant { wrong: name.to_owned(), right: right.to_owned() });
            assert_eq!(found.meant.as_deref(), meant.as_ref(), "{name}");
        };
        let known = ["window", "params", "cursor"];
        for name in ["windw", "Window", "wnidow"] {
            check(&known, name, "did you mean `window`?", Some("window"));
        }
        check(&known, "parms", "did you mean `params`?", Some("params"));
        check(&known, "xyz", "none", None);
        check(&known, "", "none", None);
        check(&["plant_1", "plant_2"], "plant_3", "did you mean `plant_1`?", None);
    }
}
