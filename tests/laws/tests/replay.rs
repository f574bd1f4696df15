//! Every input that is kept, through its law: the corpus, and what once broke a law.

#![expect(clippy::print_stdout, reason = "a test that fails shows what led to it")]

use std::path::{Path, PathBuf};

use engine_laws::LAWS;

fn inputs(folder: &str, law: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder).join(law);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of a folder").path()).collect();
    paths.sort();
    paths
}

fn replay(name: &str) {
    let (_, law) = LAWS.iter().find(|(known, _)| *known == name).expect("a law of this name");
    let kept = [inputs("corpus", name), inputs("regressions", name)].concat();
    assert!(!kept.is_empty(), "nothing is kept for {name}");
    for path in kept {
        let input = std::fs::read(&path).expect("an input can be read");
        // With the panic's own words behind it.
        println!("{}", path.display());
        law(&input);
    }
}

#[test]
fn specs_of_any_bytes() {
    replay("spec");
}

#[test]
fn templates_of_any_text() {
    replay("template");
}

#[test]
fn rows_of_any_values() {
    replay("mapping");
}

#[test]
fn times_of_any_text() {
    replay("times");
}

#[test]
fn csv_of_any_bytes() {
    replay("csv");
}

#[test]
fn answers_of_any_api() {
    replay("answers");
}

#[test]
fn answers_of_any_platform() {
    replay("receipts");
}

#[test]
fn bundles_of_any_bytes() {
    replay("bundle");
}

#[test]
fn every_law_has_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    for (name, _) in LAWS {
        assert!(folder.join(name).with_extension("rs").is_file(), "fuzz/fuzz_targets/{name}.rs is missing");
    }
}
