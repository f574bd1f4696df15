//! What came out against what was expected, item for item and member for member.

use std::collections::BTreeMap;

use engine_core::plan::Plan;
use engine_spec::model::{Expect, Match};
use engine_spec::sql::{Dialect, code_text};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::execute::Ran;
use crate::commands::render;

/// A member that derives from others, so that no item need name it.
const DERIVED: &str = "run_id";

/// An item of an expectation.
pub type Item = BTreeMap<String, Value>;

/// The lists of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// `expect.runs`
    Runs,
    /// `expect.rows`
    Rows,
    /// `expect.rejected`
    Rejected,
}

impl List {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Runs, Self::Rows, Self::Rejected];

    /// Its key in `expect`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Rows => "rows",
            Self::Rejected => "rejected",
        }
    }

    /// One of its items, in words.
    pub fn item(self) -> &'static str {
        match self {
            Self::Runs => "run",
            Self::Rows => "row",
            Self::Rejected => "rejected row",
        }
    }

    /// What is expected of it, if anything.
    pub fn expected(self, expect: &Expect) -> Option<&[Item]> {
        match self {
            Self::Runs => expect.runs.as_deref(),
            Self::Rows => expect.rows.as_deref(),
            Self::Rejected => expect.rejected.as_deref(),
        }
    }

    /// What came out.
    pub fn found(self, ran: &Ran) -> &[Map<String, Value>] {
        let Some((outcomes, _)) = &ran.outcomes else { return &[] };
        match self {
            Self::Runs => &outcomes.runs,
            Self::Rows => &outcomes.rows,
            Self::Rejected => &outcomes.rejected,
        }
    }
}

/// One member of an item that is not as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What was expected; none where it was not named and had to be.
    pub expected: Option<Value>,
    /// What came out; null where it has no value.
    pub found: Value,
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The test could not be executed.
    Failed {
        /// Why.
        reason: String,
    },
    /// An item did not come out.
    Missing {
        /// Of which list.
        list: List,
        /// What was expected.
        expected: Item,
        /// What came nearest.
        nearest: Option<Map<String, Value>>,
        /// Where the nearest differs.
        members: Vec<Member>,
    },
    /// An item came out that is not expected.
    Extra {
        /// Of which list.
        list: List,
        /// What it is.
        found: Map<String, Value>,
    },
    /// Another statement.
    Sql {
        /// Without comments and white space.
        expected: String,
        /// Likewise.
        found: String,
        /// As it would be sent.
        statement: String,
    },
    /// Other parameters.
    Params {
        /// Those of the test.
        expected: Vec<Value>,
        /// Those that would be sent.
        found: Vec<Value>,
    },
}

/// What became of an expected item.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It came out.
    Same,
    /// This came nearest, and is no other's.
    Nearest(Map<String, Value>),
    /// Nothing was like it.
    Gone,
}

