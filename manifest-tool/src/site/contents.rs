//! The contents of earlier releases, rebuilt from the objects of the site.
//!
//! In a layout with folders each content has a `.gz`. In a flat one, the install objects hold all
//! contents, and each object that is needed is unpacked once.

use super::ComponentSite;
use crate::error::{Error, Result};
use crate::install_contents::InstallContents;
use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::fs::open_regular;
use patcher::internal::gunzip::{GunzipError, gunzip};
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{File, IndexedObject, Manifest, Object};
use std::collections::HashMap;
use std::io::{self, BufReader, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::NamedTempFile;

/// The contents of some releases on a site.
pub struct SiteContents<'a> {
    site: &'a ComponentSite,
    /// An install object with each content that has no `.gz`.
    installs: HashMap<Sha256, IndexedObject>,
    unpacked: Mutex<HashMap<Sha256, Arc<InstallContents>>>,
}

impl<'a> SiteContents<'a> {
    /// Takes the contents of `releases`; the first release with a content provides it.
    pub fn new<'b>(site: &'a ComponentSite, releases: impl IntoIterator<Item = &'b Manifest>) -> Self {
        let mut installs = HashMap::new();
        for manifest in releases {
            let Some(install) = manifest.meta.install else { continue };
            for file in manifest.files.iter().filter(|file| file.gz.is_none()) {
                installs.entry(file.sha256).or_insert(install);
            }
        }
        Self { site, installs, unpacked: Mutex::default() }
    }

    /// Rebuilds a file of a release and verifies its content.
    ///
    /// # Errors
    /// An I/O error.
    pub fn rebuild(&self, old: &File) -> Result<NamedTempFile> {
        match &old.gz {
            Some(gz) => self.unpack_gz(old, gz),
            None => self.unpack_block(old),
        }
    }

    fn unpack_gz(&self, old: &File, gz: &Object) -> Result<NamedTempFile> {
        let path = self.site.object_path(ObjectKind::Gz, &gz.sha256);
        let failed = |error: io::Error| Error::io("unpack", &path, error);
        let object = open_regular(&path).map_err(failed)?;
        let mut file = NamedTempFile::new().map_err(failed)?;
        let mut hasher = Sha256Hasher::default();
        let unpacked = gunzip(BufReader::with_capacity(128 * 1024, object), old.size, |bytes| {
            hasher.update(bytes);
            file.write_all(bytes)
        });
        match unpacked {
            Ok(()) if hasher.finish() == (old.sha256, old.size) => Ok(file),
            Err(GunzipError::Sink(error)) => Err(failed(error)),
            _ => Err(failed(other_content())),
        }
    }

    fn unpack_block(&self, old: &File) -> Result<NamedTempFile> {
        let install = self.installs.get(&old.sha256);
        let Some(install) = install else { return Err(Error::io("unpack", old.path.as_str(), other_content())) };
        let path = self.site.object_path(ObjectKind::Install, &install.object.sha256);
        let failed = |error: io::Error| Error::io("unpack", &path, error);
        let contents = self.install(install, &path).map_err(failed)?;
        let mut file = NamedTempFile::new().map_err(failed)?;
        if contents.copy(&old.sha256, &mut file).map_err(failed)? { Ok(file) } else { Err(failed(other_content())) }
    }

    /// Returns the contents of an install object, which is unpacked at the first call.
    fn install(&self, install: &IndexedObject, path: &Path) -> io::Result<Arc<InstallContents>> {
        // The lock is held meanwhile: another thread would unpack the same object.
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = unpacked.get(&install.object.sha256) {
            return Ok(Arc::clone(known));
        }
        let contents = Arc::new(InstallContents::unpack(open_regular(path)?, install)?);
        unpacked.insert(install.object.sha256, Arc::clone(&contents));
        Ok(contents)
    }
}

fn other_content() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the content differs from its manifest")
}
