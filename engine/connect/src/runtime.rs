//! The one runtime that asynchronous drivers run on, built when the first of them connects.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive connections. Decoding is short and waits are long, so that one serves many pipelines; a second one
/// would be woken for every batch to see that there is nothing to do. What takes longer blocks in place, and another
/// thread goes on with the rest.
const WORKER_THREADS: usize = 1;

static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();

/// The runtime's handle; an error where the system refuses threads.
pub(crate) fn handle() -> Result<&'static Handle, String> {
    let built = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(WORKER_THREADS).thread_name("engine-connect").enable_all().build()
    });
    match built {
        Ok(runtime) => Ok(runtime.handle()),
        Err(error) => Err(format!("no threads for connections: {error}")),
    }
}
