//! Planning: the inventory of a component's files, and the plan that leads from them to a release.

use super::{InstalledManifest, Patcher, Update};
use crate::disk::fs::{Found, Tree};
use crate::disk::inventory::{Inventory, hash_threads};
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::{Component, Manifest};
use crate::transfer::plan::{LocalFile, Obstacle, Plan, PlanInput};
use crate::trust::TrustedManifest;
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, RelPath};
use std::collections::BTreeMap;
use url::Url;

impl Patcher {
    /// Plans the update of a component to a trusted release.
    pub(super) fn plan_update(
        &self,
        component: Component,
        installed: Option<InstalledManifest>,
        trusted: TrustedManifest,
        mirrors: Vec<Url>,
    ) -> Result<Update> {
        let (plan, inventory) = self.plan(&component, installed.as_ref(), Some(trusted.manifest()))?;
        let old_manifest = inventory.content(MANIFEST_NAME).clone();
        // While the check waited for the network, another process may have rolled back or removed.
        if installed.as_ref().is_some_and(|old| old_manifest.sha256() != Some(Sha256::of(&old.bytes))) {
            return Err(Error::Busy { what: "the install root", holder: None });
        }
        Ok(Update {
            patcher: self.clone(),
            component,
            from: installed.map(|installed| installed.manifest.meta.version),
            trusted,
            plan,
            inventory,
            old_manifest,
            mirrors,
            cancel: self.cancel.clone(),
            is_repair: false,
            stepping_stone_to: None,
            unproven: None,
        })
    }

    /// Plans the changes from the files on disk to the release `new`, or to none for a removal.
    pub(super) fn plan(
        &self,
        component: &Component,
        installed: Option<&InstalledManifest>,
        new: Option<&Manifest>,
    ) -> Result<(Plan, Inventory)> {
        let dir = self.shared.root.checked_component(component)?;
        let old = installed.map(|installed| &installed.manifest);
        let entries = old.into_iter().chain(new).flat_map(Manifest::entries);
        let mut paths: Vec<&str> = entries.map(|entry| entry.path().as_str()).collect();
        paths.push(MANIFEST_NAME);
        paths.sort_unstable();
        paths.dedup();
        let inventory = Inventory::take(&dir, paths.into_iter(), hash_threads())?;
        let contents = self.contents_of_others(component)?;
        let tree = Tree::open(&dir)?;
        let is_taken = |path: &RelPath| {
            // A path that cannot be examined counts as taken: the planner tries the next name.
            tree.as_ref().is_some_and(|tree| !matches!(tree.find(path.as_str()), Ok(Found::Absent)))
        };
        let plan = Plan::new(&PlanInput {
            new,
            old,
            is_old_trusted: installed.is_some_and(InstalledManifest::is_trusted),
            inventory: &inventory,
            elsewhere: &|hash| contents.get(hash).cloned(),
            taken: &is_taken,
        });
        let plan = plan.map_err(|obstacle| match obstacle {
            Obstacle::LinkedFolder(at) => Machine::UnsafePath { path: dir.join(at) },
            Obstacle::NoFreeName(path) => Machine::FolderInTheWay { path: path.under(&dir) },
        })?;
        Ok((plan, inventory))
    }

    /// Finds the file contents of the other components, according to their trusted manifests.
    pub(super) fn contents_of_others(&self, except: &Component) -> Result<BTreeMap<Sha256, LocalFile>> {
        let mut contents = BTreeMap::new();
        for component in self.components()?.into_iter().filter(|component| component != except) {
            let Ok(Some(installed)) = self.installed(&component) else { continue };
            if !installed.is_trusted() {
                continue;
            }
            for file in installed.manifest.files {
                let path = file.path.as_str().to_owned();
                contents.insert(file.sha256, LocalFile { component: Some(component.clone()), path });
            }
        }
        Ok(contents)
    }
}
