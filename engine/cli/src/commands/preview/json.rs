//! A preview for programs.

use serde_json::{Value, json};

use super::chart::words::zone_name;
use super::gather::{Past, Preview};
use crate::commands::render;

/// All that is shown, under names of its own.
pub(super) fn preview(preview: &Preview) -> Value {
    let Preview {
        plan,
        report,
        sent,
        past,
        first_fill,
        brakes,
        counts,
        waiting,
        differences,
        rows,
        runs,
        rejected,
        timeline,
    } = preview;
    let state = match past {
        Past::Known => json!({ "known": true }),
        Past::Empty(why) => json!({ "known": false, "why": why }),
    };
    let read_plan = sent.plan.as_ref().map(|known| match known {
        Ok(plan) => {
            let reads = plan
                .reads
                .iter()
                .map(|read| json!({ "table": read.table, "index": read.index, "table_rows": read.table_rows }));
            json!({
                "cost": plan.cost, "rows": plan.rows, "reads": reads.collect::<Vec<_>>(),
                "remarks": sent.remarks.iter().map(|remark| remark.message.as_str()).collect::<Vec<_>>(),
            })
        }
        Err(why) => json!({ "unknown": why }),
    });
    let mut value = json!({
        "pipeline": plan.id,
        "report": report,
        "statement": sent.statement.as_ref().map(|statement| render::as_json(plan, statement)),
        "plan": read_plan,
        "state": state,
        "first_fill": first_fill,
        "records": report.failure.is_none().then(|| json!({
            "new": counts.new, "changed": counts.changed, "gone": counts.gone, "unchanged": counts.unchanged,
            "waiting": waiting, "held_by": brakes,
        })),
        "rows": rows,
        "runs": runs.items,
        "rejected": rejected.items,
        "timeline": timeline.as_ref().map(|timeline| {
            let mut value = serde_json::to_value(timeline).unwrap_or_default();
            value["timezone"] = zone_name(&plan.zone).into();
            value
        }),
    });
    if let Some(differences) = differences {
        value["differences"] = json!(differences.items);
        value["differences_total"] = differences.total.into();
    }
    value
}
