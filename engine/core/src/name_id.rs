//! Ids that are made of names: UUID version 5 of RFC 9562, the SHA-1 of a namespace and a name.

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

/// An id in the making. The name may come in pieces; what many names begin with is hashed once, and cloned.
///
/// A record costs one, and a first fill makes millions: the processor's own instructions are used where it has them.
#[derive(Debug, Clone)]
pub(crate) struct NameId(Sha1);

impl NameId {
    /// The id of the empty name, in a namespace.
    pub(crate) fn new(namespace: Uuid) -> Self {
        Self(Sha1::new_with_prefix(namespace.as_bytes()))
    }

    /// Appends to the name.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The id of the whole name.
    pub(crate) fn finish(self) -> Uuid {
        let hash: [u8; 20] = self.0.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Builder::from_sha1_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9562, appendix A.4.
    #[test]
    fn the_example_of_the_standard_comes_out() {
        let mut id = NameId::new(Uuid::NAMESPACE_DNS);
        id.add(b"www.example");
        id.add(b".com");
        assert_eq!(id.finish().to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }
}
