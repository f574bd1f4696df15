//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine_spec::model::{Ident, Percent, Period};
use jiff::Timestamp;

/// Reads production orders and bookings from the systems of a factory, and delivers what is new, changed or gone.
#[derive(Debug, Parser)]
#[command(name = "engine", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Device config. Default: `engine.yaml` beside the specs or in the working directory.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Says more on stderr; twice says everything.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Says only what went wrong on stderr.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks specs without connecting to anything.
    ValidateSpec(crate::validate::ValidateArgs),
    /// Runs pipelines on their schedules, or once.
    Run(RunArgs),
    /// Makes one file of a folder of specs, validated and signed, for devices that pull their specs.
    ///
    /// Devices take it by `engine run --specs-from` or `fleet.specs` in their config. Nothing is made of specs that are
    /// not valid.
    Bundle(BundleArgs),
    /// Executes the `tests:` of specs, offline.
    Test(TestArgs),
    /// Shows the SQL that would be sent, and its parameters.
    Render(RenderArgs),
    /// Shows what a run would make of the source's rows, and sends nothing.
    Preview(PreviewArgs),
    /// Connects to the sources, and shows what they say of themselves, of the account's rights and of the query.
    Check(CheckArgs),
    /// Looks through an unknown database: which tables hold orders or bookings, and what their columns mean.
    ///
    /// Reads the catalogue, and a few rows of the tables that look worth it. Every statement is bounded, and nothing is
    /// written.
    Discover(DiscoverArgs),
    /// Drafts a spec for a table of an unknown database, with a comment wherever somebody must look.
    ///
    /// It asks at a terminal, with what it found as the default; elsewhere, and with `--yes`, it takes what it found. The
    /// draft is validated, its query is sent once, and its tests are made of the latest rows.
    Init(InitArgs),
    /// Shows how the pipelines are doing.
    Status(StatusArgs),
    /// Looks whether everything that a run needs is here: after an install, and when something is odd.
    ///
    /// Config and specs, references, the state and its disk, the clock, systemd; then whether destinations answer and
    /// take the login, and whether sources can be reached. Nothing is changed, and no record is sent.
    SelfCheck(SelfCheckArgs),
    /// Lets the next run of a pipeline pass a brake.
    Approve(ApproveArgs),
    /// Sends history that is older than what the schedule reads. Without `--yes` it only says what that would be.
    ///
    /// It reads in slices, beside the running service, and never deletes. What the schedule looks after is left to it.
    /// Several processes with the same arguments share the work, and a call that was cut off is gone on with.
    Backfill(BackfillArgs),
    /// Shows what was refused, and tries it again.
    Quarantine(QuarantineArgs),
    /// Shows what is remembered of pipelines, copies it, and forgets it.
    State(StateArgs),
    /// Prints a JSON schema.
    Schema(SchemaArgs),
    /// Prints a completion script for a shell.
    Completions(CompletionArgs),
    /// Writes the reference pages, and the man pages.
    #[command(hide = true)]
    Docs(DocsArgs),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Files, folders or globs of specs. Default: what the device config names.
    pub paths: Vec<String>,
    /// Runs every pipeline once, delivers, and ends.
    #[arg(long)]
    pub once: bool,
    /// Pulls the specs from a bundle or a git repository, and looks for new ones while it runs: `https://host/specs.tar.gz`,
    /// `git+file:///path?ref=main&path=specs`. As `fleet.specs.from` in the device config, which other commands see too.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "paths")]
    pub specs_from: Option<String>,
    /// A public key that may sign the bundle, as `engine bundle --new-key` prints it; may be given several times.
    #[arg(long = "specs-key", value_name = "KEY", requires = "specs_from")]
    pub specs_keys: Vec<String>,
    /// Freezes the clock at an instant: `2025-03-30T12:00:00Z`.
    #[arg(long, value_name = "INSTANT", requires = "once")]
    pub now: Option<Timestamp>,
}

