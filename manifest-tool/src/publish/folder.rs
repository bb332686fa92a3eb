//! A folder that a web server serves, on this machine or mounted from another.

use super::{CheckedFile, Destination, ListedFile, RemoteFile, ResponseHeaders};
use crate::error::{Error, Result};
use crate::site::site_keys::SiteKeys;
use crate::site::{self, ComponentSite};
use patcher::internal::digest::Sha256;
use patcher::internal::fs::{Lock, open_regular, read_regular};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{MAX_MANIFEST_BYTES, Object};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::SystemTime;

/// A folder. It is created when the first file is written.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Names the folder `dir`, which need not exist yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns the path of a file to change, after a check that no folder of its component on the
    /// way is a link.
    fn writable(&self, path: &str) -> Result<PathBuf> {
        let component = path.split_once('/').map_or("", |(component, _)| component);
        let file = self.dir.join(path);
        site::check_way(&self.dir.join(component), &file)?;
        Ok(file)
    }
}

impl Destination for Folder {
    fn list(&self, below: &str) -> Result<HashMap<String, ListedFile>> {
        let dir = self.dir.join(below);
        let mut files = HashMap::new();
        if !dir.exists() {
            return Ok(files);
        }
        for entry in walkdir::WalkDir::new(&dir) {
            let failed = |error: walkdir::Error| Error::io("read", &dir, error.into());
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            let parts: Option<Vec<&str>> = match entry.path().strip_prefix(&self.dir) {
                Ok(path) => path.iter().map(|part| part.to_str()).collect(),
                Err(_) => None,
            };
            // No published file has a name that is not UTF-8.
            let (true, Some(parts)) = (metadata.is_file(), parts) else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.insert(parts.join("/"), ListedFile { bytes: metadata.len(), modified });
        }
        Ok(files)
    }

    fn read(&self, path: &str) -> Result<Option<RemoteFile>> {
        let path = self.dir.join(path);
        match read_regular(&path, MAX_MANIFEST_BYTES) {
            Ok(bytes) => Ok(Some(RemoteFile { bytes, etag: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    fn replace(&self, path: &str, bytes: &[u8], old: Option<&RemoteFile>, _: ResponseHeaders) -> Result<()> {
        // The lock keeps out publishers that use this folder; a copying program may not know it.
        if self.read(path)?.as_ref() != old {
            return Err(Error::Conflict { place: self.name(path) });
        }
        site::replace(&self.writable(path)?, bytes)
    }

    fn lock(&self, component: &SiteNames) -> Result<Option<Lock>> {
        ComponentSite::new(&self.dir, component.clone(), SiteKeys::default()).lock().map(Some)
    }

    fn put(&self, path: &str, from: &CheckedFile, headers: ResponseHeaders) -> Result<()> {
        let path = self.writable(path)?;
        let mut source = from.reader()?;
        if headers == ResponseHeaders::of("manifest.xml") {
            let mut bytes = Vec::new();
            source.read_to_end(&mut bytes).map_err(|error| Error::io("read", from.path(), error))?;
            return site::replace(&path, &bytes);
        }
        let mut file = site::temporary_in(path.parent().unwrap_or(&self.dir))?;
        io::copy(&mut source, file.as_file_mut()).map_err(|error| Error::io("write", &path, error))?;
        file.persist(&path).map_err(|error| Error::io("create", &path, error.error))?;
        Ok(())
    }

    fn check(&self, path: &str, object: &Object, _: ResponseHeaders) -> Result<()> {
        let path = self.writable(path)?;
        let failed = |error| Error::io("read", &path, error);
        let (sha256, size) = Sha256::of_reader(&mut open_regular(&path).map_err(failed)?).map_err(failed)?;
        if (sha256, size) == (object.sha256, object.size) {
            return Ok(());
        }
        // Otherwise the next `publish` would take it for the right object.
        fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
        let detail = format!("its {size} bytes have the SHA-256 {sha256}; is the site damaged?");
        Err(Error::CopyDiffers { place: path.display().to_string(), detail })
    }

    fn name(&self, path: &str) -> String {
        self.dir.join(path).display().to_string()
    }
}
