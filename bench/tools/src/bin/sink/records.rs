//! What a request holds, read and checked record by record.

use std::borrow::Cow;

use serde::Deserialize;

/// A record: a row as the floor and other programs send it, or a row or a run as the engine does.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    #[serde(borrow)]
    run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    row_id: Option<Cow<'a, str>>,
    id: Option<u64>,
    #[serde(borrow, alias = "production_order")]
    order_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    product_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    product: Option<Product<'a>>,
    #[serde(borrow)]
    machine_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "timestamp")]
    booked_at: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "start_at")]
    start: Option<Cow<'a, str>>,
    #[serde(borrow)]
    end: Option<Cow<'a, str>>,
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

/// The id of the source's row comes among the attributes.
#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow)]
    id: Option<Id<'a>>,
}

/// A source that has nothing but texts gives its numbers as texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id<'a> {
    Number(u64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl Id<'_> {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// The object around the records.
#[derive(Deserialize)]
struct Parcel<'a> {
    #[serde(borrow, alias = "rows", alias = "data")]
    records: Vec<Record<'a>>,
}

/// A run as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its own id, a UUID.
    pub run_id: u128,
    /// Id of the row that opens it; nothing where it is removed.
    pub id: Option<u64>,
    /// It has an end.
    pub ended: bool,
}

/// What was in a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of a source.
    pub rows: u64,
    /// Production runs, and those that are removed, in their order.
    pub runs: Vec<Run>,
    /// Removals of rows or runs.
    pub deletes: u64,
    /// Records that cannot be read, or lack something.
    pub bad: u64,
    /// Sum of the ids of the source's rows.
    pub id_sum: u64,
    /// All records.
    pub records: u64,
    /// The ids of the source's rows, in a request of few records.
    pub ids: Vec<u64>,
}

/// Requests of up to so many records have their ids kept.
const RECORDS_OF_IDS_MAX: usize = 16;
/// The shortest time with seconds, in bytes: `2024-01-01T00:00:00`.
const TIME_BYTES_MIN: usize = 19;

impl Record<'_> {
    fn is_whole(&self) -> bool {
        let has = |value: &Option<Cow<'_, str>>| value.as_ref().is_some_and(|text| !text.is_empty());
        let time = |value: &Option<Cow<'_, str>>| value.as_ref().is_some_and(|text| text.len() >= TIME_BYTES_MIN);
        let product = has(&self.product_code) || self.product.as_ref().is_some_and(|product| !product.code.is_empty());
        let when = time(&self.start) || (has(&self.event) && time(&self.booked_at));
        has(&self.order_code) && has(&self.machine_code) && product && when
    }
}

impl Counts {
    fn add(&mut self, record: &Record<'_>) {
        let is_delete = record.op.as_deref() == Some("delete");
        let attribute = record.attributes.as_ref().and_then(|attributes| attributes.id.as_ref()?.number());
        let id = record.id.or(attribute);
        self.deletes += u64::from(is_delete);
        self.bad += u64::from(!is_delete && !record.is_whole());
        match (&record.run_id, &record.row_id) {
            (Some(run_id), _) => match uuid(run_id) {
                Some(run_id) if is_delete => self.runs.push(Run { run_id, id: None, ended: true }),
                Some(run_id) => {
                    self.runs.push(Run { run_id, id: Some(id.unwrap_or_default()), ended: record.end.is_some() });
                }
                None => self.bad += 1,
            },
            (None, Some(_)) if is_delete => {}
            (None, None) if is_delete => self.bad += 1,
            (None, _) => {
                self.rows += 1;
                self.id_sum = self.id_sum.wrapping_add(id.unwrap_or_default());
            }
        }
        if let Some(id) = id
            && self.ids.len() <= RECORDS_OF_IDS_MAX
        {
            self.ids.push(id);
        }
        self.records += 1;
    }
}

/// A UUID as a number.
fn uuid(text: &str) -> Option<u128> {
    let mut digits = 0;
    let mut value = 0_u128;
    for digit in text.bytes().filter(|&byte| byte != b'-') {
        value = value << 4 | u128::from((digit as char).to_digit(16)?);
        digits += 1;
    }
    (digits == 32).then_some(value)
}

/// Counts the records of a body: an array, an object with `records`, or a record on each line.
pub fn count(body: &[u8]) -> Counts {
    let mut counts = Counts::default();
    let trimmed = body.trim_ascii();
    if trimmed.first() == Some(&b'[') {
        match serde_json::from_slice::<Vec<Record<'_>>>(trimmed) {
            Ok(records) => records.iter().for_each(|record| counts.add(record)),
            Err(_) => counts.bad += 1,
        }
    } else if let Ok(parcel) = serde_json::from_slice::<Parcel<'_>>(trimmed) {
        parcel.records.iter().for_each(|record| counts.add(record));
    } else {
        let mut rest = trimmed;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            match serde_json::from_slice::<Record<'_>>(&rest[..end]) {
                Ok(record) => counts.add(&record),
                Err(_) => counts.bad += 1,
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    if counts.records > RECORDS_OF_IDS_MAX as u64 {
        counts.ids.clear();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"id":7,"order_code":"A","product_code":"P","machine_code":"M","event":"S","booked_at":"2024-01-01T00:00:00.000"}"#;

    #[test]
    fn the_three_forms_are_the_same() {
        let lines = format!("{ROW}\n{ROW}\n");
        let array = format!("[{ROW},{ROW}]");
        let object = format!(r#"{{"pipeline":"p","labels":{{}},"records":[{ROW},{ROW}]}}"#);
        let expected = Counts { rows: 2, records: 2, id_sum: 14, ids: vec![7, 7], ..Counts::default() };
        for body in [lines, array, object] {
            assert_eq!(count(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn runs_and_removals_are_told_from_rows() {
        let id = "5a0f3c9e-7d2b-5b1e-8f4a-0c6d1e2f3a4b";
        let run = format!(
            r#"{{"op":"upsert","run_id":"{id}","machine_code":"M","production_order":"A","product":{{"code":"P"}},"start":"2024-01-01T00:00:00Z","attributes":{{"id":3}}}}"#
        );
        let counts = count(format!(r#"{{"records":[{run},{{"op":"delete","run_id":"{id}"}}]}}"#).as_bytes());
        let run_id = 0x5a0f_3c9e_7d2b_5b1e_8f4a_0c6d_1e2f_3a4b;
        let runs = vec![Run { run_id, id: Some(3), ended: false }, Run { run_id, id: None, ended: true }];
        assert_eq!(counts, Counts { runs, deletes: 1, records: 2, ids: vec![3], ..Counts::default() });
    }

    #[test]
    fn what_is_broken_is_counted() {
        assert_eq!(count(b"[{]").bad, 1);
        assert_eq!(count(format!("{ROW}\nno\n").as_bytes()).bad, 1);
        assert_eq!(count(ROW.replace("\"M\"", "\"\"").as_bytes()).bad, 1);
        assert_eq!(count(br#"{"records":[{"op":"delete"}]}"#).bad, 1);
    }
}
