//! Which folders the pipelines of a project need.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use engine_core::plan::{Endpoint, endpoint_config};
use engine_core::ports::{DestinationConfig, References, SourceConfig, TlsConfig};
use engine_spec::device::{Device, Fleet, Heartbeat, SpecsFrom};
use engine_spec::model::OracleDriver;
use engine_spec::scalar::{Reference, Secret, Setting};
use secrecy::{ExposeSecret as _, SecretString};

use super::Grants;
use crate::project::{self, FoundSpec, Project};
use crate::references::ProcessReferences;

/// Variables that name files and folders with the authorities to trust.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Variables that name folders of Oracle's client library and of its settings.
const ORACLE: [&str; 4] = ["ORACLE_HOME", "LD_LIBRARY_PATH", "TNS_ADMIN", "OCI_LIB_DIR"];
/// Where `git`, what it starts, and the loader of both are.
const PROGRAMS: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];
/// Where Oracle's packages install the client library.
const ORACLE_PACKAGES: &str = "/opt/oracle";

/// What the pipelines of a project need, beside what the state needs.
pub fn needs(project: &Project, state: Grants) -> Grants {
    let mut grants = state;
    // Specs that come later are read too.
    project.roots.iter().for_each(|folder| grants.read(folder));
    add_environment(&mut grants);
    add_page(&project.device, &project.folder, &mut grants);
    for spec in &project.specs {
        add_spec(spec, &project.device, &mut grants);
    }
    if let Some(fleet) = &project.device.fleet {
        add_fleet(fleet, &project.folder, &mut grants);
    }
    grants
}

/// What a device needs to pull its first specs, beside the folder that they are kept in: what they name is not known yet.
pub fn needs_to_pull(fleet: &Fleet, folder: &Path, kept: &Path) -> Grants {
    let mut grants = Grants::default();
    grants.write(kept);
    grants.read(folder);
    add_environment(&mut grants);
    add_fleet(fleet, folder, &mut grants);
    grants
}

/// What variables of the environment name.
fn add_environment(grants: &mut Grants) {
    for name in AUTHORITIES {
        variable(name).iter().for_each(|path| grants.read_around(path));
    }
    variable("TZDIR").iter().for_each(|path| grants.read(path));
    variable("CREDENTIALS_DIRECTORY").iter().for_each(|path| grants.read(path));
}

/// What pulling specs and telling of them needs, beside the folder that they are kept in.
fn add_fleet(fleet: &Fleet, folder: &Path, grants: &mut Grants) {
    let references = Noted::new(folder);
    let mut endpoint = |at: &str, endpoint: &Endpoint<'_>| {
        // What cannot be resolved now is left open: whoever asks will say so.
        if let Ok(config) = endpoint_config(at, endpoint, folder, &references) {
            add_tls(&config.tls, grants);
        }
    };
    if let Some(specs) = &fleet.specs {
        let url = Setting::Literal(specs.from.clone());
        let (auth, tls) = (specs.auth.as_ref(), specs.tls.as_ref());
        endpoint("fleet.specs", &Endpoint { url: &url, headers: &specs.headers, auth, tls });
    }
    if let Some(heartbeat) = &fleet.heartbeat {
        let Heartbeat { url, headers, auth, tls, .. } = heartbeat;
        endpoint("fleet.heartbeat", &Endpoint { url, headers, auth: auth.as_ref(), tls: tls.as_ref() });
    }
    for file in references.into_files() {
        grants.read_around(&file);
    }
    let Some(specs) = &fleet.specs else { return };
    if let Ok(SpecsFrom::Git { remote, .. }) = specs.from.parse() {
        PROGRAMS.iter().for_each(|folder| add(&mut grants.start, Path::new(folder)));
        remote.strip_prefix("file://").iter().for_each(|repository| grants.read(Path::new(repository)));
        specs.allowed_signers.iter().for_each(|file| grants.read_around(&folder.join(file)));
    }
}

