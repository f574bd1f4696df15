//! What is kept, changed at random: a short hunt on every machine. `fuzz/run` hunts with more cunning.
//!
//! `ENGINE_LAWS_SEED` makes it another hunt, `ENGINE_LAWS_ROUNDS` a longer one.

#![expect(clippy::print_stdout, reason = "a test that fails shows what led to it")]

use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;

use engine_laws::{LAWS, Law};
use fastrand::Rng;

/// Where nothing else is said: what a hunt finds does not depend on the day.
const SEED: u64 = 1;
/// Inputs for each law.
const ROUNDS: u64 = 150;
/// Bytes of an input.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// Pieces that mean something to one law or another.
const PIECES: [&str; 24] = [
    "\"",
    "'",
    "\\",
    "\n",
    "\r\n",
    "\0",
    "{{",
    "}}",
    "{%",
    "%}",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    "null",
    "-1e309",
    "\\ud800",
    "\u{feff}",
    "9999-12-31T24:00",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(folder).expect("a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry of a folder").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).expect("an input can be read")).collect()
}

fn change(rng: &mut Rng, input: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = rng.usize(0..=input.len());
    let end = (at + rng.usize(0..=16)).min(input.len());
    match rng.u8(0..8) {
        0 if at < input.len() => input[at] = rng.u8(..),
        1 if at < input.len() => input[at] ^= 1 << rng.u8(0..8),
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].repeat(rng.usize(1..40));
            input.splice(at..at, piece);
        }
        4 => {
            let other = rng.choice(others).expect("a corpus has inputs");
            let from = rng.usize(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        5 => drop(input.splice(at..at, std::iter::repeat_with(|| rng.u8(..)).take(4).collect::<Vec<_>>())),
        _ => drop(input.splice(at..at, rng.choice(PIECES).expect("there are some").bytes())),
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn hunt(name: &str, law: Law, seed: u64, rounds: u64) {
    let kept = kept(name);
    let mut rng = Rng::with_seed(seed);
    for round in 0..rounds {
        let mut input = rng.choice(&kept).expect("a corpus has inputs").clone();
        for _ in 0..rng.u32(1..6) {
            change(&mut rng, &mut input, &kept);
        }
        if catch_unwind(|| law(&input)).is_err() {
            let path = std::env::temp_dir().join(format!("engine-law-{name}-{seed}-{round}"));
            std::fs::write(&path, &input).expect("the input can be kept");
            panic!("{name} is broken by {} (ENGINE_LAWS_SEED={seed}, round {round})", path.display());
        }
    }
}

/// Adds what was run to the report of promises, where there is one.
fn report(name: &str, rounds: u64) {
    let Some(path) = std::env::var_os("ENGINE_PROMISES_REPORT") else { return };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("a report");
    let line = format!("Plain words\tlaws: {name}\t{rounds}\t{rounds}\t0\t0\n");
    file.write_all(line.as_bytes()).expect("the report can be written");
}

#[track_caller]
fn of(name: &str) {
    let (_, law) = LAWS.iter().find(|(known, _)| *known == name).expect("a law of this name");
    let seed = number("ENGINE_LAWS_SEED", SEED);
    println!("ENGINE_LAWS_SEED={seed}");
    let rounds = number("ENGINE_LAWS_ROUNDS", ROUNDS);
    hunt(name, *law, seed, rounds);
    report(name, rounds);
}

#[test]
fn changed_specs() {
    of("spec");
}

#[test]
fn changed_templates() {
    of("template");
}

#[test]
fn changed_rows() {
    of("mapping");
}

#[test]
fn changed_times() {
    of("times");
}

#[test]
fn changed_csv() {
    of("csv");
}

#[test]
fn changed_answers_of_an_api() {
    of("answers");
}

#[test]
fn changed_answers_of_a_platform() {
    of("receipts");
}

#[test]
fn changed_bundles() {
    of("bundle");
}
