//! Who keeps a record of the objects of a download.

use crate::disk::layout::ObjectKind;
use crate::formats::manifest::Object;
use crate::values::digest::Sha256;
use url::Url;

/// What happens to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectEvent {
    /// It comes from this address, after redirects.
    From(Url),
    /// So many of its bytes are there.
    Bytes(u64),
    /// It is there and has been used.
    Done,
    /// It did not come, or was not what it should be; the code of the error.
    Failed(&'static str),
}

/// Keeps a record of objects, over interruptions.
pub trait Ledger: Sync {
    /// Where a part of the object came from before.
    fn last_url(&self, object: &Sha256) -> Option<Url>;

    /// Hears what happens to an object that is asked for at `url`.
    fn record(&self, object: Object, kind: ObjectKind, url: &Url, event: ObjectEvent);
}
