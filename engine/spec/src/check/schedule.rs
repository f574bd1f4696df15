//! `schedule`: one of `every` and `cron`, and a cron expression that has a next run.

use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;

use super::Checker;
use crate::codes;
use crate::model::Schedule;

/// An instant from which the next run is sought; any will do, for the expression holds for ever.
const SEARCH_START: i64 = 1_735_689_600;

pub(super) fn check(checker: &mut Checker<'_>, schedule: &Schedule) {
    if schedule.every.is_some() && schedule.cron.is_some() {
        let message = "`schedule` takes exactly one of `every`, `cron`; both are given";
        checker.key(codes::EXACTLY_ONE, "/schedule/cron", message);
    }
    if let Some(every) = schedule.every
        && every.0.is_zero()
    {
        checker.value(codes::OUT_OF_RANGE, "/schedule/every", "`every` must be longer than `0s`");
    }
    if let Some(zone) = &schedule.timezone {
        checker.zone("/schedule/timezone", zone);
        if schedule.cron.is_none() {
            let message = "`timezone` says where `cron` is read; there is no `cron`";
            checker.key(codes::KEY_NOT_HERE, "/schedule/timezone", message).help =
                Some("remove `timezone`: `every` does not depend on a zone".to_owned());
        }
    }
    if let Some(cron) = &schedule.cron
        && let Err(reason) = next_run(cron)
    {
        checker.value(codes::BAD_CRON, "/schedule/cron", reason).help =
            Some("five fields: minute, hour, day of month, month, day of week".to_owned());
    }
}

fn next_run(cron: &str) -> Result<(), String> {
    if cron.trim_start().starts_with('@') {
        return Err(format!("`{cron}` is a nickname; write the five fields"));
    }
    let pattern = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .build()
        .parse(cron)
        .map_err(|error| format!("`{cron}` is not a cron expression: {error}"))?;
    let start = jiff::Timestamp::from_second(SEARCH_START).expect("the constant is in range").to_zoned(TimeZone::UTC);
    match pattern.find_next_occurrence(&start, false) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{cron}` has no next run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_fields_with_a_next_run_are_accepted() {
        for cron in ["* * * * *", "*/5 6-22 * * MON-FRI", "0 0 29 2 *", "30 2 * * *"] {
            assert_eq!(next_run(cron), Ok(()), "{cron}");
        }
        for (cron, part) in [
            ("* * 30 2 *", "no next run"),
            ("* * * *", "not a cron"),
            ("0 * * * * *", "not a cron"),
            ("61 * * * *", "not a cron"),
            ("@daily", "nickname"),
            ("every day", "not a cron"),
        ] {
            let reason = next_run(cron).expect_err(cron);
            assert!(reason.contains(part), "{cron}: {reason}");
        }
    }
}
