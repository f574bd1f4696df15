//! The hooks of `.pre-commit-hooks.yaml`, run by pre-commit itself in a repository of specs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use engine_tests::binary::{Workspace, engine, root};

use super::pipeline::{git, tools};
use super::{GOOD, failing, invalid};

/// A repository of specs whose commits the hooks watch.
struct Repository {
    workspace: Workspace,
    packages: PathBuf,
}

impl Repository {
    fn new() -> Self {
        let workspace = Workspace::new();
        let hooks = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
        workspace.write("engine/.pre-commit-hooks.yaml", hooks);
        let engine = workspace.path("engine");
        git(&engine, &["init", "--quiet"]);
        git(&engine, &["add", "."]);
        git(&engine, &["commit", "--quiet", "--message=hooks"]);
        let revision = git(&engine, &["rev-parse", "HEAD"]);
        workspace.write(
            "specs-of-acme/.pre-commit-config.yaml",
            format!(
                "repos:\n  - repo: {}\n    rev: {}\n    hooks: [{{ id: validate-spec }}, {{ id: engine-test }}]\n",
                engine.display(),
                revision.trim()
            ),
        );
        let repository = Self { workspace, packages: tools() };
        git(&repository.folder(), &["init", "--quiet"]);
        let installed = repository.command("python3", &["-m", "pre_commit", "install"]);
        assert!(installed.status.success(), "{installed:?}");
        repository
    }

    fn folder(&self) -> PathBuf {
        self.workspace.path("specs-of-acme")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let programs = engine().parent().unwrap().display();
        Command::new(program)
            .args(arguments)
            .current_dir(self.folder())
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
            .env("PYTHONPATH", &self.packages)
            .env("PRE_COMMIT_HOME", self.workspace.path("cache"))
            .output()
            .unwrap()
    }

    /// Writes a file and commits; whether that was let through, and what was said.
    fn commit(&self, file: &str, content: &str) -> (bool, String) {
        self.workspace.write(&format!("specs-of-acme/{file}"), content);
        git(&self.folder(), &["add", "."]);
        let commit = ["-c", "user.name=a", "-c", "user.email=a@acme.example", "commit", "--message=change"];
        let output = self.command("git", &commit);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

#[test]
fn a_commit_with_a_wrong_spec_is_refused_in_words() {
    let repository = Repository::new();
    let (passed, said) = repository.commit("specs/acme/bookings.yaml", GOOD);
    assert!(passed, "{said}");
    assert_eq!(said.matches("Passed").count(), 2, "{said}");

    let (passed, said) = repository.commit("specs/acme/bookings.yaml", &invalid());
    assert!(!passed, "{said}");
    assert!(said.contains("specs/acme/bookings.yaml:10:9: error[unknown_key]"), "{said}");

    let (passed, said) = repository.commit("specs/acme/bookings.yaml", &failing());
    assert!(!passed, "{said}");
    assert!(said.contains("specs are valid") && said.contains("Passed"), "{said}");
    assert!(said.contains("0 passed, 1 failed"), "{said}");
}

#[test]
fn only_what_changes_is_looked_at() {
    let repository = Repository::new();
    let (passed, said) = repository.commit("README.md", "specs of acme\n");
    assert!(passed, "{said}");
    assert_eq!(said.matches("Skipped").count(), 2, "{said}");

    // A wrong spec that is there already is not the business of who changes another.
    repository.workspace.write("specs-of-acme/specs/old.yaml", invalid().replace("acme-", "old-"));
    git(&repository.folder(), &["add", "."]);
    git(&repository.folder(), &["commit", "--quiet", "--no-verify", "--message=old"]);
    let (passed, said) = repository.commit("specs/acme/bookings.yaml", GOOD);
    assert!(passed, "{said}");
}
