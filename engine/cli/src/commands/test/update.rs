//! `engine test --update`: what came out, in the place of expectations that differ.

use std::path::PathBuf;
use std::sync::Arc;

use engine_core::plan::Plan;
use engine_core::report::counted;
use engine_spec::diff::unified;
use engine_spec::model::{Match, SpecTest};
use engine_spec::text::Text;
use engine_spec::yaml::SpecFile;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::TestResult;
use super::compare::{self, Fate, Item, List};
use super::execute::Ran;
use super::sets::TestSet;
use crate::exit::{CommandError, Kind};
use crate::folder;
use crate::yaml_edit::{self, Edit, ItemChange};

/// The change of a file.
pub struct Change {
    path: PathBuf,
    before: String,
    after: String,
}

/// The change of a file of tests that makes those that failed pass; none where there is nothing to change.
pub fn change(plan: &Plan, set: &TestSet, failed: &[(usize, Option<Ran>)]) -> Result<Option<Change>, String> {
    let mut edits = Vec::new();
    for (index, ran) in failed {
        let Some(ran) = ran else { continue };
        let at = format!("/tests/{index}/expect");
        let found = of_test(plan, set, &set.tests[*index], &at, ran);
        edits.extend(found.ok_or_else(|| format!("{} cannot be edited where it is written", set.tests[*index].name))?);
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let before = set.file.text.text.clone();
    let after = yaml_edit::apply(&before, edits);
    verify(plan, set, failed, &after)?;
    Ok(Some(Change { path: set.path.clone(), before, after }))
}

fn of_test(plan: &Plan, set: &TestSet, test: &SpecTest, at: &str, ran: &Ran) -> Option<Vec<Edit>> {
    let expect = &test.expect;
    let mut edits = Vec::new();
    for difference in compare::differences(plan, expect, ran) {
        match difference {
            compare::Difference::Sql { statement, .. } => {
                edits.push(yaml_edit::set_lines(&set.file, &format!("{at}/sql"), &statement)?);
            }
            compare::Difference::Params { found, .. } => {
                edits.push(yaml_edit::set(&set.file, &format!("{at}/params"), &found.into())?);
            }
            _ => {}
        }
    }
    for list in List::ALL {
        let Some(expected) = list.expected(expect) else { continue };
        let (fates, extra) = compare::pair(expected, list.found(ran), expect.r#match, plan);
        if fates.iter().all(|fate| *fate == Fate::Same) && extra.is_empty() {
            continue;
        }
        let names = names(list, expected, expect.r#match, plan);
        let changes: Vec<ItemChange> = expected
            .iter()
            .zip(fates)
            .map(|(item, fate)| match fate {
                Fate::Same => ItemChange::Keep,
                Fate::Gone => ItemChange::Remove,
                Fate::Nearest(found) => nearest(item, &found, expect.r#match, plan),
            })
            .collect();
        let added: Vec<Value> = extra.iter().map(|found| written(found, names.as_deref())).collect();
        edits.extend(yaml_edit::change_list(&set.file, &format!("{at}/{}", list.key()), &changes, &added)?);
    }
    Some(edits)
}

/// The members that a new item of a list names: those of the item before it; none for all that have a value.
fn names(list: List, expected: &[Item], how: Option<Match>, plan: &Plan) -> Option<Vec<String>> {
    match (how, expected.first(), list) {
        (Some(Match::Exact), _, _) => None,
        (_, Some(first), _) => Some(first.keys().cloned().collect()),
        (_, None, List::Rejected) => Some(rejected_names(plan)),
        (_, None, List::Runs | List::Rows) => None,
    }
}

/// The members that tell which row was rejected and why.
pub fn rejected_names(plan: &Plan) -> Vec<String> {
    plan.key.iter().cloned().chain(["code".to_owned(), "reason".to_owned()]).collect()
}

/// An item as a test has it.
pub fn written(found: &Map<String, Value>, names: Option<&[String]>) -> Value {
    let has_value = |name: &str| name != "run_id" && !found[name].is_null();
    let named = |name: &String| match names {
        Some(names) => names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
        None => has_value(name),
    };
    let members = found.iter().filter(|(name, _)| named(name));
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn nearest(item: &Item, found: &Map<String, Value>, how: Option<Match>, plan: &Plan) -> ItemChange {
    let members = compare::members(item, found, how, plan);
    if members.iter().any(|member| member.expected.is_none()) {
        return ItemChange::Rewrite(written(found, None));
    }
    let value = |member: &compare::Member| match (&member.expected, &member.found) {
        // Of a map, what is expected of it.
        (Some(Value::Object(expected)), Value::Object(found)) => {
            let named = found.iter().filter(|(name, _)| expected.contains_key(name.as_str()));
            Value::Object(named.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        (_, found) => found.clone(),
    };
    ItemChange::Members(members.iter().map(|member| (member.name.clone(), value(member))).collect())
}

/// Looks at the changed text before anybody relies on it: those tests pass, and nothing else says anything else.
fn verify(plan: &Plan, set: &TestSet, failed: &[(usize, Option<Ran>)], after: &str) -> Result<(), String> {
    let (file, findings) = SpecFile::parse(Arc::new(Text::new(&set.file.text.name, after)));
    if let Some(finding) = findings.first() {
        return Err(format!("the change would not be YAML: {}", finding.message));
    }
    let mut rest = [set.file.value.clone(), file.value.clone()];
    for (index, ran) in failed.iter().filter_map(|(index, ran)| Some((index, ran.as_ref()?))) {
        let pointer = format!("/tests/{index}");
        let test = file.value.pointer(&pointer).map(SpecTest::deserialize);
        let passes =
            test.is_some_and(|test| test.is_ok_and(|test| compare::differences(plan, &test.expect, ran).is_empty()));
        if !passes {
            return Err(format!("the change would not make `{}` pass", set.tests[*index].name));
        }
        for value in &mut rest {
            if let Some(test) = value.pointer_mut(&pointer).and_then(Value::as_object_mut) {
                test.shift_remove("expect");
            }
        }
    }
    let [before, after] = rest;
    if before != after {
        return Err("the change would alter more than those expectations, perhaps because of an anchor".to_owned());
    }
    Ok(())
}

/// Shows the changes, and writes them if they are wanted.
pub fn finish(changes: &[Change], writes: bool, results: &[TestResult]) -> Result<(), CommandError> {
    for change in changes {
        crate::show::print(&unified(&change.path.display().to_string(), &change.before, &change.after));
    }
    for result in results.iter().filter(|result| result.cannot_run()) {
        crate::show::print(&format!(
            "{}: {} cannot be executed: {}\n",
            result.pipeline,
            result.name,
            result.differences.join("; ")
        ));
    }
    let cannot_run = results.iter().any(TestResult::cannot_run);
    if writes {
        for change in changes {
            folder::replace(&change.path, change.after.as_bytes()).map_err(|error| {
                let path = change.path.display();
                CommandError::new(Kind::Environment, format!("{path} cannot be written: {error}"))
            })?;
        }
    }
    match (changes.len(), writes) {
        (0, _) => crate::show::print("nothing to update\n"),
        (count, true) => crate::show::print(&format!("{} updated\n", counted(count, "file"))),
        (count, false) => crate::show::print(&format!("{} to update; `--yes` writes\n", counted(count, "file"))),
    }
    let pending = !changes.is_empty() && !writes;
    if pending || cannot_run { Err(CommandError::said(Kind::Run)) } else { Ok(()) }
}
