//! An archive of any bytes, and a manifest of any text: what a device pulls.

use std::path::{Component, Path};

use engine_core::fleet::manifest::{MANIFEST, Manifest};
use engine_core::fleet::tar;

/// An archive that is read is the one that its files would be written to, so that nothing is hidden in it; and a manifest
/// that is taken names files below the folder that it is unpacked to, each once, and is written as it was read.
pub fn holds(input: &[u8]) {
    manifest(input);
    let Ok(entries) = tar::entries(input).collect::<Result<Vec<_>, _>>() else { return };
    let mut written = Vec::new();
    for entry in &entries {
        tar::append(&mut written, entry.name, entry.content);
        if entry.name == MANIFEST {
            manifest(entry.content);
        }
    }
    tar::end(&mut written);
    assert!(written == input, "an archive holds more than its files");
}

fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::read(bytes) else { return };
    let mut places = std::collections::BTreeSet::new();
    for file in &manifest.files {
        let place = Path::new("/set").join(&file.path);
        let is_plain = place.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        assert!(is_plain && place.starts_with("/set") && place != Path::new("/set"), "{:?} leads elsewhere", file.path);
        assert!(places.insert(place), "{:?} is there twice", file.path);
    }
    assert_eq!(Manifest::read(&manifest.to_bytes()).as_ref(), Ok(&manifest));
}
