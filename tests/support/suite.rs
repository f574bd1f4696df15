//! The contract of the connectors: named cases, every one of them run, and one table of what became of them.
//!
//! `./test` prints the table at its end, from the file that `ENGINE_CONTRACT_REPORT` names.

use std::any::Any;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The cases that every connector has an answer to, if only why it has none.
pub const EVERYWHERE: [&str; 10] = [
    "values arrive as they are",
    "null in every kind",
    "big decimals",
    "instants around a clock change",
    "one undecodable value",
    "no rows",
    "wrong password",
    "time-out",
    "cancel mid-stream",
    "cut connection",
];

/// What became of a case that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Kept,
    /// There is nothing to hold; why.
    Skipped(&'static str),
}

/// A case: its name, and what runs it and panics where it does not hold.
pub type Case<'a> = (&'static str, Box<dyn Fn() -> Verdict + 'a>);

/// A case that holds unless it panics.
pub fn case<'a>(name: &'static str, run: impl Fn() + 'a) -> Case<'a> {
    let kept = move || {
        run();
        Verdict::Kept
    };
    (name, Box::new(kept))
}

/// A case that a connector has no answer to.
pub fn skipped(name: &'static str, why: &'static str) -> Case<'static> {
    (name, Box::new(move || Verdict::Skipped(why)))
}

/// Runs all cases of a connector, and panics in the end where one of them did not hold.
#[track_caller]
pub fn run(connector: &str, cases: &[Case<'_>]) {
    let (lines, failures) = try_all(connector, cases);
    report(&lines);
    assert!(failures.is_empty(), "{connector} does not keep the contract:\n{}", failures.join("\n"));
}

/// A line of the report for every case, and what did not hold. A case that is left out does not hold.
fn try_all(connector: &str, cases: &[Case<'_>]) -> (String, Vec<String>) {
    let mut lines = String::new();
    let mut failures = Vec::new();
    for (name, run) in cases {
        let (state, why) = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Verdict::Kept) => ("ok", String::new()),
            Ok(Verdict::Skipped(why)) => ("skipped", why.to_owned()),
            Err(panic) => {
                let why = words(&*panic);
                failures.push(format!("{name}: {why}"));
                ("FAILED", why.lines().next().unwrap_or_default().to_owned())
            }
        };
        lines.push_str(&format!("{connector}\t{name}\t{state}\t{why}\n"));
    }
    for name in EVERYWHERE.iter().filter(|name| !cases.iter().any(|(known, _)| known == *name)) {
        failures.push(format!("{name}: it is not tried"));
        lines.push_str(&format!("{connector}\t{name}\tFAILED\tit is not tried\n"));
    }
    (lines, failures)
}

/// Says that a connector was not tried at all.
pub fn absent(connector: &str, why: &str) {
    let lines = EVERYWHERE.iter().map(|name| format!("{connector}\t{name}\tskipped\t{why}\n"));
    report(&lines.collect::<String>());
}

fn report(lines: &str) {
    let Some(path) = std::env::var_os("ENGINE_CONTRACT_REPORT") else { return };
    let file = OpenOptions::new().create(true).append(true).open(path);
    // One write: other tests report at the same time.
    file.and_then(|mut file| file.write_all(lines.as_bytes())).expect("the report can be written");
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn everywhere() -> Vec<Case<'static>> {
        EVERYWHERE.iter().map(|name| skipped(name, "nothing is tried")).collect()
    }

    #[test]
    fn all_cases_run_and_all_failures_are_told() {
        let last = Cell::new(false);
        let mut cases = everywhere();
        cases.push(case("first", || panic!("one is not two")));
        cases.push(case("second", || panic!("{} is missing\nand more", "three")));
        cases.push(case("third", || last.set(true)));
        let (lines, failures) = try_all("fake", &cases);
        assert_eq!(failures, ["first: one is not two", "second: three is missing\nand more"]);
        for line in [
            "fake\tno rows\tskipped\tnothing is tried\n",
            "fake\tfirst\tFAILED\tone is not two\n",
            "fake\tsecond\tFAILED\tthree is missing\n",
            "fake\tthird\tok\t\n",
        ] {
            assert!(lines.contains(line), "{line} is not in {lines}");
        }
        assert!(last.get());
    }

    #[test]
    fn a_case_cannot_be_left_out_in_silence() {
        let mut cases = everywhere();
        assert_eq!(try_all("fake", &cases).1, [""; 0]);
        drop(cases.remove(3));
        let (lines, failures) = try_all("fake", &cases);
        assert_eq!(failures, [format!("{}: it is not tried", EVERYWHERE[3])]);
        assert!(lines.contains(&format!("fake\t{}\tFAILED\t", EVERYWHERE[3])), "{lines}");
    }
}
