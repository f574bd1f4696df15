//! `engine init` at a terminal: what it asks, what it asks again, and what is left where nobody answers to the end.

use engine_tests::binary::Workspace;
use engine_tests::servers;
use engine_tests::terminal::{CTRL_C, CTRL_D, Terminal};

use super::{at_server, line_three};

/// The last question but one.
const ID: &str = "Which id shall the pipeline have?";

fn line() -> Workspace {
    let workspace = Workspace::new();
    line_three(&workspace.path("linie3.db"));
    workspace.write("source.yaml", "source:\n  type: sqlite\n  path: linie3.db\n");
    workspace
}

/// What lies in the folder, but for the plant.
fn files(workspace: &Workspace) -> Vec<String> {
    let names = std::fs::read_dir(workspace.path("")).expect("a folder");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("linie3.db")).collect();
    names.sort();
    names
}

#[test]
fn somebody_at_a_terminal_is_asked_until_the_answer_can_be_used() {
    let workspace = line();
    let mut terminal = Terminal::start(&workspace, &["init", "source.yaml"]);
    terminal
        .shows("Which zone has the clock on the wall of the plant?")
        .types("Europe/Bonn\n")
        .shows("there is no zone `Europe/Bonn`")
        .shows("Which zone has the clock on the wall of the plant?")
        .types("Europe/Berlin\n")
        .shows("1. fertigung as orders")
        .shows("[fertigung]: ")
        .types("fertigun\n")
        .shows("there is no table `fertigun`")
        .shows("[fertigung]: ")
        .types("1\n")
        .shows(ID)
        .types("Line 3\n")
        .shows("`Line 3` is not an id")
        .shows(ID)
        .types("line-3\n")
        .shows("Where do the runs go?")
        .types("\n");
    let (code, shown) = terminal.ends();
    assert!(code == 0 && shown.contains("wrote line-3.yaml: orders of fertigung, with 1 test"), "{code}: {shown}");
    assert!(workspace.read("line-3.yaml").contains("timezone: Europe/Berlin"));
    workspace.engine(&["test", "line-3.yaml"]).expect(0).says("1 passed, 0 failed");
}

#[test]
fn whoever_does_not_answer_to_the_end_leaves_no_file() {
    for (key, code) in [(CTRL_C, 130), (CTRL_D, 2)] {
        let workspace = line();
        let mut terminal = Terminal::start(&workspace, &["init", "source.yaml"]);
        terminal.shows("of the plant?").types("Europe/Berlin\n").shows("[fertigung]: ").types("\n");
        terminal.shows(ID).shows("[fertigung]: ").types(key);
        let (ended, shown) = terminal.ends();
        assert_eq!((ended, files(&workspace)), (code, vec!["source.yaml".to_owned()]), "{shown}");
    }
}

/// The account loses a right between the survey and the query.
#[test]
fn a_query_that_is_refused_leaves_a_spec_without_a_test_and_says_so() {
    let server = servers::postgres();
    server.execute(include_str!("../../fixtures/walk.sql"));
    let mut source = at_server("postgres", &server);
    source["username"] = "leser".into();
    source["timezone"] = "Europe/Berlin".into();
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", "leser-canary");
    workspace.spec("source.yaml", &serde_json::json!({ "source": source }));
    let flags =
        ["--set=product_code==unknown", "--event=AN=start", "--event=AB=end", "--event=UN=end", "--event=WT=skip"];
    let args: Vec<&str> = ["init", "source.yaml", "--table=buchung", "--to=stdout"].into_iter().chain(flags).collect();
    let mut terminal = Terminal::start(&workspace, &args);
    terminal.shows("`storno` say that a row does not count?").types("\n").shows(ID);
    server.execute("REVOKE SELECT ON bde.maschine FROM leser");
    terminal.types("refused\n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 3, "{shown}");
    for part in [
        "wrote refused.yaml: bookings of buchung, with 0 tests",
        "error: refused.yaml is written, and its query does not run yet: ",
        "permission denied for table maschine",
        "hint: ",
    ] {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    assert!(!shown.contains("leser-canary"), "{shown}");
    let spec = workspace.read("refused.yaml");
    assert!(spec.contains("bde.maschine") && !spec.contains("\ntests:"), "{spec}");
    workspace.engine(&["validate-spec", "--strict", "refused.yaml"]).expect(0);

    // Whoever gives the right back finds that the spec runs as it is.
    server.execute("GRANT SELECT ON bde.maschine TO leser");
    workspace.engine(&["preview", "refused.yaml", "--now", "2025-03-28T12:00:00Z"]).expect(0).says("5 to send");
}