/// Certificate and token of the status page.
fn add_page(device: &Device, folder: &Path, grants: &mut Grants) {
    let references = Noted::new(folder);
    if let Some(Secret(token)) = &device.http.token {
        // What cannot be resolved now is left open: the service will say so.
        let _ = references.resolve(token);
    }
    for setting in device.http.tls.iter().flat_map(|tls| [&tls.cert_file, &tls.key_file]) {
        let path = match setting {
            Setting::Literal(path) => Some(path.clone()),
            Setting::Reference(reference) => {
                references.resolve(reference).ok().map(|path| path.expose_secret().to_owned())
            }
        };
        path.iter().for_each(|path| grants.read_around(&folder.join(path)));
    }
    references.into_files().iter().for_each(|file| grants.read_around(file));
}

/// What one pipeline needs.
pub fn needs_of(spec: &FoundSpec, device: &Device) -> Grants {
    let mut grants = Grants::default();
    add_spec(spec, device, &mut grants);
    grants
}

fn add_spec(spec: &FoundSpec, device: &Device, grants: &mut Grants) {
    grants.read(spec.folder());
    let references = Noted::new(spec.folder());
    // What cannot be resolved now is left open: the run will say so.
    let plan = project::plan_with(spec, device.destination.as_ref(), true, &references);
    for file in references.into_files() {
        grants.read_around(&file);
    }
    let Ok(plan) = plan else { return };
    add_source(&plan.source, grants);
    match &plan.destination {
        Some(DestinationConfig::File(path)) => grants.write_around(path),
        Some(DestinationConfig::Http(http)) => add_tls(&http.tls, grants),
        Some(DestinationConfig::Stdout) | None => {}
    }
}

fn add_source(source: &SourceConfig, grants: &mut Grants) {
    match source {
        SourceConfig::Postgres(server)
        | SourceConfig::MySql(server)
        | SourceConfig::MariaDb(server)
        | SourceConfig::SqlServer(server, _) => add_tls(&server.tls, grants),
        SourceConfig::Oracle(server, options) => {
            add_tls(&server.tls, grants);
            options.config_dir.iter().for_each(|folder| grants.read(folder));
            if options.driver != OracleDriver::Thin {
                add_client_library(grants);
            }
        }
        // SQLite keeps a file for its readers beside the database.
        SourceConfig::Sqlite(file) => grants.write_around(&file.path),
        SourceConfig::Csv(folder) => {
            grants.read(&folder.path);
            // A folder that is made anew, or a share that is mounted on it later, is another one than that of now.
            grants.read_around(&folder.path);
        }
        SourceConfig::Http(api) => add_tls(&api.tls, grants),
    }
}

fn add_tls(tls: &TlsConfig, grants: &mut Grants) {
    for file in [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten() {
        grants.read_around(file);
    }
}

fn add_client_library(grants: &mut Grants) {
    grants.read(Path::new(ORACLE_PACKAGES));
    ORACLE.iter().flat_map(|name| variable(name)).for_each(|folder| grants.read(&folder));
    // It is also looked for beside the program.
    if let Ok(program) = std::env::current_exe() {
        grants.read_around(&program);
    }
}

/// The paths in a variable.
fn variable(name: &str) -> Vec<PathBuf> {
    let Some(paths) = std::env::var_os(name) else { return Vec::new() };
    std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect()
}

impl Grants {
    fn read(&mut self, folder: &Path) {
        add(&mut self.read, folder);
    }

    /// A folder, for reading and writing.
    pub fn write(&mut self, folder: &Path) {
        add(&mut self.write, folder);
    }

    /// The folder of a file, for reading.
    pub fn read_around(&mut self, file: &Path) {
        places_of(file).iter().for_each(|place| self.read(place));
    }

    /// What of other grants these do not cover.
    pub fn lacking<'a>(&self, needed: &'a Grants) -> Vec<&'a Path> {
        let below = |roots: &BTreeSet<PathBuf>, path: &Path| roots.iter().any(|root| path.starts_with(root));
        let is_read = |path: &Path| {
            let of_all = super::SYSTEM.iter().any(|root| path.starts_with(root));
            of_all || below(&self.read, path) || below(&self.write, path)
        };
        let read = needed.read.iter().filter(|path| !is_read(path));
        let write = needed.write.iter().filter(|path| !below(&self.write, path));
        read.chain(write).map(PathBuf::as_path).collect()
    }

    fn write_around(&mut self, file: &Path) {
        places_of(file).iter().for_each(|place| self.write(place));
    }
}

