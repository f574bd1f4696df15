//! SIGKILL at random moments, over and over, while the source changes and the platform fails as it likes.
//!
//! `ENGINE_CRASH_KILLS` says how often, `ENGINE_CRASH_SEED` which moments.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use engine_tests::platform::Fault;
use engine_tests::seed;

use crate::site::{ONCE, SERVICE, Site, outbox_of_the_dead};

/// Kills, where nobody says how many.
const KILLS_DEFAULT: u64 = 40;
/// Kills that there are however slow the machine.
const KILLS_MIN: u64 = 12;
/// How long the test goes on where nobody says how often.
const TIME_MAX: Duration = Duration::from_secs(30);
/// A process that is to be killed lives so many milliseconds at most.
const LIFE_MAX: u64 = 1_100;
/// Faults of the platform in one life.
const FAULTS: usize = 6;

/// One life of the engine: where its requests begin, and what was unsettled when it began.
struct Life {
    first_request: usize,
    unsettled: BTreeSet<String>,
}

pub fn any_fault(random: &mut fastrand::Rng) -> Fault {
    match random.u32(0..12) {
        0 => Fault::status(503),
        1 => Fault::status(500),
        2 => Fault::CutBeforeBody,
        3 => Fault::CutMidBody,
        4 => Fault::CutAfterApply,
        5 => Fault::CutMidAnswer,
        6 => Fault::Drip,
        7 => Fault::Conflict,
        8 => Fault::StallAfterApply,
        9 | 10 => Fault::Wait(Duration::from_millis(random.u64(0..200))),
        _ => Fault::Serve,
    }
}

#[test]
fn killed_at_random_moments_nothing_is_lost_or_doubled() {
    let asked = std::env::var("ENGINE_CRASH_KILLS").ok().and_then(|kills| kills.parse().ok());
    let mut random = seed::random("ENGINE_CRASH_SEED");
    let mut site = Site::new();
    let began = Instant::now();
    let goes_on = |kills: u64| match asked {
        Some(most) => kills < most,
        None => kills < KILLS_MIN || kills < KILLS_DEFAULT && began.elapsed() < TIME_MAX,
    };
    let mut lives = Vec::new();
    let (mut kills, mut faults) = (0, 0);
    let mut unsettled = BTreeSet::new();
    while goes_on(kills) {
        lives.push(Life { first_request: site.platform.requests().len(), unsettled: unsettled.clone() });
        let scripted: Vec<Fault> = (0..FAULTS).map(|_| any_fault(&mut random)).collect();
        site.platform.calm().script(scripted);
        let mut running = site.workspace.start(if random.bool() { &ONCE } else { &SERVICE });
        site.change_for(Duration::from_millis(random.u64(0..LIFE_MAX)), &mut running, &mut random);
        kills += u64::from(running.kill());
        faults += 1;
        site.platform.await_idle();
        unsettled = outbox_of_the_dead(&site.workspace);
    }
    faults += (lives.len() * FAULTS) as u64;
    lives.push(Life { first_request: site.platform.requests().len(), unsettled });
    let known_to_be_settled = sent_again_by_the_next_life(&site, &lives);
    site.conclude(
        "Nothing lost, nothing doubled",
        "killed_at_random_moments_nothing_is_lost_or_doubled",
        kills,
        faults,
        known_to_be_settled,
    );
}

/// Records that a process sent, unchanged, although they were not in the outbox that the last one left.
fn sent_again_by_the_next_life(site: &Site, lives: &[Life]) -> u64 {
    let requests = site.platform.requests();
    let is_new_work = |(number, id): &&(usize, String)| {
        let Some(life) = lives.iter().rev().find(|life| life.first_request <= *number) else { return false };
        let sent_in_this_life = requests[life.first_request..*number].iter().any(|one| one.ids().contains(id));
        !sent_in_this_life && !life.unsettled.contains(&id.replace('-', ""))
    };
    site.platform.doubled().iter().filter(is_new_work).count() as u64
}
