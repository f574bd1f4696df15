//! Texts of tests that people should see change: files in `tests/golden`.

use crate::binary::root;

/// Compares a text with a file of `tests/golden`. `ENGINE_GOLDEN=overwrite` writes the file anew; `tests` names the
/// tests that do, as cargo takes them: `--test cli`, `--lib chart`.
#[track_caller]
pub fn golden(name: &str, actual: &str, tests: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("ENGINE_GOLDEN").is_some_and(|value| value == "overwrite") {
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("the folder is writable");
        std::fs::write(&path, actual).expect("the golden file is writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        actual,
        expected,
        "{} differs; where that is right: ENGINE_GOLDEN=overwrite cargo test --workspace {tests}",
        path.display()
    );
}
