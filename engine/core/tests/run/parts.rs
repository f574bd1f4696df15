//! The parts of a run, as whoever watches it is told of them.

use engine_core::run::{Observer, Part};

use crate::kit::{World, order, order_spec, order_table};

/// What was told: each part with those that lie in it.
#[derive(Default)]
struct Told(String);

impl Observer for Told {
    fn begins(&mut self, part: Part) {
        self.0 += &match part {
            Part::Load => "load(".to_owned(),
            Part::Open => "open(".to_owned(),
            Part::Expect => "expect(".to_owned(),
            Part::Question { number, window } => {
                assert!(window.is_some_and(|(start, end)| start < end));
                format!("question {number}(")
            }
            Part::Fetch => "fetch(".to_owned(),
            Part::Derive => "derive(".to_owned(),
            Part::Commit => "commit(".to_owned(),
        };
    }

    fn ends(&mut self) {
        self.0.push(')');
    }
}

fn told(world: &World, outbox_bytes_max: u64) -> String {
    let mut told = Told::default();
    world.observed(&world.store, outbox_bytes_max, &mut told);
    told.0
}

#[test]
fn every_part_is_told_in_the_order_of_the_run() {
    let rows = [order(1, "A", "M1", 1, Some(2)), order(2, "B", "M1", 3, Some(4))];
    let world = World::with_rows(&order_spec(""), order_table(), &rows);
    assert_eq!(told(&world, u64::MAX), "load()open()expect()question 1(fetch()fetch()fetch())derive()commit()");
}

#[test]
fn what_is_committed_early_lies_within_the_question() {
    let rows = [order(1, "A", "M1", 1, Some(2)), order(2, "B", "M1", 3, Some(4))];
    let mut world = World::with_rows(&order_spec(""), order_table(), &rows);
    world.plan.stage_bytes_max = 0;
    assert_eq!(
        told(&world, u64::MAX),
        "load()open()expect()question 1(fetch()fetch()derive()commit()fetch())derive()commit()"
    );
}

#[test]
fn a_part_that_fails_does_not_end() {
    let world = World::with_rows(&order_spec(""), order_table(), &[order(1, "A", "M1", 1, Some(2))]);
    world.run_well();
    assert_eq!(told(&world, 0), "load(");
}
