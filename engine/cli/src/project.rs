//! From the paths on the command line to plans: files found, device config read, specs checked.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use engine_core::plan::{Plan, PlanError, PlanInput, STAGE_BYTES};
use engine_core::ports::References;
use engine_spec::Companions;
use engine_spec::check::check_set;
use engine_spec::device::Device;
use engine_spec::load::{Loaded, is_device_config, load, load_device};
use engine_spec::model::Destination;
use engine_spec::render::{self, FileFindings};

use crate::commands::run::concurrency;
use crate::exit::{CommandError, Kind};
use crate::fleet::{self, Override};
use crate::references::{Mark, ProcessReferences};
use crate::stamp::{Seen, Stamp};
use crate::validate::{Beside, paths, read_limited, sidecar};

/// Name of the device config.
pub const DEVICE_FILE: &str = "engine.yaml";

/// A spec that was found, with everything that is wrong with it.
pub struct FoundSpec {
    /// Where it is.
    pub path: PathBuf,
    /// What was read.
    pub loaded: Loaded,
    /// What the spec and the files beside it looked like before they were read.
    pub seen: Seen,
}

impl FoundSpec {
    /// Folder of the spec, for relative paths.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Where a rule is written: file, line and column. `None` where the spec does not say it.
    pub fn place_of(&self, rule: &str) -> Option<String> {
        let file = &self.loaded.file;
        let pointer = format!("/{}", rule.replace('.', "/"));
        let (found, _) = file.place(&pointer);
        let at = file.text.line_column(file.key_span(&pointer).start);
        (!found.is_empty()).then(|| format!("{}:{}:{}", self.path.display(), at.line, at.column))
    }
}

/// The specs and the device config that a command works with.
pub struct Project {
    /// The device config; defaults where there is none.
    pub device: Device,
    /// Folder of the device config.
    pub folder: PathBuf,
    /// The specs.
    pub specs: Vec<FoundSpec>,
    /// Folders in which the specs and the device config were found, and will be looked for again.
    pub roots: Vec<PathBuf>,
    /// Whether a spec was left out because it is wrong.
    pub broken: bool,
}

/// All that was found, right or wrong.
pub struct Found {
    /// The device config; defaults where there is none.
    pub device: Device,
    /// Folder of the device config.
    pub folder: PathBuf,
    /// The device config itself, where there is one.
    pub config: Option<PathBuf>,
    /// The specs, with everything that is wrong with them.
    pub specs: Vec<FoundSpec>,
    /// The files, folders and globs that were looked through.
    pub paths: Vec<PathBuf>,
    /// Every file that was read, or looked for, as it was before.
    pub seen: Seen,
}

/// Why nothing can be made of what was found.
pub struct Unfit {
    /// In the words of a command; empty where the findings say it.
    pub error: CommandError,
    /// What is wrong with the device config.
    pub findings: Vec<FileFindings>,
}

impl From<CommandError> for Unfit {
    fn from(error: CommandError) -> Self {
        Self { error, findings: Vec::new() }
    }
}

impl Unfit {
    /// Tells the findings on stderr; the error is left to the caller.
    pub fn tell(self) -> CommandError {
        if !self.findings.is_empty() {
            tell(self.findings);
        }
        self.error
    }
}

impl Found {
    /// Finds and checks everything, and tells nobody.
    ///
    /// Without paths, the device config says where the specs are.
    pub fn look(paths: &[String], config: Option<&Path>) -> Result<Self, Unfit> {
        Self::look_with(paths, config, &Override::default())
    }

    /// The same, where the command line may say where specs are pulled from.
    pub fn look_with(paths: &[String], config: Option<&Path>, from: &Override) -> Result<Self, Unfit> {
        let FoundDevice { mut device, folder, config, mut seen } = find_device(paths, config)?;
        from.apply(&mut device);
        let paths: Vec<String> = if paths.is_empty() { device_paths(&device, &folder)? } else { paths.to_vec() };
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let specs = read_all(&paths, &mut seen)?;
        Ok(Self { device, folder, config, specs, paths, seen })
    }
}

