//! SIGINT and SIGTERM: the first asks everything to stop, the second ends the process. SIGHUP asks a service to read its
//! specs anew.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use engine_core::ports::Cancel;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// What a signal asks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To stop.
    Stop,
    /// To read the specs anew.
    Reread,
}

/// Watches for signals on a thread of its own, from before this returns.
pub fn watch(cancel: &Cancel) {
    watch_for(cancel, None);
}

/// Watches for signals for a service, which is told of them; of SIGHUP too, which ends every other process.
pub fn watch_for_service(cancel: &Cancel, tell: impl Fn(Asked) + Send + 'static) {
    watch_for(cancel, Some(Box::new(tell)));
}

fn watch_for(cancel: &Cancel, tell: Option<Box<dyn Fn(Asked) + Send>>) {
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
            let tell = tell.as_deref();
            let mut hang_up = tell.and_then(|_| signal(SignalKind::hangup()).ok());
            drop(watching);
            let code = loop {
                tokio::select! {
                    _ = interrupt.recv() => break 130,
                    _ = terminate.recv() => break 143,
                    () = next(&mut hang_up) => tell.iter().for_each(|tell| tell(Asked::Reread)),
                }
            };
            if ASKING.load(Ordering::SeqCst) {
                // The cursor stands behind the question.
                let _ = writeln!(std::io::stderr());
                std::process::exit(code);
            }
            tracing::info!(event = "stopping", "stopping; a second signal stops at once");
            cancel.cancel();
            tell.iter().for_each(|tell| tell(Asked::Stop));
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

/// The next of a signal; none ever where it is not watched for.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}
