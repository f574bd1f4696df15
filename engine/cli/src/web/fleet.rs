//! The status page: every pipeline, those that need somebody first.

use engine_core::report::counted;
use jiff::{SignedDuration, Timestamp};

use super::html::{self, Visit, health, reasons, table, when};
use super::view::{Fleet, Known, Seen};
use crate::commands::status::{HEALTH, ago, specs_in_words};
use crate::fleet::depot::Record;
use crate::show::escaped;

/// The page.
pub(super) fn page(fleet: &Fleet, visit: Visit) -> String {
    let mut main = format!("<h1>Pipelines</h1>\n<p>{}</p>\n{}", summary(fleet), html::as_of(fleet.at));
    if let Some(trouble) = &fleet.trouble {
        main.push_str(&format!(
            "<p class=\"trouble\" role=\"alert\">The state cannot be read, so what is known of pipelines is missing: {}</p>\n",
            escaped(trouble)
        ));
    }
    if let Some(trouble) = &fleet.page_trouble {
        main.push_str(&format!(
            "<p class=\"trouble\" role=\"alert\">Certificate and token of this page cannot be read anew, so those of \
             before hold: {}</p>\n",
            escaped(trouble)
        ));
    }
    if let Some(told) = &fleet.specs {
        main.push_str(&specs(&told.record, fleet.at));
    }
    let mut pipelines: Vec<&Seen> = fleet.pipelines.iter().collect();
    pipelines.sort_by_key(|seen| (std::cmp::Reverse(urgency(seen)), &seen.id));
    let header = ["pipeline", "health", "reasons", "last success", "lag", "next run", "outbox", "quarantine"];
    let rows: Vec<Vec<String>> = pipelines.into_iter().map(|seen| row(seen, fleet)).collect();
    main.push_str(&table("All pipelines, those that need somebody first", &header, &rows));
    html::page(&title(fleet), &main, visit)
}

/// Which pulled specs are in use; an alert where there is a reason why none newer are.
fn specs(record: &Record, at: Timestamp) -> String {
    let lines: Vec<String> = specs_in_words(record, at).iter().map(|line| escaped(line)).collect();
    let attributes = if record.problem.is_some() { " class=\"trouble\" role=\"alert\"" } else { "" };
    format!("<p{attributes}>{}</p>\n", lines.join("<br>"))
}

fn row(seen: &Seen, fleet: &Fleet) -> Vec<String> {
    let id = escaped(&seen.id);
    let mut name = format!("<a href=\"/pipelines/{id}\">{id}</a>");
    for (label, value) in &seen.labels {
        name.push_str(&format!("<br><small>{}: {}</small>", escaped(label), escaped(value)));
    }
    let Some(known) = &seen.known else {
        return std::iter::once(name).chain(std::iter::repeat_n("–".to_owned(), 7)).collect();
    };
    let status = &known.status;
    let lag = status.lag_seconds.map_or("–".to_owned(), |lag| ago(SignedDuration::from_secs(lag)));
    vec![
        name,
        health(status.health),
        reasons(&status.reasons),
        when(status.last_success, fleet.at),
        lag,
        when(status.next_run, fleet.at),
        outbox(known, fleet),
        known.counts.quarantine.to_string(),
    ]
}

fn outbox(known: &Known, fleet: &Fleet) -> String {
    let counts = &known.counts;
    if counts.outbox == 0 {
        return "0".to_owned();
    }
    let since = known.waiting_since.map(|since| format!(", for {}", ago(fleet.at.duration_since(since))));
    format!("{}<br><small>{}{}</small>", counts.outbox, html::bytes(counts.outbox_bytes), since.unwrap_or_default())
}

fn urgency(seen: &Seen) -> Option<usize> {
    let known = seen.known.as_ref()?;
    HEALTH.iter().position(|health| *health == known.status.health)
}

/// How many pipelines of each health, worst first.
fn count(fleet: &Fleet) -> Vec<(usize, &'static str)> {
    let healths = || fleet.pipelines.iter().filter_map(|seen| Some(seen.known.as_ref()?.status.health));
    let counts = HEALTH.iter().rev().map(|health| (healths().filter(|one| one == health).count(), *health));
    counts.filter(|(count, _)| *count > 0).collect()
}

fn summary(fleet: &Fleet) -> String {
    let counts: Vec<String> = count(fleet).iter().map(|(count, health)| format!("{count} {health}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let up = ago(fleet.at.duration_since(fleet.started));
    format!("{}{counts}. The service has run for {up}.", counted(fleet.pipelines.len() as u64, "pipeline"))
}

/// What needs somebody is seen in the list of tabs.
fn title(fleet: &Fleet) -> String {
    let bad: Vec<String> = count(fleet)
        .into_iter()
        .filter(|(_, health)| !["ok", "new"].contains(health))
        .map(|(count, health)| format!("{count} {health}"))
        .collect();
    if bad.is_empty() { "engine".to_owned() } else { format!("{} – engine", bad.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::depot::{Problem, ProblemKind, Taken};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn pulled_specs_are_named_and_why_none_newer_are() {
        let taken = |version: &str| Taken { id: "1f".into(), version: version.into(), created: at(0), taken: at(60) };
        let mut record = Record { current: Some(taken("2026.11 <b>")), ..Record::default() };
        let well = "<p>specs: 2026.11 &lt;b&gt;, made at 1970-01-01T00:00:00Z, taken at 1970-01-01T00:01:00Z</p>\n";
        assert_eq!(specs(&record, at(90)), well);
        record.problem = Some(Problem { since: at(30), kind: ProblemKind::Refused, message: "not <ours>".into() });
        let page = specs(&record, at(90));
        assert!(page.starts_with("<p class=\"trouble\" role=\"alert\">specs: 2026.11"), "{page}");
        assert!(page.ends_with("<br>for 1m0s: not &lt;ours&gt;</p>\n"), "{page}");
        assert_eq!(specs(&Record::default(), at(0)), "<p>specs: none were pulled yet</p>\n");
    }
}
