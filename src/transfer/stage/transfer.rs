//! A transfer: the settings and connections of one download, apart from its plan.

use super::ledger::Ledger;
use crate::disk::layout::SiteNames;
use crate::transfer::fetch::{CancelToken, Fetch, Mirrors, Retries};
use crate::transfer::plan::LocalFile;
use crate::values::digest::Sha256;
use std::path::PathBuf;

/// The settings and connections of one download.
pub struct Transfer<'a> {
    /// The source of objects.
    pub source: &'a dyn Fetch,
    /// The base URLs of the mirrors.
    pub mirrors: &'a Mirrors,
    /// The names of the objects below a base URL.
    pub names: &'a SiteNames,
    /// Returns the path of a file of an installed component.
    pub locate: &'a (dyn Fn(&LocalFile) -> PathBuf + Sync),
    /// Returns an installed file that has a content.
    pub find_local: &'a (dyn Fn(&Sha256) -> Option<LocalFile> + Sync),
    /// The retries of a request at one mirror.
    pub retries: Retries,
    /// The number of contents to make at the same time.
    pub parallel: usize,
    /// Records what happens to each object.
    pub ledger: &'a dyn Ledger,
    /// Stops the download.
    pub cancel: &'a CancelToken,
}
