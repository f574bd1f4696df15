//! What cannot be seen in a database: said by a flag, asked, or taken as it looks.

use std::collections::BTreeMap;

use engine_core::discover::{Candidate, Role, Survey, TableFacts};
use engine_core::draft::{Answers, Delivery, Meaning, ZoneFrom, facts, frequent, id_of, plain};
use engine_core::report::counted;
use engine_spec::model::TableType;
use engine_spec::scalar::Ident;
use engine_spec::yaml::emit;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::ask::{Question, Voice};
use super::choose;
use crate::args::InitArgs;
use crate::exit::{CommandError, Kind};
use crate::survey::SourceBlock;

/// Words, or beginnings of words, by which a row says that it does not count.
const CANCELLED: [&str; 9] =
    ["storn", "cancel", "annul", "abgebroch", "void", "delet", "geloesch", "gelösch", "ungültig"];
/// The same, in a column that says nothing else.
const YES: [&str; 9] = ["j", "y", "x", "s", "1", "t", "ja", "yes", "true"];
/// Words, or beginnings of words, of orders that have not begun.
const WAITING: [&str; 13] = [
    "plan", "geplant", "sched", "draft", "entwurf", "angelegt", "created", "pending", "wait", "wart", "ready",
    "bereit", "releas",
];

/// The zone of the plant, and why it is believed.
pub struct PlantZone {
    /// Its IANA name.
    pub name: String,
    /// Where it is from.
    pub from: ZoneFrom,
}

/// The zone of naive times.
pub fn zone(args: &InitArgs, survey: &Survey, voice: &mut Voice<'_>) -> Result<PlantZone, CommandError> {
    let known = |name: &str| match TimeZone::get(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(format!("there is no zone `{name}`; zones have names such as `Europe/Berlin`")),
    };
    match (&survey.timezone, &args.zone) {
        (Some(name), Some(said)) if name != said => {
            let message = format!("--zone {said}: the source in {} says `{name}`", args.file.display());
            return Err(CommandError::new(Kind::Usage, message).hint("change `timezone` there, or leave the flag out"));
        }
        (Some(name), _) => return Ok(PlantZone { name: name.clone(), from: ZoneFrom::Source }),
        (None, Some(said)) => {
            let name = known(said).map_err(|why| CommandError::new(Kind::Usage, format!("--zone: {why}")))?;
            return Ok(PlantZone { name, from: ZoneFrom::Said });
        }
        (None, None) => {}
    }
    let here = TimeZone::system().iana_name().unwrap_or("UTC").to_owned();
    let text = "Which zone has the clock on the wall of the plant?";
    let name = voice.ask(&Question { text, default: Some(&here), flag: "--zone ZONE" }, known)?;
    let from = if matches!(voice, Voice::Defaults) { ZoneFrom::Machine } else { ZoneFrom::Said };
    Ok(PlantZone { name, from })
}

/// Everything else.
pub fn all(
    args: &InitArgs,
    survey: &Survey,
    candidate: &mut Candidate,
    block: &SourceBlock,
    zone: PlantZone,
    device: Delivery,
    voice: &mut Voice<'_>,
) -> Result<Answers, CommandError> {
    let table = facts(survey, candidate).map_err(|error| CommandError::new(Kind::Usage, error.to_string()))?;
    let constants = choose::roles(args, table, candidate, voice)?;
    let events = events(args, candidate, voice)?;
    let States { cancelled, cancelled_states, waiting_states } = states(survey, table, candidate, voice)?;
    let id = id(args, candidate, voice)?;
    let delivery = delivery(args, device, voice)?;
    Ok(Answers {
        id,
        source: block.yaml.clone(),
        zone: zone.name,
        zone_from: zone.from,
        constants,
        events,
        cancelled,
        cancelled_states,
        waiting_states,
        delivery,
    })
}

fn meaning(word: &str) -> Result<Option<Meaning>, String> {
    match word.to_ascii_lowercase().as_str() {
        "start" => Ok(Some(Meaning::Start)),
        "end" => Ok(Some(Meaning::End)),
        "skip" => Ok(Some(Meaning::Neither)),
        "" | "?" => Ok(None),
        _ => Err(format!("`{word}` is neither `start` nor `end` nor `skip`")),
    }
}

