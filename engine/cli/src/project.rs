//! From the paths on the command line to plans: files found, device config read, specs checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine_core::plan::{Plan, PlanInput};
use engine_spec::device::Device;
use engine_spec::diagnostic::Severity;
use engine_spec::load::{Loaded, load, load_device};
use engine_spec::model::Destination;
use engine_spec::render::{Format, render};

use crate::exit::{CommandError, Kind};
use crate::files::{FolderCompanions, find_specs, read_limited};
use crate::references::ProcessReferences;

/// Name of the device config.
pub const DEVICE_FILE: &str = "engine.yaml";

/// A spec that was found, with everything that is wrong with it.
pub struct FoundSpec {
    /// Where it is.
    pub path: PathBuf,
    /// What was read.
    pub loaded: Loaded,
}

impl FoundSpec {
    /// Folder of the spec, for relative paths.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
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
    /// Whether a spec was left out because it is wrong.
    pub broken: bool,
}

impl Project {
    /// Finds and checks everything. Findings are told on stderr; specs with errors are left out.
    ///
    /// Without paths, the device config says where the specs are.
    pub fn open(paths: &[String], config: Option<&Path>) -> Result<Self, CommandError> {
        let (device, folder) = open_device(paths, config)?;
        let paths: Vec<String> = if paths.is_empty() { device_paths(&device, &folder) } else { paths.to_vec() };
        let found = find_specs(&paths)?;
        let mut specs = Vec::new();
        for path in found.specs {
            let bytes = read_limited(&path)?;
            let companions = FolderCompanions::of(&path);
            let loaded = load(&path.display().to_string(), &bytes, &companions);
            specs.push(FoundSpec { path, loaded });
        }
        let across = engine_spec::load::check_set(specs.iter().map(|spec| &spec.loaded));
        for (spec, findings) in specs.iter_mut().zip(across) {
            spec.loaded.diagnostics.extend(findings);
        }
        let wrong: Vec<&Loaded> = specs.iter().map(|spec| &spec.loaded).filter(|loaded| loaded.has_errors()).collect();
        let broken = !wrong.is_empty();
        if broken {
            let reports = wrong.iter().map(|loaded| (&loaded.file, loaded.diagnostics.as_slice())).collect::<Vec<_>>();
            eprint_text(&render(&reports, Format::Text { colour: crate::show::colour_stderr() }));
        }
        specs.retain(|spec| !spec.loaded.has_errors());
        if specs.is_empty() {
            if broken {
                return Err(CommandError::said(Kind::Usage));
            }
            return Err(CommandError::new(Kind::Usage, format!("no spec found in {}", paths.join(", ")))
                .hint("name a file, a folder or a glob: `engine run specs/`"));
        }
        Ok(Self { device, folder, specs, broken })
    }

    /// The plan of one spec.
    pub fn plan(&self, spec: &FoundSpec, offline: bool) -> Result<Plan, CommandError> {
        plan(spec, self.device.destination.as_ref(), offline)
    }
}

/// The plan of one spec.
pub fn plan(spec: &FoundSpec, destination: Option<&Destination>, offline: bool) -> Result<Plan, CommandError> {
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
    Plan::new(&input, &ProcessReferences::new(spec.folder())).map_err(|errors| {
        let environment = errors.iter().any(|error| error.environment);
        let lines: Vec<String> = errors.iter().map(|error| format!("{}: {error}", spec.path.display())).collect();
        let kind = if environment { Kind::Environment } else { Kind::Usage };
        CommandError::new(kind, lines.join("\n"))
    })
}

fn device_paths(device: &Device, folder: &Path) -> Vec<String> {
    if device.specs.is_empty() {
        return vec![folder.join("specs/**/*.yaml").display().to_string()];
    }
    device.specs.iter().map(|path| folder.join(path).display().to_string()).collect()
}

/// The device config: as named, or beside the specs, or in the working directory.
pub fn open_device(paths: &[String], config: Option<&Path>) -> Result<(Device, PathBuf), CommandError> {
    let beside = paths.first().filter(|path| Path::new(path).is_dir()).map(|path| Path::new(path).join(DEVICE_FILE));
    let path = match config {
        Some(path) => path.to_owned(),
        None => match beside.into_iter().chain([PathBuf::from(DEVICE_FILE)]).find(|path| path.is_file()) {
            Some(path) => path,
            None => return Ok((Device::default(), PathBuf::new())),
        },
    };
    let bytes = read_limited(&path)?;
    let loaded = load_device(&path.display().to_string(), &bytes);
    let errors = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    match loaded.device {
        Some(device) if !errors => Ok((device, folder)),
        _ => {
            let reports = [(&loaded.file, loaded.diagnostics.as_slice())];
            eprint_text(&render(&reports, Format::Text { colour: crate::show::colour_stderr() }));
            Err(CommandError::said(Kind::Usage))
        }
    }
}

fn eprint_text(text: &str) {
    use std::io::Write as _;
    // Whoever closed stderr does not want to know.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Plans by pipeline id, and what is in the way of the others.
pub fn plans(project: &Project) -> (Vec<Plan>, BTreeMap<String, CommandError>) {
    let mut plans = Vec::new();
    let mut failed = BTreeMap::new();
    for spec in &project.specs {
        match project.plan(spec, false) {
            Ok(plan) => plans.push(plan),
            Err(error) => {
                let id = spec.loaded.spec.as_ref().map(|spec| spec.id.to_string()).unwrap_or_default();
                failed.insert(id, error);
            }
        }
    }
    (plans, failed)
}
