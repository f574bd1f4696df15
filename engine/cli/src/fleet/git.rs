//! Specs out of a git repository, through the program `git`: fetched into a repository of our own, their commit pinned or
//! its signature checked, and read without a working tree.
//!
//! Nothing of the account's own settings of git counts, no prompt is shown, and only signatures of SSH keys are known:
//! what may sign is the one file that the device config names.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engine_core::fleet::manifest::{FILES_MAX, UNPACKED_BYTES_MAX};
use engine_core::ports::Cancel;
use jiff::Timestamp;

use super::bundle::Pulled;

/// Longest time that one call of git may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(120);
/// How often a call is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Bytes of what git says that are read beyond the files themselves.
const WORDS_BYTES_MAX: usize = 1 << 20;
/// Bytes of what git says that a message repeats.
const QUOTE_BYTES_MAX: usize = 400;

/// A repository, and what is taken of it.
pub struct Repository<'a> {
    /// As git takes it.
    pub remote: &'a str,
    /// Branch or tag.
    pub reference: &'a str,
    /// Folder of the specs; empty for all of it.
    pub path: &'a str,
    /// The commit, where it is pinned.
    pub commit: Option<&'a str>,
    /// Those who may sign, where it is not.
    pub allowed_signers: Option<&'a Path>,
}

/// Fetches what the repository has now, and checks that it is to be trusted; its commit.
pub fn fetch(repository: &Repository<'_>, workshop: &Path, cancel: &Cancel) -> Result<String, String> {
    let git = Git::prepare(repository, workshop, cancel)?;
    git.call(&["fetch", "--quiet", "--no-tags", "--force", repository.remote, repository.reference])?;
    let wanted = format!("{}^{{commit}}", repository.commit.unwrap_or("FETCH_HEAD"));
    let commit = git.text(&["rev-parse", "--verify", "--end-of-options", &wanted]).map_err(|error| {
        format!(
            "{} is not in {} of {}: {error}",
            wanted.trim_end_matches("^{commit}"),
            repository.reference,
            repository.remote
        )
    })?;
    if repository.commit.is_none() {
        let said = "its commit is not signed by one of `allowed_signers`";
        let signers = repository.allowed_signers.ok_or(said)?;
        let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
        git.call(&["-c", &signers, "verify-commit", &commit]).map_err(|error| format!("{said}: {commit}: {error}"))?;
    }
    Ok(commit)
}

/// The specs of a commit that was fetched and checked.
pub fn read(repository: &Repository<'_>, commit: &str, workshop: &Path, cancel: &Cancel) -> Result<Pulled, String> {
    let git = Git::prepare(repository, workshop, cancel)?;
    let seconds = git.text(&["show", "--no-patch", "--format=%ct", commit])?;
    let created = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let created = created.ok_or_else(|| format!("{commit} has no time"))?;
    let tree = format!("{commit}:{}", repository.path);
    let list = git.call(&["ls-tree", "-r", "-z", "--end-of-options", &tree])?;
    let list = String::from_utf8(list).map_err(|_| "a path in the repository is no text".to_owned())?;
    let mut wanted = Vec::new();
    for line in list.split_terminator('\0') {
        let (about, path) = line.split_once('\t').ok_or("git lists files in an unknown form")?;
        if path.split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        match about.split(' ').collect::<Vec<_>>()[..] {
            ["100644" | "100755", "blob", hash] => wanted.push((path.to_owned(), hash.to_owned())),
            _ => return Err(format!("{path} is neither a file nor a folder: there is no place for links and modules")),
        }
        if wanted.len() > FILES_MAX {
            return Err(format!("there are more than {FILES_MAX} files"));
        }
    }
    let hashes: String = wanted.iter().map(|(_, hash)| format!("{hash}\n")).collect();
    let contents = git.run(&["cat-file", "--batch"], hashes.into_bytes())?;
    let mut rest = contents.as_slice();
    let mut files = Vec::with_capacity(wanted.len());
    for (path, hash) in wanted {
        let (content, after) = blob(rest, &hash).ok_or_else(|| format!("git does not give the content of {path}"))?;
        files.push((path, content.to_vec()));
        rest = after;
    }
    files.sort();
    Pulled::new(commit, created, files)
}

