//! Templates of text that is no SQL: the parts of a request. A value is never spliced in; who writes the request
//! encodes it for the place where it stands.

use std::ops::Range;

use super::render::{Body, Medium, PLACE_START};
use super::values::Slot;
use super::{Bind, BindValue, Scope, TemplateFinding, Uses};
use crate::sql::{SLOT_END, SLOT_START};

/// A text template that has passed the checks which need no values.
#[derive(Debug, Clone)]
pub(super) struct TextTemplate {
    pub(super) body: Body,
}

/// A piece of a rendered text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// Text of the template itself.
    Text(String),
    /// A value, and the expression that it comes from.
    Value(Bind),
    /// Several values, and the expression that they come from.
    List(Vec<Bind>),
}

impl TextTemplate {
    /// Reads a template. Findings are all there are; with an error among them there is no template.
    pub(super) fn parse(text: &str) -> (Option<Self>, Vec<TemplateFinding>) {
        let (body, findings) = Body::parse(text, Medium::Text);
        (body.map(|body| Self { body }), findings)
    }

    pub(super) fn uses(&self) -> Uses {
        self.body.uses()
    }

    /// Renders, with some conditions replaced. Pieces of text that follow each other are one.
    pub(super) fn render(
        &self,
        scope: &Scope<'_>,
        forced: &[(Range<usize>, bool)],
    ) -> Result<Vec<Part>, TemplateFinding> {
        let (output, slots) = self.body.render_marked(scope, forced)?;
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = output.as_str();
        while let Some(start) = rest.find([PLACE_START, SLOT_START]) {
            push_text(&mut parts, &rest[..start]);
            let is_value = rest[start..].starts_with(SLOT_START);
            let end = start + rest[start..].find(SLOT_END).expect("marks are written whole");
            if is_value {
                let number: usize =
                    rest[start + SLOT_START.len_utf8()..end].parse().expect("marks of values hold a number");
                let (emit, slot) = &slots[number];
                let origin = &self.body.text[self.body.emit_range(*emit)];
                let bind = |value: &BindValue| Bind { origin: origin.to_owned(), value: value.clone() };
                parts.push(match slot {
                    Slot::One(value) => Part::Value(bind(value)),
                    Slot::List(values) => Part::List(values.iter().map(bind).collect()),
                    Slot::Name(name) => Part::Text(name.clone()),
                });
            }
            rest = &rest[end + SLOT_END.len_utf8()..];
        }
        push_text(&mut parts, rest);
        Ok(parts)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// A value as text: instants in RFC 3339, date-times without a zone and dates in ISO 8601, numbers by their digits.
/// The error says why a value has no text.
pub(super) fn text_of(value: &BindValue) -> Result<String, &'static str> {
    Ok(match value {
        BindValue::Null => return Err("there is no value"),
        BindValue::Bytes(_) => return Err("bytes cannot be written as text"),
        BindValue::Bool(truth) => truth.to_string(),
        BindValue::Int(number) => number.to_string(),
        BindValue::Float(number) => number.to_string(),
        BindValue::Decimal(digits) => digits.clone(),
        BindValue::Text(text) => text.clone(),
        BindValue::Date(date) => date.to_string(),
        BindValue::Civil { civil, .. } => civil.to_string(),
        BindValue::Instant { instant, .. } => instant.to_string(),
    })
}