/// Everything that differs.
pub fn differences(plan: &Plan, expect: &Expect, ran: &Ran) -> Vec<Difference> {
    let mut differences = statement(plan, expect, ran);
    for list in List::ALL {
        let Some(expected) = list.expected(expect) else { continue };
        let (fates, extra) = pair(expected, list.found(ran), expect.r#match, plan);
        for (item, fate) in expected.iter().zip(fates) {
            let nearest = match fate {
                Fate::Same => continue,
                Fate::Nearest(nearest) => Some(nearest),
                Fate::Gone => None,
            };
            let members = nearest.as_ref().map_or_else(Vec::new, |found| members(item, found, expect.r#match, plan));
            differences.push(Difference::Missing { list, expected: item.clone(), nearest, members });
        }
        differences.extend(extra.into_iter().map(|found| Difference::Extra { list, found }));
    }
    differences
}

fn statement(plan: &Plan, expect: &Expect, ran: &Ran) -> Vec<Difference> {
    let mut differences = Vec::new();
    let Some(statement) = &ran.statement else { return differences };
    if let Some(expected) = &expect.sql {
        let dialect = Dialect::of_source_type(plan.source_type);
        let code = |text: &str| dialect.map_or_else(|| text.to_owned(), |dialect| code_text(text, dialect));
        let (expected, found) = (code(expected), code(&statement.sql));
        if expected != found {
            differences.push(Difference::Sql { expected, found, statement: statement.sql.clone() });
        }
    }
    if let Some(expected) = &expect.params {
        let found: Vec<Value> = statement.binds.iter().map(|bind| render::bind_json(&bind.value)).collect();
        let same = expected.len() == found.len()
            && expected.iter().zip(&found).all(|(expected, found)| same_value(expected, found, plan));
        if !same {
            differences.push(Difference::Params { expected: expected.clone(), found });
        }
    }
    differences
}

/// Pairs two lists without regard to their order: what became of every expected item, and what is too many.
pub fn pair(
    expected: &[Item],
    found: &[Map<String, Value>],
    how: Option<Match>,
    plan: &Plan,
) -> (Vec<Fate>, Vec<Map<String, Value>>) {
    let mut left: Vec<&Map<String, Value>> = found.iter().collect();
    let mut fates = vec![Fate::Gone; expected.len()];
    // Who says more chooses first, so that nobody takes away what fits only another.
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(expected[*place].len()));
    for place in &order {
        let same = |candidate: &&Map<String, Value>| members(&expected[*place], candidate, how, plan).is_empty();
        if let Some(at) = left.iter().position(same) {
            left.remove(at);
            fates[*place] = Fate::Same;
        }
    }
    for place in order.into_iter().filter(|place| fates[*place] == Fate::Gone).collect::<Vec<_>>() {
        let likeness = |candidate: &Map<String, Value>| {
            let same = |(name, value): (&String, &Value)| same_member(name, value, candidate, plan);
            expected[place].iter().filter(|member| same(*member)).count()
        };
        // Of several that are as near, the first.
        let nearest = left.iter().enumerate().map(|(at, candidate)| (likeness(candidate), std::cmp::Reverse(at))).max();
        if let Some((_, std::cmp::Reverse(at))) = nearest.filter(|(likeness, _)| *likeness > 0) {
            fates[place] = Fate::Nearest(left.remove(at).clone());
        }
    }
    let extra = if how == Some(Match::Subset) { Vec::new() } else { left.into_iter().cloned().collect() };
    (fates, extra)
}

/// Where an item is not as expected.
pub fn members(expected: &Item, found: &Map<String, Value>, how: Option<Match>, plan: &Plan) -> Vec<Member> {
    let value = |name: &str| found.get(name).cloned().unwrap_or_default();
    let named = expected.iter().filter(|(name, value)| !same_member(name, value, found, plan));
    let mut members: Vec<Member> = named
        .map(|(name, expected)| Member { name: name.clone(), expected: Some(expected.clone()), found: value(name) })
        .collect();
    if how == Some(Match::Exact) {
        let unnamed = found
            .iter()
            .filter(|(name, value)| *name != DERIVED && !value.is_null() && !expected.contains_key(name.as_str()));
        members.extend(unnamed.map(|(name, found)| Member {
            name: name.clone(),
            expected: None,
            found: found.clone(),
        }));
    }
    members
}

fn same_member(name: &str, expected: &Value, found: &Map<String, Value>, plan: &Plan) -> bool {
    let found = found.get(name).unwrap_or(&Value::Null);
    match (name, expected, found) {
        // A reason is prose: a part of it is enough.
        ("reason", Value::String(part), Value::String(reason)) => reason.contains(part.as_str()),
        ("attributes", Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(name, value)| same_value(value, found.get(name).unwrap_or(&Value::Null), plan))
        }
        _ => same_value(expected, found, plan),
    }
}

/// Numbers are equal as numbers, texts as texts or as instants. A code keeps its zeros: `00123` is not 123.
fn same_value(expected: &Value, found: &Value, plan: &Plan) -> bool {
    let float = |number: &Number| number.as_f64();
    match (expected, found) {
        _ if expected == found => true,
        (Value::Number(one), Value::Number(other)) => {
            let whole = one.is_i64() && other.is_i64();
            !whole && float(one) == float(other)
        }
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            let digits = text.trim_start_matches('-');
            let is_padded = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
            !is_padded && text.parse().ok() == float(number)
        }
        (Value::String(one), Value::String(other)) => {
            let instant = |text: &str| engine_core::plan::parse_start(text, &plan.zone);
            instant(one).is_some_and(|one| Some(one) == instant(other))
        }
        _ => false,
    }
}