/// The next content in what `cat-file --batch` gives, and what follows.
fn blob<'a>(given: &'a [u8], hash: &str) -> Option<(&'a [u8], &'a [u8])> {
    let end = given.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&given[..end]).ok()?;
    let size: usize = head.strip_prefix(hash)?.strip_prefix(" blob ")?.parse().ok()?;
    let (content, rest) = given[end + 1..].split_at_checked(size)?;
    Some((content, rest.strip_prefix(b"\n")?))
}

struct Git<'a> {
    repository: PathBuf,
    workshop: &'a Path,
    cancel: &'a Cancel,
}

impl<'a> Git<'a> {
    fn prepare(of: &Repository<'_>, workshop: &'a Path, cancel: &'a Cancel) -> Result<Self, String> {
        let git = Self { repository: workshop.join("repository"), workshop, cancel };
        let failed = |error: std::io::Error| format!("{} cannot be prepared for git: {error}", workshop.display());
        std::fs::create_dir_all(workshop.join("tmp")).map_err(failed)?;
        // A repository of another account is read where the device config names it.
        let safe = of.remote.strip_prefix("file://").unwrap_or_default();
        let settings = format!(
            "[safe]\n\tdirectory = \"{safe}\"\n\tdirectory = \"{safe}/.git\"\n[gpg]\n\tprogram = /nowhere\n\
             [gpg \"x509\"]\n\tprogram = /nowhere\n[gpg \"ssh\"]\n\tprogram = ssh-keygen\n[gc]\n\tauto = 0\n\
             [maintenance]\n\tauto = false\n"
        );
        std::fs::write(workshop.join("settings"), settings).map_err(failed)?;
        if !git.repository.join("HEAD").is_file() {
            git.call(&["init", "--quiet", "--bare"])?;
        }
        Ok(git)
    }

    fn call(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        self.run(arguments, Vec::new())
    }

    /// What git says, in one line.
    fn text(&self, arguments: &[&str]) -> Result<String, String> {
        let said = self.call(arguments)?;
        String::from_utf8(said).map(|text| text.trim().to_owned()).map_err(|_| "git gave no text".to_owned())
    }

    fn run(&self, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>, String> {
        let verb = arguments.iter().find(|argument| {
            argument.chars().all(|char| char.is_ascii_lowercase() || char == '-') && !argument.starts_with('-')
        });
        let verb = verb.copied().unwrap_or_default();
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(self.workshop)
            .env("GIT_DIR", &self.repository)
            .env("GIT_CONFIG_GLOBAL", self.workshop.join("settings"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "file:https")
            .env("HOME", self.workshop)
            .env("TMPDIR", self.workshop.join("tmp"))
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("git cannot be started: {error}"))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let read = |pipe: Option<Box<dyn std::io::Read + Send>>, most: usize| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let read = pipe.map(|pipe| pipe.take(most as u64 + 1).read_to_end(&mut bytes));
                // What is too much ends the call: nobody reads on, so git cannot write on.
                (bytes, read.is_none_or(|read| read.is_ok()))
            })
        };
        let most = UNPACKED_BYTES_MAX + WORDS_BYTES_MAX;
        let out = read(stdout.map(|pipe| Box::new(pipe) as _), most);
        let err = read(stderr.map(|pipe| Box::new(pipe) as _), WORDS_BYTES_MAX);
        let began = Instant::now();
        let ended = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if self.cancel.is_cancelled() => break Err("asked to stop".to_owned()),
                Ok(None) if began.elapsed() > CALL_TIME_MAX => {
                    break Err(format!("it took longer than {} s", CALL_TIME_MAX.as_secs()));
                }
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => break Err(error.to_string()),
            }
        };
        if ended.is_err() {
            // It may have ended by itself meanwhile; what is left of it is waited for, so that nothing stays behind.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = writer.join();
        let (out, is_read) = out.join().unwrap_or_default();
        let (err, _) = err.join().unwrap_or_default();
        let status = ended.map_err(|why| format!("git {verb}: {why}"))?;
        if out.len() > most || !is_read {
            return Err(format!("git {verb}: the files have more than {UNPACKED_BYTES_MAX} bytes"));
        }
        if status.success() { Ok(out) } else { Err(format!("git {verb}: {}", quoted(&err))) }
    }
}

