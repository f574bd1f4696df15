//! `engine self-check`: whether everything that a run needs is here. Nothing is changed, and no record is sent.
//!
//! What does not depend on what failed is looked at all the same: one call tells everything that is wrong.

mod clock;
mod named;
mod online;
mod page;
mod service;
mod show;
mod state;

use std::path::Path;

use engine_core::ports::Cancel;
use engine_spec::check::references;
use engine_spec::device::Device;
use engine_spec::scalar::{Reference, Secret, Setting};

use crate::args::{Output, SelfCheckArgs};
use crate::exit::{CommandError, Kind};
use crate::project::{self, Project};
use crate::signals;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    /// A run works, and somebody should look.
    Warning,
    /// A run does not work; with the exit code's kind.
    Failed(Kind),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// What it is about: `state`.
    about: &'static str,
    level: Level,
    /// What was looked at, and what was found.
    said: String,
    /// What to do.
    action: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, said: impl Into<String>) -> Self {
        Self { about, level: Level::Ok, said: said.into(), action: None }
    }

    fn warning(about: &'static str, said: impl Into<String>, action: impl Into<String>) -> Self {
        Self { about, level: Level::Warning, said: said.into(), action: Some(action.into()) }
    }

    /// A failure in the words of a command. What would fail a run is, before one, a matter of the environment.
    fn failed(about: &'static str, error: CommandError) -> Self {
        let kind = if error.kind == Kind::Run { Kind::Environment } else { error.kind };
        Self { about, level: Level::Failed(kind), said: error.message, action: error.hint }
    }
}

/// Looks at everything that the arguments do not leave out.
pub fn run(args: &SelfCheckArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let findings = look(args, config, &cancel);
    match args.output {
        Output::Text => crate::show::print(&show::text(&findings)),
        Output::Json => crate::show::print_json(&show::json(&findings)),
    }
    let worst = findings.iter().filter_map(|finding| match finding.level {
        Level::Failed(kind) => Some(kind),
        Level::Ok | Level::Warning => None,
    });
    worst.max().map_or(Ok(()), |kind| Err(CommandError::said(kind)))
}

fn look(args: &SelfCheckArgs, config: Option<&Path>, cancel: &Cancel) -> Vec<Finding> {
    let mut findings = vec![version()];
    let file = project::device_file(&args.paths, config);
    let device = match project::open_device(&args.paths, config) {
        Ok((device, folder)) => {
            findings.push(match &file {
                Some(file) => Finding::ok("config", format!("{} is valid", file.display())),
                None => Finding::ok("config", "there is no engine.yaml here; the defaults hold"),
            });
            Some((device, folder))
        }
        Err(error) => {
            findings.push(Finding::failed("config", told(error)));
            None
        }
    };
    // With a config that is wrong, nobody knows where the specs and the state are.
    if let Some((device, folder)) = device {
        let project = specs(args, config, &mut findings);
        if let Some(file) = &file {
            findings.extend(named::of_device(file, &folder));
        }
        for spec in project.iter().flat_map(|project| &project.specs) {
            findings.extend(named::of_spec(spec));
        }
        findings.extend(state::look(&device, &folder, args.offline));
        findings.extend(page::look(&device.http, &folder));
        findings.push(clock::against_the_program());
        findings.extend(service::look(has_credentials(&device, project.as_ref())));
        if let Some(project) = project.as_ref().filter(|_| !args.offline) {
            findings.extend(online::look(project, cancel));
        }
    } else {
        findings.push(clock::against_the_program());
        findings.extend(service::look(false));
    }
    findings
}

fn version() -> Finding {
    let build = if cfg!(debug_assertions) { "a debug build, which is slow" } else { "a release build" };
    let place = std::env::current_exe().map_or_else(|_| "this program".to_owned(), |path| path.display().to_string());
    let (version, system, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    Finding::ok("version", format!("{place} is engine {version} for {system} on {machine}, {build}"))
}

fn specs(args: &SelfCheckArgs, config: Option<&Path>, findings: &mut Vec<Finding>) -> Option<Project> {
    let project = match Project::open(&args.paths, config) {
        Ok(project) => project,
        Err(error) => {
            findings.push(Finding::failed("specs", told(error)));
            return None;
        }
    };
    if project.broken {
        findings.push(Finding::failed("specs", told(CommandError::said(Kind::Usage))));
    }
    for spec in &project.specs {
        let file = spec.path.display();
        findings.push(match project.plan(spec, true) {
            Ok(plan) => Finding::ok("specs", format!("{file} is valid: pipeline {}", plan.id)),
            Err(error) => Finding::failed("specs", error),
        });
    }
    Some(project)
}

/// An error whose findings went to standard error already, in words for the list.
fn told(error: CommandError) -> CommandError {
    if !error.message.is_empty() {
        return error;
    }
    CommandError::new(error.kind, "there are errors: standard error has them with their places")
        .hint("put them right; `engine validate-spec` shows them again")
}

/// Whether something is referred to that only systemd hands over.
fn has_credentials(device: &Device, project: Option<&Project>) -> bool {
    let is_one = |reference: &Reference| matches!(reference, Reference::Credential(_));
    let of_state = matches!(&device.state.url, Some(Setting::Reference(url)) if is_one(url));
    let of_page = matches!(&device.http.token, Some(Secret(token)) if is_one(token));
    let mut specs = project.into_iter().flat_map(|project| &project.specs);
    of_state || of_page || specs.any(|spec| references(&spec.loaded.file).iter().any(|at| is_one(&at.reference)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_a_run_is_one_of_the_environment_before_it() {
        for (kind, expected) in
            [(Kind::Run, Kind::Environment), (Kind::Usage, Kind::Usage), (Kind::Environment, Kind::Environment)]
        {
            let finding = Finding::failed("source", CommandError::new(kind, "x"));
            assert_eq!(finding.level, Level::Failed(expected));
        }
    }
}