fn events(
    args: &InitArgs,
    candidate: &Candidate,
    voice: &mut Voice<'_>,
) -> Result<BTreeMap<String, Meaning>, CommandError> {
    let mut events = BTreeMap::new();
    if candidate.table != TableType::Booking {
        return Ok(events);
    }
    for said in &args.events {
        let refused = |why: String| {
            CommandError::new(Kind::Usage, format!("--event {said}: {why}")).hint("as in `--event A=start`")
        };
        let (code, word) = said.rsplit_once('=').ok_or_else(|| refused("it has no `=`".to_owned()))?;
        let meaning = meaning(word).map_err(refused)?.ok_or_else(|| refused("it says nothing".to_owned()))?;
        events.insert(code.trim().to_owned(), meaning);
    }
    for event in &candidate.events {
        let code = event.code.trim();
        if code.is_empty() || events.contains_key(code) {
            continue;
        }
        let found = event.meaning.as_deref().unwrap_or("?").to_lowercase();
        voice.tell(&format!("`{code}`: {}; {}", counted(event.count, "row"), event.why))?;
        let text = format!("What does `{code}` do? start, end, skip, or ? for not known");
        let flag = format!("--event {code}=start|end|skip");
        if let Some(meaning) = voice.ask(&Question { text: &text, default: Some(&found), flag: &flag }, meaning)? {
            events.insert(code.to_owned(), meaning);
        }
    }
    for (wanted, word) in [(Meaning::Start, "start"), (Meaning::End, "end")] {
        if !events.values().any(|meaning| *meaning == wanted) {
            let seen: Vec<&str> = candidate.events.iter().map(|event| event.code.trim()).collect();
            return Err(CommandError::new(
                Kind::Usage,
                format!("no code is known that means `{word}`; seen were: {}", emit::comment(&seen.join(", "))),
            )
            .hint(format!("say it with `--event CODE={word}`")));
        }
    }
    Ok(events)
}

/// Values that decide whether a row counts.
#[derive(Debug, PartialEq)]
struct States {
    /// Of the column that marks cancelled rows: those that do.
    cancelled: Vec<Value>,
    /// Of the column of states: those of rows that do not count.
    cancelled_states: Vec<Value>,
    /// Likewise: those in which nothing has begun.
    waiting_states: Vec<Value>,
}

fn states(
    survey: &Survey,
    table: &TableFacts,
    candidate: &Candidate,
    voice: &mut Voice<'_>,
) -> Result<States, CommandError> {
    let seen = |role: Role| -> Option<(&str, Vec<Value>)> {
        let guess = candidate.roles.get(&role)?;
        if candidate.times.iter().any(|time| time.column == guess.column) {
            return None;
        }
        let owner = match &guess.joined {
            Some(joined) => survey.tables.iter().find(|other| other.name == joined.to)?,
            None => table,
        };
        let values = frequent(owner, &guess.column).iter().map(|(value, _)| value.clone());
        Some((guess.column.as_str(), values.filter(|value| !plain(value).is_empty()).collect()))
    };
    let begins = |value: &Value, words: &[&str]| {
        let value = plain(value).to_lowercase();
        words.iter().any(|word| value.starts_with(word))
    };
    let mut cancelled = Vec::new();
    if let Some((column, values)) = seen(Role::Cancelled) {
        let is_yes = |value: &Value| YES.contains(&plain(value).to_lowercase().as_str()) || begins(value, &CANCELLED);
        let mut default: Vec<Value> = values.iter().filter(|value| is_yes(value)).cloned().collect();
        if default.is_empty() && !values.is_empty() {
            // Cancelled rows are rare: perhaps none was seen.
            default.extend(values.iter().all(Value::is_boolean).then_some(Value::Bool(true)));
            default.extend(values.iter().all(|value| *value == 0).then(|| Value::from(1)));
        }
        let text = format!("Which values of `{column}` say that a row does not count?");
        cancelled = choice(&text, &values, &default, voice)?;
    }
    let (mut cancelled_states, mut waiting_states) = (Vec::new(), Vec::new());
    if let Some((column, values)) = seen(Role::Status) {
        let of = |words: &[&str]| -> Vec<Value> {
            values.iter().filter(|value| value.is_string() && begins(value, words)).cloned().collect()
        };
        let text = format!("Which states in `{column}` say that a row does not count?");
        cancelled_states = choice(&text, &values, &of(&CANCELLED), voice)?;
        let text = format!("Which states in `{column}` say that nothing has begun?");
        waiting_states = choice(&text, &values, &of(&WAITING), voice)?;
    }
    Ok(States { cancelled, cancelled_states, waiting_states })
}