/// The specs of a folder, with everything that is wrong with them.
pub fn specs_in(folder: &Path) -> Result<Vec<FoundSpec>, CommandError> {
    read_all(&[folder.to_owned()], &mut Seen::new())
}

fn read_all(paths: &[PathBuf], seen: &mut Seen) -> Result<Vec<FoundSpec>, CommandError> {
    let mut specs = Vec::new();
    for path in spec_files(paths).map_err(no_specs)? {
        let found = FoundSpec::read(path)?;
        seen.extend(found.seen.iter().map(|(path, stamp)| (path.clone(), *stamp)));
        if !is_device_config(&found.loaded.file) {
            specs.push(found);
        }
    }
    add_findings_of_the_set(&mut specs);
    Ok(specs)
}

/// The files that paths name, without those that hold tests of a spec.
pub fn spec_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    Ok(paths::expand(paths)?.into_iter().filter(|path| !sidecar::is_tests(path)).collect())
}

fn no_specs(message: String) -> CommandError {
    CommandError::new(Kind::Usage, message).hint("name a file, a folder or a glob: `engine run specs/`")
}

impl FoundSpec {
    fn read(path: PathBuf) -> Result<Self, CommandError> {
        let before = Stamp::of(&path);
        let bytes = read(&path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = Looked { beside: Beside(folder), folder, seen: RefCell::default() };
        let loaded = load(&path.display().to_string(), &bytes, &beside);
        let mut seen = beside.seen.into_inner();
        seen.insert(path.clone(), before);
        Ok(Self { path, loaded, seen })
    }
}

/// The files beside a spec, and what those that were asked for looked like.
struct Looked<'a> {
    beside: Beside<'a>,
    folder: &'a Path,
    seen: RefCell<Seen>,
}

impl Looked<'_> {
    fn note(&self, path: &str) {
        let path = self.folder.join(path);
        let stamp = Stamp::of(&path);
        self.seen.borrow_mut().entry(path).or_insert(stamp);
    }
}

impl Companions for Looked<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.note(path);
        self.beside.read(path)
    }

    fn find(&self, path: &str) -> Result<(), String> {
        self.note(path);
        self.beside.find(path)
    }
}

impl Project {
    /// Finds and checks everything. Findings are told on stderr; specs with errors are left out.
    ///
    /// Without paths, the device config says where the specs are.
    pub fn open(paths: &[String], config: Option<&Path>) -> Result<Self, CommandError> {
        Self::of(Found::look(paths, config).map_err(Unfit::tell)?)
    }

    /// What is right of all that was found. Findings are told on stderr; specs with errors are left out.
    pub fn of(found: Found) -> Result<Self, CommandError> {
        let Found { device, folder, config, mut specs, paths, seen: _ } = found;
        let broken = specs.iter().any(|spec| spec.loaded.has_errors());
        if broken {
            let wrong = specs.iter().map(|spec| &spec.loaded).filter(|loaded| loaded.has_errors());
            tell(
                wrong.map(|loaded| FileFindings {
                    text: loaded.file.text.clone(),
                    findings: loaded.diagnostics.clone(),
                }),
            );
        }
        specs.retain(|spec| !spec.loaded.has_errors());
        if specs.is_empty() {
            if broken {
                return Err(CommandError::said(Kind::Usage));
            }
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return Err(no_specs(format!("no spec found in {}", paths.join(", "))));
        }
        let roots = paths.iter().chain(&config).map(|path| paths::root(path)).collect();
        Ok(Self { device, folder, specs, roots, broken })
    }

    /// The plan of one spec.
    pub fn plan(&self, spec: &FoundSpec, offline: bool) -> Result<Plan, CommandError> {
        plan_on(&self.device, spec, offline)
    }
}

/// The plan of one spec on a device.
pub fn plan_on(device: &Device, spec: &FoundSpec, offline: bool) -> Result<Plan, CommandError> {
    Ok(marked_plan_on(device, spec, offline)?.0)
}

