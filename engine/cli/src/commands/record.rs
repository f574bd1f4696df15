//! `engine preview --record`: the rows of a source as a file beside the spec, and what comes out of them as a test.

mod file;
mod source;

use std::path::{Path, PathBuf};

use engine_core::memory::MemoryStore;
use engine_core::plan::Plan;
use engine_core::ports::Cancel;
use engine_core::recording::{Recording, Replaced, anonymise};
use engine_core::report::{RunReport, counted};
use engine_core::run::{OUTBOX_BYTES_MAX, Opener, Runner};
use jiff::Timestamp;
use serde_json::json;

pub use self::source::Cut;
use self::source::Tape;
use crate::args::{Output, PreviewArgs};
use crate::clock::{self, FrozenClock};
use crate::commands::test::execute::outcomes;
use crate::exit::{CommandError, Kind};
use crate::fixture::{FixtureSource, Outcomes};
use crate::project::Project;
use crate::validate::sidecar;
use crate::{folder, pipeline, show, signals};

/// Folder of recordings, beside the spec.
const FOLDER: &str = "recordings";

/// What was recorded.
pub struct Recorded {
    /// The rows.
    pub recording: Recording,
    /// Why there are no more of them, where the source has more.
    pub cut: Option<Cut>,
    /// What the run that read them made of them.
    pub outcomes: Outcomes,
    /// What that run says of itself.
    pub report: RunReport,
}

/// Records the source of one spec.
pub fn run(args: &PreviewArgs, name: &str, config: Option<&Path>) -> Result<(), CommandError> {
    let project = Project::open(&args.paths, config)?;
    let [spec] = project.specs.as_slice() else {
        return Err(CommandError::new(Kind::Usage, "a recording is of one spec").hint("name the file of the spec"));
    };
    let paths = Paths::of(&spec.path, name);
    let tests = file::Tests::open(&spec.path, &paths.tests, name)?;
    if !args.force && (paths.recording.exists() || tests.has_test()) {
        let message = format!("{} or a test `{name}` in {} is there", paths.recording.display(), paths.tests.display());
        return Err(CommandError::new(Kind::Usage, message).hint("choose another name, or overwrite it with `--force`"));
    }
    if paths.recording.exists() && !tests.has_test() {
        let message = format!("{} is of another spec, or its test is gone", paths.recording.display());
        return Err(CommandError::new(Kind::Usage, message).hint("choose another name, or remove the file"));
    }
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let mut plan = project.plan(spec, false)?;
    let now = clock::clock(args.now).now();
    let rows_max = args.limit_rows as usize;
    let recorded = record(&mut plan, now, rows_max, &cancel, |plan| pipeline::open_source(plan, &cancel))?;
    let (mut recording, mut notes) = (recorded.recording, Vec::new());
    notes.extend(recorded.cut.map(|cut| match cut {
        Cut::Rows => format!("the source has more than {rows_max} rows; `--limit-rows` takes more of them"),
        Cut::Columns => "the source has more rows, with other columns; they are left out".to_owned(),
    }));
    if args.anonymise {
        notes.extend(words(&anonymise(&mut recording, &plan, fastrand::u64(..))));
    }
    let text = recording.to_text();
    let replayed = replay(&mut plan, &text)?;
    if args.anonymise {
        notes.extend(changes(&recorded.outcomes, &replayed));
    } else if replayed != recorded.outcomes {
        return Err(CommandError::new(Kind::Run, "the recording gives something else than the source gave")
            .hint("this is a defect of engine; nothing was written"));
    }
    let tests = tests.with(&plan, &format!("{FOLDER}/{name}.jsonl"), &replayed)?;
    let written = |path: &Path, content: &str| {
        std::fs::create_dir_all(folder::of(path)).and_then(|()| folder::replace(path, content.as_bytes())).map_err(
            |error| CommandError::new(Kind::Environment, format!("{} cannot be written: {error}", path.display())),
        )
    };
    written(&paths.recording, &text)?;
    written(&paths.tests, &tests)?;
    tell(args.output, &plan, &paths, name, recording.rows.len(), &replayed, &notes);
    Ok(())
}

struct Paths {
    recording: PathBuf,
    tests: PathBuf,
}

