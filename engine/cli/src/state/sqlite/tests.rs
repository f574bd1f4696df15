//! Tests of what only this store promises, beside the suite.

use super::*;
use crate::state::suite::{Fixture, store_suite};

fn make() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("state.db"), Options::default()).expect("opens");
    Fixture { store: Box::new(store), keep: Box::new(folder) }
}

store_suite!(make);
