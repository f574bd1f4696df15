//! The time-line of the runs: on a terminal, and as a file that stands for itself.

mod html;
pub(crate) mod palette;
pub(crate) mod svg;
pub(super) mod text;
pub(crate) mod words;

use std::path::Path;

use engine_core::timeline::Timeline;
use jiff::tz::TimeZone;

use super::gather::Preview;
use crate::exit::{CommandError, Kind};
use crate::show::escaped;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Html,
    Svg,
}

/// The time-line of one pipeline.
pub(crate) struct Chart {
    pub(crate) pipeline: String,
    pub(crate) zone: TimeZone,
    /// `None` where there are no runs.
    pub(crate) timeline: Option<Timeline>,
}

impl Chart {
    pub(super) fn of(preview: &Preview) -> Self {
        Self { pipeline: preview.plan.id.clone(), zone: preview.plan.zone.clone(), timeline: preview.timeline.clone() }
    }
}

/// The form that the name of a file asks for.
pub(super) fn form(file: &Path, specs: usize) -> Result<Form, CommandError> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => Ok(Form::Html),
        "svg" if specs == 1 => Ok(Form::Svg),
        "svg" => {
            Err(CommandError::new(Kind::Usage, format!("an SVG shows one pipeline, and {specs} specs were found"))
                .hint("name one spec, or a file that ends in `.html`"))
        }
        _ => Err(CommandError::new(Kind::Usage, format!("--timeline {}: neither HTML nor SVG", file.display()))
            .hint("name a file that ends in `.html` or in `.svg`")),
    }
}

/// Writes the file.
pub(super) fn write(form: Form, file: &Path, charts: &[Chart]) -> Result<(), CommandError> {
    let text = match form {
        Form::Html => html::page(charts),
        Form::Svg => charts.iter().map(|chart| svg::picture(chart, 0)).collect(),
    };
    std::fs::write(file, text).map_err(|error| {
        CommandError::new(Kind::Environment, format!("writing the time-line to {}: {error}", file.display()))
            .hint("name a file in a folder that exists and that you may write to")
    })
}

#[cfg(test)]
mod tests;
