//! Listings: the components of a site, their platforms, and their files.
//!
//! In a layout with folders, names follow from the folders. In a flat one, each name is taken apart
//! and counts only if [`SiteNames`] puts it together again.

use super::site_keys::SiteKeys;
use super::{ComponentSite, ManifestDeltaFile};
use crate::error::{Error, Result};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Channel, Component, Platform, SiteLayout};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns all components of a site, once for each platform that they have releases for.
///
/// # Errors
/// An I/O error.
pub fn releases(site: &Path, keys: &SiteKeys) -> Result<Vec<ComponentSite>> {
    let mut components: Vec<SiteNames> = Vec::new();
    fs::read_dir(site).map_err(|error| Error::io("read", site, error))?;
    for path in entries(site)? {
        let names = match file_name(&path).parse() {
            // A link to a folder counts as one: the folder is the user's.
            Ok(component) if path.is_dir() => SiteNames::new(SiteLayout::Folders, component, Platform::any()),
            _ => match flat_manifest(file_name(&path)) {
                Some(FlatManifest { component, .. }) => SiteNames::new(SiteLayout::Flat, component, Platform::any()),
                None => continue,
            },
        };
        if !components.contains(&names) {
            components.push(names);
        }
    }
    let mut releases = Vec::new();
    for names in components {
        for platform in platforms(site, &names)? {
            let names = SiteNames::new(names.layout(), names.component().clone(), platform);
            releases.push(ComponentSite::new(site, names, keys.clone()));
        }
    }
    Ok(releases)
}

/// Returns the layout of a component; `None` if the site has no release of it.
///
/// # Errors
/// An I/O error.
pub fn layout_of(site: &Path, component: &Component) -> Result<Option<SiteLayout>> {
    for layout in [SiteLayout::Flat, SiteLayout::Folders] {
        if !platforms(site, &SiteNames::new(layout, component.clone(), Platform::any()))?.is_empty() {
            return Ok(Some(layout));
        }
    }
    Ok(None)
}

