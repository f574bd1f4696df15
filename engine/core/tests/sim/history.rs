//! A history: what happens, one thing after the other, drawn from a seed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use engine_core::ports::Clock;
use jiff::SignedDuration;

use crate::check::may_change_spec;
use crate::faults::{Armed, Coverage};
use crate::setup::Reads;
use crate::world::{Crash, Sim, Wrong};

/// What a history came to.
pub struct Played {
    pub trace: Vec<String>,
    pub coverage: Coverage,
    /// Rows were in quarantine.
    pub quarantined: bool,
    pub wrong: Vec<Wrong>,
}

/// Plays the history of a seed.
pub fn play(seed: u64) -> Played {
    let sim = Sim::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..sim.setup.events {
            event(&sim)?;
            if !sim.lock().wrong.is_empty() {
                return Ok(());
            }
        }
        sim.say("nothing fails any more".to_owned());
        sim.settle_down()
    }));
    let mut inner = sim.lock();
    let mut wrong = std::mem::take(&mut inner.wrong);
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(at_the_end)) => wrong.push(at_the_end),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            wrong.push(Wrong::Broken(format!("a panic: {}", text.unwrap_or_default())));
        }
    }
    Played {
        trace: std::mem::take(&mut inner.trace),
        coverage: std::mem::take(&mut inner.coverage),
        quarantined: inner.quarantined,
        wrong,
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Edit,
    Run,
    Deliver,
    Later,
    Back,
    Pause,
    Restart,
    Respec,
    Approve,
    Poison,
}

fn event(sim: &Arc<Sim>) -> Result<(), Wrong> {
    let events = [
        (9, Event::Edit),
        (10, Event::Run),
        (8, Event::Deliver),
        (4, Event::Later),
        (1, Event::Back),
        (1, Event::Pause),
        (1, Event::Restart),
        (3, Event::Respec),
        (2, Event::Approve),
        (1, Event::Poison),
    ];
    let event = sim.lock().random.weighted(&events);
    sim.say(format!("{event:?}"));
    match event {
        Event::Edit => {
            let edits = 1 + sim.lock().random.below(5);
            sim.edit(edits);
        }
        Event::Run => disturbed(sim, Armed::for_run, |sim| drop(sim.run())),
        Event::Deliver => disturbed(sim, Armed::for_delivery, |sim| drop(sim.deliver())),
        Event::Later => {
            let minutes = sim.lock().random.below(90);
            sim.clock.set(sim.clock.now() + SignedDuration::from_mins(minutes));
        }
        // What a slice of the first fill refuses, because it lies in the future, is not read again.
        Event::Back if sim.setup.reads == Reads::Slices => {}
        Event::Back => {
            let minutes = sim.lock().random.below(30);
            sim.clock.set(sim.clock.now() - SignedDuration::from_mins(minutes));
        }
        Event::Pause => pause(sim)?,
        Event::Restart => sim.ended(),
        Event::Respec if may_change_spec(&sim.setup) => {
            let mut inner = sim.lock();
            inner.plan = usize::try_from(inner.random.below(sim.setup.plans.len() as i64)).unwrap();
            let line = format!("  spec {}", inner.plan);
            inner.trace.push(line);
        }
        Event::Respec => {}
        Event::Approve => sim.approve(),
        Event::Poison => {
            let mut inner = sim.lock();
            let poison = inner.random.pick(&[None, Some("\"A\"")]);
            inner.platform.poison = poison;
        }
    }
    sim.follow_clock();
    Ok(())
}

/// The pipeline stands still for days. What a window that moves on has left behind stays as it was when it was last
/// read: a table of which that is asked is read once more before.
fn pause(sim: &Arc<Sim>) -> Result<(), Wrong> {
    if sim.setup.reads == Reads::Slices {
        {
            let mut inner = sim.lock();
            inner.disk_full = 0;
            inner.platform.poison = None;
            inner.armed.clear();
        }
        // What lay in the future until now does so no more.
        let now = sim.lock().source_now + 60;
        crate::edits::repair(&sim.setup, &mut sim.rows(), now);
        sim.clock.set(crate::plant::at(now));
        sim.run_until_well()?;
    }
    let days = 1 + sim.lock().random.below(4);
    sim.clock.set(sim.clock.now() + SignedDuration::from_hours(24 * days));
    Ok(())
}

/// Does something while something fails, until it is done or the process has ended.
fn disturbed(sim: &Arc<Sim>, arm: fn(&mut crate::random::Random) -> Armed, act: impl FnOnce(&Arc<Sim>)) {
    {
        let mut inner = sim.lock();
        inner.armed.clear();
        if inner.random.percent(sim.setup.fault_percent) {
            for _ in 0..2 + inner.random.below(3) {
                let armed = arm(&mut inner.random);
                inner.armed.push(armed);
            }
        }
    }
    match catch_unwind(AssertUnwindSafe(|| act(sim))) {
        Ok(()) => {}
        Err(panic) if panic.downcast_ref::<Crash>().is_some() => {
            sim.say("  the process has ended".to_owned());
            sim.ended();
        }
        Err(panic) => resume_unwind(panic),
    }
    sim.lock().armed.clear();
}
