//! `engine approve`: lets the next run of a pipeline pass a brake.

use std::path::Path;

use jiff::Timestamp;

use crate::args::ApproveArgs;
use crate::exit::CommandError;
use crate::{project, store};

/// Notes the approval in the state store. It holds for one run.
pub fn run(args: &ApproveArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let (device, folder) = project::open_device(&[], config)?;
    let store = store::open_existing(&device, &folder)?;
    let id = &args.pipeline;
    store::wanted(store.as_ref(), std::slice::from_ref(id))?;
    let said = match store.approve(id, Timestamp::now())? {
        Some(brake) => format!("{id}: approved; the next run may pass: {}\n", brake.message),
        None => format!("{id}: nothing waits for approval\n"),
    };
    crate::show::print(&said);
    Ok(())
}
