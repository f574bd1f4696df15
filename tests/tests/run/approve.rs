//! Brakes, and what an approval would let pass.

use engine_tests::promises::{Tally, kept};
use serde_json::{Value, json};

use super::Site;

fn site() -> Site {
    let site = Site::orders();
    site.workspace.write("engine.yaml", "version: 1\nspecs: ['*.yaml']\n");
    site.plant.orders(1..101);
    site.well();
    site
}

fn dry_run(site: &Site) -> Value {
    site.workspace.spec("acme.yaml", &site.spec);
    let args = ["approve", "acme", "--dry-run", "--now", &site.now, "-o", "json"];
    site.workspace.engine(&args).expect(0).json()[0].take()
}

/// Everything that the engine remembers, as it exports it.
fn remembered(site: &Site) -> String {
    site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout
}

#[test]
fn what_an_approval_would_delete_is_listed_first() {
    let site = site();
    let (before, requests) = (site.platform.state(), site.platform.requests().len());
    site.plant.execute("DELETE FROM auftrag WHERE id > 30");
    site.plant.execute("UPDATE auftrag SET menge = 7 WHERE id = 3");
    site.once().expect(1);

    let state = remembered(&site);
    let listed = dry_run(&site);
    assert_eq!((listed["deletes"].as_array().map(Vec::len), &listed["sends"]), (Some(70), &json!(1)), "{listed}");
    assert_eq!(listed["brakes"][0]["kind"], "deletes", "{listed}");
    for deleted in listed["deletes"].as_array().expect("a list") {
        let run = &before[deleted["id"].as_str().expect("an id")];
        for (name, of_run) in [("machine", "machine_code"), ("start", "start"), ("end", "end")] {
            assert_eq!(deleted[name], run[of_run], "{deleted}");
        }
    }
    let text = site.workspace.engine(&["approve", "acme", "--dry-run", "--now", &site.now]).expect(0);
    let text = text.says("70 of 100 records would be deleted").says("to delete (50 of 70)").says("to send (1 of 1)");
    text.says("held since 2025-03-30T12:00:00Z").says("nothing was changed; `engine approve acme` lets");
    assert_eq!((remembered(&site), site.platform.requests().len()), (state, requests), "nothing was changed");
    site.once().expect(1).says("would be deleted");

    site.workspace.engine(&["approve", "acme"]).expect(0).says("approved; the next run may pass: 70 of 100 records");
    assert_eq!(site.well(), (0, 1, 70, 1, 70, 0));
    let gone: Vec<&str> =
        listed["deletes"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
    let losses = gone.iter().filter(|id| site.platform.state().contains_key(**id)).count() as u64;
    kept(
        "The brake",
        "what_an_approval_would_delete_is_listed_first",
        Tally { histories: 1, faults: 1, losses, duplicates: 0 },
    );
    assert_eq!(losses, 0, "what was listed is what went");
    site.converged();
}

#[test]
fn another_database_is_shown_with_its_facts_and_the_brake_behind_it() {
    let mut site = site();
    engine_tests::plant::Plant::new(&site.workspace.path("other.db"));
    site.spec["source"]["path"] = "other.db".into();
    site.once().expect(1).says("the source is not the database of before");
    let listed = dry_run(&site);
    let kinds: Vec<&Value> = listed["brakes"].as_array().expect("a list").iter().map(|brake| &brake["kind"]).collect();
    assert_eq!(kinds, ["identity", "empty"], "{listed}");
    let fact = &listed["identity"][0];
    assert_eq!(fact["name"], "path", "{listed}");
    assert!(fact["before"].as_str().is_some_and(|path| path.ends_with("mes.db")), "{fact}");
    assert!(fact["now"].as_str().is_some_and(|path| path.ends_with("other.db")), "{fact}");
    assert_eq!(listed["deletes"].as_array().map(Vec::len), Some(100));
    let text = site.workspace.engine(&["approve", "acme", "--dry-run", "--now", &site.now]).expect(0);
    text.says("path of the source").says("then it is held again").says("the result is empty where there were 100");
    // Each brake wants its own approval.
    site.workspace.engine(&["approve", "acme"]).expect(0);
    site.once().expect(1).says("the result is empty");
    assert_eq!(site.platform.state().len(), 100);
}

#[test]
fn several_pipelines_are_approved_by_name_or_all_at_once() {
    let site = site();
    let mut second = site.spec.clone();
    second["id"] = "beta".into();
    site.workspace.spec("beta.yaml", &second);
    let run = || site.workspace.engine(&["run", "--once", "--now", &site.now, "acme.yaml", "beta.yaml"]);
    run().expect(0);
    site.workspace.engine(&["approve", "--all"]).expect(0).says("nothing waits for approval");
    site.plant.execute("DELETE FROM auftrag WHERE id > 30");
    run().expect(1);
    let listed = site.workspace.engine(&["approve", "--all"]).expect(0);
    listed
        .says("acme: waits since")
        .says("beta: waits since")
        .says("nothing was approved; `engine approve --all --yes`");
    run().expect(1);
    site.workspace.engine(&["approve", "acme", "nobody"]).expect(2).says("there is no pipeline `nobody`");
    run().expect(1);
    let approved = site.workspace.engine(&["approve", "--all", "--yes", "-o", "json"]).expect(0).json();
    let names: Vec<(&Value, &Value)> = approved
        .as_array()
        .expect("a list")
        .iter()
        .map(|outcome| (&outcome["pipeline"], &outcome["approved"]))
        .collect();
    assert_eq!(names, [(&json!("acme"), &json!(true)), (&json!("beta"), &json!(true))]);
    run().expect(0);
    site.workspace.engine(&["approve", "acme", "--yes"]).expect(0).says("acme: nothing waits for approval");
}

#[test]
fn a_dry_run_without_a_spec_says_where_it_looked() {
    let site = site();
    site.workspace.write("engine.yaml", "version: 1\nspecs: ['nowhere/*.yaml']\n");
    site.workspace
        .engine(&["approve", "acme", "--dry-run"])
        .expect(2)
        .says("no spec of the pipeline `acme`")
        .says("--config");
}

/// A changed key gives every record of the window a new id: that is a mass delete, and the brake says why.
#[test]
fn a_changed_key_is_held_explained_and_converges_once_approved() {
    let mut site = site();
    let before = site.platform.state();
    let requests = site.platform.requests().len();
    site.spec["key"] = json!(["anr"]);
    site.workspace.spec("acme.yaml", &site.spec);
    let preview = site.workspace.engine(&["preview", "--now", &site.now, "acme.yaml"]).expect(0);
    preview.says("`key`, `table` or `deliver` changed: records of the window get new ids");
    let outcome = site.once().expect(1).says("100 of 100 records would be deleted");
    outcome.says("`key`, `table` or `deliver` of the spec changed, which gives records new ids");
    assert_eq!((site.platform.state(), site.platform.requests().len()), (before, requests), "nothing was sent");
    let listed = dry_run(&site);
    assert_eq!((listed["deletes"].as_array().map(Vec::len), &listed["sends"]), (Some(100), &json!(100)), "{listed}");
    assert!(listed["notes"][0].as_str().is_some_and(|note| note.contains("get new ids")), "{listed}");

    site.workspace.engine(&["approve", "acme"]).expect(0);
    assert_eq!(site.well(), (100, 0, 100, 100, 100, 0));
    let sent = site.platform.requests().len();
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    let fresh = site.fresh();
    let state = site.platform.state();
    let losses = fresh.iter().filter(|(id, run)| state.get(*id) != Some(run)).count() as u64;
    let extra = state.keys().filter(|id| !fresh.contains_key(*id)).count() as u64;
    let again = (site.platform.requests().len() - sent) as u64;
    kept(
        "State belongs to the id",
        "a_changed_key_is_held_explained_and_converges_once_approved",
        Tally { histories: 1, faults: 1, losses: losses + extra, duplicates: again },
    );
    assert_eq!((losses, extra, again), (0, 0, 0));
}

/// What a spec may change without a word, and what is said and sent as a difference.
#[test]
fn a_change_of_the_mapping_is_a_difference_and_other_text_is_none() {
    let mut site = site();
    let requests = site.platform.requests().len();
    site.spec["query"]["sql"] =
        "SELECT * FROM auftrag\n  WHERE von >= {{ window.start }} -- the window\n  AND von < {{ window.end }}".into();
    site.spec["description"] = "reformatted".into();
    assert_eq!(site.well(), (0, 0, 0, 0, 0, 0));
    assert_eq!(site.platform.requests().len(), requests);

    site.spec["fields"]["order_code"] = json!({ "column": "anr", "map": { "4711003": "X" }, "unmapped": "keep" });
    site.workspace.spec("acme.yaml", &site.spec);
    let preview = site.workspace.engine(&["preview", "--now", &site.now, "acme.yaml"]).expect(0);
    preview.says("the mapping changed: what it changes is sent again");
    let outcome = site.once().expect(0);
    assert_eq!(super::found(&outcome), (0, 1, 0, 1, 0, 0), "{outcome}");
    outcome.says("the mapping changed");
    site.converged();
}