/// Some of the values that were seen, or others.
fn choice(text: &str, seen: &[Value], default: &[Value], voice: &mut Voice<'_>) -> Result<Vec<Value>, CommandError> {
    if matches!(voice, Voice::Defaults) {
        return Ok(default.to_vec());
    }
    let listed = |values: &[Value]| values.iter().map(plain).collect::<Vec<_>>().join(", ");
    voice.tell(&format!("seen: {}", listed(seen)))?;
    let shown = if default.is_empty() { "none".to_owned() } else { listed(default) };
    let question = Question { text, default: Some(&shown), flag: "" };
    voice.ask(&question, |answer| {
        if answer == "none" {
            return Ok(Vec::new());
        }
        let of = |word: &str| {
            let known = seen.iter().chain(default).find(|value| plain(value) == word);
            known.cloned().unwrap_or_else(|| Value::from(word))
        };
        Ok(answer.split(',').map(|word| of(word.trim())).collect())
    })
}

fn id(args: &InitArgs, candidate: &Candidate, voice: &mut Voice<'_>) -> Result<String, CommandError> {
    let valid = |text: &str| text.parse::<Ident>().map(|id| id.to_string());
    if let Some(said) = &args.id {
        return valid(said).map_err(|why| CommandError::new(Kind::Usage, format!("--id {said}: {why}")));
    }
    let default = id_of(&candidate.name.table);
    let text = "Which id shall the pipeline have? All its state hangs on it";
    voice.ask(&Question { text, default: Some(&default), flag: "--id ID" }, valid)
}

fn delivery(args: &InitArgs, device: Delivery, voice: &mut Voice<'_>) -> Result<Delivery, CommandError> {
    let of = |url: &str| match url {
        "stdout" => Ok(Delivery::Stdout),
        "device" => Ok(Delivery::Device),
        url if url.starts_with("https://") || url.starts_with("http://") => Ok(Delivery::Platform(url.to_owned())),
        _ => Err(format!("`{url}` is neither `https://…` nor `stdout` nor `device`")),
    };
    if let Some(said) = &args.to {
        return of(said).map_err(|why| CommandError::new(Kind::Usage, format!("--to: {why}")));
    }
    if device == Delivery::Device {
        return Ok(device);
    }
    let text = "Where do the runs go? https://…, stdout, or device for that of engine.yaml";
    voice.ask(&Question { text, default: Some("stdout"), flag: "--to URL" }, of)
}

#[cfg(test)]
mod tests {
    use engine_core::discover::{
        ColumnSample, Confidence, EventCode, Name, RoleGuess, RowCount, TableKind, TableSample,
    };
    use serde_json::json;

    use super::*;

    fn candidate(table: TableType, codes: &[(&str, Option<&str>)]) -> Candidate {
        Candidate {
            name: Name { schema: None, table: "t".to_owned() },
            table,
            score: 50,
            reasons: Vec::new(),
            roles: BTreeMap::new(),
            times: Vec::new(),
            change: None,
            events: codes
                .iter()
                .map(|(code, meaning)| EventCode {
                    code: (*code).to_owned(),
                    count: 1,
                    meaning: meaning.map(str::to_owned),
                    why: String::new(),
                })
                .collect(),
            key: Vec::new(),
        }
    }

