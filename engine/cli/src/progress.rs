//! Progress on a terminal: rows read so far. Nothing elsewhere.

use std::io::IsTerminal as _;

use engine_core::run::Observer;
use indicatif::{ProgressBar, ProgressStyle};

/// Rows beyond which a run shows that it is getting on.
const SHOW_FROM_ROWS: u64 = 10_000;

/// The progress of one run.
pub struct Bar {
    bar: Option<ProgressBar>,
    pipeline: String,
    wanted: bool,
}

impl Bar {
    /// For a pipeline; shows itself when there is something to wait for.
    pub fn new(pipeline: &str) -> Self {
        Self { bar: None, pipeline: pipeline.to_owned(), wanted: std::io::stderr().is_terminal() }
    }

    /// Clears the line.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Bar {
    fn progress(&mut self, rows: u64, _what: &str) {
        if !self.wanted || rows < SHOW_FROM_ROWS {
            return;
        }
        let pipeline = &self.pipeline;
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {human_pos} rows read, {per_sec}") {
                bar.set_style(style);
            }
            bar.set_message(pipeline.clone());
            bar
        });
        bar.set_position(rows);
    }
}
