//! `engine init`: a spec for a table of an unknown database, with a comment wherever somebody must look.

mod answers;
mod ask;
mod choose;
mod prove;
mod write;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use engine_core::discover::{Candidate, Survey, judge};
use engine_core::draft::{Answers, Delivery, DraftError, examples_text, role_name, spec_text};
use engine_core::ports::{Cancel, Clock};
use engine_core::report::counted;
use engine_spec::model::TableType;

use self::ask::Voice;
use crate::args::InitArgs;
use crate::exit::{CommandError, Kind};
use crate::survey::{SourceBlock, Wanted, source_of, survey};
use crate::{clock, project, signals};

/// Drafts a spec, tries it, and writes it.
pub fn run(args: &InitArgs, config: Option<&Path>) -> Result<(), CommandError> {
    let asks = !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stderr());
    let mut voice = if asks { Voice::Asks { input: &mut input, output: &mut output } } else { Voice::Defaults };
    init(args, config, &mut voice)
}

fn init(args: &InitArgs, config: Option<&Path>, voice: &mut Voice<'_>) -> Result<(), CommandError> {
    if let Some(path) = args.output.as_ref().filter(|path| path.exists() && !args.force) {
        return Err(write::exists(path));
    }
    let block = source_of(&args.file)?;
    let (device, _) = project::open_device(&[], config)?;
    let cancel = Cancel::default();
    signals::watch(&cancel);
    let clock = clock::clock(None);
    let mut found = survey(&args.file, &Wanted::default(), &cancel, clock.as_ref())?;
    unless_stopped(&cancel)?;
    let zone = answers::zone(args, &found, voice)?;
    // What looks like UTC and what like the clock at the wall is told by the plant's zone.
    found.timezone = Some(zone.name.clone());
    let mut candidate = candidate(args, &mut found, &cancel, clock.as_ref(), voice)?;
    let delivery = if device.destination.is_some() { Delivery::Device } else { Delivery::Stdout };
    let answers = answers::all(args, &found, &mut candidate, &block, zone, delivery, voice)?;
    let path = target(args, &block, &answers)?;
    let text = spec_text(&found, &candidate, &answers).map_err(|error| undrafted(&error))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let loaded = prove::checked(&path, &text, folder)?;
    let trial = prove::trial(&path, loaded, &found, &candidate, &cancel);
    unless_stopped(&cancel)?;
    let (examples, failure) = match &trial {
        Ok(trial) => (prove::examples(trial, args.anonymise), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let whole = format!("{text}{}", examples_text(&examples));
    prove::checked(&path, &whole, folder)?;
    match args.force {
        true => write::over(&path, &whole),
        false => write::anew(&path, &whole),
    }?;
    crate::show::print(&summary(&path, &candidate, &whole, trial.as_ref().ok(), examples.len()));
    match failure {
        None => Ok(()),
        Some(error) => Err(CommandError {
            message: format!("{} is written, and its query does not run yet: {}", path.display(), error.message),
            ..error.clone()
        }),
    }
}

/// A survey that was stopped has not seen all, and a trial proves nothing.
fn unless_stopped(cancel: &Cancel) -> Result<(), CommandError> {
    if cancel.is_cancelled() {
        return Err(CommandError::new(Kind::Run, "stopped before it was done; nothing was written"));
    }
    Ok(())
}

/// The table, and what its columns mean, as found and as said.
fn candidate(
    args: &InitArgs,
    found: &mut Survey,
    cancel: &Cancel,
    clock: &dyn Clock,
    voice: &mut Voice<'_>,
) -> Result<Candidate, CommandError> {
    let named = args.table.as_deref().and_then(|wish| choose::position(found, wish));
    if let Some(place) = named.filter(|place| found.tables[*place].sample.is_none()) {
        // A table that did not look worth a sample was named all the same.
        let wanted = Wanted { tables: args.table.iter().cloned().collect(), ..Wanted::default() };
        let closer = survey(&args.file, &wanted, cancel, clock)?;
        let name = found.tables[place].name.clone();
        if let Some(table) = closer.tables.into_iter().find(|table| table.name == name) {
            found.tables[place] = table;
        }
    }
    let candidates = judge(found);
    let mut candidate = choose::table(args, found, &candidates, voice)?;
    if let Some(table) = args.table_type {
        candidate.table = table.into();
    }
    Ok(candidate)
}

/// Where the spec goes. Relative paths in a source are relative to the spec, so it stays beside the file that has them.
fn target(args: &InitArgs, block: &SourceBlock, answers: &Answers) -> Result<PathBuf, CommandError> {
    let path = match &args.output {
        Some(path) => path.clone(),
        None => block.folder.join(format!("{}.yaml", answers.id)),
    };
    let folder = |path: &Path| std::path::absolute(path.parent().unwrap_or(Path::new("")).join("x")).ok();
    let names_files = ["path:", "_file:", "config_dir:", "file:"].iter().any(|key| block.yaml.contains(key));
    if names_files && folder(&path) != folder(&args.file) {
        return Err(CommandError::new(
            Kind::Usage,
            format!("the source in {} names a file, relative to its own folder", args.file.display()),
        )
        .hint(format!("write the spec beside it: `-o {}`", block.folder.join("NAME.yaml").display())));
    }
    if path.exists() && !args.force {
        return Err(write::exists(&path));
    }
    Ok(path)
}

fn undrafted(error: &DraftError) -> CommandError {
    let said = CommandError::new(Kind::Usage, format!("no spec can be drafted: {error}"));
    match error {
        DraftError::Missing(role) => {
            let role = role_name(*role);
            said.hint(format!("name it: `--set {role}=COLUMN`, or a constant: `--set {role}==TEXT`"))
        }
        DraftError::Name(_) => said.hint("ask for a view with a name of letters, and take that with `--table`"),
        DraftError::Table(_) | DraftError::Source(_) => said,
    }
}

fn summary(path: &Path, candidate: &Candidate, text: &str, trial: Option<&prove::Trial>, tests: usize) -> String {
    let what = match candidate.table {
        TableType::Order => "orders",
        TableType::Booking => "bookings",
    };
    let shown = path.display();
    let table = engine_spec::yaml::emit::comment(&candidate.name.table);
    let mut out = format!("wrote {shown}: {what} of {table}, with {}\n", counted(tests, "test"));
    let doubts = text.lines().filter(|line| line.contains("# ?")).count();
    if doubts > 0 {
        let (lines, them) = if doubts == 1 { ("line is", "it") } else { ("lines are", "them") };
        let _ = writeln!(out, "{doubts} {lines} marked with `# ?`: look at {them}");
    }
    let mut now = String::new();
    if let Some(trial) = trial {
        let _ = writeln!(out, "tried: {}", crate::show::summary(&trial.report));
        if let Some(instant) = trial.frozen {
            let _ = writeln!(out, "the latest rows are old: it was tried as of {instant}");
            now = format!(" --now {instant}");
        }
    }
    let _ = write!(
        out,
        "next:\n  engine preview {shown}{now}\n  engine test {shown}\n  engine validate-spec --strict {shown}\n  engine run \
         --once {shown}\n"
    );
    out
}
