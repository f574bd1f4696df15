//! The built programs, and folders to run them in.
//!
//! Tests of the whole see what a user sees: exit codes, standard output, standard error, and the files that stay.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Names a program that is tested instead of the one that is built here.
const OVERRIDE: &str = "ENGINE_BIN";
/// How long something that is waited for may take. Only a broken test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at something that cannot be waited for otherwise.
const POLL: Duration = Duration::from_millis(3);

/// The program `engine`, built as the tests are. Panics, with the compiler's words, where it does not build.
pub fn engine() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| match std::env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => build().join("engine"),
    })
}

/// The program `validate-spec`, beside `engine`.
pub fn validator() -> PathBuf {
    engine().with_file_name("validate-spec")
}

/// Builds the programs, where they are missing or stale, into the folder that the tests were built into.
fn build() -> PathBuf {
    // target/debug/deps/run-0123456789abcdef
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("a test lies in a folder of its profile");
    let target = profile.parent().expect("a profile lies in the target folder");
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "engine", "--bins", "--profile", name]);
    command.arg("--target-dir").arg(target).current_dir(root());
    let output = command.stdin(Stdio::null()).output().expect("cargo starts");
    assert!(output.status.success(), "engine does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    profile.to_owned()
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository")
}

/// A folder with specs and all that a device keeps; it goes with its handle.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("engine-").tempdir().expect("a temporary folder");
        Self { folder, variables: Vec::new() }
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and its folders.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder is writable");
        fs::write(&path, content).expect("the folder is writable");
        path
    }

    /// Writes a spec. JSON is YAML.
    pub fn spec(&self, name: &str, spec: &Value) -> PathBuf {
        self.write(name, serde_json::to_string_pretty(spec).expect("a value is JSON"))
    }

    /// Sets an environment variable of the programs that are run from now on.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text of a file; empty where there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The JSON lines of a file; none where there is no file.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        json_lines(&self.read(name))
    }

    /// Runs `engine` to its end.
    pub fn engine(&self, args: &[&str]) -> Outcome {
        self.start(args).finish()
    }

    /// Runs another program to its end, in this folder and its environment.
    pub fn run(&self, program: &Path, args: &[&str]) -> Outcome {
        self.start_program(program, args, &[]).finish()
    }

    /// Starts `engine`.
    pub fn start(&self, args: &[&str]) -> Running {
        self.start_program(engine(), args, &[])
    }

    /// Starts `engine` with further environment variables.
    pub fn start_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Running {
        self.start_program(engine(), args, variables)
    }

    /// Starts another program, with further environment variables.
    pub fn start_program(&self, program: &Path, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut child = self
            .command(program, args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (say, log) = channel();
        let out = std::thread::spawn(move || {
            let mut text = Vec::new();
            stdout.read_to_end(&mut text).expect("a pipe is readable");
            String::from_utf8(text).expect("standard output is UTF-8")
        });
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The test may have seen enough; a full pipe would block the program.
                let _ = say.send(line);
            }
        });
        let what = format!("engine {}", args.join(" "));
        Running { child, what, out: Some(out), log, seen: Vec::new(), unread: VecDeque::new() }
    }

    /// A program in this folder and its environment: nothing but what a service manager would give, and what was set.
    pub(crate) fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder.path()).env_clear();
        for name in ["PATH", "HOME", "LANG", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A program that was started. It is killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    what: String,
    out: Option<JoinHandle<String>>,
    log: Receiver<String>,
    seen: Vec<String>,
    /// Lines that no call of [`Self::event`] has looked at.
    unread: VecDeque<String>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next event of this name and pipeline on standard error.
    pub fn event(&mut self, event: &str, pipeline: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(said) = self.next_said(deadline) else {
                panic!("`{}` did not say `{event}` of `{pipeline}`", self.what);
            };
            if said["event"] == event && (pipeline.is_empty() || said["pipeline"] == pipeline) {
                return said;
            }
        }
    }

    /// Waits until each of these events was said by its pipeline: several pipelines go on side by side, and none of
    /// them waits for another.
    pub fn events(&mut self, wanted: &[(&str, &str)]) {
        let mut missing = wanted.to_vec();
        let deadline = Instant::now() + PATIENCE;
        while !missing.is_empty() {
            let Some(said) = self.next_said(deadline) else {
                panic!("`{}` did not say {missing:?}", self.what);
            };
            missing.retain(|(event, pipeline)| said["event"] != *event || said["pipeline"] != *pipeline);
        }
    }

    /// The next line of the log that nobody has looked at; nothing where none comes in time, or it has ended.
    fn next_said(&mut self, deadline: Instant) -> Option<Value> {
        loop {
            while let Some(line) = self.unread.pop_front() {
                if let Ok(said) = serde_json::from_str(&line) {
                    return Some(said);
                }
            }
            let line = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
            self.take_in(line);
        }
    }

    fn take_in(&mut self, line: String) {
        self.unread.push_back(line.clone());
        self.seen.push(line);
    }

    /// Kills it, as a power cut would, and waits until it is gone. `false` where it had ended by itself.
    pub fn kill(&mut self) -> bool {
        let ended = self.child.try_wait().expect("a child can be waited for").is_some();
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
        !ended
    }

    /// Sends it a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Most memory that it had resident so far, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
    }

    /// Waits for its end, at most so long, and looks at its memory all the while.
    pub fn finish_watched(mut self, patience: Duration) -> (Outcome, Cost) {
        let started = Instant::now();
        let mut memory_kib = 0;
        await_some(patience, || {
            memory_kib = memory_kib.max(self.peak_memory_kib());
            self.has_ended().then_some(())
        });
        let time = started.elapsed();
        (self.finish_within(PATIENCE.saturating_sub(time).max(POLL)), Cost { time, memory_kib })
    }

    /// Waits for its end.
    pub fn finish(self) -> Outcome {
        self.finish_within(PATIENCE)
    }

    /// Waits for its end, at most so long.
    pub fn finish_within(mut self, patience: Duration) -> Outcome {
        let deadline = Instant::now() + patience;
        let status = await_some(patience, || self.child.try_wait().expect("a child can be waited for"));
        if status.is_none() {
            self.child.kill().expect("a child can be killed");
        }
        // Its pipes end with it; what it said last may still be on its way.
        while let Ok(line) = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now()).max(POLL)) {
            self.seen.push(line);
        }
        let Some(status) = status else {
            panic!("`{}` did not end within {patience:?}", self.what);
        };
        let stdout = self.out.take().expect("it is joined once").join().expect("standard output is read");
        let stderr = self.seen.join("\n");
        Outcome { what: self.what.clone(), status, stdout, stderr }
    }
}

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what led to it")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // A test that waited in vain for something else tells what the program did meanwhile.
            while let Ok(line) = self.log.recv_timeout(POLL) {
                self.seen.push(line);
            }
            eprintln!("`{}` said:\n{}", self.what, self.seen.join("\n"));
        }
    }
}

/// What a program took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Time from its start to its end.
    pub time: Duration,
    /// Most memory that it had resident, in KiB.
    pub memory_kib: u64,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Outcome {
    what: String,
    status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its exit code; `None` where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Panics, with all that it said, unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// Panics, with all that it said, unless it said this on either stream.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.stdout.contains(part) || self.stderr.contains(part), "`{part}` is not in\n{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// The log lines of an event.
    pub fn events(&self, event: &str) -> Vec<Value> {
        json_lines(&self.stderr).into_iter().filter(|line| line["event"] == event).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\n{}\n{}", self.what, self.status, self.stdout, self.stderr)
    }
}

/// Looks until there is something, for at most so long.
pub fn await_some<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

/// Waits until something holds, and panics with its name where it does not.
#[track_caller]
pub fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    assert!(await_some(PATIENCE, || holds().then_some(())).is_some(), "still not: {what}");
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
