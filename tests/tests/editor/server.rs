//! The language server that editors use for YAML, spoken to as an editor does: LSP over standard input and output.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};

use engine_tests::binary::{PATIENCE, root};
use engine_tests::clients;
use serde_json::{Value, json};

/// A running language server. It ends with its handle.
pub struct LanguageServer {
    child: Child,
    stdin: RefCell<ChildStdin>,
    messages: Receiver<Value>,
    /// The settings of the editor, section `yaml`.
    settings: Value,
    requests: Cell<u64>,
    documents: Cell<u64>,
    diagnostics: RefCell<HashMap<String, Value>>,
}

/// A text and the place of the cursor in it, which `|@|` marks.
pub struct Cursor {
    pub text: String,
    pub line: usize,
    pub column: usize,
}

impl Cursor {
    pub fn of(marked: &str) -> Self {
        let (before, after) = marked.split_once("|@|").expect("the cursor is marked");
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Self { text: format!("{before}{after}"), line, column }
    }
}

fn installed() -> &'static PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        clients::installed("editor").join("node/node_modules/yaml-language-server/bin/yaml-language-server")
    })
}

impl LanguageServer {
    /// Starts one with the settings of an editor; paths in them are relative to the repository.
    pub fn start(settings: Value) -> Self {
        let mut child = Command::new("node")
            .arg(installed())
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let stdin = RefCell::new(child.stdin.take().expect("it is piped"));
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (say, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read_message(&mut stdout) {
                if say.send(message).is_err() {
                    break;
                }
            }
        });
        let server = Self {
            child,
            stdin,
            messages,
            settings,
            requests: Cell::new(0),
            documents: Cell::new(0),
            diagnostics: RefCell::default(),
        };
        let folder = format!("file://{}", root().display());
        let completion = json!({"completionItem": {"snippetSupport": true, "documentationFormat": ["markdown"]}});
        server.request(
            "initialize",
            &json!({
                "processId": null,
                "rootUri": folder,
                "workspaceFolders": [{"uri": folder, "name": "engine"}],
                "capabilities": {
                    "textDocument": {"completion": completion, "hover": {"contentFormat": ["markdown"]}},
                    "workspace": {"configuration": true}
                }
            }),
        );
        server.send(&json!({"method": "initialized", "params": {}}));
        server.send(&json!({"method": "workspace/didChangeConfiguration", "params": {"settings": {}}}));
        // The server asks for the settings, and reads them before it answers what is asked after that.
        while server.take()["method"] != "workspace/configuration" {}
        server.diagnostics("*.yaml", "version: 1\n");
        server
    }

    fn send(&self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        let body = message.to_string();
        let mut stdin = self.stdin.borrow_mut();
        write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("the server listens");
        stdin.flush().expect("the server listens");
    }

    /// Takes the next message in, and answers it where the server asks for something.
    fn take(&self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).expect("the server answers");
        if message["method"] == "textDocument/publishDiagnostics" {
            let uri = message["params"]["uri"].as_str().unwrap_or_default().to_owned();
            self.diagnostics.borrow_mut().insert(uri, message["params"]["diagnostics"].clone());
        } else if message.get("method").is_some() && message.get("id").is_some() {
            let items = message["params"]["items"].as_array().cloned().unwrap_or_default();
            let answer = |item: &Value| if item["section"] == "yaml" { self.settings.clone() } else { Value::Null };
            let result: Vec<Value> = items.iter().map(answer).collect();
            self.send(&json!({"id": message["id"], "result": result}));
        }
        message
    }

    fn request(&self, method: &str, params: &Value) -> Value {
        let id = self.requests.get() + 1;
        self.requests.set(id);
        self.send(&json!({"id": id, "method": method, "params": params}));
        loop {
            let message = self.take();
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a text as the file of this name in the repository, which need not exist; its address.
    fn open(&self, name: &str, text: &str) -> String {
        let uri = format!("file://{}", root().join(name).display());
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.send(&json!({"method": "textDocument/didOpen", "params": {"textDocument": document}}));
        uri
    }

    fn at(&self, method: &str, name: &str, cursor: &Cursor) -> Value {
        self.documents.set(self.documents.get() + 1);
        let name = name.replace('*', &self.documents.get().to_string());
        let uri = self.open(&name, &cursor.text);
        let position = json!({"line": cursor.line, "character": cursor.column});
        self.request(method, &json!({"textDocument": {"uri": uri}, "position": position}))
    }

    /// What is offered at a place. `*` in the name stands for anything.
    pub fn completions(&self, name: &str, cursor: &Cursor) -> Vec<Value> {
        let result = self.at("textDocument/completion", name, cursor);
        result["items"].as_array().or(result.as_array()).cloned().unwrap_or_default()
    }

    /// What is shown at a place.
    pub fn hover(&self, name: &str, cursor: &Cursor) -> String {
        let result = self.at("textDocument/hover", name, cursor);
        result["contents"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// What is marked: the line, counted from 1, and the message.
    pub fn diagnostics(&self, name: &str, text: &str) -> Vec<(u64, String)> {
        self.documents.set(self.documents.get() + 1);
        let uri = self.open(&name.replace('*', &self.documents.get().to_string()), text);
        while !self.diagnostics.borrow().contains_key(&uri) {
            self.take();
        }
        let found = self.diagnostics.borrow()[&uri].as_array().cloned().unwrap_or_default();
        let line = |found: &Value| found["range"]["start"]["line"].as_u64().unwrap_or_default() + 1;
        found.iter().map(|found| (line(found), found["message"].as_str().unwrap_or_default().to_owned())).collect()
    }
}

impl Drop for LanguageServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_message(stream: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok(),
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => return None,
        }
    }
    let mut body = vec![0; length?];
    stream.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
