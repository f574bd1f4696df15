//! `engine quarantine`: what was refused is listed, shown and sent again.

use engine_tests::plant::NOW;
use serde_json::json;

use super::Site;

#[test]
fn refused_rows_are_counted_listed_and_shown() {
    let mut site = Site::orders().with(|spec| spec["sync"] = json!({ "lookback": "14d" }));
    site.plant.orders(1..11);
    site.plant.execute("UPDATE auftrag SET anr = NULL WHERE id IN (3, 4); UPDATE auftrag SET menge = 'x' WHERE id = 5");
    site.workspace.write("engine.yaml", "version: 1\nspecs: ['*.yaml']\n");
    site.once().expect(0);

    let listed = site.workspace.engine(&["quarantine", "list", "-o", "json"]).expect(0).json();
    let (first, all) = (&listed[0], listed[0]["rows"].as_array().expect("rows"));
    assert_eq!((&first["pipeline"], &first["total"], all.len()), (&json!("acme"), &json!(3), 3), "{listed}");
    let missing = &first["reasons"][0];
    assert_eq!(
        (&missing["stage"], &missing["code"], &missing["rule"], &missing["rows"]),
        (&json!("row"), &json!("missing_value"), &json!("fields.order_code"), &json!(2)),
        "{listed}"
    );
    assert_eq!((&missing["first_seen"], &missing["last_seen"]), (&json!(NOW), &json!(NOW)));
    assert_eq!(first["reasons"][1]["code"], "number_unparsable");

    // The next run refuses one of them again, and accepts the other.
    site.plant.execute("UPDATE auftrag SET anr = '47' WHERE id = 4");
    site.now = "2025-03-30T13:00:00Z".to_owned();
    site.once().expect(0);
    let listed = site.workspace.engine(&["quarantine", "list", "acme", "-n", "1", "-o", "json"]).expect(0).json();
    assert_eq!((&listed[0]["total"], listed[0]["rows"].as_array().map(Vec::len)), (&json!(2), Some(1)), "{listed}");
    let missing = &listed[0]["reasons"][0];
    assert_eq!((&missing["first_seen"], &missing["last_seen"]), (&json!(NOW), &json!(site.now)), "{listed}");
    let text = site.workspace.engine(&["quarantine", "list"]).expect(0);
    text.says("acme: 2 in quarantine").says("rows (2 of 2)").says("[\"3\"]").says("fields.quantity_total");

    let line = site.workspace.read("acme.yaml").lines().position(|line| line.contains("order_code")).map(|at| at + 1);
    let place = format!("acme.yaml:{}:", line.expect("the rule is in the spec"));
    for key in ["3", "[\"3\"]"] {
        let shown = site.workspace.engine(&["quarantine", "show", "acme", key]).expect(0);
        shown.says("missing_value").says("fields.order_code").says(&place).says("\"artnr\": \"25-1002\"");
    }
    let shown = site.workspace.engine(&["quarantine", "show", "acme", "5", "-o", "json"]).expect(0).json();
    assert_eq!((&shown[0]["row"]["menge"], &shown[0]["row"]["mnr"]), (&json!("x"), &json!("M5")), "{shown}");
    site.workspace.engine(&["quarantine", "show", "acme", "4"]).expect(2).says("key `4`").says("quarantine list acme");
    for args in [&["quarantine", "list", "nobody"][..], &["quarantine", "show", "nobody", "4"]] {
        site.workspace.engine(args).expect(2).says("there is no pipeline `nobody`").says("acme");
    }
}

#[test]
fn a_refused_record_goes_out_at_once_when_it_is_retried() {
    let site = Site::orders();
    site.plant.orders(1..6);
    site.plant.execute("UPDATE auftrag SET anr = NULL WHERE id = 5");
    let ids: Vec<String> = site.fresh().into_keys().collect();
    site.platform.reject_records([ids[1].as_str()]);
    site.once().expect(0).says("1 record refused by");
    let shown = site.workspace.engine(&["quarantine", "show", "acme", &ids[1], "-o", "json"]).expect(0).json();
    assert_eq!((&shown[0]["stage"], &shown[0]["code"]), (&json!("delivery"), &json!("not_wanted")), "{shown}");
    assert_eq!((&shown[0]["attempts"], &shown[0]["last_seen"]), (&json!(1), &json!(NOW)), "{shown}");
    assert_eq!(shown[0]["row"]["run_id"], json!(ids[1]), "{shown}");

    // Its time has not come: the next delivery leaves it where it is.
    site.platform.reject_records([]);
    site.once().expect(0);
    assert_eq!(site.platform.state().len(), 3);

    let retried = site.workspace.engine(&["quarantine", "retry", "acme"]).expect(0);
    retried.says("acme: 1 refused record is sent again").says("acme: 1 rejected row is tried again by every run");
    assert_eq!(site.status()["outbox"], 1);
    site.once().expect(0);
    site.converged();
    let again = site.workspace.engine(&["quarantine", "retry", "-o", "json"]).expect(0).json();
    assert_eq!(again, json!([{ "pipeline": "acme", "queued": 0, "left": 1 }]));

    site.plant.execute("UPDATE auftrag SET anr = '47' WHERE id = 5");
    site.once().expect(0);
    site.converged();
    for verb in ["list", "retry"] {
        site.workspace.engine(&["quarantine", verb]).expect(0).says("acme: nothing is in quarantine");
    }
}
