//! The ledger: where a download records what happens to each object.
//!
//! The implementation is `patcher::record`, which saves it in `active-update.xml`. The ledger only
//! informs the user and remembers URLs. The stage itself decides which files are complete.

use crate::disk::layout::ObjectKind;
use crate::formats::manifest::Object;
use crate::values::digest::Sha256;
use url::Url;

/// Something that happens to an object during a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectEvent {
    /// A server that supports ranges sends the object from this URL, after redirects.
    From(Url),
    /// This many bytes of the object are on disk.
    Bytes(u64),
    /// The object is complete, verified and used.
    Done,
    /// A mirror did not deliver the object as it was signed; holds the stable code of the error.
    Failed(&'static str),
}

/// Records objects so that an interrupted download can resume.
pub trait Ledger: Sync {
    /// Returns the URL that served an earlier part of the object.
    fn last_url(&self, object: &Sha256) -> Option<Url>;

    /// Records an event of an object that is requested at `url`.
    fn record(&self, object: Object, kind: ObjectKind, url: &Url, event: ObjectEvent);
}
