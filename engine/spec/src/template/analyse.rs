//! What a template says, read from its syntax tree: every branch, rendered or not.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::machinery::ast::{Expr, Stmt};

use super::render::Medium;
use super::values::{FILTERS, TESTS};
use crate::jinja::{Findings, check_names, children, range_of, span_range};

/// Names at the root of a template.
const ROOTS: [&str; 4] = ["cursor", "params", "run", "window"];

/// A name that a template uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    WindowStart,
    WindowEnd,
    Cursor(String),
    Param(String),
    RunNow,
}

/// The names and branches of a template.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    pub(super) uses: Vec<(Name, Range<usize>)>,
    /// The conditions of every `if … elif …`, in order. A chain is as long as it has conditions.
    pub(super) branches: Vec<Vec<Range<usize>>>,
    /// Names that `for`, `set` and `with` bind anywhere in the template.
    locals: BTreeSet<String>,
}

/// Reads a syntax tree.
pub(super) fn analyse(root: &Stmt<'_>, medium: Medium, findings: &mut Findings) -> Analysis {
    let mut walk = Walk { found: Analysis::default(), medium, findings };
    walk.collect_locals(root);
    walk.statement(root, false);
    walk.found
}

struct Walk<'f> {
    found: Analysis,
    medium: Medium,
    findings: &'f mut Findings,
}

