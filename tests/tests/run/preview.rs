//! `engine preview` beside a state, a platform and a server.

use engine_tests::binary::Workspace;
use engine_tests::dialects::{POSTGRES, insert_for, spec};
use engine_tests::plant::{self, NOW};
use engine_tests::servers;
use serde_json::{Value, json};

use super::Site;

fn preview(site: &Site, more: &[&str]) -> Value {
    site.workspace.spec("acme.yaml", &site.spec);
    let args = [&["preview", "-o", "json", "--now", &site.now, "acme.yaml"], more].concat();
    site.workspace.engine(&args).expect(0).json()[0].take()
}

fn text(site: &Site, more: &[&str]) -> String {
    site.workspace.spec("acme.yaml", &site.spec);
    site.workspace.engine(&[&["preview", "--now", &site.now, "acme.yaml"], more].concat()).expect(0).stdout
}

fn counts(preview: &Value) -> [u64; 4] {
    ["new", "changed", "gone", "unchanged"].map(|name| preview["records"][name].as_u64().expect("a count"))
}

/// Everything that the engine remembers, as it exports it.
fn remembered(site: &Site) -> String {
    site.workspace.engine(&["state", "export", "acme"]).expect(0).stdout
}

fn bookings() -> Site {
    let site = Site::bookings();
    site.plant.execute(
        "INSERT INTO buchung VALUES
         (1, 'A', 'P', 'M1', 'A', '2025-03-29 06:00:00'), (2, 'A', 'P', 'M1', 'E', '2025-03-29 08:00:00'),
         (3, 'B', 'P', 'M1', 'A', '2025-03-29 09:00:00'),
         (4, 'C', 'P', 'M2', 'A', '2025-03-29 07:00:00'), (5, 'C', 'P', 'M2', 'E', '2025-03-29 10:00:00'),
         (6, 'F', 'P', 'M3', 'A', '2025-03-29 07:00:00'), (7, 'F', 'P', 'M3', 'E', '2025-03-29 10:00:00')",
    );
    site
}

#[test]
fn what_the_first_fill_takes_is_said_and_not_shown() {
    let site = bookings().with(|spec| {
        spec["sync"] = json!({ "mode": "window", "start": "2025-03-01", "lookback": "2d", "slice": "7d" });
    });
    site.plant.execute(
        "INSERT INTO buchung VALUES
         (10, 'O', 'P', 'M4', 'A', '2025-03-02 06:00:00'), (11, 'O', 'P', 'M4', 'E', '2025-03-02 08:00:00')",
    );
    let first = preview(&site, &[]);
    // 27 days and a half, from the factory's midnight to two days before now.
    let expected = json!({ "from": "2025-02-28T23:00:00Z", "until": "2025-03-28T12:00:00Z", "slices": 4 });
    assert_eq!((counts(&first), &first["first_fill"]), ([4, 0, 0, 0], &expected), "{first:#}");
    let said = "the first run begins at 2025-03-01 00:00 and takes 4 slices of 7 d up to the window at 2025-03-28 13:00; \
                this preview shows the window only";
    let shown = text(&site, &[]);
    assert!(shown.contains(said), "{shown}");

    assert_eq!(site.well(), (9, 0, 0, 5, 0, 0), "the run fills in what the preview left out");
    assert_eq!(preview(&site, &[])["first_fill"], json!(null));
    assert_eq!(preview(&site, &["--fresh"])["first_fill"], expected);
}

