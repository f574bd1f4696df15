//! Templated requests to an HTTP API: every value is encoded for the place where it stands.
//!
//! | place | how a value is written |
//! | --- | --- |
//! | path | percent-encoded, so that it stays within its segment |
//! | query | percent-encoded; in an option of OData (`$filter`), a quote in a text is doubled |
//! | header | as text; a line break is refused |
//! | JSON body | a text that is one `{{ … }}` keeps the type of its value; elsewhere it is a part of the string |

use std::ops::Range;

use serde_json::Value;

use super::render::first;
use super::text::{Part, TextTemplate, text_of};
use super::{Bind, BindValue, Scope, Severity, TemplateError, TemplateFinding, Uses};
use crate::diagnostic::child;
use crate::model::{HeaderValue, Method, Request};

/// A request whose templates have passed the checks which need no values.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    method: Method,
    path: TextTemplate,
    query: Vec<(String, TextTemplate)>,
    headers: Vec<(String, TextTemplate)>,
    body: Option<JsonTemplate>,
}

/// A JSON value whose texts are templates.
#[derive(Debug, Clone)]
enum JsonTemplate {
    Plain(Value),
    Text(TextTemplate),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

/// A finding in a template of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFinding {
    /// Place of the template below `source.request`, as a JSON pointer: `/query/from`.
    pub pointer: String,
    /// What is wrong; its range counts in that template.
    pub finding: TemplateFinding,
}

/// A request as it is sent, but for its address and its login.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedRequest {
    /// Method.
    pub method: Method,
    /// Path below the base address, encoded.
    pub path: String,
    /// Query parameters in plain text, in the order of their names.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body, JSON.
    pub body: Option<String>,
    /// Every value, in the order path, query, headers, body. For people and for tests of a spec.
    pub binds: Vec<Bind>,
}

impl RenderedRequest {
    /// The query, encoded; empty where there are no parameters.
    pub fn query_string(&self) -> String {
        query_string(&self.query)
    }

    /// The whole address: the base address, the path, and the query. Further parameters win over those of the
    /// request that have their name.
    pub fn address(&self, base: &str, further: &[(String, String)]) -> String {
        let base = base.split('#').next().unwrap_or_default();
        let (base, own) = base.split_once('?').unwrap_or((base, ""));
        let mut address = base.trim_end_matches('/').to_owned();
        if !self.path.is_empty() && !self.path.starts_with(['/', '(']) {
            address.push('/');
        }
        address.push_str(&self.path);
        let is_replaced = |name: &str| further.iter().any(|(other, _)| other == name);
        let kept: Vec<(String, String)> =
            self.query.iter().filter(|(name, _)| !is_replaced(name)).chain(further).cloned().collect();
        for query in [own, &query_string(&kept)].into_iter().filter(|query| !query.is_empty()) {
            address.push(if address.contains('?') { '&' } else { '?' });
            address.push_str(query);
        }
        address
    }
}

