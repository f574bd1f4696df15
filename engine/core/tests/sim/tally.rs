//! What many histories came to.

use std::fs::OpenOptions;
use std::io::Write;

use crate::faults::{Coverage, Fault};
use crate::history::Played;
use crate::world::Wrong;

/// Sums over histories.
#[derive(Debug, Default)]
pub struct Tally {
    pub coverage: Coverage,
    /// Seeds that went wrong, smallest first.
    pub failed: Vec<u64>,
    histories: u64,
    /// Histories in which rows were in quarantine.
    quarantined: u64,
    /// Histories in which the source seemed to have lost rows, or to be another one.
    troubled: u64,
    lost: u64,
    doubled: u64,
    unbraked: u64,
    unhealed: u64,
}

/// Faults that make a source seem to have lost rows, or to be another one.
fn is_trouble(fault: Fault) -> bool {
    matches!(fault, Fault::Empty | Fault::Truncated | Fault::Repointed)
}

impl Tally {
    /// Counts one history.
    pub fn count(&mut self, seed: u64, played: &Played) {
        self.coverage.add(&played.coverage);
        self.histories += 1;
        self.quarantined += u64::from(played.quarantined);
        self.troubled += u64::from(played.coverage.faults.keys().any(|(_, fault)| is_trouble(*fault)));
        if !played.wrong.is_empty() {
            self.failed.push(seed);
        }
        for wrong in &played.wrong {
            match wrong {
                Wrong::Lost(_) => self.lost += 1,
                Wrong::Doubled(_) => self.doubled += 1,
                Wrong::Unbraked(_) => self.unbraked += 1,
                Wrong::Unhealed(_) => self.unhealed += 1,
                Wrong::Broken(_) => {}
            }
        }
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, mut other: Self) {
        self.coverage.add(&other.coverage);
        self.failed.append(&mut other.failed);
        self.failed.sort_unstable();
        self.histories += other.histories;
        self.quarantined += other.quarantined;
        self.troubled += other.troubled;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.unbraked += other.unbraked;
        self.unhealed += other.unhealed;
    }

    /// Appends what was kept of each promise to the file that `ENGINE_PROMISES_REPORT` names: promise, test, histories,
    /// faults, losses, duplicates.
    pub fn report(&self, test: &str) {
        let Some(path) = std::env::var_os("ENGINE_PROMISES_REPORT") else { return };
        let faults = self.coverage.faults.values().sum::<u64>();
        let trouble: u64 =
            self.coverage.faults.iter().filter(|((_, fault), _)| is_trouble(*fault)).map(|(_, count)| count).sum();
        let promises = [
            ("Nothing lost, nothing doubled", self.histories, faults, self.lost, self.doubled),
            ("Convergence", self.histories, faults, self.lost, self.doubled),
            ("Quarantine heals", self.quarantined, faults, self.unhealed, 0),
            ("The brake", self.troubled, trouble, self.unbraked, 0),
        ];
        for (promise, histories, faults, losses, duplicates) in promises {
            let line = format!("{promise}\t{test}\t{histories}\t{faults}\t{losses}\t{duplicates}\n");
            let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
    }
}
