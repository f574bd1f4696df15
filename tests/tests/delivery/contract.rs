//! The delivery contract: its examples hold it, and it refuses what it does not name.

use engine_tests::contract::Contract;
use serde_json::{Value, json};

const ID: &str = "5a0f3c9e-7d2b-5b1e-8f4a-0c6d1e2f3a4b";

fn run() -> Value {
    json!({
        "op": "upsert", "run_id": ID, "machine_code": "M1", "production_order": "4711",
        "product": { "code": "25-1002" }, "start": "2025-03-29T21:00:00Z", "quantity_yield": 1.5,
    })
}

#[test]
fn the_examples_of_the_contract_hold_it() {
    let contract = Contract::load();
    let post = &contract.document()["paths"]["/"]["post"];
    let requests = post["requestBody"]["content"]["application/json"]["examples"].as_object().expect("examples");
    assert!(requests.len() >= 2);
    for (name, example) in requests {
        assert_eq!(contract.check_delivery(&example["value"]), Vec::<String>::new(), "{name}");
    }
    let answer = &post["responses"]["200"]["content"]["application/json"]["examples"]["some"]["value"];
    assert_eq!(contract.check_results(answer), Vec::<String>::new());
    for (name, schema) in contract.document()["components"]["schemas"].as_object().expect("schemas") {
        assert!(schema["description"].is_string(), "{name} has no description");
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert_eq!(contract.check(name, example), Vec::<String>::new(), "{name}: {example}");
        }
    }
}

#[test]
fn the_contract_refuses_what_it_does_not_name() {
    let contract = Contract::load();
    let with = |change: fn(&mut Value)| {
        let mut record: Value = run();
        change(&mut record);
        json!({ "pipeline": "p", "labels": {}, "records": [record] })
    };
    assert_eq!(contract.check_delivery(&with(|_| {})), Vec::<String>::new());
    for body in [
        with(|record| record["op"] = json!("insert")),
        with(|record| record["run_id"] = json!("1")),
        with(|record| record["start"] = json!("2025-03-29T21:00:00")),
        with(|record| record["start"] = json!("2025-03-29T21:00:00+01:00")),
        with(|record| record["end"] = Value::Null),
        with(|record| record["product"] = json!("25-1002")),
        with(|record| record["quantity_yield"] = json!("1.5")),
        with(|record| record["surprise"] = json!(1)),
        with(|record| record["op"] = json!("delete")),
        with(|record| drop(record.as_object_mut().and_then(|members| members.remove("run_id")))),
        json!({ "pipeline": "p", "labels": {}, "records": [] }),
        json!({ "pipeline": "P!", "labels": {}, "records": [{ "op": "delete", "run_id": ID }] }),
        json!({ "labels": {}, "records": [{ "op": "delete", "run_id": ID }] }),
    ] {
        assert_ne!(contract.check_delivery(&body), Vec::<String>::new(), "{body}");
    }
}
