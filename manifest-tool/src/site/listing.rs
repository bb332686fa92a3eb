//! Listings: the components of a site, their platforms, and the files in their folders.

use super::ComponentSite;
use super::site_keys::SiteKeys;
use crate::error::{Error, Result};
use patcher::internal::layout;
use patcher::internal::manifest::Platform;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the folders of a site, sorted. A folder with an XML file is that of a component.
///
/// # Errors
/// An I/O error.
pub fn components(dir: &Path) -> Result<Vec<PathBuf>> {
    let io = |error| Error::io("read", dir, error);
    let entries = fs::read_dir(dir).map_err(io)?;
    let mut components = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(io)?;
    components.retain(|path| path.is_dir());
    components.sort_unstable();
    Ok(components)
}

/// Returns all components of a site, once for each platform that they have releases for.
///
/// # Errors
/// An I/O error.
pub fn releases(site: &Path, keys: &SiteKeys) -> Result<Vec<ComponentSite>> {
    let mut releases = Vec::new();
    for dir in components(site)? {
        for platform in platforms(&dir)? {
            releases.push(ComponentSite::new(dir.clone(), platform, keys.clone()));
        }
    }
    Ok(releases)
}

/// Returns the platforms for which the component in the folder `dir` has a latest manifest.
///
/// # Errors
/// An I/O error.
pub fn platforms(dir: &Path) -> Result<Vec<Platform>> {
    let folders = entries(dir)?.into_iter().filter(|path| is_folder(path));
    let name = |path: PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let named = folders.filter_map(name).filter(|platform| *platform != Platform::any());
    let mut platforms = Vec::new();
    for platform in std::iter::once(Platform::any()).chain(named) {
        if !latest_manifests(&dir.join(layout::platform_dir(&platform)))?.is_empty() {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// Returns the latest manifests in the folder `dir` of a platform, sorted.
///
/// # Errors
/// An I/O error.
pub fn latest_manifests(dir: &Path) -> Result<Vec<PathBuf>> {
    Ok(xml_files(dir)?.into_iter().filter(|path| !is_head(path)).collect())
}

/// Returns `true` for the path of a head.
fn is_head(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "latest.xml" || name.ends_with(".latest.xml")
}

/// Returns the XML files in `dir` itself, sorted. An absent folder has none.
pub fn xml_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    Ok(paths)
}

/// Returns `true` for a regular file, and not for a link to one.
pub fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Returns `true` for a link.
pub fn is_link(path: &Path) -> bool {
    // A slash at the end would lead through the link.
    let path: PathBuf = path.components().collect();
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
}

/// Returns `true` for a folder, and not for a link to one.
pub fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Returns the entries of a folder, sorted. An absent folder has none.
///
/// # Errors
/// An I/O error.
pub fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("read", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort_unstable();
    Ok(paths)
}
