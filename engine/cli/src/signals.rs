//! SIGINT and SIGTERM: the first asks everything to stop, the second ends the process.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use engine_core::ports::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// How long a stop may take before the process ends all the same.
const STOP_SECONDS_MAX: u64 = 9;

/// Whether somebody is being asked something. Nothing is under way then that must come to a good end.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Waits for an answer of somebody at the terminal. A signal ends the process meanwhile.
pub fn while_asking<T>(wait: impl FnOnce() -> T) -> T {
    ASKING.store(true, Ordering::SeqCst);
    let answer = wait();
    ASKING.store(false, Ordering::SeqCst);
    answer
}

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
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            if ASKING.load(Ordering::SeqCst) {
                // The cursor stands behind the question.
                let _ = writeln!(std::io::stderr());
                std::process::exit(code);
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