#[test]
fn a_preview_says_what_the_next_run_does_and_changes_nothing() {
    let site = bookings();
    let first = preview(&site, &["--diff"]);
    assert_eq!((counts(&first), &first["state"]["known"]), ([4, 0, 0, 0], &json!(false)), "{first:#}");
    assert!(!site.workspace.path(".engine").exists(), "nothing is kept");
    site.well();
    assert_eq!(counts(&preview(&site, &[])), [0, 0, 0, 4]);

    site.plant.execute(
        "UPDATE buchung SET zeit = '2025-03-29 08:30:00' WHERE id = 2;
         DELETE FROM buchung WHERE id IN (4, 5);
         INSERT INTO buchung VALUES (8, 'B', 'P', 'M1', 'E', '2025-03-29 11:00:00'),
                                    (9, 'D', 'Q', 'M2', 'A', '2025-03-29 12:00:00')",
    );
    let (state, requests) = (remembered(&site), site.platform.requests().len());
    let ahead = preview(&site, &["--diff"]);
    assert_eq!((counts(&ahead), &ahead["state"]["known"]), ([1, 2, 1, 1], &json!(true)), "{ahead:#}");
    let differences = ahead["differences"].as_array().expect("a list");
    let told: Vec<String> = differences
        .iter()
        .map(|one| {
            let members = one["members"].as_array().expect("a list").iter();
            let members = members.map(|member| format!("{} {} -> {}", member["name"], member["old"], member["new"]));
            format!("{} {}: {}", one["change"], one["order"], members.collect::<Vec<_>>().join(", ")).replace('"', "")
        })
        .collect();
    assert_eq!(
        told[..2],
        ["changed A: end 2025-03-29T07:00:00Z -> 2025-03-29T07:30:00Z", "changed B: end null -> 2025-03-29T10:00:00Z"]
    );
    assert!(told[2].starts_with("gone C: machine_code M2 -> null"), "{told:?}");
    assert!(told[3].starts_with("new D: machine_code null -> M2"), "{told:?}");
    let shown = text(&site, &["--diff"]);
    for part in ["differences (4 of 4)", "end 2025-03-29T07:00:00Z -> 2025-03-29T07:30:00Z", "1 new, 2 changed, 1 gone"]
    {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    let fresh = preview(&site, &["--fresh"]);
    assert_eq!(counts(&fresh), [4, 0, 0, 0], "as if nothing had been delivered");
    assert_eq!((remembered(&site), site.platform.requests().len()), (state, requests), "nothing was changed");

    let (.., upserts, deletes, _) = site.well();
    assert_eq!((upserts, deletes), (3, 1), "it was as it was said");
    site.converged();
    assert_eq!(counts(&preview(&site, &[])), [0, 0, 0, 4]);
}

/// Of a row that is a record as it stands, the state keeps machine, times and a hash.
#[test]
fn what_is_not_remembered_is_said() {
    let site = Site::orders();
    site.plant.orders(1..4);
    site.well();
    site.plant.execute(
        "UPDATE auftrag SET menge = 7 WHERE id = 1; UPDATE auftrag SET bis = '2025-03-29 00:30:00' WHERE id = 2",
    );
    let ahead = preview(&site, &["--diff"]);
    assert_eq!(counts(&ahead), [0, 2, 0, 1]);
    let [first, second] = [0, 1].map(|place| ahead["differences"][place].clone());
    assert_eq!((&first["remembered"], &first["members"]), (&json!(false), &json!([])));
    assert_eq!(first["record"]["quantity_total"], 7);
    assert_eq!(second["members"][0]["new"], "2025-03-28T23:30:00Z");
    assert!(text(&site, &["--diff"]).contains("what else it said is not remembered"));
    // What does not change is shown whole all the same.
    let run = ahead["runs"].as_array().expect("runs").iter().find(|run| run["machine_code"] == "M3");
    assert_eq!(run.map(|run| (&run["order_code"], &run["quantity_total"])), Some((&json!("4711003"), &json!(3))));
}

/// What a cursor leaves behind is no part of the run, and neither gone nor unchanged.
#[test]
fn after_a_cursor_only_what_came_since_is_shown() {
    let site = Site::orders().with(|spec| {
        spec["query"]["sql"] = "SELECT id, anr, artnr, mnr, von, bis, menge, geaendert FROM auftrag\n\
                                WHERE geaendert > {{ cursor.geaendert }} ORDER BY geaendert"
            .into();
        spec["sync"] = json!({ "mode": "cursor", "cursor": ["geaendert"] });
    });
    site.plant.orders(1..51);
    let shown = |preview: &Value| (counts(preview), preview["runs"].as_array().map(Vec::len));
    assert_eq!(shown(&preview(&site, &["-n", "99"])), ([50, 0, 0, 0], Some(50)));
    site.well();
    site.plant.execute("UPDATE auftrag SET menge = 7, geaendert = '2025-03-29 20:00:00' WHERE id = 3");
    let ahead = preview(&site, &["-n", "99"]);
    assert_eq!(shown(&ahead), ([0, 1, 0, 0], Some(1)), "{ahead:#}");
    let params = &ahead["statement"]["params"];
    assert_eq!(params[0]["value"], "2025-03-29 01:29:00", "where the first run ended");
    assert_eq!(ahead["timeline"]["machines"].as_array().map(Vec::len), Some(5), "the line shows the past as well");
}

#[test]
fn a_brake_that_would_hold_the_run_is_told() {
    let site = Site::orders();
    site.plant.orders(1..101);
    site.well();
    site.plant.execute("DELETE FROM auftrag WHERE id > 30");
    let ahead = preview(&site, &[]);
    assert_eq!((counts(&ahead), &ahead["records"]["held_by"][0]["kind"]), ([0, 0, 70, 30], &json!("deletes")));
    assert_eq!(ahead["rows"].as_array().map(Vec::len), Some(20), "rows are not shown twice");
    let shown = text(&site, &[]);
    assert!(shown.contains("held: 70 of 100 records would be deleted"), "{shown}");
    site.once().expect(1).says("would be deleted");
}

#[test]
fn a_row_is_followed_to_its_run() {
    let site = bookings();
    site.plant.execute(
        "INSERT INTO buchung VALUES (10, 'X', 'P', 'M1', 'E', '2025-03-29 12:00:00'),
                                    (11, 'A', 'P', 'M1', 'Q', '2025-03-29 12:00:00'),
                                    (12, 'B', 'P', 'M1', 'A', '2025-03-29 12:30:00'),
                                    (13, 'Y', 'P', 'M4', 'E', '2025-03-29 12:00:00')",
    );
    let one = |key: &str| {
        let preview = preview(&site, &["--row", key]);
        assert_eq!(preview["rows"].as_array().map(Vec::len), Some(1), "{preview:#}");
        (preview["rows"][0].clone(), preview["runs"].clone())
    };
    for (key, role) in [("1", "opens"), ("[\"2\"]", "ends"), ("3", "opens"), ("12", "within")] {
        let (row, runs) = one(key);
        assert_eq!(row["run"]["role"], role, "{key}: {row:#}");
        assert_eq!(runs[0]["run_id"], row["run"]["run_id"], "{key}");
        assert_eq!(runs.as_array().map(Vec::len), Some(1));
    }
    for (key, code, rule) in [("10", "orphan_end", "pairing.orphan_end"), ("11", "unmapped", "fields.event.map")] {
        let (row, _) = one(key);
        let refused = &row["refused"][0];
        assert_eq!((&refused["code"], &refused["rule"], &row["run"]), (&json!(code), &json!(rule), &Value::Null));
        assert!(key == "10" || refused["place"].as_str().is_some_and(|place| place.starts_with("acme.yaml:")), "{row}");
    }
    assert!(one("13").0["note"].as_str().is_some_and(|note| note.contains("began before everything")));
    let mut rows = bookings();
    rows.spec["destination"]["deliver"] = "rows".into();
    let row = preview(&rows, &["--row", "1"])["rows"][0].take();
    assert!(row["run"].is_null() && row["note"].as_str().is_some_and(|note| note.contains("deliver: rows")), "{row}");
    let shown = text(&site, &["--row", "2"]);
    assert!(shown.contains("ends A on M1, 2025-03-29T05:00:00Z .. 2025-03-29T07:00:00Z"), "{shown}");
    assert!(!shown.contains("time-line"), "{shown}");
    let missing = ["preview", "--row", "99", "--now", &site.now, "acme.yaml"];
    site.workspace.engine(&missing).expect(2).says("no row with the key `99` was read");
}

#[test]
fn a_time_line_obeys_nothing_that_a_database_says() {
    let mut site = bookings();
    site.plant.execute(
        "UPDATE buchung SET mnr = '<script>alert(1)</script>', anr = char(27) || '[2J' || anr WHERE mnr = 'M1'",
    );
    site.workspace.env("COLUMNS", "60").env("LC_ALL", "C");
    let shown = text(&site, &["--timeline", "t.html"]);
    assert!(!shown.contains('\u{1b}') && shown.contains("\\u{1b}[2JA"), "{shown}");
    let drawing = shown
        .lines()
        .skip_while(|line| !line.starts_with("time-line: "))
        .skip(1)
        .take_while(|line| !line.contains(" gap, "));
    let widest = drawing.map(|line| line.chars().count()).max();
    assert!(shown.is_ascii() && widest.is_some_and(|widest| (50..=60).contains(&widest)), "{widest:?}\n{shown}");
    for part in ["gap on <script>alert(1)</script>: from 2025-03-29 08:00 to 09:00 (1 h)", "live on <script>"] {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    text(&site, &["--timeline", "t.svg"]);
    for file in ["t.html", "t.svg"] {
        let made = site.workspace.read(file);
        assert!(made.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !made.contains("<script"), "{file}");
        assert!(!made.contains('\u{1b}'), "{file}");
    }
    let line = preview(&site, &[])["timeline"].take();
    assert_eq!((&line["timezone"], line["machines"].as_array().map(Vec::len)), (&json!("Europe/Berlin"), Some(3)));
    for (file, code, part) in [("t.png", 2, "neither HTML nor SVG"), ("nowhere/t.svg", 3, "a folder that exists")] {
        let args = ["preview", "--timeline", file, "--now", &site.now, "acme.yaml"];
        site.workspace.engine(&args).expect(code).says(part);
    }
}

#[test]
fn a_state_that_cannot_be_read_hides_nothing() {
    let site = bookings();
    site.workspace.write("engine.yaml", "version: 1\nstate: { url: 'postgres://nobody@127.0.0.1:1/none' }\n");
    let ahead = preview(&site, &[]);
    assert_eq!(counts(&ahead), [4, 0, 0, 0]);
    assert!(ahead["state"]["why"].as_str().is_some_and(|why| why.contains("cannot be read")), "{}", ahead["state"]);
}

#[test]
fn a_server_tells_its_plan_and_what_it_was_asked() {
    let server = servers::postgres();
    server.execute(POSTGRES.table);
    server.execute(&format!("{}; ANALYZE auftrag", insert_for(&POSTGRES, 1..20_001)));
    let mut workspace = Workspace::new();
    workspace.env("DB_PASSWORD", &server.password);
    workspace.spec("acme.yaml", &spec(&POSTGRES, &server, server.port, &plant::to_file("runs.ndjson")));
    let json = workspace.engine(&["preview", "-n", "2", "-o", "json", "--now", NOW, "acme.yaml"]).expect(0).json();
    let preview = &json[0];
    assert_eq!(counts(preview), [20_000, 0, 0, 0]);
    assert!(preview["plan"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{}", preview["plan"]);
    assert_eq!(preview["plan"]["reads"][0]["table"], "public.auftrag", "{}", preview["plan"]);
    assert_eq!(preview["plan"]["remarks"].as_array().map(Vec::len), Some(1), "no index serves the window");
    let params = preview["statement"]["params"].as_array().expect("parameters");
    assert_eq!(params.iter().map(|one| &one["origin"]).collect::<Vec<_>>(), ["window.start", "window.end"]);
    let shown = workspace.engine(&["preview", "-n", "2", "--sql", "--now", NOW, "acme.yaml"]).expect(0);
    shown.says("plan: cost ").says("reads all of").says("$1").says("runs (2 of 20000)").says("left out: 15000 runs");
}
