//! What the service manager gives to this process, and what the process can give up.

use super::{Finding, Level};
use crate::commands::check::unrestricted;
use crate::sandbox;

/// What systemd hands over.
#[derive(Debug, Default)]
struct Given {
    /// Whether systemd started this very process.
    is_unit: bool,
    state: Option<String>,
    credentials: Option<String>,
}

/// Looks at what this process was started with.
pub(super) fn look(needs_credentials: bool) -> Vec<Finding> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let process = variable("SYSTEMD_EXEC_PID");
    let given = Given {
        is_unit: process.is_some_and(|id| id == std::process::id().to_string()),
        state: variable("STATE_DIRECTORY"),
        credentials: variable("CREDENTIALS_DIRECTORY"),
    };
    let mut findings = judge(&given, needs_credentials);
    findings.extend(unrestricted(sandbox::offered()).map(|remark| Finding {
        about: remark.about,
        level: Level::Warning,
        said: remark.message,
        action: remark.action,
    }));
    findings
}

fn judge(given: &Given, needs_credentials: bool) -> Vec<Finding> {
    const ABOUT: &str = "systemd";
    if !given.is_unit {
        return vec![Finding::ok(ABOUT, "it did not start this process: what the unit gives is not looked at")];
    }
    let state = match &given.state {
        Some(folder) => Finding::ok(ABOUT, format!("it started this process; the folder for the state is {folder}")),
        None => Finding::warning(
            ABOUT,
            "it started this process, and gave it no folder for the state",
            "add `StateDirectory=engine` to the unit, or set `state.url`",
        ),
    };
    let credentials = match (&given.credentials, needs_credentials) {
        (Some(folder), _) => Some(Finding::ok(ABOUT, format!("it handed over credentials in {folder}"))),
        (None, true) => Some(Finding::warning(
            ABOUT,
            "it handed over no credentials, and specs refer to some",
            "add `LoadCredential=` to the unit: `systemctl edit engine`",
        )),
        (None, false) => None,
    };
    [Some(state), credentials].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_lacks_is_said() {
        let levels = |given: &Given, needed: bool| -> Vec<Level> {
            judge(given, needed).into_iter().map(|finding| finding.level).collect()
        };
        assert_eq!(levels(&Given::default(), true), [Level::Ok]);
        let bare = Given { is_unit: true, ..Given::default() };
        assert_eq!(levels(&bare, false), [Level::Warning]);
        assert_eq!(levels(&bare, true), [Level::Warning, Level::Warning]);
        let (state, credentials) = (Some("/var/lib/engine".to_owned()), Some("/run/credentials/engine".to_owned()));
        assert_eq!(levels(&Given { is_unit: true, state, credentials }, true), [Level::Ok, Level::Ok]);
    }
}
