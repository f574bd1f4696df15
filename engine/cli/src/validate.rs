//! Validating specs and device configs: `validate-spec`, and `engine validate-spec`.

mod beside;
mod fix;
pub mod paths;
pub mod references;
pub mod sidecar;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use engine_spec::check::check_set;
use engine_spec::load::{is_device_config, load_tests, peek, tests_without_spec};
use engine_spec::render::{self, FileFindings};
use engine_spec::schema;
use engine_spec::text::{FILE_BYTES_MAX, Text};
use engine_spec::{Diagnostic, Loaded, Severity, codes, load, load_device};

pub use beside::Beside;

/// Exit code: no finding forbids anything.
pub const EXIT_OK: u8 = 0;
/// Exit code: a spec or the usage is wrong.
pub const EXIT_SPEC: u8 = 2;
/// Exit code: the environment is wrong; a reference is unresolved, or a file cannot be read.
pub const EXIT_ENVIRONMENT: u8 = 3;

/// What to validate, and how to say it.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Files, folders or globs. Default: `engine.yaml` and `specs`, as far as they are there
    paths: Vec<PathBuf>,
    /// Form of the findings
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Warnings are errors
    #[arg(long)]
    strict: bool,
    /// References must resolve here: variables are set, files are readable
    #[arg(long)]
    env: bool,
    /// Put right what is certain, in the files; then show what is left
    #[arg(long, conflicts_with = "write_schemas")]
    fix: bool,
    /// Show what `--fix` would change, and change nothing; exit code 2 where that is something
    #[arg(long, conflicts_with_all = ["fix", "write_schemas"])]
    diff: bool,
    /// Write the JSON schemas into a folder, and validate nothing
    #[arg(long, value_name = "FOLDER", conflicts_with = "paths")]
    write_schemas: Option<PathBuf>,
}

/// Forms of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// Workflow commands of GitHub Actions
    Github,
    /// A report of code quality for GitLab
    Gitlab,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Validates, writes the findings to standard output, and gives the exit code.
pub fn run(args: &ValidateArgs) -> u8 {
    let mut out = io::stdout().lock();
    let mut log = io::stderr().lock();
    match validate(args, &mut out, &mut log) {
        Ok(code) => code,
        // Whoever reads the findings has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_OK,
        Err(failure) => {
            // Nothing is left to tell it to when standard error is closed as well.
            let _ = writeln!(log, "error: {failure}");
            failure.exit_code()
        }
    }
}

/// Why there are no findings to show.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("cannot write {path}: {error}", path = path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot write the findings: {0}")]
    Output(io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => EXIT_SPEC,
            Self::File { .. } | Self::Output(_) => EXIT_ENVIRONMENT,
        }
    }
}

fn validate(args: &ValidateArgs, out: &mut dyn Write, log: &mut dyn Write) -> Result<u8, Failure> {
    if let Some(folder) = &args.write_schemas {
        return write_schemas(folder);
    }
    let mut paths = paths::expand(&args.paths).map_err(Failure::Usage)?;
    if args.diff {
        let is_changed = fix::show(&paths, out).and_then(|is_changed| out.flush().map(|()| is_changed));
        return Ok(if is_changed.map_err(Failure::Output)? { EXIT_SPEC } else { EXIT_OK });
    }
    if args.fix {
        fix::write(&paths, log).map_err(|unwritten| Failure::File { path: unwritten.path, error: unwritten.error })?;
    }
    let beside: Vec<PathBuf> = paths
        .iter()
        .filter(|path| !sidecar::is_tests(path))
        .map(|path| sidecar::tests_of(path))
        .filter(|path| path.is_file() && !paths.contains(path))
        .collect();
    paths.extend(beside);
    let mut files = Files::default();
    for path in &paths {
        files.add(path, args.env);
    }
    let mut files = files.finish();
    if args.strict {
        for finding in files.iter_mut().flat_map(|file| &mut file.findings) {
            if finding.severity == Severity::Warning {
                finding.severity = Severity::Error;
            }
        }
    }
    let text = match args.output {
        Output::Text => render::text::render(&files, wants_colours()),
        Output::Json => render::json::render(&files),
        Output::Github => render::github::render(&files),
        Output::Gitlab => render::gitlab::render(&files),
        Output::Sarif => render::sarif::render(&files),
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)?;
    Ok(exit_code(&files))
}

fn exit_code(files: &[FileFindings]) -> u8 {
    let mut errors = files
        .iter()
        .flat_map(|file| &file.findings)
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| matches!(finding.code, codes::UNRESOLVED_REFERENCE))
        .peekable();
    match (errors.peek().is_some(), errors.all(|of_environment| of_environment)) {
        (false, _) => EXIT_OK,
        (true, true) => EXIT_ENVIRONMENT,
        (true, false) => EXIT_SPEC,
    }
}

fn wants_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn write_schemas(folder: &Path) -> Result<u8, Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| Failure::File { path, error }
    };
    let bare = folder.join("bare");
    std::fs::create_dir_all(&bare).map_err(failed(&bare))?;
    let for_editors = schema::files().into_iter().map(|file| (folder, file));
    for (folder, (name, content)) in for_editors.chain(schema::bare_files().into_iter().map(|file| (&*bare, file))) {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(failed(&path))?;
    }
    Ok(EXIT_OK)
}

/// The files as they are read; specs are kept until all are there, for the rules over several.
#[derive(Default)]
struct Files {
    specs: Vec<Loaded>,
    others: Vec<FileFindings>,
}

impl Files {
    fn add(&mut self, path: &Path, check_environment: bool) {
        let name = path.display().to_string();
        let bytes = match read_limited(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let finding =
                    Diagnostic::new(codes::FILE_UNREADABLE, 0..0, format!("the file cannot be read: {error}"));
                self.others.push(FileFindings { text: Arc::new(Text::new(&name, "")), findings: vec![finding] });
                return;
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        if let Some(spec) = sidecar::spec_of(path) {
            let loaded = load_tests(&name, &bytes, &Beside(folder));
            let mut findings = loaded.diagnostics;
            if !spec.is_file() {
                findings.push(tests_without_spec(&loaded.file, &spec.display().to_string()));
            }
            self.others.push(FileFindings { text: loaded.file.text, findings });
            return;
        }
        if is_device_config(&peek(&name, &bytes)) {
            let loaded = load_device(&name, &bytes);
            let mut findings = loaded.diagnostics;
            if check_environment {
                findings.extend(references::check(&loaded.file, folder));
            }
            self.others.push(FileFindings { text: loaded.file.text, findings });
        } else {
            let mut loaded = load(&name, &bytes, &Beside(folder));
            if check_environment {
                loaded.diagnostics.extend(references::check(&loaded.file, folder));
            }
            self.specs.push(loaded);
        }
    }

    fn finish(self) -> Vec<FileFindings> {
        let over_all = check_set(&self.specs);
        let mut files: Vec<FileFindings> = self
            .specs
            .into_iter()
            .map(|loaded| FileFindings { text: loaded.file.text, findings: loaded.diagnostics })
            .collect();
        for (index, finding) in over_all {
            files[index].findings.push(finding);
        }
        files.extend(self.others);
        files.sort_by(|left, right| left.text.name.cmp(&right.text.name));
        files
    }
}

/// Fails where a path is no file of a disk: to open a pipe would wait for whoever writes to it, perhaps for ever.
pub fn regular(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a folder, a pipe or a device, not a file"))
}

/// The bytes of a file; of one beyond the limit, enough to see that.
pub fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    regular(path)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
