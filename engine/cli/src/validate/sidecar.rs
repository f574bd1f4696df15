//! Tests in a file of their own: those of `bookings.yaml` are in `bookings.tests.yaml`.

use std::path::{Path, PathBuf};

const ENDS: [(&str, &str); 2] = [(".tests.yaml", ".yaml"), (".tests.yml", ".yml")];

/// Whether a file holds the tests of a spec, by its name.
pub fn is_tests(path: &Path) -> bool {
    spec_of(path).is_some()
}

/// Where the spec of a file of tests must be; none of a file that holds no tests.
pub fn spec_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let stem = ENDS.iter().find_map(|(end, _)| name.strip_suffix(end)).filter(|stem| !stem.is_empty())?;
    let written = ENDS.iter().map(|(_, end)| path.with_file_name(format!("{stem}{end}"))).find(|spec| spec.is_file());
    Some(written.unwrap_or_else(|| path.with_file_name(format!("{stem}.yaml"))))
}

/// Where the tests of a spec are, or would be: the file beside it that exists, or the one of the usual name.
pub fn tests_of(spec: &Path) -> PathBuf {
    let stem = spec.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let written = ENDS.iter().map(|(end, _)| spec.with_file_name(format!("{stem}{end}"))).find(|tests| tests.is_file());
    written.unwrap_or_else(|| spec.with_file_name(format!("{stem}.tests.yaml")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_and_its_tests_know_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        assert_eq!(spec_of(&at("a.tests.yaml")), Some(at("a.yaml")));
        assert_eq!(tests_of(&at("a.yml")), at("a.tests.yaml"));
        std::fs::write(at("a.yml"), "").expect("a file");
        std::fs::write(at("a.tests.yml"), "").expect("a file");
        assert_eq!(spec_of(&at("a.tests.yaml")), Some(at("a.yml")));
        assert_eq!(tests_of(&at("a.yml")), at("a.tests.yml"));
        for other in ["a.yaml", "tests.yaml", ".tests.yaml", "a.tests.json"] {
            assert!(!is_tests(&at(other)), "{other}");
        }
    }
}
