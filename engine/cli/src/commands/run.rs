//! `engine run`: every pipeline once, or as a service on its schedule.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine_core::plan::Plan;
use engine_core::ports::{Cancel, Clock};
use engine_core::report::{RunReport, counted};
use engine_core::run::OUTBOX_BYTES_MAX;
use engine_core::state::{Lease, StateStore};
use engine_spec::device::Device;

use crate::args::RunArgs;
use crate::exit::{CommandError, Kind};
use crate::fleet::{self, Override, Puller};
use crate::monitor::Monitor;
use crate::notify::Notify;
use crate::pipeline::{self, Outlet};
use crate::project::{self, Found, FoundSpec, Project, Unfit};
use crate::sandbox::Held;
use crate::service::{Event, Files, Service};
use crate::traces::{self, Traces};
use crate::{clock, progress, sandbox, service, show, signals, store, telemetry, web};

/// How long `--once` waits for a destination that is busy or cannot be reached.
const ONCE_PATIENCE: Duration = Duration::from_secs(30);
/// How often `--once` delivers while a long run goes on.
const DELIVER_WHILE_RUNNING: Duration = Duration::from_millis(500);
/// Pipelines that run at the same time, where the device config does not say.
pub const CONCURRENCY: usize = 4;

/// Runs what the arguments name.
pub fn run(args: &RunArgs, config: Option<&Path>, verbose: u8, quiet: bool) -> Result<(), CommandError> {
    let from = Override { from: args.specs_from.clone(), keys: args.specs_keys.clone() };
    let mut puller = puller(args, config, &from)?;
    if let Some(Pulling { puller, device, folder }) = &mut puller {
        telemetry::start(&device.log, verbose, quiet);
        let take = if args.once { fleet::pull_once } else { fleet::await_first };
        restricted(device, folder, puller, take)?;
    }
    let found = Found::look_with(&args.paths, config, &from).map_err(Unfit::tell)?;
    let (paths, seen, count) = (found.paths.clone(), found.seen.clone(), found.specs.len());
    let project = Project::of(found)?;
    telemetry::start(&project.device.log, verbose, quiet);
    // Before any other thread begins: what a thread may do, those that it starts may do.
    let state = store::place(&project.device, &project.folder)?;
    // A connection to the service manager is kept; afterwards, none to an abstract address could be made.
    let notify = if args.once { Notify::default() } else { Notify::from_env() };
    let mut grants = sandbox::needs(&project, state.prepare()?);
    let collector = traces::Settings::find(&project.device, &project.folder);
    collector.iter().for_each(|settings| settings.needs(&mut grants));
    if let Some(pulling) = &puller {
        grants.write(pulling.puller.depot.prepare()?);
    }
    let held = sandbox::restrict(&grants);
    sandbox::log(&grants, &held);
    let traces = Traces::start(collector);
    // Dropped last: the spans of everything below have ended then.
    let _ending = traces.ending();
    let cancel = Cancel::default();
    if args.once {
        signals::watch(&cancel);
        let clock = clock::clock(args.now);
        return once(&project, state.open()?.as_ref(), clock.as_ref(), &cancel, &traces);
    }
    let (sender, events) = std::sync::mpsc::channel();
    let asked = sender.clone();
    // Nobody listens any more once the service has stopped.
    signals::watch_for_service(&cancel, move |what| drop(asked.send(Event::Asked(what))));
    let store: Arc<dyn StateStore> = state.open()?.into();
    let monitor = Arc::new(Monitor::new(clock::now()));
    let ended = match puller {
        Some(pulling) => fleet::start(pulling.puller, &store, &monitor, &cancel, sender.clone())?,
        None => None,
    };
    fleet::heartbeat::start(&project.device, &project.folder, &store, &monitor, &cancel);
    let _server = web::start(&project.device.http, &project.folder, &store, &monitor);
    let service = Service {
        left_out: count - project.specs.len(),
        granted: (!matches!(held, Held::Nothing(_))).then_some(grants),
        files: Files { arguments: args.paths.clone(), config: config.map(Path::to_owned), from, paths, seen },
        project,
        notify,
        traces,
        ended,
    };
    service::run(service, store.as_ref(), &monitor, &cancel, sender, &events)
}

