//! One pipeline at work: a run, or a delivery, on the thread of the caller.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use engine_connect::{discreet, registry};
use engine_core::deliver::{Circuit, ParcelLimit};
use engine_core::dispatch::{DispatchReport, Dispatcher};
use engine_core::plan::Plan;
use engine_core::ports::{
    Answer, Cancel, Clock, Destination, DestinationConfig, Parcel, Source, SourceConfig, SourceError, SourceErrorKind,
};
use engine_core::report::{Failure, FailureKind, RunReport};
use engine_core::run::{Observer, Runner};
use engine_core::state::{Lease, StateStore};
use jiff::Timestamp;

use crate::exit::{CommandError, Kind};
use crate::traces::{ParcelTraces, Traces};

/// Opens the source of a plan.
pub fn open_source(plan: &Plan, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    open_config(plan.source_type, &plan.source, cancel)
}

/// Opens a source by its settings.
pub fn open_config(source_type: &str, config: &SourceConfig, cancel: &Cancel) -> Result<Box<dyn Source>, SourceError> {
    let Some(connector) = registry::find(source_type) else {
        return Err(SourceError {
            kind: SourceErrorKind::Config,
            tried: format!("opening a source of type `{source_type}`"),
            message: "this version of engine has no connector for it".to_owned(),
            hint: None,
        });
    };
    discreet::open(connector, config, cancel)
}

/// Runs a pipeline once. A panic costs this run and nothing else.
pub fn run(
    plan: &Plan,
    store: &dyn StateStore,
    clock: &dyn Clock,
    cancel: &Cancel,
    outbox_bytes_max: u64,
    next_run: Option<Timestamp>,
    observer: &mut dyn Observer,
) -> RunReport {
    let open = || open_source(plan, cancel);
    run_with(&Runner { plan, store, clock, cancel, open: &open, outbox_bytes_max, next_run }, observer)
}

/// Runs once, with everything that a run needs. A panic costs this run and nothing else.
pub fn run_with(runner: &Runner<'_>, observer: &mut dyn Observer) -> RunReport {
    let started = runner.clock.now();
    catch_unwind(AssertUnwindSafe(|| runner.run(observer))).unwrap_or_else(|panic| {
        let what = panic_text(panic.as_ref());
        RunReport {
            started,
            failure: Some(Failure {
                kind: FailureKind::Source,
                message: format!("the run broke off: {what}"),
                hint: Some("this is a defect of engine; the next run starts afresh".to_owned()),
            }),
            ..RunReport::default()
        }
    })
}

/// The report of a run that had no plan, because a reference was not resolved; it is remembered for the status.
pub fn unplanned(
    id: &str,
    store: &dyn StateStore,
    error: &CommandError,
    now: Timestamp,
    next_run: Option<Timestamp>,
) -> RunReport {
    let kind = match error.kind {
        Kind::Usage => FailureKind::Spec,
        Kind::Run | Kind::Environment => FailureKind::Environment,
    };
    let failure = Failure { kind, message: error.message.clone(), hint: error.hint.clone() };
    let mut report = RunReport { started: now, failure: Some(failure), ..RunReport::default() };
    let remembered = store.begin(id).and_then(|mut transaction| {
        // Nobody writes from here on: an approval that is noted meanwhile comes after.
        let mut state = store.load(id)?;
        state.failures = state.failures.saturating_add(1);
        state.last_run = Some(report.clone());
        state.next_run = next_run;
        transaction.put_state(&state)?;
        transaction.commit()
    });
    if let Err(error) = remembered {
        report.notes.push(format!("the failure could not be remembered: {error}"));
    }
    report
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without words".to_owned(),
    }
}

/// A destination that is prepared when there is something to send: a run that changed nothing loads no certificates.
struct LazyDestination {
    config: DestinationConfig,
    place: String,
    opened: Option<Box<dyn Destination>>,
    /// What breaks off a parcel that is on its way, where that is not what ends the delivery.
    cut: Option<Cancel>,
    /// Makes a span of each parcel.
    traces: Option<ParcelTraces>,
}

impl LazyDestination {
    fn hand_over(&mut self, parcel: &Parcel, cancel: &Cancel, traceparent: Option<String>) -> Answer {
        let destination = match &mut self.opened {
            Some(destination) => destination,
            slot => match engine_connect::to::open(&self.config) {
                Ok(destination) => slot.insert(destination),
                Err(error) => {
                    let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                    return Answer::Refused { message: format!("{error}{hint}") };
                }
            },
        };
        destination.follow(traceparent);
        destination.send(parcel, self.cut.as_ref().unwrap_or(cancel))
    }
}

