//! The seam between a driver's reader and the run: batches go one way full and come back empty.
//!
//! A [`Feed`] is the reader's end, a [`Flow`] the run's. [`BATCHES_IN_ROTATION`] batches travel between them, so a
//! result of any size costs the memory of these, and after warm-up a row costs no allocation.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use engine_core::ports::{Cancel, Fetched};
use engine_core::value::{Columns, RowBatch};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::failure::Problem;

/// Batches between a reader and its run, beside the one in the run's hands: one being filled, one on the way, one
/// in reserve.
pub(crate) const BATCHES_IN_ROTATION: usize = 3;
/// How often a waiting run looks whether it shall stop.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(50);

/// What a reader says.
enum Message<S> {
    /// Rows.
    Rows(RowBatch),
    /// No more rows.
    End(Columns),
    /// No more rows, and why.
    Failed(Problem),
    /// The session is free for the next question.
    Free(S),
}

/// Why a wait ended without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Somebody asked to stop.
    Cancelled,
    /// The other side is gone, or the time is up.
    Gone,
}

/// Waits for an answer, and looks at `cancel` meanwhile.
pub(crate) fn wait<T>(inbox: &Receiver<T>, cancel: &Cancel, deadline: Option<Instant>) -> Result<T, Unanswered> {
    loop {
        if cancel.is_cancelled() {
            return Err(Unanswered::Cancelled);
        }
        match inbox.recv_timeout(CANCEL_POLL) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(Unanswered::Gone),
            Err(RecvTimeoutError::Timeout) if deadline.is_some_and(|end| Instant::now() >= end) => {
                return Err(Unanswered::Gone);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The run no longer wants rows.
#[derive(Debug)]
pub(crate) struct Unwanted;

/// The reader's end.
pub(crate) struct Feed<S> {
    outbox: Sender<Message<S>>,
    empties: UnboundedReceiver<RowBatch>,
    batch: RowBatch,
    columns: Columns,
    rows_max: usize,
}

impl<S> Feed<S> {
    /// Bounds the rows of a batch further than the batch itself does; `None` leaves it at that.
    pub(crate) fn limit_rows(&mut self, rows_max: Option<usize>) {
        self.rows_max = rows_max.unwrap_or(usize::MAX).max(1);
    }

    /// Says what the rows look like; comes before the first of them.
    pub(crate) fn begin(&mut self, columns: Columns) {
        self.batch.reset(&columns);
        self.columns = columns;
    }

    /// The columns and the batch to append whole rows to.
    pub(crate) fn row(&mut self) -> (&Columns, &mut RowBatch) {
        (&self.columns, &mut self.batch)
    }

    /// The batch, to be filled elsewhere and put back.
    pub(crate) fn take(&mut self) -> RowBatch {
        std::mem::take(&mut self.batch)
    }

    /// Puts a filled batch back.
    pub(crate) fn put(&mut self, batch: RowBatch) {
        self.batch = batch;
    }

    /// Whether the batch must be handed over before the next row.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_full() || self.batch.len() >= self.rows_max
    }

    /// Hands the batch over and waits for an empty one.
    pub(crate) async fn hand_over(&mut self) -> Result<(), Unwanted> {
        self.send_rows()?;
        self.batch = self.empties.recv().await.ok_or(Unwanted)?;
        self.batch.reset(&self.columns);
        Ok(())
    }

    /// [`Self::hand_over`] for a reader on a thread of its own.
    pub(crate) fn hand_over_blocking(&mut self) -> Result<(), Unwanted> {
        self.send_rows()?;
        self.batch = self.empties.blocking_recv().ok_or(Unwanted)?;
        self.batch.reset(&self.columns);
        Ok(())
    }

    /// Ends the result. A run that is gone does not care.
    pub(crate) fn end(&mut self) {
        if self.batch.is_empty() || self.send_rows().is_ok() {
            let _ = self.outbox.send(Message::End(self.columns.clone()));
        }
    }

    /// Ends the result with a failure; rows read so far are not delivered, since the run fails anyway.
    pub(crate) fn fail(&mut self, problem: Problem) {
        let _ = self.outbox.send(Message::Failed(problem));
    }

    /// Gives the session back; `Err` where nobody takes it.
    pub(crate) fn give_back(self, session: S) -> Result<(), S> {
        self.outbox.send(Message::Free(session)).map_err(|refused| match refused.0 {
            Message::Free(session) => session,
            _ => unreachable!("the channel hands back what was sent"),
        })
    }

    fn send_rows(&mut self) -> Result<(), Unwanted> {
        self.batch.settle();
        self.outbox.send(Message::Rows(std::mem::take(&mut self.batch))).map_err(|_| Unwanted)
    }
}

/// The run's end. Dropping it stops the reader.
pub(crate) struct Flow<S> {
    inbox: Receiver<Message<S>>,
    empties: UnboundedSender<RowBatch>,
    ended: Option<Columns>,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

/// A new pair of ends. `stop` is called once, when the run gives up the result before its end.
pub(crate) fn pump<S>(stop: impl FnOnce() + Send + 'static) -> (Feed<S>, Flow<S>) {
    let (outbox, inbox) = channel();
    let (give, take) = unbounded_channel();
    for _ in 1..BATCHES_IN_ROTATION {
        // The receiver is alive, and an empty batch owns no memory yet.
        let _ = give.send(RowBatch::new());
    }
    let feed =
        Feed { outbox, empties: take, batch: RowBatch::new(), columns: Columns::default(), rows_max: usize::MAX };
    (feed, Flow { inbox, empties: give, ended: None, stop: Some(Box::new(stop)) })
}

impl<S> Flow<S> {
    /// Takes the next rows in exchange for the batch.
    pub(crate) fn next(&mut self, batch: &mut RowBatch, cancel: &Cancel) -> Result<Fetched, Problem> {
        if let Some(columns) = &self.ended {
            batch.reset(columns);
            return Ok(Fetched::End);
        }
        match wait(&self.inbox, cancel, None) {
            Ok(Message::Rows(rows)) => {
                let spent = std::mem::replace(batch, rows);
                // The reader may have ended; then the batch is simply freed.
                let _ = self.empties.send(spent);
                Ok(Fetched::Rows)
            }
            Ok(Message::End(columns)) => {
                batch.reset(&columns);
                self.ended = Some(columns);
                self.stop = None;
                Ok(Fetched::End)
            }
            Ok(Message::Failed(problem)) => {
                self.stop = None;
                Err(problem)
            }
            Ok(Message::Free(_)) | Err(Unanswered::Gone) => Err(Problem::panicked(&"the reader ended without a word")),
            Err(Unanswered::Cancelled) => Err(Problem::cancelled()),
        }
    }

    /// The session, if the result was read to its end and the session comes back soon.
    pub(crate) fn reclaim(self, cancel: &Cancel, patience: Duration) -> Option<S> {
        self.ended.as_ref()?;
        match wait(&self.inbox, cancel, Some(Instant::now() + patience)) {
            Ok(Message::Free(session)) => Some(session),
            _ => None,
        }
    }
}

impl<S> Drop for Flow<S> {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use engine_core::value::{BATCH_ROWS_MAX, Column, Kind, Slot};

    use super::*;

    fn columns() -> Columns {
        [Column { name: "n".to_owned(), kind: Kind::Int, source_type: "int".to_owned() }].into()
    }

    fn feed_rows(mut feed: Feed<()>, rows: usize) -> std::thread::JoinHandle<usize> {
        std::thread::spawn(move || {
            feed.begin(columns());
            for number in 0..rows {
                feed.row().1.push(Slot::Int(number as i64));
                if feed.is_full() && feed.hand_over_blocking().is_err() {
                    return number;
                }
            }
            feed.end();
            let _ = feed.give_back(());
            rows
        })
    }

    #[test]
    fn rows_arrive_in_order_and_the_end_stays_the_end() {
        for rows in [0, 1, BATCH_ROWS_MAX, BATCH_ROWS_MAX + 1, 10 * BATCH_ROWS_MAX] {
            let (feed, mut flow) = pump(|| panic!("a result that was read to its end is not stopped"));
            let reader = feed_rows(feed, rows);
            let (mut batch, cancel, mut seen) = (RowBatch::new(), Cancel::default(), 0);
            while flow.next(&mut batch, &cancel).unwrap() == Fetched::Rows {
                for row in batch.rows() {
                    assert_eq!(row.get(0), engine_core::value::Cell::Int(seen));
                    seen += 1;
                }
            }
            assert_eq!(seen as usize, rows);
            assert_eq!(flow.next(&mut batch, &cancel), Ok(Fetched::End));
            assert_eq!((batch.len(), batch.columns().len()), (0, 1));
            assert_eq!(reader.join().unwrap(), rows);
            assert_eq!(flow.reclaim(&cancel, Duration::from_secs(5)), Some(()));
        }
    }

    #[test]
    fn a_sample_comes_row_by_row() {
        let (mut feed, mut flow) = pump(|| ());
        feed.limit_rows(Some(1));
        let reader = feed_rows(feed, 5);
        let (mut batch, cancel) = (RowBatch::new(), Cancel::default());
        for number in 0..5 {
            assert_eq!(flow.next(&mut batch, &cancel), Ok(Fetched::Rows));
            assert_eq!((batch.len(), batch.row(0).get(0)), (1, engine_core::value::Cell::Int(number)));
        }
        assert_eq!(flow.next(&mut batch, &cancel), Ok(Fetched::End));
        assert_eq!(reader.join().unwrap(), 5);
    }

    #[test]
    fn a_reader_never_runs_further_ahead_than_the_rotation() {
        let (feed, mut flow) = pump(|| ());
        let reader = feed_rows(feed, 100 * BATCH_ROWS_MAX);
        let mut batch = RowBatch::new();
        flow.next(&mut batch, &Cancel::default()).unwrap();
        drop(flow);
        let read = reader.join().unwrap();
        assert!(read <= (BATCHES_IN_ROTATION + 1) * BATCH_ROWS_MAX, "{read} rows were read ahead");
    }

    #[test]
    fn giving_up_stops_the_reader_once() {
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stopped);
        let (feed, flow) = pump::<()>(move || assert!(!seen.swap(true, Ordering::Relaxed)));
        drop(flow);
        assert!(stopped.load(Ordering::Relaxed));
        drop(feed);
    }

    #[test]
    fn a_waiting_run_hears_that_it_shall_stop() {
        let (_feed, mut flow) = pump::<()>(|| ());
        let cancel = Cancel::default();
        cancel.cancel();
        assert_eq!(flow.next(&mut RowBatch::new(), &cancel), Err(Problem::cancelled()));
    }

    #[test]
    fn a_failure_and_a_vanished_reader_are_told_apart() {
        let (mut feed, mut flow) = pump::<()>(|| panic!("a reader that failed is not stopped"));
        feed.fail(Problem::query_timeout(Duration::from_secs(1)));
        let mut batch = RowBatch::new();
        let problem = flow.next(&mut batch, &Cancel::default()).unwrap_err();
        assert_eq!(problem.kind, engine_core::ports::SourceErrorKind::Timeout);
        drop(feed);
        let (feed, mut flow) = pump::<()>(|| ());
        drop(feed);
        let problem = flow.next(&mut batch, &Cancel::default()).unwrap_err();
        assert_eq!(problem.kind, engine_core::ports::SourceErrorKind::Panic);
    }
}