fn query_string(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// Text with everything percent-encoded that may mean something in an address.
///
/// A space is `%20`, which every server reads, and `$` stays, as the names of OData's options are written.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'$') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl RequestTemplate {
    /// Reads the templates of a request. Secret headers are not among them. Findings are all there are; with an error
    /// among them there is no template.
    pub fn parse(request: &Request) -> (Option<Self>, Vec<RequestFinding>) {
        let (template, findings) = Self::parse_readable(request);
        let has_error = findings.iter().any(|found| found.finding.severity == Severity::Error);
        (template.filter(|_| !has_error), findings)
    }

    /// [`Self::parse`], without the templates that cannot be read.
    pub(super) fn parse_readable(request: &Request) -> (Option<Self>, Vec<RequestFinding>) {
        let mut findings = Vec::new();
        let path = read("/path", request.path.as_deref().unwrap_or_default(), &mut findings);
        let path = path.or_else(|| TextTemplate::parse("").0);
        let query = request
            .query
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), read(&child("/query", name), text, &mut findings)?)))
            .collect();
        let headers = request
            .headers
            .iter()
            .filter_map(|(name, value)| match value {
                HeaderValue::Text(text) => Some((name.clone(), read(&child("/headers", name), text, &mut findings)?)),
                HeaderValue::Secret(_) => None,
            })
            .collect();
        let body = request.body.as_ref().and_then(|body| JsonTemplate::read("/body", body, &mut findings));
        let method = request.method.unwrap_or(Method::Get);
        (path.map(|path| Self { method, path, query, headers, body }), findings)
    }

    /// The names that the templates use.
    pub fn uses(&self) -> Uses {
        let mut all = Uses::default();
        self.each(&mut |_, template| {
            let uses = template.uses();
            all.window_start |= uses.window_start;
            all.window_end |= uses.window_end;
            all.cursor.extend(uses.cursor);
            all.params.extend(uses.params);
        });
        all
    }

    /// Renders the request.
    ///
    /// A query parameter, header or JSON member that is one `{{ cursor.… }}` is left out as long as the cursor has no
    /// value: the first run reads from the beginning.
    pub fn render(&self, scope: &Scope<'_>) -> Result<RenderedRequest, TemplateError> {
        self.render_at(scope).map_err(|RequestFinding { pointer, finding }| {
            let place = pointer.replace('/', ".");
            let error = first(vec![finding]);
            TemplateError { message: format!("request{place}: {}", error.message), ..error }
        })
    }

    /// [`Self::render`], with the place of what is wrong.
    pub(super) fn render_at(&self, scope: &Scope<'_>) -> Result<RenderedRequest, RequestFinding> {
        let mut binds = Vec::new();
        // A path without a value would name another path: nothing is left out of it.
        let parts = self.path.render(scope, &[]).map_err(|finding| at("/path", finding))?;
        let path = write_path(&parts).map_err(|message| at("/path", self.path.refused(message)))?;
        binds.extend(values(&parts));
        let mut query = Vec::new();
        for (name, template) in &self.query {
            let wrong = |finding| at(&child("/query", name), finding);
            let Some(parts) = template.parts(scope).map_err(wrong)? else { continue };
            let texts = write_query(name, &parts).map_err(|message| wrong(template.refused(message)))?;
            query.extend(texts.into_iter().map(|text| (name.clone(), text)));
            binds.extend(values(&parts));
        }
        let mut headers = Vec::new();
        for (name, template) in &self.headers {
            let wrong = |finding| at(&child("/headers", name), finding);
            let Some(parts) = template.parts(scope).map_err(wrong)? else { continue };
            headers.push((name.clone(), write_header(&parts).map_err(|message| wrong(template.refused(message)))?));
            binds.extend(values(&parts));
        }
        let mut body = None;
        if let Some(template) = &self.body {
            let mut json = String::new();
            template.write("/body", scope, &mut json, &mut binds)?;
            body = Some(json);
        }
        Ok(RenderedRequest { method: self.method, path, query, headers, body, binds })
    }

    /// Every template with its place.
    pub(super) fn each<'t>(&'t self, see: &mut dyn FnMut(String, &'t TextTemplate)) {
        see("/path".to_owned(), &self.path);
        self.query.iter().for_each(|(name, template)| see(child("/query", name), template));
        self.headers.iter().for_each(|(name, template)| see(child("/headers", name), template));
        if let Some(body) = &self.body {
            body.each("/body", see);
        }
    }
}

fn at(pointer: &str, finding: TemplateFinding) -> RequestFinding {
    RequestFinding { pointer: pointer.to_owned(), finding }
}

fn read(pointer: &str, text: &str, findings: &mut Vec<RequestFinding>) -> Option<TextTemplate> {
    let (template, found) = TextTemplate::parse(text);
    findings.extend(found.into_iter().map(|finding| at(pointer, finding)));
    template
}

impl TextTemplate {
    /// The rendered parts; `None` where the template is one cursor column that has no value yet.
    fn parts(&self, scope: &Scope<'_>) -> Result<Option<Vec<Part>>, TemplateFinding> {
        let has_no_cursor = || {
            let missing = |name: &String| scope.cursor.get(name).is_none_or(|value| *value == BindValue::Null);
            self.body.is_lone() && self.uses().cursor.iter().any(missing)
        };
        match self.render(scope, &[]) {
            Ok(parts) if parts.iter().any(is_null) && has_no_cursor() => Ok(None),
            Ok(parts) => Ok(Some(parts)),
            Err(_) if has_no_cursor() => Ok(None),
            Err(finding) => Err(finding),
        }
    }

    fn refused(&self, message: String) -> TemplateFinding {
        let range: Range<usize> = 0..self.body.text.len();
        let severity = Severity::Error;
        TemplateFinding { code: "template_value", severity, message, range, help: None, meant: None }
    }
}

fn is_null(part: &Part) -> bool {
    matches!(part, Part::Value(Bind { value: BindValue::Null, .. }))
}

fn values(parts: &[Part]) -> Vec<Bind> {
    let of = |part: &Part| match part {
        Part::Text(_) => Vec::new(),
        Part::Value(bind) => vec![bind.clone()],
        Part::List(binds) => binds.clone(),
    };
    parts.iter().flat_map(of).collect()
}

/// The parts as one text; `write` encodes the text of a value.
fn join(parts: &[Part], write: impl Fn(&Bind, String) -> Result<String, String>) -> Result<String, String> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(bind) => {
                let text = text_of(&bind.value).map_err(|why| format!("`{}`: {why}", bind.origin))?;
                out.push_str(&write(bind, text)?);
            }
            Part::List(binds) => {
                let origin = binds.first().map_or("", |bind| bind.origin.as_str());
                return Err(format!("`{origin}` is a list: write `| join(',')`, or choose one with `| first`"));
            }
        }
    }
    Ok(out)
}

