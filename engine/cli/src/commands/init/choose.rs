//! Which table, and which of its columns is what.

use std::collections::BTreeMap;

use engine_core::discover::{Candidate, Confidence, Name, Role, RoleGuess, Survey, TableFacts};
use engine_core::draft::{ROLES, required_roles, role_name};
use engine_core::report::counted;
use engine_spec::diagnostic::did_you_mean;
use engine_spec::model::TableType;

use super::ask::{Question, Voice};
use crate::args::InitArgs;
use crate::exit::{CommandError, Kind};

/// Candidates that are offered.
const OFFERED: usize = 7;

/// The table that is meant by a name, with or without its schema, as place in the survey.
pub fn position(survey: &Survey, wish: &str) -> Option<usize> {
    let matches = |name: &Name, wish: &str| {
        let whole = name.schema.as_ref().map(|schema| format!("{schema}.{}", name.table));
        name.table.eq_ignore_ascii_case(wish) || whole.is_some_and(|whole| whole.eq_ignore_ascii_case(wish))
    };
    let exact = survey.tables.iter().position(|table| table.name.table == wish);
    exact.or_else(|| survey.tables.iter().position(|table| matches(&table.name, wish)))
}

/// The candidate that is named, or chosen, or the best.
pub fn table(
    args: &InitArgs,
    survey: &Survey,
    candidates: &[Candidate],
    voice: &mut Voice<'_>,
) -> Result<Candidate, CommandError> {
    let of_place = |place: usize| {
        let facts = &survey.tables[place];
        let known = candidates.iter().find(|candidate| candidate.name == facts.name);
        known.cloned().unwrap_or_else(|| unjudged(facts))
    };
    if let Some(wish) = &args.table {
        let names: Vec<&str> = survey.tables.iter().map(|table| table.name.table.as_str()).collect();
        return position(survey, wish).map(of_place).ok_or_else(|| {
            let error = CommandError::new(
                Kind::Usage,
                format!("table `{wish}` is not among the {} that the account may read", names.len()),
            );
            match did_you_mean(wish, names.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("`engine discover {}` lists them", args.file.display())),
            }
        });
    }
    voice.tell(&format!("{}; these look like orders or bookings:", counted(survey.tables.len(), "table")))?;
    for (place, candidate) in candidates.iter().take(OFFERED).enumerate() {
        let kind = match candidate.table {
            TableType::Order => "orders",
            TableType::Booking => "bookings",
        };
        let why = candidate.reasons.first().map(String::as_str).unwrap_or_default();
        voice.tell(&format!("  {}. {} as {kind} ({}): {why}", place + 1, candidate.name.table, candidate.score))?;
    }
    let best = candidates.first().map(|best| best.name.table.clone());
    let question =
        Question { text: "Which table? Its number, or its name", default: best.as_deref(), flag: "--table NAME" };
    voice.ask(&question, |answer| {
        if let Some(chosen) = answer.parse::<usize>().ok().and_then(|number| candidates.get(number.checked_sub(1)?)) {
            return Ok(chosen.clone());
        }
        position(survey, answer).map(of_place).ok_or_else(|| format!("there is no table `{answer}`"))
    })
}

/// A table of which nothing was concluded.
fn unjudged(facts: &TableFacts) -> Candidate {
    Candidate {
        name: facts.name.clone(),
        table: TableType::Order,
        score: 0,
        reasons: Vec::new(),
        roles: BTreeMap::new(),
        times: Vec::new(),
        change: None,
        events: Vec::new(),
        key: facts.primary_key.clone(),
    }
}

/// Columns and constants as said, then as asked where a spec needs one and none was found.
pub fn roles(
    args: &InitArgs,
    facts: &TableFacts,
    candidate: &mut Candidate,
    voice: &mut Voice<'_>,
) -> Result<BTreeMap<Role, String>, CommandError> {
    let mut constants = BTreeMap::new();
    for said in &args.set {
        let (role, origin) = said.split_once('=').ok_or_else(|| unreadable(said, "it has no `=`"))?;
        let names = ROLES.iter().map(|role| role_name(*role));
        let role = ROLES.into_iter().find(|known| role_name(*known) == role).ok_or_else(|| {
            let near = did_you_mean(role, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            unreadable(said, &format!("`{role}` is no meaning of a column{near}"))
        })?;
        take(facts, candidate, &mut constants, role, origin).map_err(|why| unreadable(said, &why))?;
    }
    for role in required_roles(candidate.table) {
        let role = *role;
        if candidate.roles.contains_key(&role) || constants.contains_key(&role) {
            continue;
        }
        let name = role_name(role);
        let columns: Vec<&str> = facts.columns.iter().map(|column| column.name.as_str()).collect();
        voice.tell(&format!("columns: {}", columns.join(", ")))?;
        let text = format!("Which column is `{name}`? For a constant, `=` and a text");
        let flag = format!("--set {name}=COLUMN");
        let origin = voice.ask(&Question { text: &text, default: None, flag: &flag }, |answer| {
            let mut probe = candidate.clone();
            take(facts, &mut probe, &mut BTreeMap::new(), role, answer).map(|()| answer.to_owned())
        })?;
        take(facts, candidate, &mut constants, role, &origin).map_err(|why| unreadable(&origin, &why))?;
    }
    Ok(constants)
}

fn unreadable(said: &str, why: &str) -> CommandError {
    CommandError::new(Kind::Usage, format!("--set {said}: {why}"))
        .hint("a column: `--set order_code=auftragnr`; a constant: `--set product_code==unknown`")
}

/// Gives a role to a column, or to a constant behind `=`.
fn take(
    facts: &TableFacts,
    candidate: &mut Candidate,
    constants: &mut BTreeMap<Role, String>,
    role: Role,
    origin: &str,
) -> Result<(), String> {
    let is_time = matches!(role, Role::Start | Role::End | Role::Timestamp);
    if let Some(constant) = origin.strip_prefix('=') {
        if constant.is_empty() || is_time || role == Role::Event {
            return Err(format!("`{}` cannot be the same for all rows", role_name(role)));
        }
        constants.insert(role, constant.to_owned());
        return Ok(());
    }
    let exact = facts.columns.iter().find(|column| column.name == origin);
    let column = exact.or_else(|| facts.columns.iter().find(|column| column.name.eq_ignore_ascii_case(origin)));
    let column = column.ok_or_else(|| {
        let names = facts.columns.iter().map(|column| column.name.as_str());
        let near = did_you_mean(origin, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("`{}` has no column `{origin}`{near}", facts.name.table)
    })?;
    // A time of day is meant with its date.
    let pair = candidate.times.iter().find(|time| {
        let of_day = time.time_of_day.as_ref();
        is_time && of_day.is_some_and(|(of_day, _)| *of_day == column.name)
    });
    let guess = RoleGuess {
        column: pair.map_or(&column.name, |pair| &pair.column).clone(),
        time_of_day: pair.map(|_| column.name.clone()),
        joined: None,
        confidence: Confidence::Sure,
        why: "as said".to_owned(),
        alternatives: Vec::new(),
    };
    candidate.roles.insert(role, guess);
    Ok(())
}
