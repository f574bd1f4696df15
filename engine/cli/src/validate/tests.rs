use super::*;

const GOOD: &str = "version: 1
id: example
source: { type: sqlite, path: mes.db, timezone: UTC }
table: order
query: { file: q.sql }
key: [id]
fields: { order_code: a, product_code: b, machine_code: c, start: s, end: e }
destination: { type: enlyze, url: \"https://app.enlyze.com\", token: { env: ENGINE_TEST_THAT_IS_NEVER_SET } }
";
const SQL: &str =
    "SELECT id, a, b, c, s, e FROM t WHERE s >= {{ window.start }} AND s < {{ window.end }} OR e IS NULL\n";

/// Writes files into a new folder and validates it.
fn check(files: &[(&str, &str)], change: impl FnOnce(&mut ValidateArgs)) -> (u8, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    let (code, out, _) = check_folder(folder.path(), change);
    (code, out)
}

/// Validates a folder: the exit code, the findings and the log.
fn check_folder(folder: &Path, change: impl FnOnce(&mut ValidateArgs)) -> (u8, String, String) {
    let mut args = ValidateArgs {
        paths: vec![folder.to_owned()],
        output: Output::Text,
        strict: false,
        env: false,
        fix: false,
        diff: false,
        write_schemas: None,
    };
    change(&mut args);
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let code = validate(&args, &mut out, &mut log).unwrap_or_else(|failure| failure.exit_code());
    (code, String::from_utf8(out).expect("UTF-8"), String::from_utf8(log).expect("UTF-8"))
}

#[test]
fn what_is_certain_is_shown_and_then_put_right_in_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, sql) = (folder.path().join("a.yaml"), folder.path().join("q.sql"));
    let broken = GOOD.replace("key:", "labels: { country: no } # of the plant\nkye:").replace('\n', "\r\n");
    std::fs::write(&spec, &broken).expect("a file");
    std::fs::write(&sql, SQL.replace("s <", "s <=")).expect("a file");
    let (code, diff, _) = check_folder(folder.path(), |args| args.diff = true);
    assert_eq!(code, EXIT_SPEC);
    for line in ["-kye: [id]", "+key: [id]", "+labels: { country: \"no\" } # of the plant", "q.sql"] {
        assert!(diff.contains(line), "`{line}` in\n{diff}");
    }
    assert_eq!(std::fs::read_to_string(&spec).expect("a file"), broken);
    let (code, out, log) = check_folder(folder.path(), |args| args.fix = true);
    assert_eq!((code, out.as_str()), (EXIT_OK, "1 file: 0 errors, 0 warnings\n"));
    assert_eq!(log.lines().filter(|line| line.starts_with("fixed ")).count(), 3, "{log}");
    assert!(log.contains("a.yaml:6: ambiguous_scalar: "), "{log}");
    let right = GOOD.replace("key:", "labels: { country: \"no\" } # of the plant\nkey:").replace('\n', "\r\n");
    assert_eq!(std::fs::read_to_string(&spec).expect("a file"), right);
    assert_eq!(std::fs::read_to_string(&sql).expect("a file"), SQL);
    assert_eq!(check_folder(folder.path(), |args| args.diff = true), (EXIT_OK, String::new(), String::new()));
    let names = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(names, 2, "nothing else is left behind");
}

#[cfg(unix)]
#[test]
fn a_link_and_rights_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let spec = elsewhere.path().join("spec");
    std::fs::write(&spec, GOOD.replace("key:", "kye:")).expect("a file");
    std::fs::set_permissions(&spec, std::fs::Permissions::from_mode(0o640)).expect("rights");
    std::fs::write(folder.path().join("q.sql"), SQL).expect("a file");
    std::os::unix::fs::symlink(&spec, folder.path().join("a.yaml")).expect("a link");
    assert_eq!(check_folder(folder.path(), |args| args.fix = true).0, EXIT_OK);
    assert_eq!(std::fs::read_to_string(&spec).expect("a file"), GOOD);
    assert_eq!(std::fs::metadata(&spec).expect("a file").permissions().mode() & 0o777, 0o640);
    assert!(folder.path().join("a.yaml").is_symlink());
}

#[test]
fn a_good_spec_with_a_file_beside_it_is_silent() {
    let (code, out) = check(&[("a.yaml", GOOD), ("q.sql", SQL)], |_| {});
    assert_eq!((code, out.as_str()), (EXIT_OK, "1 file: 0 errors, 0 warnings\n"));
}

#[test]
fn exit_codes_tell_specs_from_environments() {
    let (code, out) = check(&[("a.yaml", GOOD)], |_| {});
    assert_eq!(code, EXIT_SPEC, "{out}");
    assert!(out.contains("file_unreadable"), "{out}");
    let (code, out) = check(&[("a.yaml", GOOD), ("q.sql", SQL)], |args| args.env = true);
    assert_eq!(code, EXIT_ENVIRONMENT, "{out}");
    assert!(out.contains("ENGINE_TEST_THAT_IS_NEVER_SET is not set"), "{out}");
    let (code, _) = check(&[], |_| {});
    assert_eq!(code, EXIT_SPEC);
}

#[test]
fn strict_makes_warnings_errors() {
    let spec = GOOD.replace("key: [id]\n", "");
    assert_eq!(check(&[("a.yaml", &spec), ("q.sql", SQL)], |_| {}).0, EXIT_OK);
    assert_eq!(check(&[("a.yaml", &spec), ("q.sql", SQL)], |args| args.strict = true).0, EXIT_SPEC);
}

#[test]
fn a_finding_in_a_file_beside_the_spec_is_shown_there() {
    let (code, out) = check(&[("a.yaml", GOOD), ("q.sql", "SELECT a\nFROM t\nWHERE s >= {{ windw.start }}\n")], |_| {});
    assert_eq!(code, EXIT_SPEC);
    assert!(out.contains("q.sql:3:15: error[template_unknown_name]"), "{out}");
}

#[test]
fn two_specs_of_one_id_are_found_and_device_configs_are_known() {
    let device = "version: 1\nspecs: [\"*.yaml\"]\nlog: { level: loud }\n";
    let (code, out) = check(&[("a.yaml", GOOD), ("b.yaml", GOOD), ("engine.yaml", device), ("q.sql", SQL)], |_| {});
    assert_eq!(code, EXIT_SPEC);
    assert!(out.contains("b.yaml:2:5: error[duplicate_id]"), "{out}");
    assert!(out.contains("engine.yaml:3:15: error[unknown_value]"), "{out}");
    assert!(out.ends_with("3 files: 2 errors, 0 warnings\n"), "{out}");
}
