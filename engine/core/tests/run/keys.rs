//! A pipeline keeps the form of its keys.

use engine_core::canonical::{KeyForm, KeyText};
use engine_core::state::{PipelineState, StateStore as _};
use serde_json::Value;

use crate::kit::{World, booking, booking_spec, booking_table, order, order_spec, order_table};

/// A pipeline that begins with a form of keys.
fn begun(form: KeyForm, mut world: World) -> World {
    let state = PipelineState { keys: form, ..PipelineState::default() };
    world.store.save(&world.plan.id, &state).expect("the store holds");
    world.run_and_deliver();
    world
}

fn form_of(world: &World) -> KeyForm {
    world.store.load(&world.plan.id).expect("the store holds").keys
}

/// Row after row: nothing new, something else, one gone; the same whatever the form.
fn goes_on(mut world: World, rows: &[Value], changed: &[Value]) -> Vec<Vec<String>> {
    let form = form_of(&world);
    let sent = world.platform.received.len();
    let report = world.run_and_deliver();
    assert_eq!((report.unchanged, report.new, report.gone), (rows.len() as u64, 0, 0), "{form:?}");
    assert_eq!(world.platform.received.len(), sent, "{form:?}: nothing is sent twice");
    let mut told = vec![world.runs()];
    for rows in [changed, &changed[..changed.len() - 1]] {
        world.set_rows(rows);
        world.run_and_deliver();
        told.push(world.runs());
    }
    assert_eq!(form_of(&world), form);
    told
}

#[test]
fn a_pipeline_goes_on_with_the_keys_that_it_began_with() {
    let orders = |end| [order(1, "A", "M1", 10, Some(20)), order(2, "B", "M1", 30, Some(end))];
    let bookings =
        |end| [booking(1, "A", "M1", "A", 10), booking(2, "A", "M1", "E", end), booking(3, "B", "M1", "A", end + 5)];
    let of_orders = [KeyForm::Hash, KeyForm::Near].map(|form| {
        let world = begun(form, World::with_rows(&order_spec(""), order_table(), &orders(40)));
        let snapshot = world.store.snapshot(&world.plan.id);
        let keys: Vec<_> = ["1", "2"].map(|id| form.key(&KeyText::of_one(id))).into();
        assert!(keys.iter().all(|key| snapshot.records.get(*key, false).is_some()), "{form:?}");
        goes_on(world, &orders(40), &orders(50))
    });
    assert_eq!(of_orders[0], of_orders[1]);
    let of_bookings = [KeyForm::Hash, KeyForm::Near].map(|form| {
        let world = begun(form, World::with_rows(&booking_spec(""), booking_table(), &bookings(20)));
        goes_on(world, &bookings(20), &bookings(25))
    });
    assert_eq!(of_bookings[0], of_bookings[1]);
    assert_eq!(of_bookings[0][0], ["A M1 10-20", "B M1 25-"]);
}

#[test]
fn a_new_pipeline_has_keys_that_lie_near_each_other() {
    let mut world = World::with_rows(&order_spec(""), order_table(), &[order(1, "A", "M1", 10, Some(20))]);
    world.run_and_deliver();
    assert_eq!(form_of(&world), KeyForm::Near);
}
