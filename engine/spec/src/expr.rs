//! Expressions over a row.
