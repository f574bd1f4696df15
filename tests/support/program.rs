//! Programs that a test makes and starts.
//!
//! A file that some process has open for writing is not started: `Text file busy`. Where the test itself had it open, a
//! child that another test starts at that moment has it, too, until it has become its own program; tests of one binary
//! run side by side. So another process writes the file.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program, a script as a rule.
#[track_caller]
pub fn write(path: &Path, text: &str) {
    let mut shell = Command::new("sh")
        .args(["-ec", "mkdir -p \"$(dirname \"$0\")\"; cat > \"$0\"; chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    shell.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("the shell reads it");
    let status = shell.wait().expect("it ends");
    assert!(status.success(), "{} is not written: {status}", path.display());
}

/// Copies a program, with its mode.
#[track_caller]
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("--").args([from, to]).status().expect("cp starts");
    assert!(status.success(), "{} is not copied to {}: {status}", from.display(), to.display());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{env, thread};

    use super::*;

    /// How often a program is written and started, while others are.
    const ROUNDS: usize = 20;

    #[test]
    fn what_was_written_starts_at_once_whoever_else_starts_something() {
        let folder = tempfile::tempdir().expect("a folder");
        // It takes a while to be written.
        let text = format!("#!/bin/sh\nexit\n{}", " ".repeat(4 << 20));
        let over = AtomicBool::new(false);
        // Looked for in many folders: until it is found, the child has all that this process has open.
        let path = format!("{}{}", "/none:".repeat(2_000), env::var("PATH").unwrap_or_default());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        Command::new("true").env("PATH", &path).status().expect("it starts");
                    }
                });
            }
            let refused: Vec<String> = (0..ROUNDS)
                .filter_map(|_| {
                    let (written, copied) = (folder.path().join("written"), folder.path().join("copied"));
                    write(&written, &text);
                    copy(&written, &copied);
                    [written, copied].iter().find_map(|program| Command::new(program).status().err())
                })
                .map(|error| error.to_string())
                .collect();
            over.store(true, Ordering::Relaxed);
            assert!(refused.is_empty(), "{} of {ROUNDS}: {}", refused.len(), refused[0]);
        });
    }
}
