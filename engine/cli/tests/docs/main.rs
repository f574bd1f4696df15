//! The documents keep pace with the code: generated pages equal it, specs in prose are valid, commands in prose give
//! the output that is shown, and links lead somewhere.
//!
//! How a page is written decides what is done with its fenced blocks:
//!
//! - `yaml` must be a valid spec or a part of one. `console` is executed, and its output compared.
//! - A block whose first line is `# file: NAME` or `-- file: NAME` is written to that file for the commands.
//! - A block below a line `[NAME](PATH):` is a copy of the file at that path.
//! - Everything else says `not-run` behind its language, and is counted.

mod book;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use engine::commands::docs;
use engine_spec::{NoCompanions, load, load_device};

use self::stage::Stage;

/// Blocks in the documents that are neither executed, nor validated, nor held against a file.
const NOT_RUN: usize = 45;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The documents written by hand: the README and `docs/`, without `docs/reference`.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    for folder in ["docs", "docs/guides", "docs/cookbook"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_reference_is_what_the_code_says() {
    let stale: Vec<&str> = docs::pages()
        .into_iter()
        .filter(|(name, text)| {
            std::fs::read_to_string(root().join("docs/reference").join(name)).ok().as_deref() != Some(text)
        })
        .map(|(name, _)| name)
        .collect();
    assert!(stale.is_empty(), "{stale:?} in docs/reference are stale; run `{}`", docs::REPAIR);
}

/// A fenced block: its language and the mark behind it, its content, and the number of its first line.
struct Block {
    language: String,
    mark: String,
    text: String,
    line: usize,
    /// The file that it is a copy of, relative to its document.
    copy_of: Option<String>,
}

impl Block {
    /// The name that the first line gives to the block as a file: `# file: NAME`, or `-- file: NAME`.
    fn file(&self) -> Option<&str> {
        let first = self.text.lines().next()?;
        first.strip_prefix("# file: ").or_else(|| first.strip_prefix("-- file: "))
    }

    /// Whether a test says what it should be.
    fn is_held(&self) -> bool {
        ["yaml", "console"].contains(&self.language.as_str()) || self.file().is_some() || self.copy_of.is_some()
    }
}

/// The path in a line that is nothing but a link and a colon.
fn announced(line: &str) -> Option<String> {
    let (_, path) = line.strip_prefix('[')?.strip_suffix("):")?.split_once("](")?;
    Some(path.to_owned())
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut above = "";
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => {
                blocks.extend(open.take());
                above = "";
            }
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(info)) => {
                let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
                let (language, mark) = (language.to_owned(), mark.to_owned());
                let (text, line, copy_of) = (String::new(), index + 2, announced(above));
                open = Some(Block { language, mark, text, line, copy_of });
            }
            (None, None) if line.is_empty() => {}
            (None, None) => above = line,
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

const BOOKINGS: &[&str] = &[
    "version: 1\n",
    "id: example\n",
    "source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }\n",
    "table: booking\n",
    "query: { sql: \"SELECT id, a, b, c, k, ts FROM t WHERE ts >= {{ window.start }} AND ts < {{ window.end }}\" }\n",
    "key: [id]\n",
    "fields: { timestamp: ts, order_code: a, product_code: b, machine_code: c, event: k }\n",
];
const ORDERS: &[&str] = &[
    "version: 1\n",
    "id: example\n",
    "source: { type: sqlite, path: mes.db, timezone: Europe/Berlin }\n",
    "table: order\n",
    "query: { sql: \"SELECT id, a, b, c, s, e FROM t WHERE s >= {{ window.start }} AND s < {{ window.end }} OR e IS NULL\" }\n",
    "key: [id]\n",
    "fields: { start: s, end: e, order_code: a, product_code: b, machine_code: c }\n",
];

/// A spec with the top-level keys of a fragment instead of its own.
fn with(base: &[&str], fragment: &str) -> String {
    let top = |line: &str| Some(line.split_once(':')?.0.to_owned());
    let mut given: BTreeSet<String> = fragment
        .lines()
        .filter(|line| line.starts_with(|char: char| char.is_ascii_lowercase()))
        .filter_map(top)
        .collect();
    if ["type: csv", "type: http"].iter().any(|kind| fragment.lines().any(|line| line == format!("  {kind}"))) {
        // These take no SQL.
        given.insert("query".to_owned());
    }
    let kept: String = base.iter().filter(|line| top(line).is_some_and(|key| !given.contains(&key))).copied().collect();
    kept + fragment
}

/// What is wrong with a block of YAML: it must be a spec, or a part of one, or a device config.
fn findings(text: &str) -> Vec<String> {
    let spec = |text: &str| -> Vec<String> {
        let found = load("example.yaml", text.as_bytes(), &NoCompanions).diagnostics;
        found.into_iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
    };
    let device = if text.lines().any(|line| line.starts_with("version:")) {
        text.to_owned()
    } else {
        format!("version: 1\n{text}")
    };
    let device = load_device("engine.yaml", device.as_bytes());
    if device.diagnostics.is_empty() {
        return Vec::new();
    }
    let of_bookings = spec(&with(BOOKINGS, text));
    let of_orders = spec(&with(ORDERS, text));
    if of_orders.len() < of_bookings.len() { of_orders } else { of_bookings }
}

#[test]
fn a_block_with_a_mistake_is_found() {
    assert_eq!(findings("sync: { lookback: 14d }\n"), [""; 0]);
    assert_eq!(
        findings(
            "merge: { gap: 5m }\nfields: { start: s, end: e, order_code: a, product_code: b, machine_code: c }\ntable: order\n"
        ),
        [""; 0]
    );
    assert_eq!(findings("limits: { concurrency: 2 }\n"), [""; 0]);
    assert_eq!(findings("sync: { lookbak: 14d }\n").len(), 1);
    assert!(!findings("limits: { concurency: 2 }\n").is_empty());
}

#[test]
fn every_spec_in_the_documents_is_valid() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        for block in blocks(&text).into_iter().filter(|block| block.language == "yaml") {
            count += 1;
            for finding in findings(&block.text) {
                wrong.push(format!("{}:{}: {finding}", path.display(), block.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 10, "only {count} blocks of YAML were found");
}

/// Whether a text matches a pattern in which `[..]` stands for anything.
fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}

/// Whether lines match a pattern in which a line `...` stands for any number of lines.
fn lines_match(pattern: &[&str], lines: &[&str]) -> bool {
    match (pattern.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => (0..=lines.len()).any(|skipped| lines_match(rest, &lines[skipped..])),
        (Some((first, pattern)), Some((line, lines))) => line_matches(first, line) && lines_match(pattern, lines),
        _ => false,
    }
}

#[test]
fn patterns_match_what_they_say() {
    for (pattern, line, expected) in [
        ("a[..]c", "abc", true),
        ("a[..]c", "ab", false),
        ("a", "a", true),
        ("a", "ab", false),
        ("[..]b[..]", "abc", true),
    ] {
        assert_eq!(line_matches(pattern, line), expected, "{pattern} {line}");
    }
    assert!(lines_match(&["a", "...", "c"], &["a", "b", "b", "c"]));
    assert!(!lines_match(&["a", "...", "c"], &["a", "b"]));
}

/// Every document tells one story: its files are written, and its commands run, in the order of the document.
#[test]
fn every_command_in_the_documents_gives_what_is_shown() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        let stage = Stage::of(&path);
        for block in blocks(&text).into_iter().filter(|block| block.mark.is_empty()) {
            if let Some(name) = block.file() {
                stage.write(name, &block.text);
            }
            if block.language != "console" {
                continue;
            }
            for part in block.text.split("$ ").filter(|part| !part.is_empty()) {
                let (command, expected) = part.split_once('\n').expect("a line");
                let actual = stage.execute(command);
                let trimmed = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
                let (expected, actual) = (trimmed(expected.trim_end()), trimmed(actual.trim_end()));
                let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                let shown: Vec<&str> = actual.iter().map(String::as_str).collect();
                if !lines_match(&expected, &shown) {
                    wrong.push(format!("{}:{}: `{command}` gives\n{}", path.display(), block.line, actual.join("\n")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is shown only is marked, so that it is a decision; the count is one as well.
#[test]
fn what_is_not_executed_is_marked_and_counted() {
    let mut wrong = Vec::new();
    let mut marked = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        for block in blocks(&text) {
            let place = format!("{}:{}", path.display(), block.line);
            match block.mark.as_str() {
                "not-run" if block.language != "yaml" => marked.push(place),
                "" if block.is_held() => {}
                _ => wrong.push(place),
            }
        }
    }
    assert!(wrong.is_empty(), "neither held by a test nor marked as `not-run`: {wrong:#?}");
    assert_eq!(marked.len(), NOT_RUN, "{marked:#?}");
}

/// The files that documents copy, for readers who see the page alone. `ENGINE_GOLDEN=overwrite` repairs the documents.
#[test]
fn copies_in_the_documents_are_what_the_files_say() {
    let mut stale = Vec::new();
    let mut copied = BTreeSet::new();
    for path in documents() {
        let mut text = std::fs::read_to_string(&path).expect("a document");
        for block in blocks(&text) {
            let Some(name) = &block.copy_of else { continue };
            let file = path.parent().expect("a folder").join(name);
            copied.extend(file.canonicalize());
            let kept = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            if kept != block.text {
                stale.push(format!("{}:{}: {name}", path.display(), block.line));
                text = text.replacen(&block.text, &kept, 1);
            }
        }
        if std::env::var_os("ENGINE_GOLDEN").is_some_and(|value| value == "overwrite") {
            std::fs::write(&path, text).expect("written");
        }
    }
    assert!(stale.is_empty(), "these differ from their files; `ENGINE_GOLDEN=overwrite` copies them anew: {stale:#?}");
    // A page of the cookbook shows all that its folder has.
    for folder in std::fs::read_dir(root().join("specs/cookbook")).expect("the cookbook") {
        for file in std::fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            let file = file.expect("an entry").path().canonicalize().expect("a file");
            assert!(copied.contains(&file), "no page shows {}", file.display());
        }
    }
}

/// The Rust files below a folder, but for those of tests.
fn rust_below(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts.extend(rust_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            texts.push(std::fs::read_to_string(path).expect("a source file"));
        }
    }
    texts
}

/// Every code that the code of engine-core gives to a row is explained to operators.
#[test]
fn every_reason_of_a_rejected_row_is_explained() {
    let guide = std::fs::read_to_string(root().join("docs/guides/what-is-wrong.md")).expect("the guide");
    let code = regex::Regex::new(
        r#"code: "([a-z_]+)"|(?:reject|report|entry)\("([a-z_]+)"|Self::\w+ => "((?:time|value|number)_[a-z_]+)"|Some\("(time_[a-z_]+)"\)"#,
    )
    .expect("a pattern");
    let mut codes = BTreeSet::new();
    for text in rust_below(&root().join("engine/core/src")) {
        codes.extend(code.captures_iter(&text).map(|found| {
            found.iter().skip(1).flatten().next().map_or_else(String::new, |code| code.as_str().to_owned())
        }));
    }
    // Options that cannot work are found before a row is read.
    codes.remove("time_options");
    let silent: Vec<&String> = codes.iter().filter(|code| !guide.contains(&format!("`{code}`"))).collect();
    assert!(silent.is_empty(), "docs/guides/what-is-wrong.md does not explain {silent:?}");
    assert!(codes.len() > 20, "only {codes:?} were found");
}

/// The page of sources says of every kind of source whether it can be connected to.
#[test]
fn the_sources_page_knows_the_connectors() {
    let page = std::fs::read_to_string(root().join("docs/sources.md")).expect("the page");
    let types = engine_spec::schema::PIPELINE["definitions"]["Source"]["properties"]["type"]["enum"].clone();
    for name in types.as_array().expect("a list").iter().filter_map(serde_json::Value::as_str) {
        let mut rows = page.lines().filter(|line| line.starts_with("| ") && line.contains(&format!("`{name}`")));
        let row = rows.next().unwrap_or_default();
        let runs = engine_connect::registry::find(name).is_some();
        assert_eq!(row.contains("| Runs. |"), runs, "{name}: `{row}`");
        assert_eq!(row.contains("Not connectable yet"), !runs, "{name}: `{row}`");
    }
}

/// The YAML files below a folder, by their paths from there.
fn specs_below(folder: &Path, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{at}{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
        if path.is_dir() {
            found.extend(specs_below(&path, &format!("{name}/")));
        } else if name.ends_with(".yaml") {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// The page of worked specs has a row for each, with its kind of source and its table type.
#[test]
fn the_page_of_worked_specs_lists_every_spec() {
    let page = std::fs::read_to_string(root().join("docs/worked-specs.md")).expect("the page");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| [`"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut expected = Vec::new();
    // The cookbook has a page for each.
    let specs = specs_below(&root().join("specs"), "");
    for name in specs.into_iter().filter(|name| !name.starts_with("cookbook/")) {
        let text = std::fs::read_to_string(root().join("specs").join(&name)).expect("a spec");
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).expect("every spec has it").trim();
        let (kind, table) = (value("  type: "), value("table: "));
        expected.push((format!("[`{name}`](../specs/{name})"), format!("`{kind}`"), format!("`{table}`")));
    }
    let mut listed: Vec<(String, String, String)> =
        rows.iter().map(|row| (row[0].to_owned(), row[2].to_owned(), row[3].to_owned())).collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected, "docs/worked-specs.md and specs/ differ");
    assert!(rows.iter().all(|row| row.len() == 5 && row.iter().all(|cell| !cell.is_empty())), "a cell is missing");
}

/// Rust text without what its lines are broken by, and without marks that a message may have in other places.
fn plain(text: &str) -> String {
    let continued = regex::Regex::new(r"\\\n\s*").expect("a pattern");
    continued.replace_all(text, "").replace('`', "")
}

/// What the guide quotes in the first column of its tables is said by the engine in these words.
#[test]
fn the_messages_that_the_guide_quotes_are_said() {
    let guide = std::fs::read_to_string(root().join("docs/guides/what-is-wrong.md")).expect("the guide");
    let said: String = rust_below(&root().join("engine")).iter().map(|text| plain(text)).collect();
    let quoted = regex::Regex::new(r#""([^"]+)""#).expect("a pattern");
    let mut missing = Vec::new();
    let mut count = 0;
    for cell in guide.lines().filter_map(|line| line.strip_prefix("| \"")?.split(" | ").next()) {
        for message in quoted.captures_iter(&format!("\"{cell}")) {
            count += 1;
            let parts = plain(&message[1]);
            missing.extend(parts.split('…').filter(|part| !said.contains(part.trim())).map(str::to_owned));
        }
    }
    assert!(missing.is_empty(), "no code says {missing:#?}");
    assert!(count > 12, "only {count} messages are quoted");
}
