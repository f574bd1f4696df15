//! The steps of a CI file, executed as the CI server would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine_tests::binary::{Workspace, engine, root};
use engine_tests::{clients, program};
use serde_json::Value;

/// A stand-in for `curl`: the release is a file.
const CURL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
while [ $# -gt 0 ]; do
    case $1 in
        --output) output=$2; shift 2 ;;
        --*) shift ;;
        *) url=$1; shift ;;
    esac
done
[ "$url" = https://releases.example/engine.tar.gz ] || { echo "unknown address $url" >&2; exit 6; }
cp "$RELEASE" "$output"
"#;

/// A repository of specs, and a machine that checks it.
pub struct Project {
    workspace: Workspace,
    checksum: String,
}

/// What a step said, and whether it went well.
#[derive(Debug)]
pub struct Step {
    /// Its name, or its command where it has none.
    pub name: String,
    /// The exit code.
    pub code: Option<i32>,
    /// What it wrote to both streams.
    pub out: String,
}

impl Project {
    /// A clone of a repository with this spec in `specs/acme/bookings.yaml`.
    pub fn new(spec: &str) -> Self {
        let workspace = Workspace::new();
        workspace.write("origin/specs/acme/bookings.yaml", spec);
        git(&workspace.path("origin"), &["init", "--quiet", "--initial-branch=main"]);
        git(&workspace.path("origin"), &["add", "."]);
        git(&workspace.path("origin"), &["commit", "--quiet", "--message=specs"]);
        git(&workspace.path(""), &["clone", "--quiet", "origin", "clone"]);

        program::write(&workspace.path("bin/curl"), CURL);
        // The release: a file that starts the programs that are tested.
        for name in ["engine", "validate-spec"] {
            let path = engine().with_file_name(name);
            let start = format!("#!/bin/sh\nexec '{}' \"$@\"\n", path.display());
            program::write(&workspace.path(&format!("release/{name}")), &start);
        }
        let release = workspace.path("release");
        run(Command::new("tar").args(["-czf", "../engine.tar.gz", "engine", "validate-spec"]).current_dir(release));
        let sum = run(Command::new("sha256sum").arg(workspace.path("engine.tar.gz")));
        let checksum = sum.split_whitespace().next().expect("a sum").to_owned();
        Self { workspace, checksum }
    }

    /// The same, on a machine that expects another release.
    pub fn with_checksum(mut self, checksum: &str) -> Self {
        checksum.clone_into(&mut self.checksum);
        self
    }

    /// A file of the clone.
    pub fn read(&self, name: &str) -> String {
        self.workspace.read(&format!("clone/{name}"))
    }

    fn bash(&self, arguments: &[&str], script: &str, path: &str) -> Step {
        let script_file = self.workspace.write("script.sh", script);
        let output = Command::new("bash")
            .args(arguments)
            .arg(script_file)
            .current_dir(self.workspace.path("clone"))
            .env_clear()
            .env("PATH", format!("{path}{}:/usr/local/bin:/usr/bin:/bin", self.workspace.path("bin").display()))
            .env("HOME", self.workspace.path(""))
            .env("RELEASE", self.workspace.path("engine.tar.gz"))
            .env("ENGINE_URL", "https://releases.example/engine.tar.gz")
            .env("ENGINE_SHA256", &self.checksum)
            .env("GITHUB_PATH", self.workspace.path("github-path"))
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        let out = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Step { name: script.to_owned(), code: output.status.code(), out }
    }

    /// Executes the commands of a GitHub workflow. After a step that failed, only those are executed that want it.
    pub fn github(&self) -> Vec<Step> {
        let workflow = parsed("github.yml");
        let steps = workflow["jobs"]["specs"]["steps"].as_array().expect("steps");
        let mut done: Vec<Step> = Vec::new();
        for step in steps {
            let Some(script) = step["run"].as_str() else { continue };
            let failed = done.iter().any(|step| step.code != Some(0));
            if failed && step.get("if").is_none() {
                continue;
            }
            let found: String = self.workspace.read("github-path").lines().map(|line| format!("{line}:")).collect();
            let name = step["name"].as_str().expect("a step has a name").to_owned();
            done.push(Step { name, ..self.bash(&["-e"], script, &found) });
        }
        done
    }

    /// Executes a job of a GitLab pipeline.
    pub fn gitlab(&self, job: &str) -> Step {
        let pipeline = parsed("gitlab-ci.yml");
        let base = pipeline[job]["extends"].as_str().expect("a job extends another");
        let before = pipeline[base]["before_script"].as_array().expect("commands");
        let commands = before.iter().chain(pipeline[job]["script"].as_array().expect("commands"));
        let lines: Vec<&str> = commands.map(|command| command.as_str().expect("a command is text")).collect();
        self.bash(&["-eo", "pipefail"], &lines.join("\n"), "")
    }
}

fn parsed(name: &str) -> Value {
    let text = fs::read_to_string(root().join("deploy/ci").join(name)).expect("the file is there");
    serde_yaml::from_str(&text).expect("it is YAML")
}

/// Runs git as nobody in particular.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    run(Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@acme.example"])
        .args(arguments)
        .current_dir(folder))
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The folder of the Python packages that check CI files and run hooks.
pub fn tools() -> PathBuf {
    clients::installed("ci").join("python")
}
