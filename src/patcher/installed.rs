//! Installed components, as the manifests in their folders describe them.

use super::Patcher;
use crate::disk::fs::{Dir, Found, Tree};
use crate::disk::inventory::{Inventory, PathContent, hash_threads};
use crate::error::{Error, Machine, Refused, Result};
use crate::formats::manifest::{self, Component, LinkOrFile, MAX_MANIFEST_BYTES, Manifest, SignedBytes};
use crate::state::{self, SeenReleases, StateFile as _};
use crate::trust::{self, ReleaseOrder};
use crate::values::rel_path::{MANIFEST_NAME, RelPath, STATE_DIR_NAME};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

/// The manifest of an installed component.
#[derive(Debug, Clone)]
pub(crate) struct InstalledManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// The release order; `None` if no trusted key signed the manifest, for example after a key was
    /// dropped.
    pub order: Option<ReleaseOrder>,
    /// The bytes of the manifest's file.
    pub bytes: Vec<u8>,
}

impl InstalledManifest {
    /// Returns `true` if a trusted key signed the manifest.
    pub fn is_trusted(&self) -> bool {
        self.order.is_some()
    }
}

/// A file or link of a component that is not as the installed manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The path of the file or link.
    pub path: RelPath,
    /// The difference.
    pub kind: DamageKind,
}

/// The difference between a file and its entry in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// The file does not exist.
    Missing,
    /// The bytes of the file, or the target of the link, differ.
    Changed,
    /// Only the file's mode differs.
    Mode,
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DamageKind::Missing => "missing",
            DamageKind::Changed => "changed",
            DamageKind::Mode => "mode",
        })
    }
}