/// What pulls the specs, and the device config that says so.
struct Pulling {
    puller: Puller,
    device: Device,
    folder: PathBuf,
}

/// What pulls the specs. Whoever names specs wants these and no others.
fn puller(args: &RunArgs, config: Option<&Path>, from: &Override) -> Result<Option<Pulling>, CommandError> {
    if !args.paths.is_empty() {
        return Ok(None);
    }
    let (mut device, folder) = project::open_device(&args.paths, config)?;
    from.apply(&mut device);
    Ok(Puller::of(&device, &folder)?.map(|puller| Pulling { puller, device, folder }))
}

/// Pulls on a thread that gives up what it does not need before it speaks to anybody. What the process needs is known
/// only when there are specs.
fn restricted(
    device: &Device,
    folder: &Path,
    puller: &mut Puller,
    take: fn(&mut Puller) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let Some(fleet) = &device.fleet else { return Ok(()) };
    let grants = sandbox::needs_to_pull(fleet, folder, puller.depot.prepare()?);
    let pulled = std::thread::scope(|scope| {
        let pull = || {
            sandbox::log(&grants, &sandbox::restrict(&grants));
            take(puller)
        };
        scope.spawn(pull).join()
    });
    pulled.unwrap_or_else(|_| Err(CommandError::new(Kind::Environment, "pulling specs broke off: a defect of engine")))
}

/// Bytes in the outbox beyond which nothing is read.
pub fn outbox_bytes_max(device: &Device) -> u64 {
    device.limits.outbox.map_or(OUTBOX_BYTES_MAX, |bytes| bytes.0)
}

/// Pipelines that run at the same time.
pub fn concurrency(device: &Device) -> usize {
    device.limits.concurrency.map_or(CONCURRENCY, |most| most.get() as usize)
}

fn once(
    project: &Project,
    store: &dyn StateStore,
    clock: &dyn Clock,
    cancel: &Cancel,
    traces: &Traces,
) -> Result<(), CommandError> {
    let worst: Mutex<Option<Kind>> = Mutex::new(project.broken.then_some(Kind::Usage));
    let fail = |kind: Kind| {
        let mut worst = worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *worst = (*worst).max(Some(kind));
    };
    let next = AtomicUsize::new(0);
    let workers = concurrency(&project.device).min(project.specs.len());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(spec) = project.specs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if cancel.is_cancelled() {
                        return;
                    }
                    if let Err(error) = one(project, spec, store, clock, cancel, traces) {
                        if !error.message.is_empty() {
                            tracing::error!(event = "pipeline_failed", hint = error.hint, "{}", error.message);
                        }
                        fail(error.kind);
                    }
                }
            });
        }
    });
    let worst = *worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match worst {
        None => Ok(()),
        Some(kind) => Err(CommandError::said(kind)),
    }
}

