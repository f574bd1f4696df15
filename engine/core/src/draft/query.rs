//! The query: which columns it selects under which names, from which tables, in which window.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use engine_spec::model::TableType;

use super::times::{Bound, bound, compared, is_open, shares_date, time_of};
use super::{Draft, DraftError, ROLES, name, role_name};
use crate::discover::{Joined, Role, RoleGuess};

/// Characters of a line of the select list.
const LINE_CHARS: usize = 100;

/// A query, and what its result calls the columns.
pub(super) struct Query {
    /// Alias of the table; empty where it stands alone.
    alias: String,
    joins: Vec<(Joined, String)>,
    /// Expressions with their names, `AS` among them, in order.
    selected: Vec<String>,
    /// By column of the table.
    names: BTreeMap<String, String>,
    /// By role, for columns of other tables.
    joined_names: BTreeMap<Role, String>,
}

impl Query {
    pub(super) fn new(draft: &Draft<'_>) -> Result<Self, DraftError> {
        let mut query = Self {
            alias: String::new(),
            joins: Vec::new(),
            selected: Vec::new(),
            names: BTreeMap::new(),
            joined_names: BTreeMap::new(),
        };
        let roles: Vec<(Role, &RoleGuess)> = used_roles(draft);
        if roles.iter().any(|(_, guess)| guess.joined.is_some()) {
            query.alias = query.free_alias(&draft.candidate.name.table);
        }
        for (place, column) in draft.candidate.key.iter().enumerate() {
            query.select(draft, column, &format!("key_{}", place + 1))?;
        }
        for (role, guess) in roles {
            match &guess.joined {
                Some(joined) => query.select_joined(draft, role, guess, joined)?,
                None => {
                    query.select(draft, &guess.column, role_name(role))?;
                    if matches!(role, Role::Start | Role::End | Role::Timestamp)
                        && let Some((column, _)) = time_of(draft, guess).time_of_day
                    {
                        query.select(draft, &column, &format!("{}_time", role_name(role)))?;
                    }
                }
            }
        }
        Ok(query)
    }

    /// What the result calls a column of the table.
    pub(super) fn result_name<'a>(&'a self, column: &'a str) -> &'a str {
        self.names.get(column).map_or(column, String::as_str)
    }

    /// What the result calls the column of a role.
    pub(super) fn role_name<'a>(&'a self, role: Role, guess: &'a RoleGuess) -> &'a str {
        self.joined_names.get(&role).map_or_else(|| self.result_name(&guess.column), String::as_str)
    }

    fn select(&mut self, draft: &Draft<'_>, column: &str, wish: &str) -> Result<(), DraftError> {
        if self.names.contains_key(column) {
            return Ok(());
        }
        let sql = self.qualified(draft, column)?;
        let bare = name::in_sql(draft.dialect, column).map_err(DraftError::Name)?;
        let natural = bare.trim_matches(['"', '`', '[', ']']);
        // Columns of a result are found whatever their case.
        let alone = draft.table.columns.iter().filter(|known| known.name.eq_ignore_ascii_case(column)).count() <= 1;
        let result = if name::is_word(column) && alone && natural.eq_ignore_ascii_case(column) && self.is_free(natural)
        {
            self.selected.push(sql);
            natural.to_owned()
        } else {
            let result = self.free_name(draft, wish);
            self.selected.push(format!("{sql} AS {result}"));
            result
        };
        self.names.insert(column.to_owned(), result);
        Ok(())
    }

    fn select_joined(
        &mut self,
        draft: &Draft<'_>,
        role: Role,
        guess: &RoleGuess,
        joined: &Joined,
    ) -> Result<(), DraftError> {
        let known = self.joins.iter().find(|(known, _)| known == joined).map(|(_, alias)| alias.clone());
        let alias = known.unwrap_or_else(|| {
            let alias = self.free_alias(&joined.to.table);
            self.joins.push((joined.clone(), alias.clone()));
            alias
        });
        let column = name::in_sql(draft.dialect, &guess.column).map_err(DraftError::Name)?;
        let result = self.free_name(draft, role_name(role));
        self.selected.push(format!("{alias}.{column} AS {result}"));
        self.joined_names.insert(role, result);
        Ok(())
    }