/// Arguments of `bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The folder of the specs, and of what they name. Device configs and hidden files are left out.
    #[arg(required_unless_present = "new_key")]
    pub folder: Option<PathBuf>,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", default_value = "specs.tar.gz")]
    pub output: PathBuf,
    /// File of the private key to sign with. Default: what `$ENGINE_SIGNING_KEY` holds; without either, the bundle is not
    /// signed, and devices must pin it.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// What the bundle is called where devices tell of it: a version, a commit. Default: when it was made.
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,
    /// When the bundle was made; devices take none that is older than one that they have taken. Default: now. The same
    /// files, version, time and key give the same bytes.
    #[arg(long, value_name = "INSTANT")]
    pub created: Option<Timestamp>,
    /// Makes a new private key in a file of this name, which only its owner can read, and prints the public one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["folder", "key", "version", "created"])]
    pub new_key: Option<PathBuf>,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files, folders or globs of specs.
    pub paths: Vec<String>,
    /// Runs only tests whose name contains this text.
    #[arg(long, short = 'k', value_name = "TEXT")]
    pub filter: Option<String>,
    /// Freezes the clock at an instant, for tests that do not say it themselves.
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// Puts what came out in the place of expectations that differ. Without `--yes` it only shows the change.
    #[arg(long)]
    pub update: bool,
    /// Writes the change of `--update`.
    #[arg(long, requires = "update")]
    pub yes: bool,
    /// Shows which branches of each spec no test exercised.
    #[arg(long)]
    pub coverage: bool,
    /// Fails where the tests of a spec exercise less than this share of its branches: `80%`.
    #[arg(long, value_name = "SHARE")]
    pub coverage_min: Option<Percent>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = TestOutput::Text)]
    pub output: TestOutput,
}

/// Forms of the results of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestOutput {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// JUnit XML, for CI servers.
    Junit,
    /// Workflow commands of GitHub Actions, one for each test that failed.
    Github,
}

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Files, folders or globs of specs.
    pub paths: Vec<String>,
    /// Freezes the clock at an instant: `2025-03-30T12:00:00Z`.
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Files, folders or globs of specs.
    pub paths: Vec<String>,
    /// Rows, runs, rejects and differences that are shown of each pipeline; all are counted.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Follows one row only: its key, as `engine quarantine show` takes it.
    #[arg(long, value_name = "KEY")]
    pub row: Option<String>,
    /// Lists what would differ from what was delivered, member by member.
    #[arg(long)]
    pub diff: bool,
    /// Shows the statement as it was sent, and its parameters.
    #[arg(long)]
    pub sql: bool,
    /// Takes nothing as delivered yet: the state is not read.
    #[arg(long)]
    pub fresh: bool,
    /// Writes the time-line of the runs to a file as well, `.html` or `.svg`.
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Columns of the time-line. Default: those of the terminal.
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=400))]
    pub width: Option<u16>,
    /// Draws with plain ASCII. Default where the locale or the terminal has no more.
    #[arg(long)]
    pub ascii: bool,
    /// Keeps the rows as `recordings/NAME.jsonl` beside the spec, and what comes out of them as a test of that name.
    #[arg(long, value_name = "NAME")]
    pub record: Option<Ident>,
    /// Replaces orders, products, names and free text in the recording; the same by the same, in their old shape.
    #[arg(long, requires = "record")]
    pub anonymise: bool,
    /// Rows of the recording at most.
    #[arg(long, value_name = "N", default_value_t = 200, requires = "record",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit_rows: u32,
    /// Overwrites a recording and a test of the same name.
    #[arg(long, requires = "record")]
    pub force: bool,
    /// Freezes the clock at an instant: `2025-03-30T12:00:00Z`.
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files, folders or globs of specs.
    pub paths: Vec<String>,
    /// Rows that are shown of each source.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    pub rows: u16,
    /// Freezes the clock at an instant: `2025-03-30T12:00:00Z`.
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// A file with a `source:` block: nothing else, or an unfinished spec.
    pub file: PathBuf,
    /// The table or view, with or without its schema. Default: the one that looks most like orders or bookings.
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// What a row of it is. Default: what it looks like.
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub table_type: Option<TableKind>,
    /// Zone of the clock on the wall of the plant. Default: `source.timezone`, else that of this machine.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Id of the pipeline. Default: made of the table's name.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Which column is what: `order_code=auftragnr`; with a second `=`, a constant: `product_code==unknown`.
    #[arg(long, value_name = "MEANING=COLUMN")]
    pub set: Vec<String>,
    /// What a code of the event column does: `A=start`, `E=end`, `X=skip`.
    #[arg(long = "event", value_name = "CODE=EFFECT")]
    pub events: Vec<String>,
    /// Where the runs go: `https://…`, `stdout`, or `device` for where the device config says.
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// Replaces codes and names in the tests by others of the same shape.
    #[arg(long)]
    pub anonymise: bool,
    /// Asks nothing, and takes what was found.
    #[arg(long)]
    pub yes: bool,
    /// The file to write. Default: the id, beside FILE.
    #[arg(long, short, value_name = "SPEC.yaml")]
    pub output: Option<PathBuf>,
    /// Writes over a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// What a row of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableKind {
    /// A production order on a machine.
    Order,
    /// The start or the end of a run.
    Booking,
}

