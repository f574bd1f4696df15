//! `engine discover`: which tables of an unknown database hold orders or bookings, and what their columns mean.

mod text;

use std::path::Path;

use engine_core::discover::{Survey, judge};
use engine_core::ports::Cancel;

use crate::args::{DiscoverArgs, Output};
use crate::exit::{CommandError, Kind};
use crate::survey::{self, Values, Wanted, is_meant};
use crate::{clock, show, signals};

/// Surveys a database and shows what was found.
pub fn run(args: &DiscoverArgs) -> Result<(), CommandError> {
    let Some(file) = args.file.as_ref().or(args.source.as_ref()) else {
        return Err(CommandError::new(Kind::Usage, "no file names a source")
            .hint("name a spec, or a file that holds only a `source:` block: `engine discover mes.yaml`"));
    };
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let clock = clock::clock(args.now);
    let wanted = Wanted {
        schema: args.schema.clone(),
        tables: args.table.clone(),
        values: match (args.no_samples, args.persons) {
            (true, _) => Values::LeftOut,
            (false, true) => Values::Whole,
            (false, false) => Values::Masked,
        },
        rows: None,
    };
    let survey = survey::survey(file, &wanted, &cancel, clock.as_ref())?;
    if let Some(missing) = args.table.iter().find(|name| !survey.tables.iter().any(|table| is_meant(&table.name, name)))
    {
        return Err(not_there(&survey, file, missing));
    }
    let candidates = judge(&survey);
    match args.output {
        Output::Json => show::print_json(&serde_json::json!({ "survey": survey, "candidates": candidates })),
        Output::Text if wanted.tables.is_empty() => show::print(&text::overview(&survey, &candidates, args)),
        Output::Text => show::print(&text::tables(&survey, &candidates, args)),
    }
    Ok(())
}

fn not_there(survey: &Survey, file: &Path, missing: &str) -> CommandError {
    let names = || survey.tables.iter().map(|table| survey::shown(&table.name));
    let near = engine_spec::diagnostic::did_you_mean(missing, names().collect::<Vec<_>>().iter().map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"));
    let message = format!("{}: no table `{missing}` that this account may read", file.display());
    CommandError::new(Kind::Usage, message)
        .hint(near.unwrap_or_else(|| "`engine discover FILE --all` lists all tables".to_owned()))
}
