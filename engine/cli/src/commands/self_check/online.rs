//! Whether destinations answer and take the login, and whether sources can be reached.

use engine_connect::to::{self, Login};
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use jiff::Timestamp;

use super::{Finding, clock};
use crate::commands::check::failed;
use crate::exit::{CommandError, Kind};
use crate::pipeline;
use crate::project::Project;

/// Asks the destination of the device once, and every other destination and source of the specs.
pub(super) fn look(project: &Project, cancel: &Cancel) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_shared_asked = false;
    for spec in &project.specs {
        if cancel.is_cancelled() {
            break;
        }
        let plan = match project.plan(spec, false) {
            Ok(plan) => plan,
            // What has no value was said of the references already; here is what could not be asked for it.
            Err(error) => {
                findings.push(Finding::failed("source", error));
                continue;
            }
        };
        let is_shared = spec.loaded.spec.as_ref().is_some_and(|spec| spec.destination.is_none());
        if !(is_shared && is_shared_asked) {
            findings.extend(destination(&plan, cancel));
        }
        is_shared_asked |= is_shared;
        findings.push(source(&plan, cancel));
    }
    findings
}

fn destination(plan: &Plan, cancel: &Cancel) -> Vec<Finding> {
    const ABOUT: &str = "destination";
    let Some(config) = &plan.destination else {
        let error = CommandError::new(Kind::Usage, format!("{}: no destination", plan.id));
        return vec![Finding::failed(ABOUT, error.hint("set `destination` in the spec, or in engine.yaml for all"))];
    };
    let before = Timestamp::now();
    let greeting = match to::greet(config, cancel) {
        Ok(greeting) => greeting,
        Err(error) => {
            let error = CommandError { kind: Kind::Environment, message: error.to_string(), hint: error.hint };
            return vec![Finding::failed(ABOUT, error)];
        }
    };
    let after = Timestamp::now();
    let said = greeting.said;
    let answer = match greeting.login {
        Login::None => Finding::ok(ABOUT, said),
        Login::Taken => Finding::ok(ABOUT, format!("{said}, and takes the login")),
        Login::Given => Finding::ok(ABOUT, format!("{said}; a token was given out for the login")),
        Login::Untold => Finding::warning(
            ABOUT,
            format!("{said} to a request without records, which does not say whether it takes the login"),
            "the first delivery tells: `engine status` shows what became of it",
        ),
    };
    let date = greeting.date.map(|date| clock::against("the destination", date, before, after));
    [Some(answer), date].into_iter().flatten().collect()
}

fn source(plan: &Plan, cancel: &Cancel) -> Finding {
    match pipeline::open_source(plan, cancel) {
        Ok(source) => Finding::ok("source", format!("{}: {} answers", plan.id, source.identity().version)),
        Err(error) => Finding::failed("source", failed(error)),
    }
}