impl From<TableKind> for engine_spec::model::TableType {
    fn from(kind: TableKind) -> Self {
        match kind {
            TableKind::Order => Self::Order,
            TableKind::Booking => Self::Booking,
        }
    }
}

/// Arguments of `discover`.
#[derive(Debug, Args)]
pub struct DiscoverArgs {
    /// A spec, complete or not, or a file that holds only a `source:` block.
    #[arg(required_unless_present = "source")]
    pub file: Option<PathBuf>,
    /// The same, by name.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub source: Option<PathBuf>,
    /// Only tables of this schema or owner.
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// Shows this table whole, with samples; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub table: Vec<String>,
    /// Shows every candidate and lists every table.
    #[arg(long)]
    pub all: bool,
    /// Candidates that are shown in full.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 3)]
    pub limit: usize,
    /// Reads no row, and shows no value. Fewer meanings are found.
    #[arg(long)]
    pub no_samples: bool,
    /// Shows the values of columns that look like persons, which are masked otherwise.
    #[arg(long, conflicts_with = "no_samples")]
    pub persons: bool,
    /// Freezes the clock at an instant: `2025-03-30T12:00:00Z`.
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Pipelines to show, by id. Default: all that the state store knows.
    pub pipelines: Vec<String>,
    /// Says only whether an engine of this host shares the work; exit code 3 if none does. For probes. Needs a state
    /// store that several engines share.
    #[arg(long, conflicts_with = "pipelines")]
    pub alive: bool,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `self-check`.
#[derive(Debug, Args)]
pub struct SelfCheckArgs {
    /// Files, folders or globs of specs. Default: what the device config names.
    pub paths: Vec<String>,
    /// Connects to nothing: destinations, sources and a state database are left out.
    #[arg(long)]
    pub offline: bool,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Pipelines, by id.
    #[arg(value_name = "PIPELINE", required_unless_present = "all")]
    pub pipelines: Vec<String>,
    /// All pipelines that wait. Without `--yes` they are only listed.
    #[arg(long, conflicts_with = "pipelines")]
    pub all: bool,
    /// Approves; only `--all` needs it.
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Reads the source as the next run would, lists what it would delete and send, and changes nothing.
    ///
    /// The spec is looked for where the device config says that specs are.
    #[arg(long)]
    pub dry_run: bool,
    /// Freezes the clock of a dry run at an instant.
    #[arg(long, value_name = "INSTANT", requires = "dry_run")]
    pub now: Option<Timestamp>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// The file of the spec.
    pub spec: String,
    /// Where to begin: an instant, or a local date or date-time in `source.timezone`: `2024-01-01`.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Where to end, likewise. Default, and at most: where the schedule begins to read.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Length of a slice. Default: `sync.slice`.
    #[arg(long, value_name = "PERIOD")]
    pub slice: Option<Period>,
    /// How far before and after a slice is read too, for runs that begin or end there. Default: `sync.lookback` where
    /// rows are folded into runs, and nothing where a row is a record.
    #[arg(long, value_name = "PERIOD")]
    pub overlap: Option<Period>,
    /// Sends it.
    #[arg(long)]
    pub yes: bool,
    /// Begins anew: slices that are finished are read and sent again.
    #[arg(long, requires = "yes")]
    pub restart: bool,
    /// Records that a dry run shows; all are counted.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    pub limit: usize,
    /// Freezes the clock at an instant: `2025-03-30T12:00:00Z`.
    #[arg(long, value_name = "INSTANT")]
    pub now: Option<Timestamp>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `quarantine`.
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: QuarantineCommand,
}

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Shows what is in quarantine: how much of each reason, then the rows.
    List(QuarantineListArgs),
    /// Shows one row or record as it was read or sent, why it was refused, and the rule's place in the spec.
    Show(QuarantineShowArgs),
    /// Sends records again that the destination refused, with the next delivery.
    ///
    /// Rows that were refused when they were read need no such thing: every run that reads them tries them again.
    Retry(QuarantineRetryArgs),
}

