//! A blocking driver behind an asynchronous face: a thread of its own owns the connection and does one job at a time.
//!
//! Who waits for a job may give it up at any moment. The thread then finishes the call that it is in, finds nobody who
//! wants more, and ends with its connection.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};

use engine_core::ports::SourceErrorKind;
use tokio::sync::oneshot;

use crate::failure::Problem;

type Job<S> = Box<dyn FnOnce(&mut Option<S>) + Send>;

/// The asynchronous end. Dropping it ends the thread as soon as its call returns.
pub(crate) struct Worker<S> {
    jobs: Sender<Job<S>>,
}

impl<S: 'static> Worker<S> {
    /// Starts a thread that holds nothing yet.
    pub(crate) fn start(name: &str) -> Result<Self, Problem> {
        let (jobs, inbox) = channel::<Job<S>>();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let started = thread.spawn(move || {
            let mut state = None;
            for job in inbox {
                job(&mut state);
            }
            // A driver may fail once more while it says farewell.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
        });
        started.map_err(|error| Problem::new(SourceErrorKind::Config, format!("no thread to read with: {error}")))?;
        Ok(Self { jobs })
    }

    /// Does a job on the thread. After a panic the thread holds nothing any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Option<S>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, waiting) = oneshot::channel();
        let job = move |state: &mut Option<S>| {
            let outcome = catch_unwind(AssertUnwindSafe(|| job(state)));
            let outcome = outcome.unwrap_or_else(|panic: Box<dyn Any + Send>| {
                // What a driver left half done is not even to be taken down.
                std::mem::forget(state.take());
                Err(Problem::panicked(&*panic))
            });
            // Nobody listens any more where the job was given up.
            let _ = answer.send(outcome);
        };
        let gone = || Problem::panicked(&"the connection's thread vanished");
        self.jobs.send(Box::new(job)).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Makes the thread hold something.
    async fn hold<S: Send + 'static>(worker: &Worker<S>, value: S) {
        let held = worker.run(move |state| {
            *state = Some(value);
            Ok(())
        });
        held.await.unwrap();
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn jobs_share_what_the_thread_holds() {
        let worker = Worker::start("jobs").unwrap();
        block_on(async {
            hold(&worker, 1).await;
            let seen = worker.run(|state| Ok(state.replace(2))).await.unwrap();
            assert_eq!((seen, worker.run(|state| Ok(*state)).await.unwrap()), (Some(1), Some(2)));
        });
    }

    #[test]
    fn a_panic_costs_what_the_thread_holds_and_nothing_else() {
        let worker = Worker::start("panics").unwrap();
        block_on(async {
            hold(&worker, "session").await;
            let problem = worker.run(|_| -> Result<(), _> { panic!("index out of bounds") }).await.unwrap_err();
            assert_eq!(problem.kind, SourceErrorKind::Panic);
            assert_eq!(worker.run(|state| Ok(*state)).await.unwrap(), None);
        });
    }

    #[test]
    fn a_job_that_was_given_up_ends_the_thread_when_it_returns() {
        struct Held(std::sync::mpsc::Sender<()>);
        impl Drop for Held {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (told, dropped) = channel();
        let worker = Worker::start("given up").unwrap();
        let (release, held) = channel::<()>();
        block_on(async {
            hold(&worker, Held(told)).await;
            let slow = worker.run(move |_| {
                let _ = held.recv();
                Ok(())
            });
            assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
        });
        drop(worker);
        assert!(dropped.try_recv().is_err(), "the call has not returned");
        drop(release);
        assert_eq!(dropped.recv_timeout(Duration::from_secs(5)), Ok(()));
    }
}
