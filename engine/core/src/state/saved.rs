//! What is remembered of a pipeline, piece by piece: for a copy that is written, kept and read back.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeliveryState, LedgerRecord, LedgerRow, PipelineState, QuarantineEntry, RefusedEntry};

/// One thing that is remembered of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Saved {
    /// What is remembered between runs; there is one.
    State(Box<PipelineState>),
    /// State of the delivery; there is one.
    Delivery(DeliveryState),
    /// A source row of the ledger.
    Row(LedgerRow),
    /// A record of the ledger.
    Record(LedgerRecord),
    /// A record that waits to be sent, in the order of sending.
    Outbox(SavedOutbox),
    /// A row or run that was refused.
    Rejected(QuarantineEntry),
    /// A record that the destination refused.
    Refused(RefusedEntry),
}

/// A record of the outbox, without its place: a store gives it a place of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOutbox {
    /// Its id at the destination.
    pub id: Uuid,
    /// Waits until the run has read everything.
    pub held: bool,
    /// How often the destination refused it, as it is.
    pub refusals: u32,
    /// When the destination refused it first, in microseconds.
    pub refused_since: Option<i64>,
    /// The whole record as a JSON object, `op` included.
    pub body: String,
}

/// What of a pipeline to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    /// Everything that is remembered of it.
    Everything,
    /// Rows and records of the ledger, and what was refused of the runs that were made of them.
    Ledger,
}

/// Keys as 32 hexadecimal digits: a JSON number would lose digits elsewhere.
pub(super) mod hex_key {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::canonical::RowKey;

    pub fn serialize<S: Serializer>(key: &RowKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", key.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RowKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(RowKey).map_err(|_| de::Error::custom(format!("{text:?} is no key")))
    }
}

/// Hashes as 16 hexadecimal digits, for the same reason.
pub(super) mod hex_hash {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{hash:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(|_| de::Error::custom(format!("{text:?} is no hash")))
    }
}

/// A text that several share, as any other.
pub(super) mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::RowKey;
    use crate::state::LIVE;

    #[test]
    fn every_number_survives_as_text() {
        let record = LedgerRecord {
            key: RowKey(u128::MAX),
            part: true,
            id: Uuid::max(),
            hash: u64::MAX,
            at: i64::MIN,
            lane: "M1".into(),
            start: i64::MIN,
            end: LIVE,
            body: Some("{\"a\":\"\u{0}\u{1f600}\"}".to_owned()),
        };
        let saved = Saved::Record(record);
        let text = serde_json::to_string(&saved).expect("is written");
        assert!(text.starts_with(r#"{"kind":"record","key":"ffffffffffffffffffffffffffffffff""#), "{text}");
        assert_eq!(serde_json::from_str::<Saved>(&text).expect("is read"), saved);
    }

    #[test]
    fn what_is_no_key_is_said() {
        let text = r#"{"kind":"row","key":"x","hash":"0","at":0,"lane":"","start":0,"body":""}"#;
        let error = serde_json::from_str::<Saved>(text).expect_err("no key");
        assert!(error.to_string().contains("\"x\" is no key"), "{error}");
    }
}
