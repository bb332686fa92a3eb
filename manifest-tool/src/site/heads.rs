//! Heads: the small files that lead clients to the newest manifest of a channel.
//!
//! The tool makes each head from a verified manifest. From a head that exists, it takes at most the
//! stamp, after it has verified it.

use super::ComponentSite;
use crate::error::Result;
use crate::site::manifest_file::ManifestFile;
use patcher::internal::digest::Sha256;
use patcher::internal::head::{Head, Stamp};
use patcher::internal::manifest::{Manifest, Meta};
use patcher::internal::timestamp::Timestamp;
use patcher::internal::trust;

/// Returns the head, without a stamp, for a manifest with the hash `body` in a file of these bytes.
pub fn head(manifest: &Manifest, body: Sha256, bytes: &[u8]) -> Head {
    let Meta { component, channel, sequence, .. } = manifest.meta.clone();
    Head { component, channel, sequence, body, size: bytes.len() as u64, stamp: None }
}

/// Returns the head for a manifest with the last of the stamps that `others` carry, if the manifest
/// names their key.
pub fn head_with_stamp_of(file: &ManifestFile, others: &[&[u8]]) -> Head {
    let body = Sha256::of(&file.signed.body);
    let plain = head(&file.manifest, body, &file.bytes);
    let stamp = |bytes: &&[u8]| -> Option<Stamp> {
        let other = Head::parse(bytes).ok()?;
        // A stamp that has ended is as good as none, and does no harm.
        let is_valid = trust::check_stamp(&file.manifest.meta, &body, Some(&other), Timestamp::from_unix(0)).is_ok();
        (Head { stamp: None, ..other.clone() } == plain).then_some(other.stamp)?.filter(|_| is_valid)
    };
    let stamp = match file.manifest.meta.freshness {
        Some(_) => others.iter().filter_map(stamp).max_by_key(|stamp| stamp.until),
        None => None,
    };
    Head { stamp, ..plain }
}

impl ComponentSite {
    /// Writes a head.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write_head(&self, head: &Head) -> Result<()> {
        self.replace(&self.path(&self.names.head(&head.channel)), &head.to_bytes())
    }
}