impl Destination for LazyDestination {
    fn send(&mut self, parcel: &Parcel, cancel: &Cancel) -> Answer {
        let Some(traces) = &mut self.traces else { return self.hand_over(parcel, cancel, None) };
        let mut span = traces.begin(parcel, &self.config);
        let answer = self.hand_over(parcel, cancel, span.traceparent());
        span.end(&answer, self.status());
        answer
    }

    fn status(&self) -> Option<u16> {
        self.opened.as_ref().and_then(|destination| destination.status())
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// Name and place of a destination, for messages.
fn place_of(config: &DestinationConfig) -> String {
    match config {
        DestinationConfig::Http(http) => engine_connect::to::http::place_of(&http.url),
        DestinationConfig::File(path) => path.display().to_string(),
        DestinationConfig::Stdout => "standard output".to_owned(),
    }
}

/// A destination with the memory of its last parcels.
pub struct Outlet {
    destination: LazyDestination,
    circuit: Circuit,
    limit: ParcelLimit,
    measures_age: bool,
}

impl Outlet {
    /// Prepares the destination of a plan.
    pub fn open(plan: &Plan) -> Result<Self, CommandError> {
        let Some(config) = &plan.destination else {
            return Err(CommandError::new(Kind::Usage, format!("{}: no destination", plan.id))
                .hint("set `destination` in the spec, or in engine.yaml for every spec"));
        };
        let destination =
            LazyDestination { config: config.clone(), place: place_of(config), opened: None, cut: None, traces: None };
        let limit = ParcelLimit { records: plan.batch_records, bytes: plan.batch_bytes };
        Ok(Self { destination, circuit: Circuit::new(limit), limit, measures_age: false })
    }

    /// A delivery that is asked to stop lets the parcel that is on its way be answered, until `cut` is asked to stop too.
    pub fn answered_until(&mut self, cut: &Cancel) {
        self.destination.cut = Some(cut.clone());
    }

    /// From now on, every parcel has a span, where there are traces.
    pub fn trace(&mut self, traces: &Traces, pipeline: &str) {
        if self.destination.traces.is_none() {
            self.destination.traces = traces.parcels(pipeline);
        }
    }

    /// From now on, deliveries tell how old the acknowledged records were.
    pub fn measure_age(&mut self) {
        self.measures_age = true;
    }

    /// Name and place, for messages.
    pub fn place(&self) -> &str {
        self.destination.place()
    }

    /// Sends what waits in the outbox of a plan.
    pub fn deliver(
        &mut self,
        plan: &Plan,
        store: &dyn StateStore,
        lease: &dyn Lease,
        clock: &dyn Clock,
        cancel: &Cancel,
        patience: Duration,
    ) -> Result<DispatchReport, CommandError> {
        let dispatcher = Dispatcher {
            pipeline: &plan.id,
            labels: &plan.labels,
            limit: self.limit,
            store,
            lease,
            clock,
            cancel,
            random: &|| fastrand::u64(..),
            places_of: &plan.id,
            settled: &|_, _| Ok(()),
            measures_age: self.measures_age,
        };
        self.dispatch(&dispatcher, patience)
    }

    /// Records and bytes of a parcel at most.
    pub fn limit(&self) -> ParcelLimit {
        self.limit
    }

    /// Sends what waits where the dispatcher says. A panic costs this delivery and nothing else.
    pub fn dispatch(
        &mut self,
        dispatcher: &Dispatcher<'_>,
        patience: Duration,
    ) -> Result<DispatchReport, CommandError> {
        let outcome =
            catch_unwind(AssertUnwindSafe(|| dispatcher.deliver(&mut self.destination, &mut self.circuit, patience)));
        match outcome {
            Ok(report) => Ok(report?),
            Err(panic) => {
                self.circuit = Circuit::new(self.limit);
                let what = panic_text(panic.as_ref());
                Err(CommandError::new(Kind::Run, format!("{}: the delivery broke off: {what}", dispatcher.pipeline))
                    .hint("this is a defect of engine; the next delivery starts afresh"))
            }
        }
    }
}

/// The exit code's kind of a failed run.
pub fn kind_of(failure: &Failure) -> Kind {
    match failure.kind {
        FailureKind::Spec => Kind::Usage,
        FailureKind::Environment | FailureKind::State => Kind::Environment,
        FailureKind::Source
        | FailureKind::Query
        | FailureKind::Brake
        | FailureKind::Rejected
        | FailureKind::Cancelled => Kind::Run,
    }
}
