//! `engine preview`: what a run would make of the source's rows, and nothing is sent or kept.

pub(crate) mod chart;
mod follow;
pub(crate) mod gather;
mod json;
mod observe;
mod statement;
mod text;

use std::path::Path;

use serde_json::Value;

use crate::args::{Output, PreviewArgs};
use crate::commands::record;
use crate::exit::{CommandError, Kind};
use crate::project::Project;
use crate::{clock, pipeline, show, signals};

/// Shows what runs would make of the rows of their sources.
pub fn run(args: &PreviewArgs, config: Option<&Path>) -> Result<(), CommandError> {
    if let Some(name) = &args.record {
        return record::run(args, &name.to_string(), config);
    }
    let project = Project::open(&args.paths, config)?;
    let form = args.timeline.as_deref().map(|file| chart::form(file, project.specs.len())).transpose()?;
    let cancel = engine_core::ports::Cancel::default();
    signals::watch(&cancel);
    let clock = clock::clock(args.now);
    let mut worst = project.broken.then_some(Kind::Usage);
    let mut json = Vec::new();
    let mut charts = Vec::new();
    let mut is_row_missing = args.row.is_some();
    for spec in &project.specs {
        let preview = gather::gather(&project, spec, args, clock.as_ref(), &cancel)?;
        if let Some(failure) = &preview.report.failure {
            worst = worst.max(Some(pipeline::kind_of(failure)));
        }
        is_row_missing &= preview.rows.is_empty();
        match args.output {
            Output::Text => show::print(&text::preview(&preview, args)),
            Output::Json => json.push(json::preview(&preview)),
        }
        if form.is_some() {
            charts.push(chart::Chart::of(&preview));
        }
        if cancel.is_cancelled() {
            break;
        }
    }
    if args.output == Output::Json {
        show::print(&format!("{}\n", Value::from(json)));
    }
    if let (Some(form), Some(file)) = (form, &args.timeline) {
        chart::write(form, file, &charts)?;
    }
    if let Some(kind) = worst {
        return Err(CommandError::said(kind));
    }
    if let Some(key) = args.row.as_ref().filter(|_| is_row_missing) {
        return Err(CommandError::new(Kind::Usage, format!("no row with the key `{key}` was read"))
            .hint("a key of one column is given plain, any other as the preview shows it: `[\"4711\",\"10\"]`"));
    }
    Ok(())
}