/// What git said, in one line that is not too long.
fn quoted(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(QUOTE_BYTES_MAX));
    if line.is_empty() { "it failed without a word".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository, and a key that may sign there.
    struct Origin {
        folder: tempfile::TempDir,
    }

    impl Origin {
        fn new() -> Self {
            let origin = Self { folder: tempfile::tempdir().expect("a folder") };
            origin.git(&["init", "--quiet", "--initial-branch=main", "repository"], ".");
            for name in ["mine", "foreign"] {
                let key = origin.path(name);
                let made = Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                    .arg(&key)
                    .status()
                    .expect("ssh-keygen runs");
                assert!(made.success());
            }
            let public = std::fs::read_to_string(origin.path("mine.pub")).expect("a key");
            std::fs::write(origin.path("signers"), format!("fleet@example {public}")).expect("written");
            origin
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn git(&self, arguments: &[&str], folder: &str) {
            let ran = Command::new("git")
                .args(["-c", "user.name=n", "-c", "user.email=fleet@example", "-c", "gpg.format=ssh"])
                .args(arguments)
                .current_dir(self.path(folder))
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .output()
                .expect("git runs");
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        }

        /// Commits a file; signed with a key, or by nobody.
        fn commit(&self, path: &str, content: &str, key: Option<&str>) {
            let file = self.path("repository").join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, content).expect("written");
            self.git(&["add", "--all"], "repository");
            match key {
                Some(key) => {
                    let key = format!("user.signingKey={}", self.path(key).display());
                    self.git(&["-c", &key, "commit", "--quiet", "-S", "-m", "m"], "repository");
                }
                None => self.git(&["commit", "--quiet", "-m", "m"], "repository"),
            }
        }

        fn pull(&self, path: &str, commit: Option<&str>) -> Result<Pulled, String> {
            let remote = format!("file://{}", self.path("repository").display());
            let signers = self.path("signers");
            let repository =
                Repository { remote: &remote, reference: "main", path, commit, allowed_signers: Some(&signers) };
            let (workshop, cancel) = (self.path("workshop"), Cancel::default());
            let commit = fetch(&repository, &workshop, &cancel)?;
            read(&repository, &commit, &workshop, &cancel)
        }
    }

    #[test]
    fn only_what_is_signed_by_one_of_ours_or_pinned_is_taken() {
        let origin = Origin::new();
        origin.commit("specs/acme.yaml", "one", Some("mine"));
        origin.commit("specs/.hidden", "x", Some("mine"));
        let first = origin.pull("specs", None).expect("it is signed");
        assert_eq!(first.files, [("acme.yaml".to_owned(), b"one".to_vec())]);
        assert_eq!(first.version.len(), 40);
        for key in [None, Some("foreign")] {
            origin.commit("specs/acme.yaml", &format!("by {key:?}"), key);
            let error = origin.pull("specs", None).expect_err("it is not to be trusted");
            assert!(error.contains("not signed by one of"), "{error}");
        }
        let pinned = origin.pull("specs", Some(&first.version)).expect("it is pinned");
        assert_eq!(pinned, first);
        assert!(origin.pull("specs", Some(&"a".repeat(40))).expect_err("there is no such").contains("is not in main"));
        assert!(origin.pull("elsewhere", Some(&first.version)).is_err());
    }

    #[test]
    fn links_have_no_place_in_a_set_of_specs() {
        let origin = Origin::new();
        std::os::unix::fs::symlink("/etc/passwd", origin.path("repository").join("link.yaml")).expect("linked");
        origin.commit("acme.yaml", "one", Some("mine"));
        assert!(origin.pull("", None).expect_err("a link").contains("no place for links"));
    }

    #[test]
    fn what_git_says_is_quoted_in_one_line_and_not_for_ever() {
        assert_eq!(quoted(b"fatal:\n  no\n"), "fatal: no");
        assert_eq!(quoted(&[b'x'; 2 * QUOTE_BYTES_MAX]).len(), QUOTE_BYTES_MAX);
        assert_eq!(quoted(b""), "it failed without a word");
    }
}
