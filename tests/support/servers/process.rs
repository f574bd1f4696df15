//! The process of a server that was started here.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Kind;

/// How long a server may take to accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a server may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two looks whether it has stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

/// Stopped when it is dropped, with its folder.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    kind: Kind,
    command: Command,
    sign: &'static str,
    _folder: TempDir,
}

impl Process {
    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts a server, and waits for the words by which it says that it is ready.
    pub(super) fn start(mut command: Command, kind: Kind, folder: TempDir, sign: &'static str) -> Self {
        let child = spawn(&mut command);
        // Owned by the guard before anything can fail, so that a server is stopped whatever happens.
        let mut process = Self { child, kind, command, sign, _folder: folder };
        process.await_ready();
        process
    }

    /// Stops it by a signal, and starts it again.
    pub(super) fn restart(&mut self, signal: &str) {
        self.stop(signal);
        self.child = spawn(&mut self.command);
        self.await_ready();
    }

    fn await_ready(&mut self) {
        let log = self.child.stderr.take().expect("stderr is piped");
        let (say, lines): (_, Receiver<String>) = channel();
        std::thread::spawn(move || {
            // Reads on for the server's whole life: a full pipe would block it.
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        let deadline = Instant::now() + START_TIMEOUT;
        let mut seen = String::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(self.sign) => return,
                Ok(line) => seen = seen + &line + "\n",
                Err(_) => panic!("the server did not become ready:\n{seen}"),
            }
        }
    }

    fn stop(&mut self, signal: &str) {
        let told = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while told.is_ok() && Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(STOP_POLL),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(match self.kind {
            // Disconnects the clients; the default waits for them.
            Kind::Postgres => "-INT",
            _ => "-TERM",
        });
    }
}

fn spawn(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("the server does not start: {error}"))
}
