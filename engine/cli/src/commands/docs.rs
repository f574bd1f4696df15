//! `engine docs`, hidden: the reference pages, made from the code that they describe.
//!
//! A test compares them with `docs/reference` and names the command that rewrites them.

pub mod man;
mod schema;
mod types;

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use engine_spec::reference::{FilterInfo, QUERY_FILTERS, ROW_FILTERS};
use engine_spec::renamed::{self, RENAMED};
use engine_spec::schema::{Document, with_examples};
use engine_spec::{Severity, codes};

use crate::args::{Cli, DocsArgs};
use crate::exit::{CommandError, Kind};
use crate::fleet::key::KEY_VARIABLE;

/// The command that rewrites the pages.
pub const REPAIR: &str = "cargo run -- docs --write docs/reference";
/// Width of the help texts, in characters.
const HELP_WIDTH: usize = 100;

/// Writes the pages into the folders that are named.
pub fn run(args: &DocsArgs) -> Result<(), CommandError> {
    if let Some(folder) = &args.write {
        for (name, text) in pages() {
            write(&folder.join(name), text.as_bytes())?;
        }
    }
    if let Some(folder) = &args.man {
        std::fs::create_dir_all(folder)?;
        for (name, page) in man::pages()? {
            write(&folder.join(name), &page)?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<(), CommandError> {
    std::fs::write(path, text)
        .map_err(|error| CommandError::new(Kind::Environment, format!("{} cannot be written: {error}", path.display())))
}

/// The pages: their names in `docs/reference`, and their contents.
pub fn pages() -> [(&'static str, String); 8] {
    [
        ("metrics.md", metrics()),
        ("spec.md", spec()),
        ("device.md", device()),
        ("codes.md", findings()),
        ("commands.md", commands()),
        ("filters.md", filters()),
        ("traces.md", traces()),
        ("types.md", types::page()),
    ]
}

fn head(title: &str, text: &str) -> String {
    format!("# {title}\n\n<!-- Generated: `{REPAIR}` -->\n\n{text}\n")
}

fn spec() -> String {
    let text = "One file is one pipeline. Unknown keys are errors. Wherever a type says *or reference*, a \
        [reference](#reference) may stand instead of the value; *reference* alone means that the value is a secret and \
        a literal is refused.\n\nPeriods are `90s`, `5m`, `1h30m`, `14d`, `2w`. Sizes are `1MiB`, `256KiB`. Shares are \
        `5%`.\n\nThe guide is [Write a spec](../guides/write-a-spec.md).";
    head("The pipeline spec", text)
        + &schema::sections(&with_examples(Document::Pipeline), "Spec", None)
        + &renamed_keys(&renamed::reference(RENAMED))
}

fn renamed_keys(table: &str) -> String {
    let table = if table.is_empty() { "No key has another name so far.\n" } else { table };
    format!(
        "\n## Renamed keys\n\nA key that gets another name is read under the old one as before, with the warning \
         [`renamed_key`](codes.md#renamed_key). `validate-spec --fix` writes the new one.\n\n{table}"
    )
}

fn device() -> String {
    let text = "`engine.yaml` says what holds for all specs of a device. Everything has a default, and so has the \
        file itself.\n\nThe guide is [Run on a device](../guides/run-on-a-device.md).";
    let shared = with_examples(Document::Pipeline);
    let sections = schema::sections(&with_examples(Document::Device), "engine.yaml", Some((&shared, "spec.md")));
    head("The device config", text) + &sections
}

fn metrics() -> String {
    let text = "What [`/metrics`](../guides/run-on-a-device.md#watch) serves, as OpenMetrics text. A name stays the \
        same for ever.\n\nEach metric of a pipeline has the label `pipeline`, and `label_NAME` for each of the spec's \
        `labels`. Counters begin at 0 when the service starts; everything else is as `engine status` tells it. The \
        state is read at most once a second, however many ask.";
    head("Metrics", text) + &crate::web::metrics::reference()
}

fn traces() -> String {
    let text = "What a collector gets that [`telemetry.otlp`](device.md#otlp) names. How to switch traces on stands in \
        [Run on a device](../guides/run-on-a-device.md#traces). A name stays the same for ever; names that do not begin \
        with `engine.` are those of OpenTelemetry's conventions.\n\nThe spans come from a resource with `service.name` \
        (`engine`), `service.version` and `host.name`; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` may add to them \
        and say otherwise. No span holds anything of a row, a value that was bound, or words of a server.";
    head("Traces", text) + &crate::traces::reference()
}

fn findings() -> String {
    let mut out = head(
        "Findings",
        "What `engine validate-spec` says of a spec. A code stays the same for ever; messages may change. Errors forbid \
         a run. Warnings do not, unless `--strict` is given.\n\nA comment allows a warning or a note where it stands, and \
         says why: `# engine: allow(code): reason` at the end of the line that the finding names, or on a line of its \
         own above it; in SQL, `-- engine: allow(code): reason`. Errors cannot be allowed.\n\nThe examples are parts of a spec, a query template or \
         a row expression that has the finding.",
    );
    for info in codes::all() {
        let severity = match info.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
            Severity::Note => "Note",
        };
        let _ = write!(out, "\n## {}\n\n{severity}: {}", info.code, info.meaning.trim_end_matches('.'));
        out.push_str(".\n");
        if !info.explanation.is_empty() {
            let _ = write!(out, "\n{}\n", info.explanation);
        }
        let example = shown(info.example);
        if !example.is_empty() {
            let language = if codes::ALL.iter().any(|other| other.code == info.code) { "yaml" } else { "jinja" };
            let _ = write!(out, "\n```{language}\n{example}\n```\n");
        }
    }
    out
}

/// An example as it can be shown: characters that are no text are written as their numbers.
fn shown(example: &str) -> String {
    let mut out = String::new();
    for char in example.trim_end().chars() {
        match u32::from(char) {
            number @ (0xfdd0..=0xfdef | 0xfffe..=0xffff) => _ = write!(out, "<U+{number:04X}>"),
            _ => out.push(char),
        }
    }
    out
}

/// Exit codes, and what they mean.
const EXIT_CODES: [(&str, &str); 5] = [
    ("0", "All well."),
    ("1", "A run failed, or rejected rows beyond its limit, or a brake holds it."),
    ("2", "A spec or the usage is wrong."),
    (
        "3",
        "The environment is wrong: a server cannot be reached, a reference has no value, the state cannot be opened.",
    ),
    ("130, 143", "A second SIGINT or SIGTERM ended the process at once."),
];
const WORST_CODE: &str = "Of several pipelines, the worst code counts.";

/// Variables that the program reads by itself, and what they mean.
const VARIABLES: [(&str, &str); 5] = [
    ("ENGINE_LOG", "Filter of log lines, such as `engine=debug`. Overrides the device config and `-v`, `-q`."),
    (KEY_VARIABLE, "The private key of `engine bundle`, where `--key` does not name its file."),
    ("STATE_DIRECTORY", "Folder of `state.db` where `state.url` does not say. systemd sets it."),
    ("CREDENTIALS_DIRECTORY", "Folder of what `{ credential: NAME }` refers to. systemd sets it."),
    ("NO_COLOR", "No colours, whatever the terminal can do."),
];

fn exit_codes() -> String {
    let mut out = String::from("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(out, "| {code} | {meaning} |");
    }
    let _ = write!(out, "\n{WORST_CODE}\n\n## Environment variables\n\n| variable | meaning |\n| --- | --- |\n");
    for (name, meaning) in VARIABLES {
        let _ = writeln!(out, "| `{name}` | {meaning} |");
    }
    out.push_str("\nResults go to stdout, logs and errors to stderr.\n");
    out
}

fn commands() -> String {
    let mut out = head("Commands", "What `engine --help` and `engine COMMAND --help` say.");
    let mut cli = Cli::command().term_width(HELP_WIDTH);
    cli.build();
    let _ = write!(out, "\n```text\n{}\n```\n", cli.render_long_help().to_string().trim_end());
    let names: Vec<String> = cli
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        if let Some(command) = cli.find_subcommand(&name) {
            command_help(&mut out, "##", &format!("engine {name}"), command);
        }
    }
    out.push_str("\n`validate-spec` is also a program of its own, without any database driver, for CI images.\n");
    out.push_str(&exit_codes());
    out
}

/// What `--help` says of a command, then of the commands below it.
fn command_help(out: &mut String, level: &str, name: &str, command: &clap::Command) {
    let help = command.clone().term_width(HELP_WIDTH).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(out, "\n{level} {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        command_help(out, &format!("{level}#"), &format!("{name} {}", below.get_name()), below);
    }
}

fn filters() -> String {
    let mut out = head(
        "Templates and expressions",
        "Query templates (`query.sql`, `query.file`) and row expressions (`template`, `skip_when`, `cancelled_when`) \
         are minijinja with strict names: what does not exist is an error, not an empty text. There are no functions, \
         no methods, no includes and no macros.",
    );
    out.push_str(
        "\n## Query templates\n\nEvery `{{ … }}` becomes a bound parameter, never text. A list becomes as many \
         parameters: `IN {{ params.plants }}`.\n\n| name | value |\n| --- | --- |\n\
         | `params.NAME` | A value of `query.params`. |\n\
         | `window.start`, `window.end` | The window, half-open: `>=` start and `<` end. |\n\
         | `cursor.COLUMN` | The last cursor, in mode `cursor`. Not defined before the first run. |\n\
         | `run.now` | The instant of the run. |\n\n\
         An instant without a filter is bound as a date-time without a zone, in `source.timezone`. Bounds of the \
         window move outward where a filter or a clock change makes them coarser.\n",
    );
    table(&mut out, QUERY_FILTERS);
    out.push_str(
        "\n## Row expressions\n\nThe names are the columns of the row, in any case. A null column is no value: a \
         comparison with it is false, and a filter passes it on. A column compares with a text by its text, and with a \
         number as a number.\n",
    );
    table(&mut out, ROW_FILTERS);
    out
}

fn table(out: &mut String, filters: &[FilterInfo]) {
    out.push_str("\n| filter | what it does | example |\n| --- | --- | --- |\n");
    for FilterInfo { name, meaning, example } in filters {
        let _ = writeln!(out, "| `{name}` | {meaning} | `{}` |", example.replace('|', "\\|"));
    }
}
