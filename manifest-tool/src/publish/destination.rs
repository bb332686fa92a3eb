//! A destination: the folder or store that clients or their web server read.

use super::CheckedFile;
use crate::error::Result;
use patcher::internal::fs::Lock;
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Meta, Object};
use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

/// A folder or an object store that clients or their web server read.
///
/// Paths are relative to it and have slashes.
pub trait Destination: Send + Sync {
    /// Checks, before the first byte is sent, that the destination takes files of these names, of
    /// which the largest one has `largest` bytes.
    ///
    /// # Errors
    /// [`crate::Error::NotTaken`].
    fn prepare(&self, paths: &BTreeSet<&str>, largest: u64) -> Result<()> {
        let _ = (paths, largest);
        Ok(())
    }

    /// Lists all files below the folder `below`, by path.
    ///
    /// # Errors
    /// [`crate::Error::ObjectStore`], or the system's answer.
    fn list(&self, below: &str) -> Result<HashMap<String, ListedFile>>;

    /// Reads a small file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`crate::Error::ObjectStore`], or an I/O error.
    fn read(&self, path: &str) -> Result<Option<RemoteFile>>;

    /// Reads the small file that clients get until [`finish`](Self::finish) at a destination that
    /// appears as a whole; `None` elsewhere.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_before(&self, path: &str) -> Result<Option<RemoteFile>> {
        let _ = path;
        Ok(None)
    }

    /// Replaces the small file `old`, or creates the file if `old` is `None`.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] if the file is no longer `old`; [`crate::Error::ObjectStore`], or
    /// an I/O error.
    fn replace(&self, path: &str, bytes: &[u8], old: Option<&RemoteFile>, headers: ResponseHeaders) -> Result<()>;

    /// Locks a component against other publishers; `None` where there is no lock.
    ///
    /// # Errors
    /// [`patcher::Error::Busy`], or an I/O error.
    fn lock(&self, component: &SiteNames) -> Result<Option<Lock>>;

    /// Copies the file `from`, which appears whole or not at all.
    ///
    /// # Errors
    /// [`crate::Error::ObjectStore`], or the system's answer.
    fn put(&self, path: &str, from: &CheckedFile, headers: ResponseHeaders) -> Result<()>;

    /// Checks that clients get a sent object as it should be.
    ///
    /// # Errors
    /// [`crate::Error::CopyDiffers`], [`crate::Error::ObjectStore`], or the system's answer.
    fn check(&self, path: &str, object: &Object, headers: ResponseHeaders) -> Result<()>;

    /// Shows clients what was sent, at a destination that appears as a whole. `latest` are the
    /// newest releases.
    ///
    /// # Errors
    /// [`crate::Error::ObjectStore`].
    fn finish(&self, latest: &[Meta]) -> Result<()> {
        let _ = latest;
        Ok(())
    }

    /// Returns the place of a path as people write it.
    fn name(&self, path: &str) -> String;
}

/// A small file as a destination has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The store's name for this version of the file.
    pub etag: Option<String>,
}

/// An entry of a listing.
#[derive(Debug, Clone, Copy)]
pub struct ListedFile {
    /// The size in bytes.
    pub bytes: u64,
    /// The time of the last change.
    pub modified: SystemTime,
}

/// The headers with which a server sends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

impl ResponseHeaders {
    /// Returns the headers for a path of a site.
    ///
    /// Objects never change, so clients may cache them forever. Manifests and heads do change.
    pub fn of(path: &str) -> Self {
        let (content_type, is_object) = match path.rsplit_once('.') {
            Some((_, "gz")) => ("application/gzip", true),
            Some((_, "xml")) => ("application/xml", false),
            _ => ("application/octet-stream", true),
        };
        let cache_control = if is_object { "public, max-age=31536000, immutable" } else { "no-cache" };
        Self { content_type, cache_control }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_kept_for_ever_and_manifests_are_asked_for_again() {
        let of = |path| (ResponseHeaders::of(path).content_type, ResponseHeaders::of(path).cache_control);
        let for_ever = "public, max-age=31536000, immutable";
        assert_eq!(of("core/manifest.xml"), ("application/xml", "no-cache"));
        assert_eq!(of("core/releases/41.xml"), ("application/xml", "no-cache"));
        assert_eq!(of("core/objects/ab/ab12.gz"), ("application/gzip", for_ever));
        assert_eq!(of("core/objects/ab/ab12.delta"), ("application/octet-stream", for_ever));
        assert_eq!(of("core/objects/ab/ab12.chunks"), ("application/octet-stream", for_ever));
    }
}