/// Adds a folder, but never all there is.
fn add(paths: &mut BTreeSet<PathBuf>, folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // What is not there cannot be granted.
    if let Ok(folder) = folder.canonicalize()
        && folder.parent().is_some()
    {
        paths.insert(folder);
    }
}

/// The folder of a file, where its successor will lie, and where links lead from it now. A file that lies in `/` stands
/// for itself.
fn places_of(file: &Path) -> Vec<PathBuf> {
    let around = |file: &Path| match file.parent() {
        Some(folder) if folder.parent().is_some() || !folder.is_absolute() => folder.to_owned(),
        _ => file.to_owned(),
    };
    let target = file.canonicalize().ok();
    [Some(around(file)), target.map(|target| around(&target))].into_iter().flatten().collect()
}

/// References as the process resolves them, and a list of the files that they name.
struct Noted<'a> {
    inner: ProcessReferences,
    folder: &'a Path,
    files: Mutex<Vec<PathBuf>>,
}

impl<'a> Noted<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { inner: ProcessReferences::new(folder), folder, files: Mutex::default() }
    }

    fn into_files(self) -> Vec<PathBuf> {
        self.files.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl References for Noted<'_> {
    fn resolve(&self, reference: &Reference) -> Result<SecretString, String> {
        if let Reference::File(path) = reference {
            self.files.lock().unwrap_or_else(PoisonError::into_inner).push(self.folder.join(path));
        }
        self.inner.resolve(reference)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use engine_spec::device::{Http, HttpTls};

    use super::*;

    /// The folders of a site that its specs may read and write, relative to it.
    fn granted(specs: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let site = tempfile::tempdir().expect("a folder");
        let root = site.path().canonicalize().expect("it is there");
        for folder in ["in/csv", "data", "secrets/live", "secrets/archive", "tls", "out", "specs", "wallet", "nobody"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        for file in ["data/mes.db", "secrets/archive/token7", "tls/ca.pem", "tls/key.pem", "nobody/key"] {
            fs::write(root.join(file), "x").expect("written");
        }
        symlink("../archive/token7", root.join("secrets/live/token")).expect("linked");
        for (name, spec) in specs {
            let text = format!(
                "version: 1\nid: {name}\ntable: order\nkey: [id]\n\
                 fields: {{ order_code: a, product_code: b, machine_code: c, start: von, end: bis }}\n{}",
                spec.replace("ROOT", &root.display().to_string())
            );
            fs::write(root.join("specs").join(name).with_extension("yaml"), text).expect("written");
        }
        let project = Project::open(&[root.join("specs").display().to_string()], None);
        let project = project.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(project.specs.len(), specs.len());
        let mut state = Grants::default();
        state.write(&root.join("out"));
        let grants = needs(&project, state);
        let below = |paths: BTreeSet<PathBuf>| {
            let below = paths.iter().filter_map(|path| path.strip_prefix(&root).ok());
            below.map(|path| path.display().to_string()).collect()
        };
        (below(grants.read), below(grants.write))
    }

    const QUERY: &str = "query: { sql: \"SELECT id, a, b, c, von, bis FROM t WHERE von >= {{ window.start }} AND von < {{ window.end }}\" }\n";

    #[test]
    fn what_a_spec_names_is_granted_and_nothing_else() {
        let database = format!(
            "source: {{ type: postgres, host: mes.example, database: d, username: u, timezone: UTC,\n  \
             password: {{ file: ../secrets/live/token }}, tls: {{ ca_file: ../tls/ca.pem }} }}\n{QUERY}\
             destination: {{ type: file, path: ROOT/out/runs.ndjson }}\n"
        );
        let (read, write) = granted(&[("database", &database)]);
        assert_eq!(read, ["secrets/archive", "secrets/live", "specs", "tls"]);
        assert_eq!(write, ["out"]);

        let file = format!("source: {{ type: sqlite, path: ../data/mes.db, timezone: UTC }}\n{QUERY}");
        assert_eq!(granted(&[("file", &file)]), (vec!["specs".into()], vec!["data".into(), "out".into()]));

        // A share that is mounted on the folder later is another folder, below the same one.
        let csv = "source: { type: csv, path: ../in/csv, timezone: UTC }\n";
        let (read, write) = granted(&[("folder", csv)]);
        assert_eq!((read, write), (vec!["in".into(), "in/csv".into(), "specs".into()], vec!["out".into()]));
    }

    #[test]
    fn what_cannot_be_resolved_yet_keeps_nothing_else_from_being_granted() {
        let spec = format!(
            "source: {{ type: oracle, host: mes.example, database: d, username: {{ env: ENGINE_TEST_UNSET }},\n  \
             password: {{ file: ../secrets/missing }}, config_dir: ../wallet, tls: {{ mode: require }}, driver: thin, timezone: UTC }}\n{QUERY}\
             destination: {{ type: http, url: https://x.example, auth: {{ bearer: {{ file: ../nobody/key }} }},\n  \
             tls: {{ cert_file: ../tls/ca.pem, key_file: ../tls/key.pem }} }}\n"
        );
        let (read, write) = granted(&[("oracle", &spec)]);
        assert_eq!(read, ["nobody", "secrets", "specs", "tls", "wallet"]);
        assert_eq!(write, ["out"]);
    }

    #[test]
    fn certificate_and_token_of_the_page_are_granted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("is there");
        for name in ["tls", "keys", "secrets", "beside"] {
            fs::create_dir(root.join(name)).expect("is made");
        }
        let file = |name: &str| Setting::Literal(name.to_owned());
        let tls = HttpTls { cert_file: file("tls/engine.pem"), key_file: file("keys/engine.key") };
        let token = Secret(Reference::File("secrets/token".to_owned()));
        let http = Http { listen: None, tls: Some(tls), token: Some(token) };
        let mut grants = Grants::default();
        add_page(&Device { http, ..Device::default() }, &root, &mut grants);
        let read = ["keys", "secrets", "tls"].map(|name| root.join(name));
        assert_eq!(grants, Grants { read: BTreeSet::from(read), ..Grants::default() });
    }

    #[test]
    fn what_is_below_a_granted_folder_is_not_lacking() {
        let grants = |read: &[&str], write: &[&str]| {
            let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
            Grants { read: paths(read), write: paths(write), ..Grants::default() }
        };
        let granted = grants(&["/site/specs"], &["/site/state"]);
        let needed = grants(
            &["/site/specs/new", "/site/state/x", "/etc/engine/secrets", "/site/secrets", "/site/specsless"],
            &["/site/state/out", "/site/specs"],
        );
        let lacking: Vec<String> = granted.lacking(&needed).iter().map(|path| path.display().to_string()).collect();
        assert_eq!(lacking, ["/site/secrets", "/site/specsless", "/site/specs"]);
    }

    #[test]
    fn the_whole_system_is_never_granted() {
        let mut grants = Grants::default();
        grants.read(Path::new("/"));
        grants.read(Path::new("/usr/.."));
        grants.write_around(Path::new("/runs.ndjson"));
        assert_eq!(grants, Grants::default());
        grants.read_around(Path::new("/etc/hosts"));
        assert_eq!(grants.read, BTreeSet::from([PathBuf::from("/etc")]));
    }
}
