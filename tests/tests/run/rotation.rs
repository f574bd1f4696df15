//! Secrets that are replaced while the service runs: what comes next uses the new ones, without a restart.

use engine_tests::binary::{Running, Workspace};
use engine_tests::dialects::{POSTGRES, insert_for, spec};
use engine_tests::plant::{self, Plant};
use engine_tests::platform::Platform;
use engine_tests::servers;
use serde_json::{Value, json};

use crate::service::every_second;

fn stop(running: Running) {
    running.signal("TERM");
    running.finish().expect(0);
}

/// The platform takes the old one and the new one for a while: nothing needs to be refused first.
#[test]
fn a_token_is_read_anew_for_every_delivery() {
    for (folder, reference) in
        [("secrets", json!({ "file": "secrets/token" })), ("handed", json!({ "credential": "token" }))]
    {
        let (workspace, platform) = (Workspace::new(), Platform::start());
        let plant = Plant::new(&workspace.path("mes.db"));
        let token = workspace.write(&format!("{folder}/token"), "first\n");
        let mut destination = plant::to_url(&platform.url());
        destination["auth"] = json!({ "bearer": reference });
        plant.orders(1..11);
        workspace.spec("acme.yaml", &every_second("acme", &destination));
        let credentials = workspace.path("handed").display().to_string();
        let mut running = workspace.start_with(&[("CREDENTIALS_DIRECTORY", &credentials)], &["run", "acme.yaml"]);
        running.event("delivered", "acme");
        // As it is replaced by those who know how: the new file is moved into the old one's place.
        std::fs::rename(workspace.write(&format!("{folder}/token.new"), "second\n"), token).expect("one folder");
        plant.orders(11..21);
        running.event("delivered", "acme");
        let sent: Vec<String> =
            platform.requests().iter().map(|request| request.headers["authorization"].clone()).collect();
        assert_eq!(sent, ["Bearer first", "Bearer second"], "{reference}");
        stop(running);
    }
}

/// The login is the same; the platform has been told to take it.
#[test]
fn a_delivery_that_is_paused_is_tried_when_the_service_is_asked_to_read_anew() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    Plant::new(&workspace.path("mes.db")).orders(1..11);
    workspace.write("token", "first\n");
    platform.require_header("Authorization", "Bearer other");
    let mut destination = plant::to_url(&platform.url());
    destination["auth"] = json!({ "bearer": { "file": "token" } });
    workspace.spec("acme.yaml", &every_second("acme", &destination));
    let mut running = workspace.start(&["run", "acme.yaml"]);
    running.event("delivery_paused", "acme");
    platform.require_header("Authorization", "Bearer first");
    running.event("run_finished", "acme");
    running.event("run_finished", "acme");
    assert!(platform.state().is_empty(), "what was refused is not tried again at once");
    running.signal("HUP");
    running.event("delivered", "acme");
    stop(running);
}

/// `engine.yaml` lies elsewhere than the specs that it is for: what it names is looked for beside it.
#[test]
fn a_token_of_the_device_lies_beside_its_config() {
    let (workspace, platform) = (Workspace::new(), Platform::start());
    let plant = Plant::new(&workspace.path("etc/specs/mes.db"));
    plant.orders(1..11);
    platform.require_header("Authorization", "Bearer first");
    workspace.write("etc/token", "first\n");
    let token = json!({ "type": "enlyze", "url": platform.url(), "token": { "file": "token" } });
    workspace.write("etc/engine.yaml", json!({ "version": 1, "destination": token }).to_string());
    let mut spec = every_second("acme", &Value::Null);
    spec.as_object_mut().expect("a spec").remove("destination");
    workspace.spec("etc/specs/acme.yaml", &spec);
    let config = ["--config", "etc/engine.yaml"];
    workspace.engine(&[&["self-check"], &config[..]].concat()).expect(0);
    workspace.engine(&[&["run", "--once"], &config[..]].concat()).expect(0);
    assert_eq!(platform.state().len(), 10);

    platform.require_header("Authorization", "Bearer second");
    plant.orders(11..21);
    let mut running = workspace.start(&[&["run"], &config[..]].concat());
    running.event("delivery_paused", "acme");
    workspace.write("etc/token", "second\n");
    running.event("delivered", "acme");
    stop(running);
}

#[test]
fn a_password_of_a_source_is_read_anew_for_every_run() {
    let (workspace, platform, server) = (Workspace::new(), Platform::start(), servers::postgres());
    server.execute(POSTGRES.table);
    server.execute(&insert_for(&POSTGRES, 1..11));
    let mut spec = spec(&POSTGRES, &server, server.port, &plant::to_url(&platform.url()));
    let service: Value = every_second("acme", &json!({}));
    for part in ["query", "sync", "schedule"] {
        spec[part] = service[part].clone();
    }
    spec["source"]["password"] = json!({ "file": "password" });
    workspace.write("password", &server.password);
    workspace.spec("acme.yaml", &spec);
    let mut running = workspace.start(&["run", "acme.yaml"]);
    assert_eq!(running.event("delivered", "acme")["records"], 10);

    let more = insert_for(&POSTGRES, 11..21);
    server.execute(&format!("ALTER ROLE \"{}\" PASSWORD 'canary-second'; {more}", server.username));
    let failed = running.event("run_failed", "acme");
    assert!(failed["hint"].as_str().is_some_and(|hint| hint.contains("source.password")), "{failed}");
    workspace.engine(&["status"]).expect(0).says("failing").says("source.password");
    workspace.write("password", "canary-second\n");
    assert_eq!(running.event("delivered", "acme")["records"], 10);
    workspace.engine(&["status"]).expect(0).says("ok");
    assert_eq!(platform.state().len(), 20);
    running.signal("TERM");
    assert!(!running.finish().expect(0).to_string().contains("canary"));
}
