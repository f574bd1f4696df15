//! Time zones: those of the database that is compiled in, so that validation does not depend on the machine.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::diagnostic::edit_distance;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of a name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// Letters of a city for each that may be wrong. Cities are many and their names alike: a far guess would be a zone
/// that looks right, and is hours off.
const LETTERS_PER_EDIT: usize = 4;

/// The zone that was probably meant: that of the city, or one whose name is nearly the same.
pub(super) fn near(written: &str) -> Option<String> {
    let written = written.trim().replace(' ', "_").to_lowercase();
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let names = || ZONES.available().map(|name| name.as_str().to_owned()).filter(|name| name.contains('/'));
    let of_city = names().find(|name| city(name) == city(&written));
    let nearest = || {
        names()
            .map(|name| (edit_distance(&written, &name.to_lowercase()), name))
            .filter(|(distance, name)| distance * LETTERS_PER_EDIT <= city(name).chars().count())
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| name)
    };
    of_city.or_else(nearest)
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
        check("Europe/Achen", None);
        check("CEST", None);
        check("Mars/Olympus_Mons", None);
        check("", None);
    }
}
