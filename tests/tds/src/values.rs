//! Values: from the form of the seam to the bytes of their types, and back.

mod content;
mod decimal;
mod decode;
mod encode;
mod moment;
#[cfg(test)]
mod tests;
mod variant;

pub(crate) use self::decode::read_value;
pub(crate) use self::encode::write_value;

/// A value that its type cannot hold. It is a mistake of what stands behind the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value {value} does not fit the type {kind}")]
pub(crate) struct Unfit {
    value: String,
    kind: String,
}
