//! `/healthz`, whether the service decides what to do, and `/readyz`, whether it has its state.

use jiff::Timestamp;
use serde_json::json;

use super::Reply;
use crate::monitor::Monitor;

/// 200 while the loop that decides turns.
pub(super) fn alive(monitor: &Monitor) -> Reply {
    let now = Timestamp::now();
    let since = monitor.since_turn(now).as_secs().max(0);
    reply(monitor.is_alive(now), &json!({ "alive": monitor.is_alive(now), "seconds_since_turn": since }))
}

/// 200 when the service decides, and has a state that can be used; what is in the way otherwise.
pub(super) fn ready(monitor: &Monitor) -> Reply {
    match monitor.unready(Timestamp::now()) {
        None => reply(true, &json!({ "ready": true })),
        Some(why) => reply(false, &json!({ "ready": false, "reason": why })),
    }
}

fn reply(well: bool, body: &serde_json::Value) -> Reply {
    Reply::new(if well { 200 } else { 503 }, Reply::JSON, format!("{body}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_well_is_503() {
        let monitor = Monitor::new(Timestamp::now());
        assert_eq!((alive(&monitor).status, ready(&monitor).status), (200, 503));
        monitor.looked(true);
        assert_eq!(ready(&monitor), Reply::ok(Reply::JSON, "{\"ready\":true}\n"));
        monitor.turn(Timestamp::UNIX_EPOCH);
        assert_eq!(alive(&monitor).status, 503);
        assert!(alive(&monitor).body.starts_with("{\"alive\":false,\"seconds_since_turn\":"));
    }
}
