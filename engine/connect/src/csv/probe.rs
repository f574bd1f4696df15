//! What a folder of files tells.

use encoding_rs::Encoding;
use engine_core::probe::{Fact, Known, Probe};

use super::folder::Listing;

/// Counts the files. A folder has no accounts, no clock and no plan.
pub(super) fn probe(listing: &Listing, encoding: &'static Encoding) -> Probe {
    let bytes: u64 = listing.files.iter().map(|file| file.stamp.bytes).sum();
    let mut files = format!("{} to read, {bytes} bytes", listing.files.len());
    if !listing.growing.is_empty() {
        files.push_str(&format!(", {} still growing", listing.growing.len()));
    }
    if let Some(newest) = listing.files.first() {
        files.push_str(&format!(", the newest is {}", newest.name));
    }
    Probe {
        charset: Known::Is(encoding.name().to_owned()),
        facts: vec![Fact { name: "files", value: files }],
        ..Probe::inapplicable()
    }
}