/// Arguments of `quarantine list`.
#[derive(Debug, Args)]
pub struct QuarantineListArgs {
    /// Pipelines, by id. Default: all that the state store knows.
    pub pipelines: Vec<String>,
    /// Rows that are shown of each pipeline; all are counted.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `quarantine show`.
#[derive(Debug, Args)]
pub struct QuarantineShowArgs {
    /// The pipeline, by id.
    pub pipeline: String,
    /// The key, as `list` shows it; a key of one column may be given plain.
    pub key: String,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `quarantine retry`.
#[derive(Debug, Args)]
pub struct QuarantineRetryArgs {
    /// Pipelines, by id. Default: all that the state store knows.
    pub pipelines: Vec<String>,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What to do with what is remembered.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Lists the pipelines, with how much is remembered of each and how far it has read.
    List(StateListArgs),
    /// Shows everything that is remembered of a pipeline, but for its rows and records.
    Show(StateShowArgs),
    /// Writes everything that is remembered of a pipeline to a file.
    ///
    /// One JSON object a line: a header with `format`, `version` and `pipeline`; then one line for each thing, its
    /// `kind` being `state`, `delivery`, `row`, `record`, `outbox`, `rejected` or `refused`; then a line with their
    /// number. Nobody may run the pipeline meanwhile.
    Export(StateExportArgs),
    /// Reads what `export` wrote: all of it, or nothing.
    ///
    /// A file of another version or one that is cut short is refused. Nobody may run the pipeline meanwhile.
    Import(StateImportArgs),
    /// Forgets what is remembered of a pipeline. Without `--yes` it only says what that would mean.
    ///
    /// Nobody may run the pipeline meanwhile.
    Reset(StateResetArgs),
}

/// Arguments of `state list`.
#[derive(Debug, Args)]
pub struct StateListArgs {
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `state show`.
#[derive(Debug, Args)]
pub struct StateShowArgs {
    /// The pipeline, by id.
    pub pipeline: String,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Arguments of `state export`.
#[derive(Debug, Args)]
pub struct StateExportArgs {
    /// The pipeline, by id.
    pub pipeline: String,
    /// The file to write. Default: standard output.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// Arguments of `state import`.
#[derive(Debug, Args)]
pub struct StateImportArgs {
    /// A file that `state export` wrote.
    pub file: PathBuf,
    /// Forgets first what is remembered of the pipeline.
    #[arg(long)]
    pub replace: bool,
}

/// Arguments of `state reset`.
#[derive(Debug, Args)]
pub struct StateResetArgs {
    /// The pipeline, by id.
    pub pipeline: String,
    /// What to forget.
    #[arg(long, value_enum)]
    pub what: Reset,
    /// Forgets it.
    #[arg(long)]
    pub yes: bool,
    /// Form of the results.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// What to forget of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// Everything: as if it had never run.
    All,
    /// How far it has read.
    Cursor,
    /// Which rows and records it knows.
    Ledger,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which schema.
    #[arg(value_enum, default_value_t = SchemaName::Pipeline)]
    pub name: SchemaName,
}

/// The schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaName {
    /// Of a pipeline spec.
    Pipeline,
    /// Of the device config.
    Engine,
    /// Of the tests beside a spec.
    Tests,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `docs`.
#[derive(Debug, Args)]
pub struct DocsArgs {
    /// The folder to write the reference pages into.
    #[arg(long, value_name = "FOLDER", required_unless_present = "man")]
    pub write: Option<PathBuf>,
    /// The folder to write the man pages into, one for each command.
    #[arg(long, value_name = "FOLDER")]
    pub man: Option<PathBuf>,
}

/// Form of results on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}