fn write_path(parts: &[Part]) -> Result<String, String> {
    let path = join(parts, |bind, text| {
        if text.is_empty() {
            return Err(format!("`{}` is empty, and would name another path", bind.origin));
        }
        Ok(encoded(&text))
    })?;
    // Addresses are read as folders are: such a segment would climb out of the path that the spec names.
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("a segment of the path is `.` or `..`".to_owned());
    }
    Ok(path)
}

/// The texts of a parameter: one, or as many as a lone list has items.
fn write_query(name: &str, parts: &[Part]) -> Result<Vec<String>, String> {
    if let [Part::List(binds)] = parts {
        return binds.iter().map(|bind| join(&[Part::Value(bind.clone())], |_, text| Ok(text))).collect();
    }
    let is_odata = name.starts_with('$');
    let text = join(parts, |bind, text| match bind.value {
        BindValue::Text(_) if is_odata => Ok(text.replace('\'', "''")),
        _ => Ok(text),
    })?;
    Ok(vec![text])
}

fn write_header(parts: &[Part]) -> Result<String, String> {
    let text = join(parts, |_, text| Ok(text))?;
    if text.chars().any(char::is_control) {
        return Err("a header cannot hold a line break or another control character".to_owned());
    }
    Ok(text)
}

impl JsonTemplate {
    fn read(pointer: &str, value: &Value, findings: &mut Vec<RequestFinding>) -> Option<Self> {
        Some(match value {
            Value::String(text) => Self::Text(read(pointer, text, findings)?),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let read = items.filter_map(|(index, item)| Self::read(&format!("{pointer}/{index}"), item, findings));
                Self::List(read.collect())
            }
            Value::Object(members) => {
                let read = members.iter().filter_map(|(name, member)| {
                    Some((name.clone(), Self::read(&child(pointer, name), member, findings)?))
                });
                Self::Object(read.collect())
            }
            plain => Self::Plain(plain.clone()),
        })
    }

    fn each<'t>(&'t self, pointer: &str, see: &mut dyn FnMut(String, &'t TextTemplate)) {
        match self {
            Self::Plain(_) => {}
            Self::Text(template) => see(pointer.to_owned(), template),
            Self::List(items) => {
                items.iter().enumerate().for_each(|(index, item)| item.each(&format!("{pointer}/{index}"), see));
            }
            Self::Object(members) => members.iter().for_each(|(name, member)| member.each(&child(pointer, name), see)),
        }
    }

    /// Writes the value; `false` where it is left out.
    fn write(
        &self,
        pointer: &str,
        scope: &Scope<'_>,
        out: &mut String,
        binds: &mut Vec<Bind>,
    ) -> Result<bool, RequestFinding> {
        match self {
            Self::Plain(value) => out.push_str(&value.to_string()),
            Self::Text(template) => {
                let wrong = |finding| at(pointer, finding);
                let Some(parts) = template.parts(scope).map_err(wrong)? else { return Ok(false) };
                let written = match parts.as_slice() {
                    [Part::Value(bind)] if template.body.is_lone() => json_of(bind),
                    [Part::List(items)] if template.body.is_lone() => {
                        let items: Result<Vec<String>, String> = items.iter().map(json_of).collect();
                        items.map(|items| format!("[{}]", items.join(",")))
                    }
                    parts => join(parts, |_, text| Ok(text)).map(|text| quoted(&text)),
                };
                out.push_str(&written.map_err(|message| wrong(template.refused(message)))?);
                binds.extend(values(&parts));
            }
            Self::List(items) => {
                let mut index = 0;
                write_items(out, ('[', ']'), items, |item, out| {
                    index += 1;
                    item.write(&format!("{pointer}/{}", index - 1), scope, out, binds)
                })?;
            }
            Self::Object(members) => write_items(out, ('{', '}'), members, |(name, member), out| {
                out.push_str(&quoted(name));
                out.push(':');
                member.write(&child(pointer, name), scope, out, binds)
            })?,
        }
        Ok(true)
    }
}

/// Writes items between brackets; one that is left out takes its comma along.
fn write_items<T>(
    out: &mut String,
    (open, close): (char, char),
    items: &[T],
    mut write: impl FnMut(&T, &mut String) -> Result<bool, RequestFinding>,
) -> Result<(), RequestFinding> {
    out.push(open);
    let mut is_first = true;
    for item in items {
        let before = out.len();
        if !is_first {
            out.push(',');
        }
        if write(item, out)? {
            is_first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push(close);
    Ok(())
}

/// A value as JSON, with its type; exact numbers keep their digits.
fn json_of(bind: &Bind) -> Result<String, String> {
    match &bind.value {
        BindValue::Null => Ok("null".to_owned()),
        BindValue::Bool(_) | BindValue::Int(_) | BindValue::Float(_) | BindValue::Decimal(_) => {
            text_of(&bind.value).map_err(str::to_owned)
        }
        value => text_of(value).map(|text| quoted(&text)).map_err(|why| format!("`{}`: {why}", bind.origin)),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
