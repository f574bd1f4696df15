//! `engine schema`: the JSON schemas, as they are in `schemas/`.

use crate::args::{SchemaArgs, SchemaName};
use crate::exit::CommandError;

/// Prints a schema.
pub fn run(args: &SchemaArgs) -> Result<(), CommandError> {
    let wanted = match args.name {
        SchemaName::Pipeline => "pipeline.schema.json",
        SchemaName::Engine => "engine.schema.json",
        SchemaName::Tests => "tests.schema.json",
    };
    for (name, text) in engine_spec::schema::files() {
        if name == wanted {
            crate::show::print(&text);
        }
    }
    Ok(())
}
