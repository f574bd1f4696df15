//! The time-line of the newest runs, machine by machine, as the ledger has them.

use engine_core::plan::Plan;
use engine_core::state::{LedgerRecord, StateStore};
use engine_core::timeline::{Bar, Limits, Placed, lay_out};
use engine_spec::model::{Deliver, TableType};
use jiff::Timestamp;

use crate::commands::preview::chart::Chart;
use crate::commands::preview::chart::svg::plain_picture;
use crate::commands::preview::chart::words;
use crate::commands::preview::gather::placed;
use crate::show::escaped;

/// Machines, runs and days of the time-line.
const LIMITS: Limits = Limits { machines: 40, runs: 1_000, days: 3 };

/// The time-line of a pipeline.
pub(super) fn read(store: &dyn StateStore, plan: &Plan, now: Timestamp) -> Result<Chart, String> {
    // Bookings that are delivered as they are have a time and no length.
    let has_runs = plan.deliver == Deliver::Runs || plan.table == TableType::Order;
    let limit = if has_runs { LIMITS.runs } else { 0 };
    let records = store.latest(&plan.id, limit).map_err(|error| error.to_string())?;
    let bars: Vec<Bar> = records.iter().filter_map(bar).collect();
    let timeline = lay_out(&bars, now, &plan.zone, LIMITS);
    Ok(Chart { pipeline: plan.id.clone(), zone: plan.zone.clone(), timeline })
}

/// The ledger keeps what a record says only where rows are folded or merged.
fn bar(record: &LedgerRecord) -> Option<Bar> {
    match record.canonical() {
        Some(Ok(row)) => placed(record, &row.details.order_code, &row.details.product_code),
        Some(Err(_)) | None => placed(record, "", ""),
    }
}

fn is_unnamed(run: &Placed) -> bool {
    run.label.is_empty() && run.group.is_empty()
}

/// The picture.
pub(super) fn show(chart: &Chart) -> String {
    let Some(timeline) = &chart.timeline else { return "<p>No runs.</p>\n".to_owned() };
    let told: String =
        words::told(timeline, &chart.zone).iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    let told = match told.is_empty() {
        true => told,
        false => format!("<details>\n<summary>What is remarkable, in words</summary>\n<ul>\n{told}</ul>\n</details>\n"),
    };
    let unnamed = match timeline.machines.iter().flat_map(|machine| &machine.lanes).flatten().any(is_unnamed) {
        true => {
            " Runs without a label are rows as they were read: of these the ledger keeps a hash, and neither order nor \
             product, so that it stays small. <code>engine preview</code> reads the source and names them."
        }
        false => "",
    };
    format!(
        "<a class=\"skip\" href=\"#quarantine\">Past the time-line</a>\n<div class=\"scroll latest\" tabindex=\"0\" role=\"region\" aria-label=\"time-line of the newest runs\">\n{}</div>\n\
         <p class=\"soft\">As the ledger has them: what was handed to the outbox. A colour is a product. Framed, with an \
         arrow: live. Hatched: two at a time. Dotted: nothing runs.{unnamed}</p>\n{told}",
        plain_picture(chart, 0)
    )
}
