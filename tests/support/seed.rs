//! Random tests: their seeds are said, and taken back.

use std::io::Write as _;

/// Random numbers from the seed that a variable holds, or from a new one. The seed is said on standard error, past the
/// test harness, so that the run of a test that failed can be had again.
pub fn random(variable: &str) -> fastrand::Rng {
    let given = std::env::var(variable).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    let _ = writeln!(std::io::stderr(), "{variable}={seed}");
    fastrand::Rng::with_seed(seed)
}

/// One of several.
pub fn one_of<'a, T>(random: &mut fastrand::Rng, choices: &'a [T]) -> &'a T {
    &choices[random.usize(..choices.len())]
}
