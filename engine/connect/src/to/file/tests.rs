use std::collections::BTreeMap;

use engine_core::deliver::parcel_key;
use engine_core::state::OutboxRecord;
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

const DONE: Answer = Answer::Accepted { rejected: Vec::new() };

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("runs.ndjson")
    }

    /// A destination as after a restart.
    fn open(&self) -> FileDestination {
        FileDestination::new(&self.path()).unwrap()
    }

    /// The records in the file, in order; panics on a line that is no JSON.
    fn records(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn seqs(&self) -> Vec<i64> {
        self.records().iter().map(|record| record["seq"].as_i64().unwrap()).collect()
    }

    /// A power cut while the last parcel was appended: this share of it, in percent, has reached the disk.
    fn cut_power(&self, percent: u64) {
        let sidecar: Sidecar =
            serde_json::from_slice(&fs::read(with_suffix(&self.path(), ".parcel")).unwrap()).unwrap();
        let Extent { begin, end, .. } = sidecar.last;
        open(&self.path()).unwrap().set_len(begin + (end - begin) * percent / 100).unwrap();
    }
}

fn parcel(pipeline: &str, seqs: impl IntoIterator<Item = i64>) -> Parcel {
    let record = |seq| OutboxRecord { seq, id: Uuid::nil(), body: format!(r#"{{"op":"upsert","seq":{seq}}}"#).into() };
    let records: Vec<_> = seqs.into_iter().map(record).collect();
    Parcel {
        idempotency_key: parcel_key(pipeline, &records),
        pipeline: pipeline.to_owned(),
        labels: BTreeMap::new(),
        fence: None,
        records,
    }
}

fn send(file: &mut FileDestination, pipeline: &str, seqs: impl IntoIterator<Item = i64>) {
    assert_eq!(file.send(&parcel(pipeline, seqs), &Cancel::default()), DONE);
}

#[test]
fn parcels_are_appended_in_order() {
    let place = Place::new();
    let mut file = place.open();
    send(&mut file, "p", 1..3);
    send(&mut file, "p", []);
    send(&mut file, "p", 3..4);
    assert_eq!(place.seqs(), [1, 2, 3]);
    assert!(fs::read_to_string(place.path()).unwrap().starts_with(r#"{"pipeline":"p","op":"upsert","seq":1}"#));
}

#[test]
fn a_replay_writes_nothing_and_a_new_cut_writes_the_rest() {
    let place = Place::new();
    send(&mut place.open(), "p", 1..4);
    // Not acknowledged before the crash; then again, longer, shorter, and shifted.
    for (seqs, expected) in [(1..4, 3), (1..6, 5), (1..3, 5), (3..8, 7), (8..9, 8)] {
        send(&mut place.open(), "p", seqs);
        assert_eq!(place.seqs(), (1..=expected).collect::<Vec<_>>());
    }
}

/// A crash at any byte of the append, and at any point of the sidecar's replacement.
#[test]
fn a_torn_parcel_is_cut_off_and_written_again() {
    for lost_tail in [false, true] {
        let whole = {
            let place = Place::new();
            send(&mut place.open(), "p", 1..3);
            let before = fs::read(place.path()).unwrap().len();
            send(&mut place.open(), "p", 3..6);
            before..fs::read(place.path()).unwrap().len() + 1
        };
        // Every seventh byte, and every byte around the end: a sync costs milliseconds.
        let last = whole.end - 1;
        for length in whole.filter(|length| length % 7 == 0 || last - length < 2) {
            let place = Place::new();
            send(&mut place.open(), "p", 1..3);
            send(&mut place.open(), "p", 3..6);
            let mut bytes = fs::read(place.path()).unwrap();
            if lost_tail {
                // The length reached the disk, the bytes did not.
                let end = bytes.len();
                bytes[length..end].fill(0);
            } else {
                bytes.truncate(length);
            }
            fs::write(place.path(), bytes).unwrap();
            fs::write(with_suffix(&place.path(), ".parcel.tmp"), "{\"torn").unwrap();
            send(&mut place.open(), "p", 3..6);
            assert_eq!(place.seqs(), [1, 2, 3, 4, 5], "cut to {length}, lost tail: {lost_tail}");
        }
    }
}

#[test]
fn a_crash_between_sidecar_and_lines_loses_nothing() {
    let place = Place::new();
    send(&mut place.open(), "p", 1..3);
    let before = fs::read(place.path()).unwrap();
    send(&mut place.open(), "p", 3..5);
    fs::write(place.path(), before).unwrap();
    send(&mut place.open(), "q", 10..12);
    send(&mut place.open(), "p", 3..5);
    assert_eq!(place.seqs(), [1, 2, 10, 11, 3, 4]);
}

#[test]
fn a_second_crash_on_other_cuts_doubles_nothing() {
    let place = Place::new();
    send(&mut place.open(), "p", 1..4);
    send(&mut place.open(), "p", 1..6);
    place.cut_power(50);
    send(&mut place.open(), "p", 1..6);
    assert_eq!(place.seqs(), [1, 2, 3, 4, 5]);
}

#[test]
fn pipelines_share_a_file() {
    let place = Place::new();
    let (mut p, mut q) = (place.open(), place.open());
    send(&mut p, "p", 1..3);
    send(&mut q, "q", 3..5);
    send(&mut place.open(), "p", 1..3);
    send(&mut place.open(), "p", 1..4);
    send(&mut q, "q", 3..6);
    assert_eq!(place.seqs(), [1, 2, 3, 4, 3, 5]);
}

#[test]
fn outbox_places_that_start_again_lose_nothing() {
    let place = Place::new();
    send(&mut place.open(), "p", 1..4);
    let mut again = parcel("p", 1..4);
    for record in &mut again.records {
        record.body = record.body.replace("upsert", "delete").into();
    }
    again.idempotency_key = parcel_key("p", &again.records);
    assert_eq!(place.open().send(&again, &Cancel::default()), DONE);
    assert_eq!(place.seqs(), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_file_that_was_moved_away_or_truncated_starts_anew() {
    for reopen in [false, true] {
        let place = Place::new();
        let mut file = place.open();
        send(&mut file, "p", 1..3);
        send(&mut file, "p", 3..5);
        if reopen {
            fs::rename(place.path(), place.folder.path().join("old")).unwrap();
            file = place.open();
        } else {
            fs::write(place.path(), "").unwrap();
        }
        send(&mut file, "p", 5..7);
        send(&mut file, "p", 7..8);
        assert_eq!(place.seqs(), [5, 6, 7]);
    }
}

#[test]
fn a_last_line_without_its_end_is_cut_or_ended() {
    let long = format!("{{\"seq\":0}}\n{{\"seq\":\"{}", "x".repeat(3 * TAIL_BYTES as usize));
    for (before, expected) in
        [("{\"seq\":0}\n{\"se", vec![0, 1]), ("{\"seq\":0}", vec![0, 1]), ("{\"se", vec![1]), (&long, vec![0, 1])]
    {
        let place = Place::new();
        fs::write(place.path(), before).unwrap();
        send(&mut place.open(), "p", [1]);
        assert_eq!(place.seqs(), expected);
    }
}

#[test]
fn a_damaged_sidecar_is_named() {
    let place = Place::new();
    fs::write(with_suffix(&place.path(), ".parcel"), "{").unwrap();
    let answer = place.open().send(&parcel("p", [1]), &Cancel::default());
    assert!(
        matches!(&answer, Answer::Unknown { message } if message.contains("runs.ndjson.parcel is damaged")),
        "{answer:?}"
    );
}

#[test]
fn a_path_that_cannot_be_used_is_an_error_at_the_start() {
    for (path, said) in [("/nonexistent/runs.ndjson", "No such file"), ("/dev/null", "not a regular file")] {
        let error = FileDestination::new(Path::new(path)).unwrap_err();
        assert!(error.to_string().contains(path) && error.to_string().contains(said), "{error}");
    }
}

/// What happens after the lines of a parcel were written.
#[derive(Debug, Clone, Copy)]
enum After {
    Acknowledged,
    /// The process died, with this share of the parcel, in percent, on the disk.
    Died(u64),
}

fn sends() -> impl Strategy<Value = Vec<(usize, i64, After)>> {
    let after = prop_oneof![Just(After::Acknowledged), (0u64..=100).prop_map(After::Died), Just(After::Died(100))];
    proptest::collection::vec((0usize..2, 1i64..5, after), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Two pipelines with parcels of any size and a process that dies at any point: each record is there once, in order.
    #[test]
    fn every_record_is_in_the_file_once_and_in_order(sends in sends()) {
        const TOTAL: i64 = 8;
        let place = Place::new();
        let names = ["p", "q"];
        let mut open = names.map(|_| place.open());
        let mut next = [0, 0];
        let rest = (0..2).map(|pipeline| (pipeline, TOTAL, After::Acknowledged));
        for (pipeline, size, after) in sends.into_iter().chain(rest) {
            let seqs = next[pipeline]..(next[pipeline] + size).min(TOTAL);
            let before = fs::read(with_suffix(&place.path(), ".parcel")).ok();
            send(&mut open[pipeline], names[pipeline], seqs.clone());
            match after {
                After::Acknowledged => next[pipeline] = seqs.end,
                After::Died(percent) => {
                    // What an earlier parcel wrote was synced then; only this one's lines can be lost.
                    if before != fs::read(with_suffix(&place.path(), ".parcel")).ok() {
                        place.cut_power(percent);
                    }
                    open = names.map(|_| place.open());
                }
            }
        }
        for name in names {
            let records = place.records();
            let of_pipeline = records.iter().filter(|record| record["pipeline"] == name);
            let seqs: Vec<_> = of_pipeline.map(|record| record["seq"].as_i64().unwrap()).collect();
            prop_assert_eq!(seqs, (0..TOTAL).collect::<Vec<_>>());
        }
    }
}
