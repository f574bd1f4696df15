//! A source behind an asynchronous driver: connects, begins, reads, and gives sessions back or ends them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use engine_core::ports::{Ask, Cancel, Fetched, Source, SourceError, SourceErrorKind, SourceIdentity, TimeoutConfig};
use engine_core::probe::Probe;
use engine_core::value::RowBatch;
use engine_spec::template::Statement;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::failure::{Problem, Target};
use crate::pump::{Feed, Flow, Unanswered, pump, wait};
use crate::runtime;

/// How long a session that was read to its end may take to come back before a new one is opened.
const RECLAIM_PATIENCE: Duration = Duration::from_secs(1);
/// How long the end of a session, or of a query that goes on at the server, may take.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take to tell of itself.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much later than the engine a server gives up a query by itself: the second guard, for an engine that died.
pub(crate) const SERVER_GRACE: Duration = Duration::from_secs(5);

/// What a driver does. Everything that it returns is `Send`, for it runs on the shared runtime.
pub(crate) trait Driver: Send + Sync + 'static {
    /// An open session.
    type Session: Send + 'static;

    /// Opens a session that can only read, in UTC, and asks the server who it is.
    fn connect(&self) -> impl Future<Output = Result<(Self::Session, SourceIdentity), Problem>> + Send;

    /// Begins a read-only transaction: the first round trip of a question, which finds out whether a session that
    /// rested is still alive.
    fn begin(&self, session: &mut Self::Session) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Asks, and feeds the rows of the answer.
    fn read(
        &self,
        session: &mut Self::Session,
        ask: &Ask,
        feed: &mut Feed<Self::Session>,
    ) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Asks the server about the session, the account and the question, within the transaction. What it refuses to tell
    /// is unknown in the answer; only a connection that breaks is an error.
    fn probe(&self, _session: &mut Self::Session, _ask: &Ask) -> impl Future<Output = Result<Probe, Problem>> + Send {
        async { Ok(Probe::default()) }
    }

    /// Ends the transaction.
    fn commit(&self, session: &mut Self::Session) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Ends a session that is at rest.
    fn close(&self, session: Self::Session) -> impl Future<Output = ()> + Send;

    /// Ends a session whose query goes on, at the server too.
    fn kill(&self, session: Self::Session) -> impl Future<Output = ()> + Send;
}

/// A source behind a [`Driver`].
pub(crate) struct Remote<D: Driver> {
    driver: Arc<D>,
    target: Target,
    timeouts: TimeoutConfig,
    cancel: Cancel,
    identity: SourceIdentity,
    state: State<D::Session>,
}

enum State<S> {
    Closed,
    Idle(S),
    Reading(Flow<S>),
}

impl<D: Driver> Remote<D> {
    /// Connects.
    pub(crate) fn open(
        driver: D,
        target: Target,
        timeouts: TimeoutConfig,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let (driver, cancel) = (Arc::new(driver), cancel.clone());
        let mut source =
            Self { driver, target, timeouts, cancel, identity: SourceIdentity::default(), state: State::Closed };
        let session = source.connect()?;
        source.state = State::Idle(session);
        Ok(source)
    }

    fn connect(&mut self) -> Result<D::Session, SourceError> {
        let (driver, limit) = (Arc::clone(&self.driver), self.timeouts.connect);
        let connecting = async move {
            timeout(limit, driver.connect()).await.unwrap_or_else(|_| Err(Problem::connect_timeout(limit)))
        };
        let (session, identity) = run(connecting, &self.cancel).map_err(|problem| self.target.connecting(problem))?;
        self.identity = identity;
        Ok(session)
    }

    fn begin(&self, mut session: D::Session) -> Result<D::Session, Problem> {
        let (driver, limit) = (Arc::clone(&self.driver), self.timeouts.connect);
        let beginning = async move {
            let begun = timeout(limit, driver.begin(&mut session)).await;
            begun.unwrap_or_else(|_| Err(Problem::connect_timeout(limit))).map(|()| session)
        };
        run(beginning, &self.cancel)
    }

    /// A session within a transaction: the one at hand if it lives, else a new one.
    fn ready(&mut self) -> Result<D::Session, SourceError> {
        let rested = match std::mem::replace(&mut self.state, State::Closed) {
            State::Idle(session) => Some(session),
            State::Reading(flow) => flow.reclaim(&self.cancel, RECLAIM_PATIENCE),
            State::Closed => None,
        };
        if let Some(session) = rested {
            match self.begin(session) {
                Ok(session) => return Ok(session),
                // Servers and firewalls end sessions that rest; that is not worth a failed run.
                Err(problem) if problem.kind == SourceErrorKind::Network => {}
                Err(problem) => return Err(self.target.querying(problem)),
            }
        }
        let session = self.connect()?;
        self.begin(session).map_err(|problem| self.target.querying(problem))
    }
}

