//! What `deploy/` holds: manifests that Kubernetes takes, and that do what they are for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine_tests::binary::{Workspace, root};
use engine_tests::clients;
use engine_tests::plant;
use engine_tests::platform::Platform;
use engine_tests::servers::{self, Server};
use serde_json::Value;

/// Versions of Kubernetes whose schemas the manifests are held against: the oldest and the newest that get updates.
const VERSIONS: [&str; 2] = ["1.34", "1.37"];

fn manifests() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(root().join("deploy/kubernetes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert_eq!(found.len(), 3, "{found:?}");
    found
}

/// The objects of a manifest.
fn objects(manifest: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("deploy/kubernetes").join(manifest)).unwrap();
    text.split("\n---\n").map(|part| serde_yaml::from_str(part).unwrap()).collect()
}

fn object(manifest: &str, kind: &str, name: &str) -> Value {
    let is_wanted = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects(manifest).into_iter().find(is_wanted).unwrap_or_else(|| panic!("{manifest} has no {kind} {name}"))
}

/// The files of a ConfigMap or a Secret.
fn files(object: &Value) -> Vec<(String, String)> {
    let data = object.get("data").or_else(|| object.get("stringData")).unwrap().as_object().unwrap();
    data.iter().map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned())).collect()
}

/// A folder as Kubernetes mounts one: links to a folder that a link names, which is replaced as a whole.
fn mount(folder: &Path, files: &[(String, String)]) {
    let data = folder.join("..2026_11_25_00_00_00.1");
    fs::create_dir_all(&data).unwrap();
    symlink(data.file_name().unwrap(), folder.join("..data")).unwrap();
    for (name, text) in files {
        fs::write(data.join(name), text).unwrap();
        symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
    }
}

fn validate(version: &str, manifest: &Path) -> Output {
    let clients = clients::installed("kubernetes");
    Command::new("python3")
        .args(["-m", "kubernetes_validate", "--strict", "-k", version])
        .arg(manifest)
        .env("PYTHONPATH", clients.join("python"))
        .output()
        .unwrap()
}

#[test]
fn kubernetes_takes_the_manifests() {
    for version in VERSIONS {
        for manifest in manifests() {
            let output = validate(version, &manifest);
            assert!(output.status.success(), "{manifest:?}: {output:?}");
        }
    }
    // A typo is told.
    let workspace = Workspace::new();
    let text = fs::read_to_string(root().join("deploy/kubernetes/engine.yaml")).unwrap();
    let wrong = workspace.write("wrong.yaml", text.replace("replicas: 3", "replica: 3"));
    assert!(!validate(VERSIONS[0], &wrong).status.success());
}

#[test]
fn what_the_manifests_share_is_the_same() {
    let service = object("engine.yaml", "Deployment", "engine")["spec"]["template"]["spec"].clone();
    let once = object("cronjob.yaml", "CronJob", "engine")["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone();
    let backfill = object("backfill.yaml", "Job", "engine-backfill-acme-orders")["spec"]["template"]["spec"].clone();
    for other in [&once, &backfill] {
        for key in ["volumes", "securityContext", "serviceAccountName", "terminationGracePeriodSeconds"] {
            assert_eq!(other[key], service[key], "{key}");
        }
        for key in ["image", "command", "workingDir", "env", "resources", "securityContext", "volumeMounts"] {
            assert_eq!(other["containers"][0][key], service["containers"][0][key], "{key}");
        }
    }
}

#[test]
fn the_unit_and_the_manifests_ask_the_same_of_the_c_library() {
    let unit = fs::read_to_string(root().join("deploy/systemd/engine.service")).unwrap();
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let set = unit.lines().filter_map(|line| line.strip_prefix("Environment=")).flat_map(str::split_whitespace);
    let of_unit: Vec<(String, String)> =
        set.filter(|one| one.starts_with("MALLOC_")).filter_map(|one| one.split_once('=')).map(pair).collect();
    let service = object("engine.yaml", "Deployment", "engine")["spec"]["template"]["spec"]["containers"][0].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_manifest: Vec<(String, String)> =
        service["env"].as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect();
    assert_eq!((of_unit.len(), of_unit), (3, of_manifest));
}

/// Every command of a manifest is one that the program knows, with these arguments.
#[test]
fn the_commands_of_the_manifests_exist() {
    let service = object("engine.yaml", "Deployment", "engine")["spec"]["template"]["spec"]["containers"][0].clone();
    let workspace = Workspace::new();
    let words = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut commands = vec![words(&service["args"])];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let command = words(&service[probe]["exec"]["command"]);
        assert_eq!(Value::from(command[..1].to_vec()), service["command"]);
        commands.push(command[1..].to_vec());
    }
    let once = &object("cronjob.yaml", "CronJob", "engine")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    commands.push(words(&once["containers"][0]["args"]));
    let backfill = &object("backfill.yaml", "Job", "engine-backfill-acme-orders")["spec"]["template"]["spec"];
    commands.push(words(&backfill["containers"][0]["args"]));
    for command in commands {
        // The config is not there: that is found out after the arguments were understood.
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        workspace.engine(&args).expect(3).says("/etc/engine/engine.yaml");
    }
}

#[test]
fn the_manifest_runs_in_a_mounted_folder() {
    let (workspace, platform, database) = (Workspace::new(), Platform::start(), servers::postgres());
    let Server { host, port, username, password, .. } = &database;
    let secrets = workspace.path("secrets");
    let here = |text: &str| text.replace("/run/secrets/engine", secrets.to_str().unwrap());

    let specs = files(&object("engine.yaml", "ConfigMap", "engine-specs"));
    let specs: Vec<_> = specs
        .into_iter()
        .map(|(name, text)| {
            let text = here(&text).replace("mes.acme.example", &format!("{host}\n  port: {port}"));
            let text = text.replace("database: mes", "database: postgres").replace("engine_read", username);
            (name, text.replace("verify-full", "require"))
        })
        .collect();
    mount(&workspace.path("specs"), &specs);
    workspace.engine(&["validate-spec", "--strict", "specs"]).expect(0);

    let (_, config) = files(&object("engine.yaml", "ConfigMap", "engine-config")).remove(0);
    let destination = serde_json::to_string(&plant::to_url(&platform.url())).unwrap();
    let at = config.find("destination:").unwrap();
    let end = config.find("limits:").unwrap();
    workspace.write("engine.yaml", here(&format!("{}destination: {destination}\n{}", &config[..at], &config[end..])));
    let state = format!("postgres://{username}:{password}@{host}:{port}/postgres?sslmode=require");
    let values: Vec<_> = files(&object("engine.yaml", "Secret", "engine"))
        .into_iter()
        .map(|(name, _)| {
            let value = if name == "state-url" { state.clone() } else { password.clone() };
            (name, value)
        })
        .collect();
    mount(&secrets, &values);

    database.execute(
        "CREATE TABLE production_order (id int PRIMARY KEY, order_no text, article text, machine text,
             started_at timestamp, ended_at timestamp, quantity numeric);
         INSERT INTO production_order VALUES
             (1, '4711', '25-1002', 'M1', now() - interval '2 hours', now() - interval '1 hour', 10),
             (2, '4712', '25-1002', 'M1', now() - interval '1 hour', NULL, 3);",
    );
    workspace.engine(&["run", "--once", "--config", "engine.yaml"]).expect(0);
    assert_eq!(platform.state().len(), 2);
    workspace.engine(&["run", "--once", "--config", "engine.yaml"]).expect(0);
    assert_eq!(platform.records(), 2, "the state was found again");
    platform.assert_contract();
}