impl Paths {
    fn of(spec: &Path, name: &str) -> Self {
        let recording = spec.with_file_name(FOLDER).join(format!("{name}.jsonl"));
        Self { recording, tests: sidecar::tests_of(spec) }
    }
}

/// Runs a pipeline once over its source, and keeps the rows that the run reads, up to a number.
pub fn record(
    plan: &mut Plan,
    now: Timestamp,
    rows_max: usize,
    cancel: &Cancel,
    open_source: impl Fn(&Plan) -> Result<Box<dyn engine_core::ports::Source>, engine_core::ports::SourceError>,
) -> Result<Recorded, CommandError> {
    // One question, of the window: the first fill may take long.
    plan.sync.start = None;
    let plan = &*plan;
    let (store, clock, tape) = (MemoryStore::new(), FrozenClock::at(now), Tape::new(rows_max));
    let open: &Opener<'_> = &|| Ok(tape.around(open_source(plan)?));
    let runner =
        Runner { plan, store: &store, clock: &clock, cancel, open, outbox_bytes_max: OUTBOX_BYTES_MAX, next_run: None };
    let mut outcomes = Outcomes::new(plan, usize::MAX);
    let report = runner.run(&mut outcomes);
    if let Some(failure) = &report.failure {
        let mut error = CommandError::new(pipeline::kind_of(failure), format!("{}: {}", plan.id, failure.message));
        error.hint.clone_from(&failure.hint);
        return Err(error);
    }
    outcomes.take_from(&store.snapshot(&plan.id), plan);
    let (columns, rows, cut) = tape.take();
    let recording = Recording { source_type: plan.source_type.to_owned(), now, columns, rows };
    if recording.rows.is_empty() {
        return Err(CommandError::new(Kind::Run, format!("{}: the source gives no rows", plan.id))
            .hint("`engine render` shows the query; `--now` moves its window"));
    }
    Ok(Recorded { recording, cut, outcomes, report })
}

/// What comes out of a recording.
pub fn replay(plan: &mut Plan, text: &str) -> Result<Outcomes, CommandError> {
    let defect = |message: String| {
        CommandError::new(Kind::Run, format!("the recording does not run: {message}"))
            .hint("nothing was written; where rows were replaced, the spec may decide by what they said")
    };
    let recording = Recording::parse(text).map_err(|error| defect(error.to_string()))?;
    let now = recording.now;
    outcomes(plan, &FixtureSource::recorded(recording), now).map(|(outcomes, _)| outcomes).map_err(defect)
}

fn words(replaced: &Replaced) -> Vec<String> {
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    vec![
        format!("replaced columns: {}", list(&replaced.replaced)),
        format!("kept columns: {}; look whether they may leave the house", list(&replaced.kept)),
    ]
}

/// Rows that come out in another way since their values were replaced.
fn changes(before: &Outcomes, after: &Outcomes) -> Option<String> {
    let outcomes = before.seen.iter().zip(&after.seen);
    let changed = outcomes.filter(|((_, before, ..), (_, after, ..))| before != after).count();
    (changed > 0).then(|| {
        let rows = counted(changed, "row");
        format!("{rows} mapped or rejected otherwise since values were replaced: the spec decides by what they said")
    })
}

fn tell(output: Output, plan: &Plan, paths: &Paths, name: &str, rows: usize, outcomes: &Outcomes, notes: &[String]) {
    let (recording, tests) = (paths.recording.display(), paths.tests.display());
    let (count, noun) = match plan.deliver {
        engine_spec::model::Deliver::Runs => (outcomes.runs.len(), "run"),
        engine_spec::model::Deliver::Rows => (outcomes.rows.len(), "row"),
    };
    let rejected = outcomes.rejected.len();
    match output {
        Output::Json => show::print_json(&json!({
            "pipeline": plan.id, "recording": paths.recording, "tests": paths.tests, "test": name, "rows": rows,
            format!("{noun}s"): count, "rejected": rejected, "notes": notes,
        })),
        Output::Text => {
            let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
            show::print(&format!(
                "{}: {} recorded in {recording}\ntest `{name}` in {tests} expects {} and {}: read it, and keep it where \
                 it is right\n{notes}",
                plan.id,
                counted(rows, "row"),
                counted(count, noun),
                counted(rejected, "rejected row")
            ));
        }
    }
}
