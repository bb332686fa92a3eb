//! The newest manifest of a channel, as one mirror serves it.
//!
//! 1. The client fetches the head. If it names the manifest that the client has, nothing is new.
//! 2. If the mirror has a delta from the client's manifest to the new one, the client applies it.
//! 3. Otherwise the client fetches the whole manifest.
//!
//! Head and delta are not trusted here: the caller verifies the manifest in any case. If a head or
//! a delta is missing, damaged or wrong, the client takes the next step. The hash in the head only
//! shows whether the delta has made the manifest that the head names.

use super::manifest::{manifest, small_file};
use super::{CancelToken, Fetch, Retries};
use crate::disk::layout::SiteNames;
use crate::error::{Error, Network, Result};
use crate::formats::delta::{self, FileSizes};
use crate::formats::head::{Head, MAX_HEAD_BYTES};
use crate::formats::manifest::{Channel, Component, MAX_MANIFEST_BYTES, SignedBytes};
use crate::values::digest::Sha256;
use std::io::{self, Cursor};
use url::Url;

/// A manifest that comes as a delta has at most this multiple of the known one's size,
const MAX_GROWTH: u64 = 4;
/// plus this many bytes.
const MAX_ADDED_BYTES: u64 = 1 << 20;

/// The manifest that a client has installed.
#[derive(Debug, Clone)]
pub struct KnownManifest<'a> {
    /// The component.
    pub component: &'a Component,
    /// The channel to ask for.
    pub channel: &'a Channel,
    /// The names of the component's files.
    pub names: &'a SiteNames,
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
/// Any [`Network`] error of the head or of the whole manifest, unless the other one arrives.
pub fn newest(
    source: &dyn Fetch,
    mirror: &Url,
    known: &KnownManifest<'_>,
    retries: &Retries,
    cancel: &CancelToken,
) -> Result<Newest> {
    let at = |path: &str| mirror.join(path).map_err(|error| super::unreachable(mirror, error));
    // A slow head leaves time for the whole manifest.
    let limited = cancel.child_for_half_the_time();
    let (head, failure) = match fetch_head(source, &at(&known.names.head(known.channel))?, known, retries, &limited) {
        Ok(head) => (head, None),
        Err(Error::Cancelled) if limited.is_timed_out() => (None, None),
        Err(Error::Network(error)) if is_about_one_file(&error) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    if let Some(head) = &head {
        if known.is_newest_seen && head.body == Sha256::of(known.body) {
            return Ok(Newest { head: Some(head.clone()), manifest: None });
        }
        if head.sequence > known.sequence {
            let url = at(&known.names.manifest_delta(head.sequence, known.sequence))?;
            if let Some(bytes) = rebuild(source, &url, known, head, cancel)? {
                return Ok(Newest { head: Some(head.clone()), manifest: Some(bytes) });
            }
        }
    }
    let url = at(&known.names.manifest(known.channel))?;
    let whole = || manifest(source, &url, cancel);
    let manifest = match failure {
        None => retries.run(cancel, whole)?,
        // The server has failed for the head, retries included. It gets one request for the
        // manifest.
        Some(error) => whole().map_err(|_| error)?,
    };
    Ok(Newest { head, manifest: Some(manifest) })
}

/// Returns `true` if the server may fail for the head and still deliver another file.
///
/// A wrong rule for one name, in a server or in a proxy, would otherwise hide all updates.
fn is_about_one_file(error: &Network) -> bool {
    match error {
        Network::Status { status, retry_after, .. } => retry_after.is_none() && *status != 429,
        Network::Unreachable { .. } | Network::Stalled { .. } | Network::CutOff { .. } | Network::Redirect { .. } => {
            true
        }
        Network::TimedOut { .. } | Network::Wait { .. } => false,
    }
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
        Err(Error::Network(error)) if error.is_absent() => Ok(None),
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
    let sizes = FileSizes { old: known.body.len() as u64, new: head.size };
    // The head is unsigned: its size must not decide how long the client works.
    if head.size > MAX_MANIFEST_BYTES.min(MAX_GROWTH * sizes.old + MAX_ADDED_BYTES) {
        return Ok(None);
    }
    // A slow delta leaves time for the whole manifest. A delta is at most as large as the manifest.
    let limited = cancel.child_for_half_the_time();
    let delta = match small_file(source, url, head.size, &limited) {
        Ok(delta) => delta,
        Err(Error::Cancelled) if !limited.is_timed_out() => return Err(Error::Cancelled),
        Err(_) => return Ok(None),
    };
    let mut rebuilt = CancellableBytes { bytes: Vec::new(), cancel: &limited };
    if delta::apply(Cursor::new(known.body), Cursor::new(delta), &sizes, delta::no_scratch, &mut rebuilt).is_err() {
        return if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(None) };
    }
    let signed = SignedBytes::split(rebuilt.bytes).ok().filter(|signed| Sha256::of(&signed.body) == head.body);
    Ok(signed.map(SignedBytes::into_file))
}

/// A buffer that refuses writes once the token is cancelled.
struct CancellableBytes<'a> {
    bytes: Vec<u8>,
    cancel: &'a CancelToken,
}

impl io::Write for CancellableBytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
