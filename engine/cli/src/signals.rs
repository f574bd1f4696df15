//! SIGINT and SIGTERM: the first asks everything to stop, the second ends the process.

use engine_core::ports::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// How long a stop may take before the process ends all the same.
const STOP_SECONDS_MAX: u64 = 9;

/// Watches for signals on a thread of its own, from before this returns.
pub fn watch(cancel: &Cancel) {
    let cancel = cancel.clone();
    let (watching, ready) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            drop(watching);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!(event = "stopping", "stopping; a second signal stops at once");
            cancel.cancel();
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
                () = tokio::time::sleep(std::time::Duration::from_secs(STOP_SECONDS_MAX)) => 143,
            };
            // What is not committed is not acknowledged either: the next start continues.
            std::process::exit(code);
        });
    });
    match watcher {
        // The other end is closed when the watch has begun, or cannot begin.
        Ok(_) => drop(ready.recv()),
        Err(error) => tracing::warn!(event = "no_signals", "signals cannot be watched: {error}"),
    }
}
