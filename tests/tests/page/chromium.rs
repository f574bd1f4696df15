//! Debian's Chromium, driven over the WebDriver protocol (W3C) by its ChromeDriver.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::connect;

/// Keeps Chromium from asking its maker's servers, and from what a machine without a screen lacks. Tests may run as root,
/// for whom it has no sandbox; it is shown nothing but the page of the test.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// How often a driver is started that ends at once.
const STARTS: usize = 5;

/// Starts a driver. Gives its port, too.
///
/// It takes a free port of IPv6, and then the same one of IPv4, which somebody else may have got meanwhile: it ends then.
fn driver(program: &Path) -> io::Result<(Child, String)> {
    let mut said = String::new();
    for _ in 0..STARTS {
        let mut driver = Command::new(program).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(driver.stdout.take().expect("its output is read")).lines();
        for line in lines.map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Ok((driver, port.trim_end_matches('.').to_owned()));
            }
            said += &format!("{line}\n");
        }
        driver.wait()?;
    }
    panic!("{} ended {STARTS} times without a port:\n{said}", program.display());
}

/// A browser with one window.
pub struct Chromium {
    driver: Child,
    address: String,
    session: String,
    _profile: TempDir,
}

impl Chromium {
    /// Starts one; `None`, and a word about it, where none is installed.
    pub fn start() -> Option<Self> {
        let (driver, port) = match driver(Path::new("chromedriver")) {
            Ok(started) => started,
            Err(error) => {
                // Beside what the test harness captures: whoever runs the tests should see it.
                let _ = writeln!(std::io::stderr(), "skipped: chromedriver of the package chromium-driver: {error}");
                return None;
            }
        };
        let address = format!("127.0.0.1:{port}");
        let profile = tempfile::tempdir().expect("a folder");
        let arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into_iter().collect();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let options = json!({ "args": arguments.into_iter().chain([folder]).collect::<Vec<_>>() });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let mut browser = Self { driver, address, session: String::new(), _profile: profile };
        let begun = browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = begun["sessionId"].as_str().expect("a session has an id").to_owned();
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (head, said) = self.exchange(method, path, body).expect("the driver answers");
        assert!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {said:#}");
        said["value"].clone()
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(String, Value)> {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = connect(&self.address);
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        // The driver keeps the connection: what it says is as long as it says.
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let begin = head.len();
            if stream.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(bytes) = head[begin..].to_ascii_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap_or_default();
            }
        }
        let mut said = vec![0; length];
        stream.read_exact(&mut said)?;
        Ok((head, serde_json::from_slice(&said)?))
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{name}", self.session), body)
    }

    /// A command of Chromium's own protocol.
    pub fn tell(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Opens a page, and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// The value of a script's `return`.
    pub fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Presses and lets go of a key: [`TAB`], [`ENTER`].
    pub fn press(&self, key: char) {
        let key = key.to_string();
        let steps = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.command("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": steps }] }));
    }

    /// What the page complained of since it was asked last: errors of scripts, and what its policy forbade.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        log.as_array().expect("a list").iter().map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The browser ends with its session, and the driver when it is told to.
        if !self.session.is_empty() {
            let _ = self.exchange("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The key that leads on, as WebDriver writes it.
pub const TAB: char = '\u{e004}';
/// The key that follows a link.
pub const ENTER: char = '\u{e007}';

/// The first one finds its port taken.
#[test]
fn a_driver_whose_port_was_taken_is_started_again() {
    const DRIVER: &str = r#"#!/bin/sh
echo "Starting ChromeDriver"
if mkdir "$0.begun" 2> /dev/null; then echo "IPv4 port not available. Exiting..."; exit 1; fi
echo "ChromeDriver was started successfully on port 4444."
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("chromedriver");
    engine_tests::program::write(&program, DRIVER);
    let (mut child, port) = driver(&program).expect("it starts");
    child.wait().expect("it ends");
    assert_eq!(port, "4444");
}
