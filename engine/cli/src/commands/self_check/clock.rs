//! Whether this machine's clock can be right.

use engine_core::probe::difference;
use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::exit::{CommandError, Kind};

/// How far two clocks may be apart before it is said: a token or a certificate that is just issued is not valid yet.
const DIFFERENCE_TOLERATED: SignedDuration = SignedDuration::from_secs(60);
/// A copy of the program may carry the time of a machine in another zone.
const PROGRAM_TOLERATED: SignedDuration = SignedDuration::from_hours(26);
const ABOUT: &str = "clock";
const SET_IT: &str = "set the clock: `timedatectl set-ntp true`, or name a time server that this machine can reach";

/// The clock against the date of the program: a machine whose battery is empty begins in 1970.
pub(super) fn against_the_program() -> Finding {
    let made = std::env::current_exe().and_then(std::fs::metadata).and_then(|file| file.modified());
    judge_program(Timestamp::now(), made.ok().and_then(|made| Timestamp::try_from(made).ok()))
}

fn judge_program(now: Timestamp, made: Option<Timestamp>) -> Finding {
    match made {
        Some(made) if now.duration_since(made) < -PROGRAM_TOLERATED => {
            let message = format!("it is {now:.0} here, before this program was made ({made:.0})");
            Finding::failed(ABOUT, CommandError::new(Kind::Environment, message).hint(SET_IT))
        }
        _ => Finding::ok(ABOUT, format!("it is {now:.0} here, which can be right")),
    }
}

/// The clock against that of a server, asked between two readings of this one.
pub(super) fn against(server: &str, date: Timestamp, before: Timestamp, after: Timestamp) -> Finding {
    // The server tells whole seconds, and cuts them.
    let (first, last) = (date, date + SignedDuration::from_secs(1));
    let ahead = if last < before {
        last.duration_since(before)
    } else if first > after {
        first.duration_since(after)
    } else {
        SignedDuration::ZERO
    };
    let said = format!("the clock of {server} is {}", difference(ahead));
    if ahead.abs() > DIFFERENCE_TOLERATED {
        return Finding::warning(ABOUT, said, SET_IT);
    }
    Finding::ok(ABOUT, said)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_clock_before_the_program_is_wrong() {
        let made = Some(at("2026-01-02T00:00:00Z"));
        assert_eq!(judge_program(at("1970-01-01T00:00:07Z"), made).level, Level::Failed(Kind::Environment));
        assert_eq!(judge_program(at("2026-01-01T12:00:00Z"), made).level, Level::Ok);
        assert_eq!(judge_program(at("2026-01-03T00:00:00Z"), made).level, Level::Ok);
        assert_eq!(judge_program(at("1970-01-01T00:00:07Z"), None).level, Level::Ok);
    }

    #[test]
    fn what_a_request_takes_is_no_difference_of_clocks() {
        let check = |date: &str, level: Level, said: &str| {
            let finding = against("h", at(date), at("2026-01-01T00:00:10Z"), at("2026-01-01T00:00:40Z"));
            assert!(finding.level == level && finding.said.contains(said), "{date}: {finding:?}");
        };
        check("2026-01-01T00:00:09Z", Level::Ok, "the same");
        check("2026-01-01T00:00:40Z", Level::Ok, "the same");
        check("2026-01-01T00:01:40Z", Level::Ok, "60.0 s ahead of");
        check("2026-01-01T00:01:41Z", Level::Warning, "61.0 s ahead of");
        check("2025-12-31T23:00:00Z", Level::Warning, "s behind");
    }
}