impl Walk<'_> {
    fn collect_locals(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(t) => t.children.iter().for_each(|s| self.collect_locals(s)),
            Stmt::ForLoop(t) => {
                self.bind(&t.target);
                t.body.iter().chain(&t.else_body).for_each(|s| self.collect_locals(s));
            }
            Stmt::IfCond(t) => t.true_body.iter().chain(&t.false_body).for_each(|s| self.collect_locals(s)),
            Stmt::WithBlock(t) => {
                t.assignments.iter().for_each(|(target, _)| self.bind(target));
                t.body.iter().for_each(|s| self.collect_locals(s));
            }
            Stmt::Set(t) => self.bind(&t.target),
            _ => {}
        }
    }

    fn bind(&mut self, target: &Expr<'_>) {
        if let Expr::Var(var) = target {
            if ROOTS.contains(&var.id) || var.id == "loop" {
                let message = format!("`{}` has a meaning of its own and cannot be set", var.id);
                self.findings.error("template_not_allowed", range_of(target), message, None);
            }
            self.found.locals.insert(var.id.to_owned());
        }
        children(target).into_iter().for_each(|target| self.bind(target));
    }

    fn statements(&mut self, statements: &[Stmt<'_>], in_loop: bool) {
        statements.iter().for_each(|statement| self.statement(statement, in_loop));
    }

    fn statement(&mut self, statement: &Stmt<'_>, in_loop: bool) {
        match statement {
            Stmt::Template(t) => self.statements(&t.children, in_loop),
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(t) => {
                self.emitted(&t.expr);
                self.expr(&t.expr, in_loop);
            }
            Stmt::ForLoop(t) => {
                if t.recursive {
                    let message = "a loop cannot be recursive";
                    self.findings.error("template_not_allowed", span_range(t.span()), message, None);
                }
                self.expr(&t.iter, in_loop);
                t.filter_expr.iter().for_each(|expr| self.expr(expr, true));
                self.statements(&t.body, true);
                self.statements(&t.else_body, in_loop);
            }
            Stmt::IfCond(_) => self.branch(statement, in_loop, None),
            Stmt::WithBlock(t) => {
                t.assignments.iter().for_each(|(_, expr)| self.expr(expr, in_loop));
                self.statements(&t.body, in_loop);
            }
            Stmt::Set(t) => self.expr(&t.expr, in_loop),
            Stmt::SetBlock(t) => self.refuse("a `set` block", span_range(t.span())),
            Stmt::AutoEscape(t) => self.refuse("`autoescape`", span_range(t.span())),
            Stmt::FilterBlock(t) => self.refuse("a `filter` block", span_range(t.span())),
            Stmt::Do(t) => self.refuse("`do`", span_range(t.span())),
            // Other crates may switch on further statements of the template language.
            #[allow(unreachable_patterns, reason = "which statements exist depends on the features of minijinja")]
            _ => self.refuse("this statement", 0..0),
        }
    }

    fn refuse(&mut self, what: &str, range: Range<usize>) {
        let help = "templates have `if`, `for`, `set` and `with`".to_owned();
        self.findings.error("template_not_allowed", range, format!("{what} is not allowed in a query"), Some(help));
    }

    /// Reads an `if`; an `elif` is an `if` alone in the `else` before it and continues its chain.
    fn branch(&mut self, statement: &Stmt<'_>, in_loop: bool, chain: Option<usize>) {
        let Stmt::IfCond(t) = statement else { return self.statement(statement, in_loop) };
        let chain = chain.unwrap_or_else(|| {
            self.found.branches.push(vec![]);
            self.found.branches.len() - 1
        });
        self.found.branches[chain].push(range_of(&t.expr));
        self.expr(&t.expr, in_loop);
        self.statements(&t.true_body, in_loop);
        match t.false_body.as_slice() {
            [only @ Stmt::IfCond(_)] => self.branch(only, in_loop, Some(chain)),
            body => self.statements(body, in_loop),
        }
    }

    /// Refuses text that was meant for the statement but would be bound as a value.
    fn emitted(&mut self, expr: &Expr<'_>) {
        if self.medium == Medium::Text {
            return;
        }
        match expr {
            Expr::Const(value) if value.value.as_str().is_some() => {
                let help = "write it outside of the braces; choose between texts with `{% if … %}`".to_owned();
                let message = "a text inside `{{ }}` is bound as a value, it does not become SQL";
                self.findings.error("template_literal", range_of(expr), message, Some(help));
            }
            Expr::IfExpr(choice) => {
                self.emitted(&choice.true_expr);
                choice.false_expr.iter().for_each(|expr| self.emitted(expr));
            }
            Expr::List(list) => list.items.iter().for_each(|expr| self.emitted(expr)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|expr| self.emitted(expr)),
            Expr::BinOp(_) | Expr::Compare(_) if is_comparison(expr) => {
                let help = "write the comparison as SQL, or in `{% if … %}`".to_owned();
                let message = "a comparison inside `{{ }}` is worked out here and bound as true or false";
                self.findings.0.push(super::TemplateFinding {
                    code: "template_comparison",
                    severity: super::Severity::Warning,
                    message: message.to_owned(),
                    range: range_of(expr),
                    help: Some(help),
                    meant: None,
                });
            }
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr<'_>, in_loop: bool) {
        const CODES: (&str, &str, &str) =
            ("template_unknown_filter", "template_unknown_test", "template_unknown_function");
        check_names(expr, (FILTERS, TESTS), CODES, self.findings);
        match expr {
            Expr::GetAttr(attr) => {
                if let Some(root) = self.root(&attr.expr) {
                    return self.named(root, attr.name, range_of(expr));
                }
            }
            Expr::GetItem(item) => {
                if let Some(root) = self.root(&item.expr) {
                    let name = if let Expr::Const(name) = &item.subscript_expr { name.value.as_str() } else { None };
                    return match name {
                        Some(name) => self.named(root, name, range_of(expr)),
                        None => {
                            let message = format!("which part of `{root}` this is must be written out");
                            let help = Some(format!("write `{root}.name`"));
                            self.findings.error("template_unknown_name", range_of(expr), message, help);
                        }
                    };
                }
            }
            Expr::Var(var) => return self.variable(var.id, range_of(expr), in_loop),
            Expr::IfExpr(choice) if choice.false_expr.is_none() => {
                let help = Some("add `else`, or choose with `{% if … %}`".to_owned());
                let message = "without `else` there may be no value";
                self.findings.error("template_if_without_else", range_of(expr), message, help);
            }
            Expr::Filter(filter) if filter.name == "format" => self.pattern(&filter.args),
            Expr::Call(call) => {
                // The name of what is called was reported; its arguments are read all the same.
                return children(expr)
                    .into_iter()
                    .skip(1)
                    .chain(receiver(&call.expr))
                    .for_each(|e| self.expr(e, in_loop));
            }
            _ => {}
        }
        children(expr).into_iter().for_each(|child| self.expr(child, in_loop));
    }

    /// Checks the pattern of `format` where it is written out.
    fn pattern(&mut self, args: &[minijinja::machinery::ast::CallArg<'_>]) {
        let [minijinja::machinery::ast::CallArg::Pos(Expr::Const(pattern))] = args else { return };
        let Some(Err(wrong)) = pattern.value.as_str().map(super::bounds::grain) else { return };
        self.findings.error("template_pattern", span_range(pattern.span()), wrong, None);
    }

    /// The root name that an expression is, unless the template bound it itself.
    fn root(&self, expr: &Expr<'_>) -> Option<&'static str> {
        let Expr::Var(var) = expr else { return None };
        ROOTS.into_iter().find(|root| *root == var.id)
    }

    fn variable(&mut self, name: &str, range: Range<usize>, in_loop: bool) {
        if self.found.locals.contains(name) || (name == "loop" && in_loop) {
            return;
        }
        if ROOTS.contains(&name) {
            let help = match name {
                "window" => "write `window.start` or `window.end`".to_owned(),
                "run" => "write `run.now`".to_owned(),
                "cursor" => "write `cursor.` and a column of `sync.cursor`".to_owned(),
                _ => "write `params.` and a name of `query.params`".to_owned(),
            };
            return self.findings.error("template_unknown_name", range, format!("`{name}` is no value"), Some(help));
        }
        let locals = self.found.locals.iter().map(String::as_str);
        let known: Vec<&str> = ROOTS.into_iter().chain(locals).collect();
        let otherwise = || "there are `params.…`, `window.start`, `window.end`, `cursor.…` and `run.now`".to_owned();
        let message = format!("there is no `{name}`");
        self.findings.unknown("template_unknown_name", range, message, name, &known, otherwise);
    }

    fn named(&mut self, root: &str, name: &str, range: Range<usize>) {
        let used = match (root, name) {
            ("params", name) => Name::Param(name.to_owned()),
            ("cursor", name) => Name::Cursor(name.to_owned()),
            ("window", "start") => Name::WindowStart,
            ("window", "end") => Name::WindowEnd,
            ("run", "now") => Name::RunNow,
            _ => {
                let known: &[&str] = if root == "window" { &["start", "end"] } else { &["now"] };
                let known: Vec<String> = known.iter().map(|known| format!("{root}.{known}")).collect();
                let wrong = format!("{root}.{name}");
                let otherwise = || format!("there is `{}`", known.join("` and `"));
                let message = format!("there is no `{wrong}`");
                return self.findings.unknown("template_unknown_name", range, message, &wrong, &known, otherwise);
            }
        };
        self.found.uses.push((used, range));
    }
}

/// The value that a method is called on.
fn receiver<'t, 'a>(called: &'t Expr<'a>) -> Option<&'t Expr<'a>> {
    if let Expr::GetAttr(attr) = called { Some(&attr.expr) } else { None }
}

fn is_comparison(expr: &Expr<'_>) -> bool {
    use minijinja::machinery::ast::BinOpKind::{Eq, Gt, Gte, In, Lt, Lte, Ne};
    match expr {
        Expr::BinOp(op) => matches!(op.op, Eq | Ne | Lt | Lte | Gt | Gte | In),
        Expr::Compare(_) => true,
        _ => false,
    }
}
