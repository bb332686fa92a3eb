//! Manifest deltas: from the manifests of earlier releases to a new one.
//!
//! A client that has an earlier manifest fetches some hundred bytes instead of the whole manifest.
//! The delta starts from the signed bytes, which do not depend on the signatures.

use super::manifest_file::ManifestFile;
use super::{ComponentSite, Manifests};
use crate::delta::encode;
use crate::error::{Error, Result};
use patcher::internal::delta::{self, DeltaError, FileSizes};
use patcher::internal::fs::read_regular;
use patcher::internal::trust::VerifiedManifest;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::cmp::Reverse;
use std::io::Cursor;
use std::path::Path;

/// The number of earlier manifests from which deltas start.
const MANIFEST_DELTAS: usize = 16;
/// The memory that a delta may take, in bytes.
const MEMORY_BYTES: u64 = 1 << 30;

/// Writes the deltas from the last manifests of all channels to `new`.
///
/// # Errors
/// Those of [`ComponentSite::manifests`]; an I/O error.
pub fn write(site: &ComponentSite, new: &VerifiedManifest) -> Result<()> {
    let sequence = new.order().sequence;
    let mut earlier: Vec<ManifestFile> = Vec::new();
    let Manifests { latest, past, .. } = site.manifests()?;
    for file in latest.into_iter().chain(past) {
        let is_known = |other: &ManifestFile| other.manifest.meta.sequence == file.manifest.meta.sequence;
        if file.manifest.meta.sequence < sequence && !earlier.iter().any(is_known) {
            earlier.push(file);
        }
    }
    earlier.sort_by_key(|file| Reverse(file.manifest.meta.sequence));
    earlier.truncate(MANIFEST_DELTAS);
    earlier.into_par_iter().try_for_each(|file| {
        let delta = encoded(&file.signed.body, new.bytes())?;
        let path = site.path(&site.names().manifest_delta(sequence, file.manifest.meta.sequence));
        // A client would fetch the whole manifest instead.
        if delta.len() < new.bytes().len() { site.replace(&path, &delta) } else { Ok(()) }
    })
}

fn encoded(old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let sizes = FileSizes { old: old.len() as u64, new: new.len() as u64 };
    let mut delta = Vec::new();
    encode::encode(&mut Cursor::new(old), &mut Cursor::new(new), &sizes, MEMORY_BYTES, &mut delta)
        .map_err(|error| Error::io("make a delta to", "the manifest", error))?;
    Ok(delta)
}

/// Returns the bytes of a delta that makes the manifest `new` from the body of `old`, or `None` for
/// any other file.
pub fn verified(path: &Path, old: &ManifestFile, new: &ManifestFile) -> Option<Vec<u8>> {
    let delta = read_regular(path, new.bytes.len() as u64).ok()?;
    makes(&delta, &old.signed.body, &new.bytes).is_ok_and(|is_right| is_right).then_some(delta)
}

/// Returns `true` if `delta` makes the manifest `new` from the body `old`.
///
/// # Errors
/// The error of a delta that cannot be applied.
pub fn makes(delta: &[u8], old: &[u8], new: &[u8]) -> Result<bool, DeltaError> {
    let sizes = FileSizes { old: old.len() as u64, new: new.len() as u64 };
    let mut made = Vec::new();
    delta::apply(Cursor::new(old), Cursor::new(delta), &sizes, delta::no_scratch, &mut made)?;
    Ok(made == new)
}
