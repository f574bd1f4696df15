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
    let mut state = store.load(id)?;
    let Some(brake) = &state.brake else {
        crate::show::print(&format!("{id}: nothing waits for approval\n"));
        return Ok(());
    };
    crate::show::print(&format!("{id}: approved; the next run may pass: {}\n", brake.message));
    state.approved = Some(Timestamp::now());
    store.save(id, &state)?;
    Ok(())
}