/// The plan of one spec on this device, and the mark of what its references gave.
pub fn marked_plan_on(device: &Device, spec: &FoundSpec, offline: bool) -> Result<(Plan, Mark), CommandError> {
    let references = ProcessReferences::new(spec.folder());
    let mut plan = plan_with(spec, device.destination.as_ref(), offline, &references)?;
    plan.stage_bytes_max = stage_bytes_max(device);
    Ok((plan, references.mark()))
}

/// Bytes of changed rows that one run keeps in memory: its part of what the program itself leaves of `limits.memory`. Rows
/// take about as much again while they are derived, and so do batches, parcels and the pages of the state store.
fn stage_bytes_max(device: &Device) -> usize {
    const PARTS: u64 = 4;
    /// The program, as much of it as is used, and what one run takes however little it reads.
    const PROGRAM_BYTES: u64 = 40 << 20;
    const STAGE_BYTES_MIN: u64 = 256 << 10;
    let Some(memory) = device.limits.memory else { return STAGE_BYTES };
    let part = memory.0.saturating_sub(PROGRAM_BYTES) / PARTS / concurrency(device) as u64;
    usize::try_from(part.max(STAGE_BYTES_MIN)).unwrap_or(usize::MAX).min(STAGE_BYTES)
}

/// The plan of one spec.
pub fn plan(spec: &FoundSpec, destination: Option<&Destination>, offline: bool) -> Result<Plan, CommandError> {
    plan_with(spec, destination, offline, &ProcessReferences::new(spec.folder()))
}

/// The plan of one spec, its references resolved by these.
pub fn plan_with(
    spec: &FoundSpec,
    destination: Option<&Destination>,
    offline: bool,
    references: &dyn References,
) -> Result<Plan, CommandError> {
    let Some(typed) = &spec.loaded.spec else { return Err(CommandError::said(Kind::Usage)) };
    let input = PlanInput {
        spec: typed,
        value: &spec.loaded.file.value,
        sql: spec.loaded.companions.sql.as_deref(),
        machines: spec.loaded.companions.machines.as_ref(),
        folder: spec.folder(),
        default_destination: destination,
        offline,
    };
    Plan::new(&input, references).map_err(|errors| plan_failure(&spec.path, &errors))
}

/// What is in the way of a plan, in the words of a command.
pub(crate) fn plan_failure(path: &Path, errors: &[PlanError]) -> CommandError {
    let environment = errors.iter().any(|error| error.environment);
    let lines: Vec<String> = errors.iter().map(|error| format!("{}: {error}", path.display())).collect();
    let kind = if environment { Kind::Environment } else { Kind::Usage };
    let error = CommandError::new(kind, lines.join("\n"));
    if !environment {
        return error;
    }
    error.hint("set it where the engine is started; `engine validate-spec --env` names all that is missing")
}

/// The spec of a pipeline, where the device config says where specs are; nothing is told of what is wrong with it.
pub fn find_spec(device: &Device, folder: &Path, id: &str) -> Option<FoundSpec> {
    let arguments: Vec<PathBuf> = device_paths(device, folder).ok()?.iter().map(PathBuf::from).collect();
    paths::expand(&arguments).ok()?.into_iter().find_map(|path| {
        let found = FoundSpec::read(path).ok()?;
        let is_it = found.loaded.spec.as_ref().is_some_and(|spec| spec.id.to_string() == id);
        is_it.then_some(found)
    })
}

fn device_paths(device: &Device, folder: &Path) -> Result<Vec<String>, CommandError> {
    if let Some(pulled) = fleet::current(device, folder)? {
        return Ok(vec![pulled.display().to_string()]);
    }
    if device.specs.is_empty() {
        return Ok(vec![folder.join("specs/**/*.yaml").display().to_string()]);
    }
    Ok(device.specs.iter().map(|path| folder.join(path).display().to_string()).collect())
}

