//! The newest manifest of a channel, as one mirror serves it.
//!
//! 1. The client fetches the head. If it names the manifest that the client has, nothing is new.
//! 2. If the mirror has a delta from the client's manifest to the new one, the client applies it.
//! 3. Otherwise the client fetches the whole manifest.
//!
//! Head and delta are not trusted here. A head or delta that is missing, damaged or wrong leads to
//! the next step, and the caller verifies the manifest in any case. The hash in the head only finds
//! out whether the delta made the manifest that the head names.

use super::manifest::{manifest, small_file};
use super::{CancelToken, Fetch, Retries};
use crate::disk::layout;
use crate::error::{Error, Network, Result};
use crate::formats::delta::{self, FileSizes};
use crate::formats::head::{Head, MAX_HEAD_BYTES};
use crate::formats::manifest::{Channel, Component, MAX_MANIFEST_BYTES, Platform, SignedBytes};
use crate::values::digest::Sha256;
use std::io::Cursor;
use url::Url;

/// The manifest that a client has installed.
#[derive(Debug, Clone)]
pub struct KnownManifest<'a> {
    /// The component.
    pub component: &'a Component,
    /// The channel to ask for.
    pub channel: &'a Channel,
    /// The platform of the manifest, whose releases lie in a folder of their own.
    pub platform: &'a Platform,
    /// The sequence of the manifest.
    pub sequence: u64,
    /// The signed bytes of the manifest.
    pub body: &'a [u8],
    /// `true` if the client has seen no newer release.
    ///
    /// Otherwise a head that names the known manifest is an old one, and the client looks further.
    pub is_newest_seen: bool,
}

/// The answer of one mirror.
#[derive(Debug, Default)]
pub struct Newest {
    /// The head, if the mirror has a valid one of the right component and channel.
    pub head: Option<Head>,
    /// The newest manifest, which the caller must verify; `None` if it is the known one.
    pub manifest: Option<Vec<u8>>,
}

/// Fetches the head and the newest manifest from one mirror.
///
/// # Errors
/// Any [`Network`] error of the head, apart from status 404 and 410, or of the whole manifest.
pub fn newest(
    source: &dyn Fetch,
    mirror: &Url,
    known: &KnownManifest<'_>,
    retries: &Retries,
    cancel: &CancelToken,
) -> Result<Newest> {
    let at = |path: &str| {
        let failed = |error: url::ParseError| super::unreachable(mirror, error);
        mirror.join(&layout::platform_dir(known.platform)).and_then(|dir| dir.join(path)).map_err(failed)
    };
    let head = fetch_head(source, &at(&layout::head_name(known.channel))?, known, retries, cancel)?;
    if let Some(head) = &head {
        if known.is_newest_seen && head.body == Sha256::of(known.body) {
            return Ok(Newest { head: Some(head.clone()), manifest: None });
        }
        if head.sequence > known.sequence {
            let url = at(&layout::manifest_delta_path(head.sequence, known.sequence))?;
            if let Some(bytes) = rebuild(source, &url, known, head, cancel)? {
                return Ok(Newest { head: Some(head.clone()), manifest: Some(bytes) });
            }
        }
    }
    let url = at(&layout::latest_manifest_name(known.channel))?;
    let manifest = retries.run(cancel, || manifest(source, &url, cancel))?;
    Ok(Newest { head, manifest: Some(manifest) })
}

/// Fetches the head; returns `None` if the mirror has none, or one that is not valid.
fn fetch_head(
    source: &dyn Fetch,
    url: &Url,
    known: &KnownManifest<'_>,
    retries: &Retries,
    cancel: &CancelToken,
) -> Result<Option<Head>> {
    match retries.run(cancel, || small_file(source, url, MAX_HEAD_BYTES, cancel)) {
        Ok(bytes) => {
            let head = Head::parse(&bytes).ok().filter(|_| bytes.len() as u64 <= MAX_HEAD_BYTES);
            Ok(head.filter(|head| head.component == *known.component && head.channel == *known.channel))
        }
        Err(Error::Network(Network::Status { status: 404 | 410, .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the manifest that `head` names from the known one; returns `None` if that fails.
///
/// # Errors
/// [`Error::Cancelled`].
fn rebuild(
    source: &dyn Fetch,
    url: &Url,
    known: &KnownManifest<'_>,
    head: &Head,
    cancel: &CancelToken,
) -> Result<Option<Vec<u8>>> {
    if head.size > MAX_MANIFEST_BYTES {
        return Ok(None);
    }
    // A delta that is larger than the manifest is not worth it.
    let delta = match small_file(source, url, head.size, cancel) {
        Ok(delta) => delta,
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(_) => return Ok(None),
    };
    let sizes = FileSizes { old: known.body.len() as u64, new: head.size };
    let mut bytes = Vec::new();
    if delta::apply(Cursor::new(known.body), Cursor::new(delta), &sizes, delta::no_scratch, &mut bytes).is_err() {
        return Ok(None);
    }
    let is_right = SignedBytes::split(bytes.clone()).is_ok_and(|signed| Sha256::of(&signed.body) == head.body);
    Ok(is_right.then_some(bytes))
}
