//! By which columns a result is sorted, as clients are told.

use engine_standin::Column;

/// What ends a list of sort keys.
const ENDS: [&str; 4] = [" offset ", " for ", " option", ";"];

/// Places of the columns by which a statement sorts its result, from 1. Empty where it does not, or sorts by what is
/// no column of the result.
pub(crate) fn sorted_by(sql: &str, columns: &[Column]) -> Vec<u16> {
    let lower = sql.to_ascii_lowercase();
    let flat = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((_, mut keys)) = flat.rsplit_once(" order by ") else { return Vec::new() };
    for end in ENDS {
        keys = keys.split(end).next().unwrap_or(keys);
    }
    // A sort within a subquery or a window says nothing of the result.
    if keys.contains(['(', ')']) {
        return Vec::new();
    }
    keys.split(',').map(|key| place(key, columns)).collect::<Option<_>>().unwrap_or_default()
}

fn place(key: &str, columns: &[Column]) -> Option<u16> {
    let key = key.trim();
    let key = key.strip_suffix(" asc").or_else(|| key.strip_suffix(" desc")).unwrap_or(key);
    let name = key.rsplit('.').next()?.trim_matches(['[', ']', '"', ' ']);
    let at = columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let counted = name.parse::<usize>().ok().filter(|number| (1..=columns.len()).contains(number));
    u16::try_from(at.map(|at| at + 1).or(counted)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_the_sort_are_found() {
        let columns =
            ["id", "Name"].map(|name| Column { name: name.to_owned(), declared: "int".to_owned(), nullable: true });
        for (sql, expected) in [
            ("select id, Name from t order by t.[Name] desc,\n id", vec![2, 1]),
            ("select id, Name from t ORDER BY 2 ASC offset 0 rows", vec![2]),
            ("select id, Name from t", vec![]),
            ("select id, Name from t order by other", vec![]),
            ("select id, row_number() over (partition by a order by id) as Name from t", vec![]),
            ("select id, Name from t order by 3", vec![]),
        ] {
            assert_eq!(sorted_by(sql, &columns), expected, "{sql}");
        }
    }
}
