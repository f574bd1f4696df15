//! Where the commands of a document run: a folder with what the page takes for granted, and a database server for the
//! page that needs one.

use std::path::Path;
use std::process::Command;

use engine_tests::servers::{self, Server};
use tempfile::TempDir;

use super::root;

/// The page that walks through a whole plant, and the database that it walks through.
const WALK: (&str, &str) = ("docs/guides/from-login-to-first-run.md", "tests/fixtures/walk.sql");
/// The account of that plant that may read.
const WALK_LOGIN: (&str, &str) = ("leser", "leser-canary");

/// The folder of one document, with the variables of its commands.
pub struct Stage {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    server: Option<Server>,
}

impl Stage {
    /// What a document takes for granted: the README the demo, a page of the cookbook its files, and the walk-through a
    /// server with a login.
    pub fn of(page: &Path) -> Self {
        let mut stage = Self { folder: tempfile::tempdir().expect("a folder"), variables: Vec::new(), server: None };
        let name = page.file_stem().and_then(|name| name.to_str()).expect("a name");
        if page.ends_with("README.md") {
            let demo = root().join("specs/demo").canonicalize().expect("the demo");
            std::fs::create_dir(stage.folder.path().join("specs")).expect("a folder");
            std::os::unix::fs::symlink(demo, stage.folder.path().join("specs/demo")).expect("a link");
        } else if page.parent().is_some_and(|folder| folder.ends_with("cookbook")) {
            for entry in std::fs::read_dir(root().join("specs/cookbook").join(name)).expect("the files of the page") {
                let file = entry.expect("an entry").path();
                std::fs::copy(&file, stage.folder.path().join(file.file_name().expect("a name"))).expect("a copy");
            }
        } else if page.ends_with(WALK.0) {
            let server = servers::postgres();
            server.execute(&std::fs::read_to_string(root().join(WALK.1)).expect("the plant"));
            let (user, password) = WALK_LOGIN;
            stage.variables = vec![
                ("MES_HOST", server.host.clone()),
                ("MES_PORT", server.port.to_string()),
                ("MES_DATABASE", server.database.clone()),
                ("MES_USER", user.to_owned()),
                ("MES_PASSWORD", password.to_owned()),
            ];
            stage.server = Some(server);
        }
        stage
    }

    /// Writes a file of the document.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        std::fs::write(file, text).expect("written");
    }

    /// Runs a command; its standard output, and its exit code where that is not 0.
    pub fn execute(&self, command: &str) -> String {
        let folder = self.folder.path();
        if let Some((client, script)) = command.split_once(" < ") {
            let script = std::fs::read_to_string(folder.join(script)).expect("a script");
            match (client.split_once(' '), &self.server) {
                (Some(("sqlite3", database)), _) => {
                    let connection = rusqlite::Connection::open(folder.join(database)).expect("a database");
                    connection.execute_batch(&script).expect("statements");
                }
                (Some(("psql", _)), Some(server)) => _ = server.execute(&script),
                _ => panic!("documents pipe scripts into sqlite3 and psql only, not into `{client}`"),
            }
            return String::new();
        }
        let arguments = command.strip_prefix("engine ").expect("documents run engine, sqlite3 and psql only");
        let output = Command::new(env!("CARGO_BIN_EXE_engine"))
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .env_remove("ENGINE_LOG")
            .env_remove("STATE_DIRECTORY")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("engine starts");
        let mut out = String::from_utf8(output.stdout).expect("text");
        if !output.status.success() {
            out.push_str(&format!("[exit code {}]\n", output.status.code().unwrap_or(-1)));
            if out.lines().count() == 1 {
                out.push_str(&String::from_utf8_lossy(&output.stderr));
            }
        }
        out
    }
}
