//! The release order: epoch and sequence, by which a client tells a newer release from an older
//! one.
//!
//! `trust` compares two release orders. The helper only reads them: it verifies nothing and is
//! built without RSA.

use super::digest::Sha256;

/// The epoch and sequence of one release, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOrder {
    /// The first key that still counts, by which clients find the epoch. A key that a client does
    /// not trust precedes all others.
    pub key: Sha256,
    /// The sequence.
    pub sequence: u64,
    /// The hash of the release's body.
    pub body: Sha256,
}