/// Where the device config is looked for: as named, or beside the specs, or in the working directory.
fn device_places(paths: &[String], config: Option<&Path>) -> Vec<PathBuf> {
    let beside = paths.first().filter(|path| Path::new(path).is_dir()).map(|path| Path::new(path).join(DEVICE_FILE));
    match config {
        Some(path) => vec![path.to_owned()],
        None => beside.into_iter().chain([PathBuf::from(DEVICE_FILE)]).collect(),
    }
}

/// Where the device config is; `None` where there is none. One that was named must be there.
pub fn device_file(paths: &[String], config: Option<&Path>) -> Option<PathBuf> {
    first(device_places(paths, config), config)
}

fn first(places: Vec<PathBuf>, config: Option<&Path>) -> Option<PathBuf> {
    places.into_iter().find(|path| config.is_some() || path.is_file())
}

/// The device config, and its folder; the defaults where there is none.
pub fn open_device(paths: &[String], config: Option<&Path>) -> Result<(Device, PathBuf), CommandError> {
    let found = find_device(paths, config).map_err(Unfit::tell)?;
    Ok((found.device, found.folder))
}

struct FoundDevice {
    device: Device,
    folder: PathBuf,
    config: Option<PathBuf>,
    /// Where it was looked for.
    seen: Seen,
}

fn find_device(paths: &[String], config: Option<&Path>) -> Result<FoundDevice, Unfit> {
    let places = device_places(paths, config);
    // What they look like is noted before they are read.
    let seen: Seen = places.iter().map(|path| (path.clone(), Stamp::of(path))).collect();
    let Some(path) = first(places, config) else {
        return Ok(FoundDevice { device: Device::default(), folder: PathBuf::new(), config: None, seen });
    };
    let loaded = load_device(&path.display().to_string(), &read(&path)?);
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    match &loaded.device {
        Some(device) if !loaded.has_errors() => {
            let mut device = device.clone();
            if let Some(destination) = &mut device.destination {
                // It is resolved with specs, which lie elsewhere.
                destination.root(&std::path::absolute(&folder).unwrap_or_else(|_| folder.clone()));
            }
            Ok(FoundDevice { device, folder, config: Some(path), seen })
        }
        _ => Err(Unfit {
            error: CommandError::said(Kind::Usage),
            findings: vec![FileFindings { text: loaded.file.text, findings: loaded.diagnostics }],
        }),
    }
}

/// Findings over several specs, each added to its spec.
fn add_findings_of_the_set(specs: &mut [FoundSpec]) {
    let loaded: Vec<Loaded> = specs.iter().map(|spec| spec.loaded.clone()).collect();
    for (index, finding) in check_set(&loaded) {
        specs[index].loaded.diagnostics.push(finding);
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    read_limited(path).map_err(|error| {
        CommandError::new(Kind::Environment, format!("file {} cannot be read: {error}", path.display()))
    })
}

/// Tells findings on stderr.
pub(crate) fn tell(files: impl IntoIterator<Item = FileFindings>) {
    use std::io::Write as _;
    let files: Vec<FileFindings> = files.into_iter().collect();
    let text = render::text::render(&files, crate::show::colour_stderr());
    // Whoever closed stderr does not want to know.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_its_part_of_the_memory() {
        let device = |limits: serde_json::Value| {
            serde_json::from_value::<Device>(serde_json::json!({"version": 1, "limits": limits}))
                .expect("a device config")
        };
        for (limits, expected) in [
            (serde_json::json!({}), STAGE_BYTES),
            (serde_json::json!({"memory": "88MiB", "concurrency": 4}), 3 << 20),
            (serde_json::json!({"memory": "48MiB", "concurrency": 1}), 2 << 20),
            (serde_json::json!({"memory": "1GiB"}), STAGE_BYTES),
            (serde_json::json!({"memory": "1MiB"}), 256 << 10),
        ] {
            assert_eq!(stage_bytes_max(&device(limits.clone())), expected, "{limits}");
        }
    }
}