impl<D: Driver> Source for Remote<D> {
    fn ask(&mut self, ask: &Ask) -> Result<(), SourceError> {
        let session = self.ready()?;
        let (stop, stopped) = oneshot::channel();
        let (mut feed, flow) = pump(move || {
            // A reader that has ended needs no telling.
            let _ = stop.send(());
        });
        feed.limit_rows(ask.batch_rows_max);
        let reading = read(Arc::clone(&self.driver), session, ask.clone(), feed, stopped, self.timeouts.query);
        runtime().map_err(|problem| self.target.querying(problem))?.spawn(reading);
        self.state = State::Reading(flow);
        Ok(())
    }

    fn next(&mut self, batch: &mut RowBatch) -> Result<Fetched, SourceError> {
        let State::Reading(flow) = &mut self.state else {
            return Err(self.target.querying(Problem::new(SourceErrorKind::Config, "nothing was asked")));
        };
        let fetched = flow.next(batch, &self.cancel);
        fetched.map_err(|problem| {
            self.state = State::Closed;
            self.target.querying(problem)
        })
    }

    fn identity(&self) -> &SourceIdentity {
        &self.identity
    }

    fn probe(&mut self, ask: &Ask) -> Result<Probe, SourceError> {
        let mut session = self.ready()?;
        let (driver, ask) = (Arc::clone(&self.driver), ask.clone());
        let probing = async move {
            let Ok(probed) = timeout(PROBE_TIMEOUT, driver.probe(&mut session, &ask)).await else {
                let _ = timeout(FAREWELL_TIMEOUT, driver.kill(session)).await;
                return Err(Problem::query_timeout(PROBE_TIMEOUT));
            };
            let probe = probed?;
            driver.commit(&mut session).await?;
            Ok((session, probe))
        };
        let (session, probe) = run(probing, &self.cancel).map_err(|problem| self.target.querying(problem))?;
        self.state = State::Idle(session);
        Ok(probe)
    }
}

impl<D: Driver> Drop for Remote<D> {
    fn drop(&mut self) {
        let session = match std::mem::replace(&mut self.state, State::Closed) {
            State::Idle(session) => Some(session),
            State::Reading(flow) => flow.reclaim(&self.cancel, Duration::ZERO),
            State::Closed => None,
        };
        if let (Some(session), Ok(runtime)) = (session, runtime()) {
            let driver = Arc::clone(&self.driver);
            runtime.spawn(async move { timeout(FAREWELL_TIMEOUT, driver.close(session)).await });
        }
    }
}

/// Reads one answer to its end, its failure, or the run's loss of interest.
async fn read<D: Driver>(
    driver: Arc<D>,
    mut session: D::Session,
    ask: Ask,
    mut feed: Feed<D::Session>,
    mut stopped: oneshot::Receiver<()>,
    limit: Duration,
) {
    let outcome = {
        let reading = timeout(limit, AssertUnwindSafe(driver.read(&mut session, &ask, &mut feed)).catch_unwind());
        tokio::select! {
            biased;
            _ = &mut stopped => None,
            outcome = reading => Some(outcome),
        }
    };
    let farewell = async {
        match outcome {
            None => driver.kill(session).await,
            Some(Err(_)) => {
                feed.fail(Problem::query_timeout(limit));
                driver.kill(session).await;
            }
            Some(Ok(Err(panic))) => {
                feed.fail(Problem::panicked(&*panic));
                driver.kill(session).await;
            }
            Some(Ok(Ok(Err(problem)))) => {
                feed.fail(problem);
                driver.close(session).await;
            }
            Some(Ok(Ok(Ok(())))) => {
                // The run goes on with the last rows while the transaction ends.
                feed.end();
                if driver.commit(&mut session).await.is_ok()
                    && let Err(session) = feed.give_back(session)
                {
                    driver.close(session).await;
                }
            }
        }
    };
    // A server that does not even say farewell is left alone: dropping the session closes its socket.
    let _ = timeout(FAREWELL_TIMEOUT, farewell).await;
}

/// The statement of a question to a database.
pub(crate) fn statement(ask: &Ask) -> Result<&Statement, Problem> {
    let missing = || Problem::new(SourceErrorKind::Config, "there is no statement to send");
    ask.statement.as_ref().ok_or_else(missing)
}

fn runtime() -> Result<&'static tokio::runtime::Handle, Problem> {
    runtime::handle().map_err(|message| Problem::new(SourceErrorKind::Config, message))
}

/// Runs a future to its end on the shared runtime while this thread waits; a wish to stop drops it.
fn run<T: Send + 'static>(
    future: impl Future<Output = Result<T, Problem>> + Send + 'static,
    cancel: &Cancel,
) -> Result<T, Problem> {
    let (answer, inbox) = sync_channel(1);
    let task = runtime()?.spawn(async move {
        let outcome: Result<_, Box<dyn Any + Send>> = AssertUnwindSafe(future).catch_unwind().await;
        // Nobody listens any more where the wait was cancelled.
        let _ = answer.send(outcome.unwrap_or_else(|panic| Err(Problem::panicked(&*panic))));
    });
    match wait(&inbox, cancel, None) {
        Ok(outcome) => outcome,
        Err(Unanswered::Cancelled) => {
            task.abort();
            Err(Problem::cancelled())
        }
        Err(Unanswered::Gone) => Err(Problem::panicked(&"the connection's task vanished")),
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