/// Returns the platforms for which a component has a latest manifest in the layout of `names`.
///
/// # Errors
/// An I/O error.
pub fn platforms(site: &Path, names: &SiteNames) -> Result<Vec<Platform>> {
    let (layout, component) = (names.layout(), names.component());
    let dir = match layout {
        SiteLayout::Folders => site.join(component.as_str()),
        SiteLayout::Flat => site.to_owned(),
    };
    let mut named: Vec<Platform> = vec![Platform::any()];
    for path in entries(&dir)? {
        let platform = match layout {
            SiteLayout::Folders => file_name(&path).parse().ok().filter(|_| is_folder(&path)),
            SiteLayout::Flat => flat_manifest(file_name(&path))
                .filter(|manifest| manifest.component == *component)
                .map(|manifest| manifest.platform),
        };
        named.extend(platform.filter(|platform| !named.contains(platform)));
    }
    let mut platforms = Vec::new();
    for platform in named {
        let names = SiteNames::new(layout, component.clone(), platform.clone());
        if !latest_manifests(&dir, &names)?.is_empty() {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// Returns the latest manifests of a component, sorted. `dir` is the folder that names are relative
/// to.
///
/// # Errors
/// An I/O error.
pub fn latest_manifests(dir: &Path, names: &SiteNames) -> Result<Vec<PathBuf>> {
    match names.layout() {
        SiteLayout::Folders => {
            let files = xml_files(&dir.join(names.dir()))?;
            Ok(files.into_iter().filter(|path| !is_head(path)).collect())
        }
        SiteLayout::Flat => {
            let is_latest = |path: &PathBuf| {
                let manifest = flat_manifest(file_name(path));
                manifest.is_some_and(|manifest| names.manifest(&manifest.channel) == file_name(path))
            };
            Ok(entries(dir)?.into_iter().filter(is_latest).collect())
        }
    }
}

/// Returns the manifests of past releases, sorted.
///
/// # Errors
/// An I/O error.
pub fn past_manifests(dir: &Path, names: &SiteNames) -> Result<Vec<PathBuf>> {
    let paths = match names.layout() {
        SiteLayout::Folders => xml_files(&dir.join(format!("{}releases", names.dir())))?,
        SiteLayout::Flat => {
            let is_past = |path: &PathBuf| {
                let sequence = file_name(path).strip_suffix(".xml").and_then(last_number);
                sequence.is_some_and(|sequence| names.release(sequence) == file_name(path))
            };
            entries(dir)?.into_iter().filter(is_past).collect()
        }
    };
    Ok(paths.into_iter().filter(|path| is_file(path)).collect())
}

/// Returns the manifest deltas, sorted by path.
///
/// # Errors
/// An I/O error.
pub fn manifest_deltas(dir: &Path, names: &SiteNames) -> Result<Vec<ManifestDeltaFile>> {
    let mut paths = Vec::new();
    match names.layout() {
        SiteLayout::Folders => {
            for folder in entries(&dir.join(format!("{}releases", names.dir())))? {
                if is_folder(&folder) {
                    paths.extend(entries(&folder)?);
                }
            }
        }
        SiteLayout::Flat => paths = entries(dir)?,
    }
    let delta = |path: PathBuf| {
        let below = path.strip_prefix(dir).ok()?.iter().map(|part| part.to_str()).collect::<Option<Vec<_>>>()?;
        let below = below.join("/");
        let (start, from) = below.strip_suffix(".delta")?.rsplit_once("from-")?;
        let (to, from) = (last_number(start.strip_suffix(['/', '-'])?)?, from.parse().ok()?);
        let is_delta = names.manifest_delta(to, from) == below && is_file(&path);
        is_delta.then_some(ManifestDeltaFile { to, from, path })
    };
    Ok(paths.into_iter().filter_map(delta).collect())
}

/// The name of a latest manifest in a flat layout.
struct FlatManifest {
    component: Component,
    platform: Platform,
    channel: Channel,
}

/// Takes a name such as `core.manifest.xml` or `core.x86_64-linux.manifest.beta.xml` apart.
fn flat_manifest(name: &str) -> Option<FlatManifest> {
    let parts: Vec<&str> = name.strip_suffix(".xml")?.split('.').collect();
    let (component, platform, channel) = match parts[..] {
        [component, "manifest"] => (component, "any", "stable"),
        [component, "manifest", channel] => (component, "any", channel),
        [component, platform, "manifest"] => (component, platform, "stable"),
        [component, platform, "manifest", channel] => (component, platform, channel),
        _ => return None,
    };
    let (component, platform, channel) = (component.parse().ok()?, platform.parse().ok()?, channel.parse().ok()?);
    let names = SiteNames::new(SiteLayout::Flat, component, platform);
    let is_name = names.manifest(&channel) == name;
    let (component, platform) = (names.component().clone(), names.platform().clone());
    is_name.then_some(FlatManifest { component, platform, channel })
}

/// Returns the number at the end of a text, after a hyphen or a slash if anything precedes it.
fn last_number(text: &str) -> Option<u64> {
    text.rsplit(['-', '/']).next()?.parse().ok()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Returns `true` for the path of a head in a layout with folders.
fn is_head(path: &Path) -> bool {
    let name = file_name(path);
    name == "latest.xml" || name.ends_with(".latest.xml")
}

/// Returns the XML files in `dir` itself, sorted. An absent folder has none.
fn xml_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    Ok(paths)
}

/// Returns `true` for a regular file, and not for a link to one.
pub fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Returns `true` for a link.
fn is_link(path: &Path) -> bool {
    // A slash at the end would lead through the link.
    let path: PathBuf = path.components().collect();
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
}

/// Checks that a component's folder contains no links: they would lead writes and removals out of
/// it. The folder itself may be one.
///
/// # Errors
/// [`Error::LinkInSite`], or an I/O error.
pub fn check_no_links(dir: &Path, layout: SiteLayout) -> Result<()> {
    let walk = walkdir::WalkDir::new(dir).min_depth(1);
    let walk = match layout {
        SiteLayout::Folders => walk,
        SiteLayout::Flat => walk.max_depth(1),
    };
    for entry in walk {
        let entry = entry.map_err(|error| Error::io("read", dir, error.into()))?;
        // The folders beside a flat layout are other components.
        let is_other = || layout == SiteLayout::Flat && entry.path().is_dir();
        if entry.path_is_symlink() && !is_other() {
            return Err(Error::LinkInSite { path: entry.into_path() });
        }
    }
    Ok(())
}

/// Checks that no folder below `dir` on the way to `path` is a link.
///
/// # Errors
/// [`Error::LinkInSite`].
pub fn check_way(dir: &Path, path: &Path) -> Result<()> {
    let folders = path.ancestors().skip(1).take_while(|folder| *folder != dir && folder.starts_with(dir));
    match folders.into_iter().find(|folder| is_link(folder)) {
        Some(link) => Err(Error::LinkInSite { path: link.to_owned() }),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_apart(name: &str) -> Option<String> {
        let FlatManifest { component, platform, channel } = flat_manifest(name)?;
        Some(format!("{component} {platform} {channel}"))
    }

    #[test]
    fn flat_names_are_taken_apart() {
        assert_eq!(taken_apart("core.manifest.xml").unwrap(), "core any stable");
        assert_eq!(taken_apart("core.manifest.beta.xml").unwrap(), "core any beta");
        assert_eq!(taken_apart("core.x86_64-linux.manifest.xml").unwrap(), "core x86_64-linux stable");
        assert_eq!(taken_apart("core.x86_64-linux.manifest.beta.xml").unwrap(), "core x86_64-linux beta");
        for name in
            ["manifest.xml", "core.latest.xml", "core-42.xml", "core.manifest.stable.xml", "core.any.manifest.xml"]
        {
            assert_eq!(taken_apart(name), None, "{name}");
        }
    }

    #[test]
    fn past_releases_of_a_similar_component_are_others() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["core-7.xml", "core-42-8.xml", "core-9.delta", "core-07.xml", "core.x86_64-linux-5.xml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        for name in ["core-42-from-41.delta", "core-x-42-from-41.delta", "core-42-from-041.delta"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names = SiteNames::new(SiteLayout::Flat, "core".parse().unwrap(), Platform::any());
        assert_eq!(past_manifests(dir.path(), &names).unwrap(), [dir.path().join("core-7.xml")]);
        let deltas = manifest_deltas(dir.path(), &names).unwrap();
        assert_eq!(deltas.iter().map(|delta| (delta.to, delta.from)).collect::<Vec<_>>(), [(42, 41)]);
    }
}
