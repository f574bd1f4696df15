//! The program at a terminal: somebody reads what it asks, and types.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::binary::{PATIENCE, Workspace, await_some, engine};

/// Runs a program at a pseudo-terminal: what is typed comes in at standard input, what is shown goes out.
const AT_TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

/// What Ctrl-C and Ctrl-D send.
pub const CTRL_C: &str = "\u{3}";
/// The end of what is typed, at the beginning of a line.
pub const CTRL_D: &str = "\u{4}";

/// A program that runs at a terminal. It is hung up on when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    shown: Vec<u8>,
    /// How much of what was shown was waited for.
    read: usize,
}

impl Terminal {
    /// Starts `engine` in a folder.
    pub fn start(workspace: &Workspace, args: &[&str]) -> Self {
        let program = engine().to_str().expect("a path is text");
        let args: Vec<&str> = ["-c", AT_TERMINAL, program].iter().chain(args).copied().collect();
        let mut child = workspace
            .command(Path::new("python3"), &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("python3 starts");
        let keyboard = child.stdin.take().expect("it is piped");
        let mut out = child.stdout.take().expect("it is piped");
        let (say, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                if say.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen, shown: Vec::new(), read: 0 }
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits until a text is shown, after those that were waited for before.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let unread = &self.shown[self.read..];
            if let Some(place) = unread.windows(text.len()).position(|part| part == text.as_bytes()) {
                self.read += place + text.len();
                return self;
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(more) => self.shown.extend(more),
                Err(_) => panic!("`{text}` is not shown:\n{}", self.shown()),
            }
        }
    }

    /// Types a text.
    pub fn types(&mut self, text: &str) -> &mut Self {
        self.keyboard.write_all(text.as_bytes()).and_then(|()| self.keyboard.flush()).expect("the terminal is there");
        self
    }

    /// Waits for the end of the program; its exit code, and all that was shown.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let status = await_some(PATIENCE, || self.child.try_wait().expect("a child can be waited for"));
        let Some(status) = status else { panic!("it does not end:\n{}", self.shown()) };
        self.shown.extend(self.screen.iter().flatten());
        (status.code().unwrap_or(-1), self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