/// Runs one pipeline and delivers what it found.
fn one(
    project: &Project,
    spec: &FoundSpec,
    store: &dyn StateStore,
    clock: &dyn Clock,
    cancel: &Cancel,
    traces: &Traces,
) -> Result<(), CommandError> {
    let Some(id) = spec.loaded.spec.as_ref().map(|typed| typed.id.to_string()) else {
        return Err(CommandError::said(Kind::Usage));
    };
    let lease = store.lease(&id)?.map_err(|holder| {
        CommandError::new(Kind::Run, format!("{id}: it is being run already, by {holder}"))
            .hint("wait for it, or stop the service")
    })?;
    let mut trace = traces.run(&id);
    let plan = match trace.plan(|| project.plan(spec, false)) {
        Ok(plan) => plan,
        Err(error) => {
            trace.end(&pipeline::unplanned(&id, store, &error, clock.now(), None));
            return Err(error);
        }
    };
    let plan = &plan;
    let mut outlet = Outlet::open(plan)?;
    outlet.trace(traces, &id);
    let mut bar = progress::Bar::new(&plan.id);
    let outbox_bytes_max = outbox_bytes_max(&project.device);
    let running = AtomicBool::new(true);
    let report = std::thread::scope(|scope| {
        // What a long run has found so far goes out while it reads on, so that the outbox stays small.
        let deliveries =
            scope.spawn(|| deliver_while(&running, &mut outlet, plan, store, lease.as_ref(), clock, cancel));
        let report = trace
            .watch(&mut bar, |observer| pipeline::run(plan, store, clock, cancel, outbox_bytes_max, None, observer));
        running.store(false, Ordering::Relaxed);
        deliveries.thread().unpark();
        report
    });
    bar.finish();
    trace.end(&report);
    log_run(&plan.id, &report);
    // A source that is down does not hold back what waits in the outbox.
    let delivered = outlet.deliver(plan, store, lease.as_ref(), clock, cancel, ONCE_PATIENCE)?;
    log_delivery(&plan.id, outlet.place(), &delivered);
    if let Some(failure) = &report.failure {
        return Err(CommandError::said(pipeline::kind_of(failure)));
    }
    if delivered.stopped.is_some() {
        return Err(CommandError::said(Kind::Environment));
    }
    Ok(())
}

/// Delivers now and then while a run goes on. A destination that does not answer well is left to the delivery that
/// follows the run, which has more patience.
fn deliver_while(
    running: &AtomicBool,
    outlet: &mut Outlet,
    plan: &Plan,
    store: &dyn StateStore,
    lease: &dyn Lease,
    clock: &dyn Clock,
    cancel: &Cancel,
) {
    std::thread::park_timeout(DELIVER_WHILE_RUNNING);
    while running.load(Ordering::Relaxed) {
        match outlet.deliver(plan, store, lease, clock, cancel, Duration::ZERO) {
            Ok(report) => {
                log_delivery(&plan.id, outlet.place(), &report);
                if report.stopped.is_some() {
                    return;
                }
            }
            Err(_) => return,
        }
        std::thread::park_timeout(DELIVER_WHILE_RUNNING);
    }
}

/// Logs what a run did.
pub fn log_run(pipeline: &str, report: &RunReport) {
    for note in &report.notes {
        tracing::warn!(event = "run_note", pipeline, "{note}");
    }
    match &report.failure {
        Some(failure) => tracing::error!(
            event = "run_failed",
            pipeline,
            kind = ?failure.kind,
            rows = report.rows,
            millis = report.millis,
            hint = failure.hint,
            "{}",
            failure.message
        ),
        None => tracing::info!(
            event = "run_finished",
            pipeline,
            rows = report.rows,
            new = report.new,
            changed = report.changed,
            gone = report.gone,
            upserts = report.upserts,
            deletes = report.deletes,
            rejected = report.rejected_total(),
            statements = report.statements,
            bytes = report.bytes,
            millis = report.millis,
            "{}",
            show::summary(report)
        ),
    }
}

/// Logs what a delivery did, where it did anything.
pub fn log_delivery(pipeline: &str, place: &str, report: &engine_core::dispatch::DispatchReport) {
    if report.accepted > 0 {
        tracing::info!(
            event = "delivered",
            pipeline,
            records = report.accepted,
            parcels = report.parcels,
            "{} delivered to {place}",
            counted(report.accepted, "record")
        );
    }
    if report.refused > 0 {
        tracing::warn!(
            event = "delivery_refused",
            pipeline,
            records = report.refused,
            "{} refused by {place}, now in quarantine",
            counted(report.refused, "record")
        );
    }
    if let Some(stopped) = &report.stopped {
        tracing::error!(
            event = if stopped.paused { "delivery_paused" } else { "delivery_waits" },
            pipeline,
            retry_at = %stopped.retry_at,
            "{place}: {}; what is undelivered waits in the outbox",
            stopped.reason
        );
    }
}