    fn args(flags: &[&str]) -> InitArgs {
        use clap::Parser as _;
        let cli = crate::args::Cli::parse_from(["engine", "init", "s.yaml"].iter().chain(flags));
        let crate::args::Command::Init(args) = cli.command else { panic!("another command") };
        args
    }

    #[test]
    fn codes_are_taken_as_said_then_as_found_and_else_left_to_quarantine() {
        let bookings = candidate(TableType::Booking, &[("A ", Some("START")), ("E", Some("END")), ("U", None)]);
        let found = events(&args(&[]), &bookings, &mut Voice::Defaults).expect("codes");
        assert_eq!(found, BTreeMap::from([("A".to_owned(), Meaning::Start), ("E".to_owned(), Meaning::End)]));
        let said =
            events(&args(&["--event=U=end", "--event=A=skip", "--event=B=start"]), &bookings, &mut Voice::Defaults);
        assert_eq!(
            said.expect("codes").values().collect::<Vec<_>>(),
            [&Meaning::Neither, &Meaning::Start, &Meaning::End, &Meaning::End]
        );
        let (mut input, mut output) = (&b"\nend\nwhat\nskip\n"[..], Vec::new());
        let mut voice = Voice::Asks { input: &mut input, output: &mut output };
        let asked = events(&args(&[]), &bookings, &mut voice).expect("codes");
        assert_eq!(asked["U"], Meaning::Neither);
        assert!(String::from_utf8(output).expect("text").contains("`what` is neither"));
    }

    #[test]
    fn bookings_of_which_nothing_starts_name_the_flag() {
        let bookings = candidate(TableType::Booking, &[("1", None), ("2", Some("END"))]);
        let error = events(&args(&[]), &bookings, &mut Voice::Defaults).expect_err("no start");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("--event CODE=start")), "{error}");
        assert_eq!(events(&args(&[]), &candidate(TableType::Order, &[]), &mut Voice::Defaults), Ok(BTreeMap::new()));
    }

    fn of_values(role: Role, values: &[Value]) -> States {
        let mut orders = candidate(TableType::Order, &[]);
        let guess = RoleGuess {
            column: "c".to_owned(),
            time_of_day: None,
            joined: None,
            confidence: Confidence::Sure,
            why: String::new(),
            alternatives: Vec::new(),
        };
        orders.roles.insert(role, guess);
        let frequent = values.iter().map(|value| (value.clone(), 1)).collect();
        let sample = ColumnSample { frequent, ..ColumnSample::default() };
        let table = TableFacts {
            name: orders.name.clone(),
            kind: TableKind::Table,
            comment: None,
            rows: RowCount::Unknown,
            columns: Vec::new(),
            primary_key: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            sample: Some(TableSample { columns: BTreeMap::from([("c".to_owned(), sample)]), ..TableSample::default() }),
        };
        let survey = Survey {
            source_type: "sqlite".to_owned(),
            version: String::new(),
            session_timezone: None,
            timezone: None,
            now: jiff::Timestamp::UNIX_EPOCH,
            tables: vec![table.clone()],
            notes: Vec::new(),
            statements: 0,
        };
        states(&survey, &table, &orders, &mut Voice::Defaults).expect("states")
    }

    #[test]
    fn cancelled_rows_are_known_by_their_words() {
        for (values, expected) in [
            (vec![json!("N"), json!("J")], vec![json!("J")]),
            (vec![json!(0), json!(1)], vec![json!(1)]),
            (vec![json!(0)], vec![json!(1)]),
            (vec![json!(false)], vec![json!(true)]),
            (vec![json!("N")], vec![]),
        ] {
            assert_eq!(of_values(Role::Cancelled, &values).cancelled, expected, "{values:?}");
        }
        let states = of_values(Role::Status, &[json!("finished"), json!("Cancelled"), json!("geplant"), json!(3)]);
        assert_eq!(
            (states.cancelled_states, states.waiting_states),
            (vec![json!("Cancelled")], vec![json!("geplant")])
        );
    }
}