impl Patcher {
    /// Returns the names of the installed components, sorted.
    ///
    /// A component is installed if its folder holds a manifest. [`status`](Self::status) tells
    /// their versions. Folders and links of the user beside the components do not count.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn components(&self) -> Result<Vec<Component>> {
        let root = &self.shared.root;
        let has_manifest = |component: &Component| -> Result<bool> {
            let tree = Tree::open(&root.component(component))?;
            tree.map_or(Ok(false), |tree| Ok(tree.find(MANIFEST_NAME)? != Found::Absent))
        };
        let mut components = BTreeSet::new();
        for component in root.elsewhere.keys() {
            if has_manifest(component)? {
                components.insert(component.clone());
            }
        }
        for name in Dir::open(&root.dir)?.names()? {
            let Ok(component) = name.parse::<Component>() else { continue };
            if !root.dir.join(&name).is_dir() || self.is_users(&component) {
                continue;
            }
            match has_manifest(&component) {
                Ok(false) => {}
                Ok(true) => drop(components.insert(component)),
                // A folder that this user cannot read.
                Err(error) if self.is_seen(&component) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(components.into_iter().collect())
    }

    /// Compares the files of a component with its manifest.
    ///
    /// A file marked `preserve` belongs to the user: it counts as damaged only if it is missing.
    ///
    /// # Errors
    /// - [`Machine::NotInstalled`] for a component that is not installed.
    /// - [`Machine::InstalledManifest`] if no trusted key signed the manifest.
    pub fn verify(&self, component: impl AsRef<str>) -> Result<Vec<Damage>> {
        let component = super::parse_component(component.as_ref())?;
        let installed = self.require_installed(&component)?;
        if !installed.is_trusted() {
            return Err(self.untrusted_manifest(&component));
        }
        find_damages(&self.shared.root.component(&component), &installed.manifest)
    }

    /// Returns the folder of a component, whether it is installed or not.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](crate::Caller::BadSetting) for a bad name.
    #[doc(hidden)]
    pub fn component_folder(&self, component: impl AsRef<str>) -> Result<PathBuf> {
        Ok(self.shared.root.component(&super::parse_component(component.as_ref())?))
    }

    /// Returns the installed manifest of a component, which a trusted key has signed.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    #[doc(hidden)]
    pub fn installed_manifest(&self, component: impl AsRef<str>) -> Result<Manifest> {
        let component = super::parse_component(component.as_ref())?;
        let installed = self.require_installed(&component)?;
        if installed.is_trusted() { Ok(installed.manifest) } else { Err(self.untrusted_manifest(&component)) }
    }

    /// Reads and verifies the manifest of a component; returns `None` if the component has none.
    ///
    /// # Errors
    /// [`Machine::InstalledManifest`] for a damaged manifest, [`Machine::Io`].
    pub(crate) fn installed(&self, component: &Component) -> Result<Option<InstalledManifest>> {
        let dir = self.shared.root.checked_component(component)?;
        let Some(tree) = Tree::open(&dir)? else { return Ok(None) };
        let damaged = |detail: String| -> Error {
            let path = dir.join(MANIFEST_NAME);
            Machine::InstalledManifest { component: component.clone(), path, detail }.into()
        };
        let bytes = match tree.root().read_small(MANIFEST_NAME, MAX_MANIFEST_BYTES) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(Error::Machine(Machine::StateDamaged { detail, .. })) => return Err(damaged(detail)),
            Err(error) => return Err(error),
        };
        let (manifest, order) = match trust::authenticate(bytes.clone(), &self.shared.keys) {
            Ok(verified) => (verified.manifest().clone(), Some(verified.order().clone())),
            // The program no longer trusts the keys. The client still needs the base URLs to find
            // newer releases.
            Err(Refused::UnknownKey { .. } | Refused::Threshold { .. }) => {
                let read = SignedBytes::split(bytes.clone()).and_then(|signed| manifest::parse(&signed.body));
                (read.map_err(|error| damaged(error.to_string()))?, None)
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        if manifest.meta.component != *component {
            return Err(damaged(format!("it is that of `{}`", manifest.meta.component)));
        }
        Ok(Some(InstalledManifest { manifest, order, bytes }))
    }

    /// Reads the manifest of a component that must be installed.
    ///
    /// # Errors
    /// [`Machine::NotInstalled`], and as [`installed`](Self::installed).
    pub(super) fn require_installed(&self, component: &Component) -> Result<InstalledManifest> {
        if let Some(installed) = self.installed(component)? {
            return Ok(installed);
        }
        let dir = self.shared.root.component(component);
        if self.lost_components()?.contains(component) {
            let (path, detail) = (dir.join(MANIFEST_NAME), "it is missing".to_owned());
            return Err(Machine::InstalledManifest { component: component.clone(), path, detail }.into());
        }
        if state::open(&self.shared.root)?.is_none() && !self.is_installed()? {
            return Err(Machine::NothingInstalled { dir: self.shared.root.dir.clone() }.into());
        }
        Err(Machine::NotInstalled { component: component.clone(), dir }.into())
    }

    /// Returns the names of the installed components and of those that have lost their manifests.
    ///
    /// # Errors
    /// [`Machine::NothingInstalled`], [`Machine::Io`].
    #[doc(hidden)]
    pub fn require_components(&self) -> Result<Vec<Component>> {
        let mut components = if self.is_installed()? { self.components()? } else { Vec::new() };
        components.extend(self.lost_components()?);
        components.dedup();
        if components.is_empty() {
            return Err(Machine::NothingInstalled { dir: self.shared.root.dir.clone() }.into());
        }
        Ok(components)
    }

    /// Returns the components that were seen on a site, have a folder without a manifest, and were
    /// not removed.
    ///
    /// A folder with nothing but a work folder counts as bare: a disk may not be mounted there.
    fn lost_components(&self) -> Result<Vec<Component>> {
        let root = &self.shared.root;
        let Some(state_dir) = state::open(root)? else { return Ok(Vec::new()) };
        let choices = self.choices()?;
        let is_content = |entry: io::Result<DirEntry>| entry.is_ok_and(|entry| entry.file_name() != STATE_DIR_NAME);
        let is_lost = |component: &Component| {
            let dir = root.component(component);
            !choices.is_removed(component)
                && std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.any(is_content))
                && !dir.join(MANIFEST_NAME).exists()
        };
        Ok(SeenReleases::load_or_default(&state_dir)?.components().filter(is_lost).collect())
    }

    /// Returns the error for an installed manifest that no trusted key signed.
    pub(super) fn untrusted_manifest(&self, component: &Component) -> Error {
        let path = self.shared.root.component(component).join(MANIFEST_NAME);
        let detail = "no trusted key signed it".to_owned();
        Machine::InstalledManifest { component: component.clone(), path, detail }.into()
    }

    /// Returns `true` if an entry of the root is no component but something of the user's: a copy
    /// of a component, a link, or a folder with another program's `manifest.xml`.
    ///
    /// A component that was seen on a site stays one, so that its damaged manifest is reported.
    fn is_users(&self, component: &Component) -> bool {
        const ROOT_ELEMENT: &[u8] = b"<manifest format=";
        let read = || {
            let dir = Dir::open(&self.shared.root.checked_component(component)?)?;
            dir.read_small(MANIFEST_NAME, MAX_MANIFEST_BYTES)
        };
        let Ok(Some(bytes)) = read() else { return !self.is_seen(component) };
        let is_like_manifest = bytes.windows(ROOT_ELEMENT.len()).any(|window| window == ROOT_ELEMENT);
        let signed = SignedBytes::split(bytes).ok();
        match signed.and_then(|signed| manifest::parse(&signed.body).ok()) {
            Some(manifest) => manifest.meta.component != *component,
            None => !is_like_manifest && !self.is_seen(component),
        }
    }

    /// Returns `true` if a release of the component was seen on a site.
    fn is_seen(&self, component: &Component) -> bool {
        let seen = state::open(&self.shared.root).ok().flatten();
        let seen = seen.and_then(|state_dir| SeenReleases::load_or_default(&state_dir).ok());
        seen.is_some_and(|seen| seen.components().any(|seen| seen == *component))
    }
}

/// Finds the files and links in `dir` that are not as the manifest lists them.
fn find_damages(dir: &Path, manifest: &Manifest) -> Result<Vec<Damage>> {
    let entries = manifest.entries();
    let inventory = Inventory::take(dir, entries.iter().map(|entry| entry.path().as_str()), hash_threads())?;
    let damage = |entry: &LinkOrFile<'_>| {
        let (found, listed) = (inventory.content(entry.path().as_str()), entry.content());
        let is_preserved = matches!(entry, LinkOrFile::File(file) if file.preserve);
        let kind = match found {
            PathContent::Absent => DamageKind::Missing,
            PathContent::File { .. } if is_preserved => return None,
            _ if *found == listed => return None,
            _ if found.same_bytes(&listed) => DamageKind::Mode,
            _ => DamageKind::Changed,
        };
        Some(Damage { path: entry.path().clone(), kind })
    };
    Ok(entries.iter().filter_map(damage).collect())
}
