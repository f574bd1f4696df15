//! A catalogue, question by question.

use std::path::Path;

use engine_core::discover::Survey;
use engine_core::plan;
use engine_core::ports::{Cancel, Clock};

use super::{SourceBlock, Wanted};
use crate::exit::{CommandError, Kind};
use crate::references::ProcessReferences;
use crate::{pipeline, project};

pub(super) fn survey(
    block: &SourceBlock,
    file: &Path,
    _wanted: &Wanted,
    cancel: &Cancel,
    clock: &dyn Clock,
) -> Result<Survey, CommandError> {
    let references = ProcessReferences::new(&block.folder);
    let (config, _) = plan::source_config(&block.source, &block.folder, &references)
        .map_err(|errors| project::plan_failure(file, &errors))?;
    let source = pipeline::open_config(block.source_type, &config, cancel).map_err(|error| CommandError {
        kind: Kind::Environment,
        message: error.to_string(),
        hint: error.hint.clone(),
    })?;
    Ok(Survey {
        source_type: block.source_type.to_owned(),
        version: source.identity().version.clone(),
        session_timezone: None,
        timezone: None,
        now: clock.now(),
        tables: Vec::new(),
        notes: Vec::new(),
        statements: 0,
    })
}
