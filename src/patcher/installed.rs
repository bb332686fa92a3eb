//! The components that are on this machine, read from the manifests that came with them.

use super::Patcher;
use crate::disk::fs::{Dir, Tree};
use crate::error::{Error, Machine, Refused, Result};
use crate::formats::manifest::{self, Component, MAX_MANIFEST_BYTES, Manifest, SignedBytes};
use crate::trust::{self, ReleaseOrder};
use crate::values::rel_path::MANIFEST_NAME;
use std::collections::BTreeSet;

/// An installed component.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its place in the order of releases; none when no trusted key vouches for it any more.
    pub place: Option<ReleaseOrder>,
    /// The manifest's file.
    pub bytes: Vec<u8>,
}

/// A file of a component that is not as the installed manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file or link.
    pub path: crate::values::rel_path::RelPath,
    /// What is wrong with it.
    pub kind: DamageKind,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// It is not there.
    Missing,
    /// Its bytes, or its target, are others.
    Changed,
    /// Only its mode is another.
    Mode,
}

impl std::fmt::Display for DamageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DamageKind::Missing => "missing",
            DamageKind::Changed => "changed",
            DamageKind::Mode => "mode",
        })
    }
}

impl Patcher {
    /// The components that have a manifest: those under the root and those that lie elsewhere by configuration.
    ///
    /// # Errors
    /// [`Machine::Io`].
    pub fn components(&self) -> Result<Vec<Component>> {
        let root = &self.inner.root;
        let mut names = BTreeSet::new();
        let mut consider = |name: Component| -> Result<()> {
            if let Some(tree) = Tree::open(&root.component(&name))?
                && tree.find(MANIFEST_NAME)? != crate::disk::fs::Found::Absent
            {
                names.insert(name);
            }
            Ok(())
        };
        root.elsewhere.keys().cloned().try_for_each(&mut consider)?;
        for entry in Dir::open(&root.dir)?.names()? {
            if let Ok(name) = entry.parse::<Component>()
                && root.dir.join(&entry).is_dir()
                && !self.is_copy(&name)
            {
                consider(name)?;
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Tells whether a folder of the root holds another component's manifest: a copy that the user has made of one.
    fn is_copy(&self, name: &Component) -> bool {
        let read = || {
            let dir = Dir::open(&self.inner.root.checked_component(name).ok()?).ok()?;
            let signed = SignedBytes::split(dir.read_small(MANIFEST_NAME, MAX_MANIFEST_BYTES).ok()??).ok()?;
            manifest::parse(&signed.body).ok()
        };
        read().is_some_and(|manifest| manifest.meta.component != *name)
    }

    /// An installed component, its manifest verified again; none when it has no manifest.
    ///
    /// # Errors
    /// [`Machine::InstalledManifest`] when the manifest is damaged, [`Machine::Io`].
    pub fn installed(&self, component: &Component) -> Result<Option<Installed>> {
        let dir = self.inner.root.checked_component(component)?;
        let Some(tree) = Tree::open(&dir)? else { return Ok(None) };
        let damaged = |detail: String| -> Error {
            Machine::InstalledManifest { component: component.to_string(), path: dir.join(MANIFEST_NAME), detail }
                .into()
        };
        let bytes = match tree.root().read_small(MANIFEST_NAME, MAX_MANIFEST_BYTES) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(Error::Machine(Machine::StateDamaged { detail, .. })) => return Err(damaged(detail)),
            Err(error) => return Err(error),
        };
        let (manifest, place) = match trust::authenticate(bytes.clone(), &self.inner.keys) {
            Ok(verified) => (verified.manifest().clone(), Some(verified.order().clone())),
            // Signed by keys that the program has dropped: it still says where to ask.
            Err(Refused::UnknownKey | Refused::Threshold { .. }) => {
                let read = SignedBytes::split(bytes.clone()).and_then(|signed| manifest::parse(&signed.body));
                (read.map_err(|error| damaged(error.to_string()))?, None)
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        if manifest.meta.component != *component {
            return Err(damaged(format!("it is that of `{}`", manifest.meta.component)));
        }
        Ok(Some(Installed { manifest, place, bytes }))
    }

    /// An installed component that must be there.
    ///
    /// # Errors
    /// [`Machine::NotInstalled`], and as [`installed`](Self::installed).
    pub(super) fn must_be_installed(&self, component: &Component) -> Result<Installed> {
        let dir = self.inner.root.component(component);
        self.installed(component)?.ok_or_else(|| Machine::NotInstalled { component: component.to_string(), dir }.into())
    }

    /// Compares a component's files with its manifest.
    ///
    /// A file marked `preserve` is the user's to change: it only must not be missing.
    ///
    /// # Errors
    /// [`Machine::NotInstalled`]; [`Machine::InstalledManifest`] when no trusted key vouches for the manifest.
    pub fn verify(&self, component: impl AsRef<str>) -> Result<Vec<Damage>> {
        let name = super::component_name(component.as_ref())?;
        let installed = self.must_be_installed(&name)?;
        let dir = self.inner.root.component(&name);
        if installed.place.is_none() {
            let detail = "no trusted key signed it".to_owned();
            return Err(Machine::InstalledManifest {
                component: name.to_string(),
                path: dir.join(MANIFEST_NAME),
                detail,
            }
            .into());
        }
        super::check::damages(&dir, &installed.manifest)
    }
}
