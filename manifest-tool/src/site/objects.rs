//! Objects: the immutable files of a component on the site, which are named by their hashes.

use super::{ComponentSite, temporary_in};
use crate::error::{Error, Result};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{ObjectKind, SiteNames};
use patcher::internal::manifest::{Manifest, Object, SiteLayout};
use std::fs;
use tempfile::{NamedTempFile, TempPath};

/// The objects of one content in a layout with folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GzObjects {
    /// Its gzip.
    pub gz: Object,
    /// The index of its gzip's segments.
    pub chunks: Option<Object>,
}

impl GzObjects {
    /// Returns the number of objects.
    pub fn count(&self) -> usize {
        1 + usize::from(self.chunks.is_some())
    }

    /// Returns the size of all objects in bytes.
    pub fn bytes(&self) -> u64 {
        self.gz.size + self.chunks.map_or(0, |chunks| chunks.size)
    }
}

impl ComponentSite {
    /// Returns `true` if the site has an object with the right size and hash.
    pub fn holds(&self, kind: ObjectKind, object: &Object) -> bool {
        let path = self.object_path(kind, &object.sha256);
        self.object_size(kind, object) == Some(object.size)
            && fs::File::open(path)
                .and_then(|mut file| Sha256::of_reader(&mut file))
                .is_ok_and(|found| found == (object.sha256, object.size))
    }

    /// Returns the size of an object's file, or `None` if the file does not exist.
    pub(super) fn object_size(&self, kind: ObjectKind, object: &Object) -> Option<u64> {
        let metadata = fs::symlink_metadata(self.object_path(kind, &object.sha256)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Creates a file for an object, whose name is known only when it is written.
    ///
    /// # Errors
    /// An I/O error.
    pub fn new_object(&self) -> Result<NamedTempFile> {
        let dir = match self.names.layout() {
            SiteLayout::Folders => self.path("objects"),
            SiteLayout::Flat => self.dir.clone(),
        };
        self.check_way(&dir.join("new"))?;
        temporary_in(&dir)
    }

    /// Puts a complete object in its place.
    ///
    /// The tool does not sync it. If a power failure takes it, `verify` reports that, and the next
    /// `sign` makes it again.
    ///
    /// # Errors
    /// An I/O error.
    pub fn add_object(&self, kind: ObjectKind, object: &Object, file: TempPath) -> Result<()> {
        let path = self.object_path(kind, &object.sha256);
        self.check_way(&path)?;
        let dir = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        file.persist(&path).map_err(|error| Error::io("create", &path, error.error))?;
        Ok(())
    }
}

/// Returns the objects that a manifest names, with their names.
pub fn objects(manifest: &Manifest) -> Vec<(String, Object)> {
    let mut objects = Vec::new();
    let names = SiteNames::of(&manifest.meta);
    let mut add = |kind, object: Object| objects.push((names.object(kind, &object.sha256), object));
    manifest.meta.updates.iter().for_each(|update| add(ObjectKind::Update, update.object.object));
    manifest.meta.install.iter().for_each(|install| add(ObjectKind::Install, install.object));
    for file in &manifest.files {
        file.gz.iter().for_each(|gz| add(ObjectKind::Gz, *gz));
        file.chunks.iter().for_each(|chunks| add(ObjectKind::Chunks, *chunks));
    }
    objects
}
