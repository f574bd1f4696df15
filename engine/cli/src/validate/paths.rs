//! Files, folders and globs to a list of files.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Deepest folder below a given one that is looked into. Ends a walk through links that form a circle.
const FOLDER_DEPTH_MAX: usize = 32;

/// The files that the arguments name, sorted, each once.
pub fn expand(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let usual = [PathBuf::from("engine.yaml"), PathBuf::from("specs")];
    let arguments: Vec<&PathBuf> = if arguments.is_empty() {
        usual.iter().filter(|path| path.exists()).collect()
    } else {
        arguments.iter().collect()
    };
    if arguments.is_empty() {
        return Err("there is neither `engine.yaml` nor `specs` here; name the files or folders to validate".to_owned());
    }
    let mut files = BTreeSet::new();
    for argument in arguments {
        let before = files.len();
        if argument.is_file() {
            files.insert(argument.clone());
            continue;
        }
        if argument.is_dir() {
            walk(argument, 0, &mut |path| {
                if is_yaml(path) {
                    files.insert(path.to_owned());
                }
            })?;
        } else if is_glob(argument) {
            let (folder, pattern) = split(argument);
            let root = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            walk(root, 0, &mut |path| {
                let below: Vec<String> = path
                    .strip_prefix(root)
                    .unwrap_or(path)
                    .components()
                    .map(|part| part.as_os_str().to_string_lossy().into_owned())
                    .collect();
                if matches_parts(&pattern, &below) {
                    files.insert(folder.join(path.strip_prefix(root).unwrap_or(path)));
                }
            })?;
        } else {
            return Err(format!("{}: there is no such file or folder", argument.display()));
        }
        if files.len() == before {
            return Err(format!("{}: there is no spec; specs end in `.yaml`", argument.display()));
        }
    }
    Ok(files.into_iter().collect())
}

/// The folder that is looked through for what an argument names.
#[cfg(feature = "run")]
pub fn root(argument: &Path) -> PathBuf {
    let folder = if argument.is_dir() {
        argument.to_owned()
    } else if is_glob(argument) && !argument.is_file() {
        split(argument).0
    } else {
        argument.parent().unwrap_or(Path::new("")).to_owned()
    };
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn is_glob(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// The folder in front of the first part with a wildcard, and the parts from there.
fn split(glob: &Path) -> (PathBuf, Vec<String>) {
    let mut folder = PathBuf::new();
    let mut pattern = Vec::new();
    for part in glob.components() {
        if pattern.is_empty() && !is_glob(Path::new(part.as_os_str())) {
            folder.push(part);
        } else if part != Component::CurDir {
            pattern.push(part.as_os_str().to_string_lossy().into_owned());
        }
    }
    (folder, pattern)
}

fn walk(folder: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) -> Result<(), String> {
    if depth > FOLDER_DEPTH_MAX {
        return Err(format!("{}: folders are nested deeper than {FOLDER_DEPTH_MAX}", folder.display()));
    }
    let failed = |error: std::io::Error| format!("{}: the folder cannot be read: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(&path, depth + 1, visit)?;
        } else {
            visit(&path);
        }
    }
    Ok(())
}

/// Whether a path fits a glob, part for part; `**` stands for any number of parts.
fn matches_parts(pattern: &[String], parts: &[String]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((first, rest)), _) if first == "**" => {
            matches_parts(rest, parts) || parts.split_first().is_some_and(|(_, below)| matches_parts(pattern, below))
        }
        (Some(_), None) => false,
        (Some((first, rest)), Some((part, below))) => {
            let first: Vec<char> = first.chars().collect();
            let part: Vec<char> = part.chars().collect();
            matches_part(&first, &part) && matches_parts(rest, below)
        }
    }
}

/// Whether a name fits: `*` stands for any characters, `?` for one.
fn matches_part(pattern: &[char], name: &[char]) -> bool {
    // The last `*`, and how many characters it stands for so far; on a mismatch it takes one more.
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn globs_match_part_for_part() {
        for (glob, path, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "b/a.yaml", false),
            ("**/*.yaml", "a.yaml", true),
            ("**/*.yaml", "b/c/a.yaml", true),
            ("**/b/*.yaml", "x/b/a.yaml", true),
            ("**/b/*.yaml", "x/c/a.yaml", false),
            ("a?c*e", "abcde", true),
            ("a?c*e", "abcd", false),
            ("*a*b", "xaxbxb", true),
            ("**", "a/b", true),
        ] {
            assert_eq!(matches_parts(&parts(glob), &parts(path)), expected, "{glob} {path}");
        }
    }

    #[test]
    fn files_folders_and_globs_become_files() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["b/x.yaml", "a.yml", "b/deep/y.yaml", "b/note.txt", ".hidden/z.yaml"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        }
        let names = |argument: &str| {
            expand(&[folder.path().join(argument)]).map(|files| {
                let below = |path: &PathBuf| path.strip_prefix(folder.path()).expect("below").display().to_string();
                files.iter().map(below).collect::<Vec<_>>()
            })
        };
        assert_eq!(names(""), Ok(vec!["a.yml".to_owned(), "b/deep/y.yaml".to_owned(), "b/x.yaml".to_owned()]));
        assert_eq!(names("b/*.yaml"), Ok(vec!["b/x.yaml".to_owned()]));
        assert_eq!(names("**/*.yaml"), Ok(vec!["b/deep/y.yaml".to_owned(), "b/x.yaml".to_owned()]));
        assert_eq!(names("b/note.txt"), Ok(vec!["b/note.txt".to_owned()]));
        assert!(names("c").is_err_and(|reason| reason.contains("no such file")));
        assert!(names("c*").is_err_and(|reason| reason.contains("no spec")));
    }
}
