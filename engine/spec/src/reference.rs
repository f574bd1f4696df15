//! What the filters of templates and row expressions do: the reference page is made from these tables.

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterInfo {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// A use of it: what stands between `{{` and `}}`, or a row expression.
    pub example: &'static str,
}

const fn filter(name: &'static str, example: &'static str, meaning: &'static str) -> FilterInfo {
    FilterInfo { name, meaning, example }
}

/// The filters of query templates, in the order of the alphabet.
#[rustfmt::skip]
pub const QUERY_FILTERS: &[FilterInfo] = &[
    filter("date", "window.start | date", "The local date. Of the window's start its own day, of its end the day after, so that a day is never cut."),
    filter("default", "params.shift | default('A')", "Another value where there is none."),
    filter("epoch", "window.start | epoch", "Seconds since 1970-01-01T00:00:00Z."),
    filter("first", "params.plants | first", "The first item of a list, or the first character."),
    filter("float", "params.plant | float", "A floating-point number."),
    filter("format", "window.start | format('%Y%m%d')", "A text by a strftime pattern. The bounds of the window move outward, never inward."),
    filter("ident", "params.table | ident", "A name, quoted for the dialect: the only way to put a name into the statement."),
    filter("instant", "window.start | instant", "An instant with its offset, for columns that know a zone."),
    filter("int", "params.plant | int", "A whole number."),
    filter("join", "params.plants | join(',')", "The items of a list as one text."),
    filter("last", "params.plants | last", "The last item of a list, or the last character."),
    filter("length", "params.plants | length", "How many items or characters there are."),
    filter("lower", "params.plant | lower", "Small letters."),
    filter("replace", "params.plant | replace('0', 'O')", "Another text for every occurrence of a text."),
    filter("trim", "params.plant | trim", "Without white space at both ends."),
    filter("upper", "params.plant | upper", "Capital letters."),
    filter("utc", "window.start | utc", "A date-time without a zone, in UTC."),
];

/// The filters of row expressions, in the order of the alphabet. No value in is no value out.
#[rustfmt::skip]
pub const ROW_FILTERS: &[FilterInfo] = &[
    filter("abs", "menge | abs", "The number without its sign."),
    filter("default", "artnr | default('unknown')", "Another value where the column is null."),
    filter("extract", "anr | extract('^WO-([0-9]+)')", "What the one group of a regular expression matched."),
    filter("first", "anr | first", "The first character, or the first item of a list."),
    filter("float", "menge | float", "A floating-point number."),
    filter("int", "menge | int", "A whole number."),
    filter("join", "anr | split('/') | join('-')", "The items of a list as one text."),
    filter("last", "anr | split('/') | last", "The last item of a list, or the last character."),
    filter("length", "anr | length", "How many characters or items there are."),
    filter("lower", "kenn | lower", "Small letters."),
    filter("pad_left", "anr | pad_left(12, '0')", "Filled up on the left to a width."),
    filter("replace", "anr | replace('-', '')", "Another text for every occurrence of a text."),
    filter("round", "menge | round(2)", "Rounded to a number of decimals."),
    filter("split", "(anr | split('/'))[0]", "The parts of a text, by a separator; by white space without one."),
    filter("string", "menge | string", "The text of a value; numbers keep their digits."),
    filter("strip_leading", "anr | strip_leading('0')", "Without these characters at the start, but never without the last character."),
    filter("trim", "mnr | trim", "Without white space at both ends."),
    filter("upper", "kenn | upper", "Capital letters."),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::tz::TimeZone;

    use super::*;
    use crate::expr::{self, RowExpr};
    use crate::model::Param;
    use crate::scalar::Scalar;
    use crate::sql::Dialect;
    use crate::template::{self, check_sql};

    fn names(filters: &[FilterInfo]) -> Vec<&'static str> {
        filters.iter().map(|filter| filter.name).collect()
    }

    #[test]
    fn every_filter_is_described() {
        assert_eq!(names(QUERY_FILTERS), template::FILTERS);
        assert_eq!(names(ROW_FILTERS), expr::FILTERS);
    }

    #[test]
    fn every_example_has_no_findings_and_uses_its_filter() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        let params = BTreeMap::from([
            ("plant".to_owned(), Param::One(text("1000"))),
            ("shift".to_owned(), Param::One(text("A"))),
            ("table".to_owned(), Param::One(text("dbo.buchung"))),
            ("plants".to_owned(), Param::List(vec![text("1000"), text("2000")])),
        ]);
        for filter in QUERY_FILTERS {
            let place = if filter.name == "ident" { "a FROM" } else { "a FROM t WHERE b =" };
            let query = format!("SELECT {place} {{{{ {} }}}}", filter.example);
            let found = check_sql(&query, Dialect::Postgres, &params, &BTreeSet::new(), &TimeZone::UTC);
            assert_eq!(found, [], "{}", filter.name);
            assert!(filter.example.contains(&format!("| {}", filter.name)), "{}", filter.name);
        }
        for filter in ROW_FILTERS {
            assert_eq!(RowExpr::parse(filter.example).1, [], "{}", filter.name);
            assert!(filter.example.contains(&format!("| {}", filter.name)), "{}", filter.name);
        }
    }
}
