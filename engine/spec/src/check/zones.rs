//! Time zones: those of the database that is compiled in, so that validation does not depend on the machine.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::diagnostic::did_you_mean;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of a name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// The zone that was probably meant: that of the city, or one whose name is nearly the same.
pub(super) fn near(written: &str) -> Option<String> {
    let written = written.trim().replace(' ', "_");
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let names: Vec<String> = ZONES.available().map(|name| name.as_str().to_owned()).collect();
    let of_city = names.iter().find(|name| name.contains('/') && city(name) == city(&written));
    let near = || did_you_mean(&written, names.iter().map(String::as_str)).filter(|_| written.contains('/'));
    // A short text is near to many short names: `CES` means nothing that can be guessed.
    of_city.cloned().or_else(|| near().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_that_was_meant_is_found() {
        let check = |written: &str, expected: Option<&str>| {
            assert!(zone(written).is_none(), "{written} exists");
            assert_eq!(near(written).as_deref(), expected, "{written}");
        };
        check("Europe/Berln", Some("Europe/Berlin"));
        check("Berlin", Some("Europe/Berlin"));
        check("Europe/New York", Some("America/New_York"));
        check("Amerika/New_York", Some("America/New_York"));
        check("CEST", None);
        check("Mars/Olympus_Mons", None);
        check("", None);
    }
}