    /// A name that neither the result nor the table has.
    fn free_name(&self, draft: &Draft<'_>, wish: &str) -> String {
        // Words of SQL are no names behind `AS`.
        let wish = match wish {
            "start" | "end" | "timestamp" => format!("{wish}_at"),
            wish => wish.to_owned(),
        };
        let is_taken = |name: &str| {
            !self.is_free(name) || draft.table.columns.iter().any(|known| known.name.eq_ignore_ascii_case(name))
        };
        let numbered = (2..).map(|number| format!("{wish}_{number}"));
        std::iter::once(wish.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(wish)
    }

    fn is_free(&self, name: &str) -> bool {
        !self.names.values().chain(self.joined_names.values()).any(|known| known.eq_ignore_ascii_case(name))
    }

    fn free_alias(&self, table: &str) -> String {
        let first = table.chars().find(char::is_ascii_alphabetic).map_or('t', |char| char.to_ascii_lowercase());
        let is_taken = |alias: &str| self.alias == alias || self.joins.iter().any(|(_, known)| known == alias);
        let first = first.to_string();
        let numbered = (2..).map(|number| format!("{first}{number}"));
        std::iter::once(first.clone()).chain(numbered).find(|alias| !is_taken(alias)).unwrap_or(first)
    }

    fn qualified(&self, draft: &Draft<'_>, column: &str) -> Result<String, DraftError> {
        let column = name::in_sql(draft.dialect, column).map_err(DraftError::Name)?;
        Ok(if self.alias.is_empty() { column } else { format!("{}.{column}", self.alias) })
    }

    pub(super) fn write(&self, draft: &Draft<'_>, out: &mut String) -> Result<(), DraftError> {
        let _ = write!(out, "query:\n  sql: |\n    SELECT ");
        let mut length = 0;
        for (place, column) in self.selected.iter().enumerate() {
            if place > 0 {
                out.push(',');
                let is_full = length + column.chars().count() > LINE_CHARS;
                out.push_str(if is_full { "\n           " } else { " " });
                length = if is_full { 0 } else { length };
            }
            length += column.chars().count() + 2;
            out.push_str(column);
        }
        let table = name::of_table(draft.dialect, &draft.candidate.name).map_err(DraftError::Name)?;
        let _ = writeln!(out, "\n    FROM   {}", format!("{table} {}", self.alias).trim_end());
        for (joined, alias) in &self.joins {
            let table = name::of_table(draft.dialect, &joined.to).map_err(DraftError::Name)?;
            let mut conditions = Vec::new();
            for (to, column) in joined.to_columns.iter().zip(&joined.columns) {
                let to = name::in_sql(draft.dialect, to).map_err(DraftError::Name)?;
                conditions.push(format!("{alias}.{to} = {}", self.qualified(draft, column)?));
            }
            let _ = writeln!(out, "    LEFT JOIN {table} {alias} ON {}", conditions.join(" AND "));
        }
        self.window(draft, out)?;
        out.push('\n');
        Ok(())
    }

    fn window(&self, draft: &Draft<'_>, out: &mut String) -> Result<(), DraftError> {
        let role = match draft.candidate.table {
            TableType::Order => Role::Start,
            TableType::Booking => Role::Timestamp,
        };
        let guess = draft.candidate.roles.get(&role).ok_or(DraftError::Missing(role))?;
        let time = time_of(draft, guess);
        let column = compared(draft, &time, &self.qualified(draft, &guess.column)?);
        let (start, end) = (bound(draft, &time, Bound::Start), bound(draft, &time, Bound::End));
        let open = match draft.candidate.roles.get(&Role::End) {
            Some(guess) if draft.candidate.table == TableType::Order => {
                let time = time_of(draft, guess);
                Some(match &time.time_of_day {
                    // The date is that of the start; of the end, its time says whether there is one.
                    Some((column, _)) if shares_date(draft) => format!("{} IS NULL", self.qualified(draft, column)?),
                    _ => is_open(draft, &time, &self.qualified(draft, &guess.column)?),
                })
            }
            _ => None,
        };
        let _ = match open {
            None => writeln!(out, "    WHERE  {column} >= {start}\n      AND  {column} <  {end}"),
            Some(open) => writeln!(
                out,
                "    WHERE  {column} < {end}\n      -- What has no end yet is read whatever its age: its end is still to \
                 come.\n      AND  ({column} >= {start} OR {open})"
            ),
        };
        Ok(())
    }
}

/// The roles of the table type that a column has, in the order of a spec.
pub(super) fn used_roles<'a>(draft: &Draft<'a>) -> Vec<(Role, &'a RoleGuess)> {
    let is_used = |role: Role| match role {
        Role::Start | Role::End => draft.candidate.table == TableType::Order,
        Role::Timestamp | Role::Event => draft.candidate.table == TableType::Booking,
        Role::Status => !draft.answers.cancelled_states.is_empty() || !draft.answers.waiting_states.is_empty(),
        Role::Cancelled => !draft.answers.cancelled.is_empty(),
        _ => true,
    };
    ROLES
        .into_iter()
        .filter(|role| is_used(*role) && !draft.answers.constants.contains_key(role))
        .filter_map(|role| draft.candidate.roles.get(&role).map(|guess| (role, guess)))
        .collect()
}
