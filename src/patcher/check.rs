//! Finding out whether there is something new: fetch, verify, remember, compare, plan.

use super::deferred::{DeferralReason, Deferred};
use super::installed::{Damage, DamageKind};
use super::{Installed, Patcher, Update, component_name};
use crate::disk::fs::{Dir, Tree};
use crate::disk::inventory::{Inventory, PathContent, hash_threads};
use crate::disk::layout;
use crate::error::{Error, Machine, Refused, Result};
use crate::formats::manifest::{Component, LinkOrFile, MAX_MANIFEST_BYTES, Manifest, Meta, SteppingStone};
use crate::state::{MAX_SWAP_ATTEMPTS, ManifestEtag, SeenReleases, StateFile as _, Verdicts};
use crate::transfer::fetch;
use crate::transfer::plan::{LocalFile, Obstacle, Plan, PlanInput};
use crate::trust::{self, Floor, ReleaseTarget, TrustedManifest, VerifiedManifest, not_expired};
use crate::values::digest::Sha256;
use crate::values::rel_path::{MANIFEST_NAME, RelPath};
use crate::values::timestamp::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use url::Url;

/// What a check has found.
#[derive(Debug, Default)]
pub struct Check {
    /// Newer releases, to be installed together.
    pub updates: Vec<Update>,
    /// Newer releases that are left alone.
    pub deferred: Vec<Deferred>,
}

/// DeferralReason a release is left alone that did not work on this machine.
pub(super) fn broken(verdicts: &Verdicts, manifest: &Manifest) -> Option<DeferralReason> {
    let component = &manifest.meta.component;
    if let Some(bad) = verdicts.bad_release(component, &manifest.content_id()) {
        return Some(DeferralReason::RolledBack(bad.reason));
    }
    (verdicts.failed_swaps(component, manifest.meta.sequence) >= MAX_SWAP_ATTEMPTS)
        .then_some(DeferralReason::SwapFailed)
}

impl Patcher {
    /// Looks for a newer release of one component; none when it is up to date.
    ///
    /// A manifest that only renews the installed release is adopted without a word.
    ///
    /// # Errors
    /// [`Refused`](crate::error::Refused) for a manifest that breaks a rule of trust, [`Network`](crate::error::Network),
    /// [`Machine::NotInstalled`], [`Machine::InstalledManifest`], [`Error::Busy`].
    pub fn check_component(&self, component: impl AsRef<str>) -> Result<Option<Update>> {
        Ok(self.check(&[component])?.updates.pop())
    }

    /// Looks for newer releases of several components, which are to be installed together.
    ///
    /// # Errors
    /// As [`check_component`](Self::check_component); [`Refused::Requires`](crate::error::Refused::Requires) when nothing that
    /// is found fits together with what is installed, and nothing was left alone for another reason.
    pub fn check(&self, components: &[impl AsRef<str>]) -> Result<Check> {
        let names = components.iter().map(|name| component_name(name.as_ref())).collect::<Result<Vec<_>>>()?;
        let (state_dir, _lock) = self.lock_downloading()?;
        let mut check = Check::default();
        for name in names {
            let installed = self.must_be_installed(&name)?;
            self.find_update(&state_dir, name, installed, &mut check)?;
        }
        self.defer_what_does_not_fit(&mut check)?;
        Ok(check)
    }

    /// Looks for newer releases of everything that is installed.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_all(&self) -> Result<Check> {
        self.check(&self.components()?)
    }

    /// Leaves out what needs a version of another component that is neither installed nor offered, and what another
    /// installed component cannot live with.
    ///
    /// # Errors
    /// The first [`Refused::Requires`] when nothing is left, and not because something else is left alone.
    pub(crate) fn defer_what_does_not_fit(&self, check: &mut Check) -> Result<()> {
        let is_whole = check.deferred.is_empty();
        let mut first = None;
        while let Err(error) = self.must_fit(&check.updates) {
            let Error::Refused(Refused::Requires { component, required, .. }) = &error else { return Err(error) };
            let offered = |name: &str| check.updates.iter().position(|update| update.component() == name);
            let Some(at) = offered(component).or_else(|| offered(required)) else { return Err(error) };
            let update = check.updates.remove(at);
            check.deferred.push(update.deferred(DeferralReason::Requires(error.to_string())));
            first.get_or_insert(error);
        }
        match first {
            Some(error) if check.updates.is_empty() && is_whole => Err(error),
            _ => Ok(()),
        }
    }

    /// Prepares the first installation of a component, or adopts the files of one whose manifest was lost.
    ///
    /// `from` is the address of its manifest: http, https, file, or a path. That of a folder (which ends in `/`, or is one on
    /// this machine) stands for the channel's latest manifest in it. What is there already is not fetched.
    ///
    /// # Errors
    /// As [`check_component`](Self::check_component).
    pub fn install(&self, component: impl AsRef<str>, from: &str) -> Result<Update> {
        let name = component_name(component.as_ref())?;
        let mut url = fetch::parse_url_or_path("URL", from)?;
        if url.path().ends_with('/') {
            let latest = layout::latest_manifest_name(&self.inner.channel);
            url = url.join(&latest).map_err(|error| super::config::bad("URL", from, error))?;
        }
        let (state_dir, _lock) = self.lock_downloading()?;
        // A manifest that cannot be read is what installing again is the way out of.
        let installed = match self.installed(&name) {
            Err(Error::Machine(Machine::InstalledManifest { .. })) => None,
            installed => installed?,
        };
        let mut seen = SeenReleases::load_or_default(&state_dir)?;
        let floors = self.floors(&name, installed.as_ref(), &seen);
        self.may_ask(&seen, &url)?;
        let found = self.ask(&url, None, &name, &floors).map_err(|error| self.heed(&state_dir, &mut seen, error))?;
        let Some((verified, etag)) = found else { return Err(fetch::no_mirror_left(url.as_str())) };
        self.remember(&state_dir, &mut seen, &verified, &url, etag)?;
        let trusted = verified.fresh(Timestamp::now())?;
        // Whoever installs a release by hand wants it, whatever became of it before.
        let (mut verdicts, manifest) = (Verdicts::load_or_default(&state_dir)?, trusted.manifest());
        if verdicts.remove(&name, &manifest.content_id(), manifest.meta.sequence) {
            verdicts.save(&state_dir)?;
        }
        self.check_requires(std::iter::once(&trusted.manifest().meta), None)?;
        // What lies beside the manifest comes first; the addresses that it names are the other mirrors.
        let mut mirrors: Vec<Url> = url.join(".").into_iter().collect();
        mirrors.extend(self.base_urls(&trusted.manifest().meta));
        let mut known = BTreeSet::new();
        mirrors.retain(|mirror| known.insert(mirror.clone()));
        self.plan_update(name, installed, trusted, mirrors)
    }

    fn find_update(&self, state_dir: &Dir, name: Component, installed: Installed, check: &mut Check) -> Result<()> {
        let mut seen = SeenReleases::load_or_default(state_dir)?;
        let Some(trusted) = self.latest(state_dir, &mut seen, &name, &installed)? else { return Ok(()) };
        if trusted.manifest().same_content(&installed.manifest) {
            // Never one of an earlier place: a copy of the installed manifest that lost a signature retires nothing.
            if installed.place.is_none_or(|place| trusted.order().is_after(&place, &self.inner.keys)) {
                self.adopt(&name, &installed.bytes, &trusted)?;
            }
            return Ok(());
        }
        let verdicts = Verdicts::load_or_default(state_dir)?;
        let why = match broken(&verdicts, trusted.manifest()) {
            Some(why) => Some(why),
            None => self.unwanted(trusted.manifest())?,
        };
        if let Some(why) = why {
            check.deferred.push(Deferred::of(trusted.manifest(), why));
            return Ok(());
        }
        let mirrors = self.base_urls(&trusted.manifest().meta);
        let Some(stone) = trusted.manifest().stepping_stone_for(&installed.manifest.meta.version) else {
            check.updates.push(self.plan_update(name, Some(installed), trusted, mirrors)?);
            return Ok(());
        };
        let earlier = self.fetch_stepping_stone(&name, &installed, &trusted, stone)?;
        if let Some(why) = broken(&verdicts, earlier.manifest()) {
            check.deferred.push(Deferred::of(earlier.manifest(), why));
            return Ok(());
        }
        let update = self.plan_update(name, Some(installed), earlier, mirrors)?;
        check.updates.push(Update { on_the_way_to: Some(trusted), ..update });
        Ok(())
    }

    /// DeferralReason a release is left alone whose turn has not come here, or that the user does not want. One that is critical waits
    /// for nobody.
    pub(super) fn unwanted(&self, manifest: &Manifest) -> Result<Option<DeferralReason>> {
        let Meta { component, version, critical: false, rollout, .. } = &manifest.meta else { return Ok(None) };
        let choices = if rollout.is_some() { self.drawn_choices()? } else { self.choices()? };
        Ok(match *rollout {
            Some(percent) if !choices.is_in_rollout(percent, component, version) => Some(match percent {
                0 => DeferralReason::RolloutPaused,
                percent => DeferralReason::Rollout { percent },
            }),
            _ => choices.skips(component, version).then_some(DeferralReason::Skipped),
        })
    }

    /// Fetches the earlier release that the newest one sends the installed version to, from the first mirror that has it.
    fn fetch_stepping_stone(
        &self,
        name: &Component,
        installed: &Installed,
        newest: &TrustedManifest,
        stone: &SteppingStone,
    ) -> Result<TrustedManifest> {
        let file = layout::release_manifest_path(stone.sequence);
        let (mut refused, mut unreachable) = (None, None);
        for base in self.base_urls(&newest.manifest().meta) {
            let Ok(url) = base.join(&file) else { continue };
            let ask = || fetch::manifest(&*self.inner.source, &url, None, &self.inner.cancel);
            let verified = match self.inner.retries.run(&self.inner.cancel, ask) {
                Ok(Some(fetched)) => self.verify_stepping_stone(name, Some(installed), newest, stone, fetched.bytes),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match verified {
                Err(error @ Error::Refused(_)) => drop(refused.get_or_insert(error)),
                Err(error @ Error::Network(_)) => drop(unreachable.get_or_insert(error)),
                done => return done,
            }
        }
        Err(refused.or(unreachable).unwrap_or_else(|| fetch::no_mirror_left(&file)))
    }

    fn verify_stepping_stone(
        &self,
        name: &Component,
        installed: Option<&Installed>,
        newest: &TrustedManifest,
        stone: &SteppingStone,
        bytes: Vec<u8>,
    ) -> Result<TrustedManifest> {
        // What was seen is the newest release itself; a stone stands before it.
        let floors = self.floors(name, installed, &SeenReleases::default());
        let verified = trust::verify_stepping_stone(bytes, &self.inner.keys, &self.target(name), stone, &floors)?;
        Ok(verified.fresh_as_stepping_stone_of(newest)?)
    }

    /// The newest release that a mirror has; none when the installed one is still the newest.
    ///
    /// Asks one mirror after the other. One that is unreachable, or has a manifest that is refused or has expired, leads to
    /// the next.
    fn latest(
        &self,
        state_dir: &Dir,
        seen: &mut SeenReleases,
        name: &Component,
        installed: &Installed,
    ) -> Result<Option<TrustedManifest>> {
        let floors = self.floors(name, Some(installed), seen);
        let file = layout::latest_manifest_name(&self.inner.channel);
        let (mut refused, mut unreachable) = (None, None);
        // "Not modified" is an answer only while the installed manifest is the newest one seen: else it would be older.
        let newest = seen.release(name, &self.inner.channel).map(|release| &release.place);
        let body = installed.place.as_ref().filter(|place| newest == Some(place)).map(|place| place.body);
        for base in self.base_urls(&installed.manifest.meta) {
            let Ok(url) = base.join(&file) else { continue };
            let etag = body.and_then(|body| seen.etag(url.as_str(), &body).map(str::to_owned));
            let asked = self.may_ask(seen, &url).and_then(|()| self.ask(&url, etag.as_deref(), name, &floors));
            let fresh = match asked {
                // That nothing changed does not make an expired manifest fresh.
                Ok(None) => not_expired(&installed.manifest.meta, Timestamp::now()).map(|()| None),
                Ok(Some((verified, etag))) => {
                    self.remember(state_dir, seen, &verified, &url, etag)?;
                    verified.fresh(Timestamp::now()).map(Some)
                }
                Err(Error::Refused(refused)) => Err(refused),
                Err(error @ Error::Network(_)) => {
                    let error = self.heed(state_dir, seen, error);
                    unreachable.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match fresh {
                Ok(latest) => return Ok(latest),
                Err(error) => drop(refused.get_or_insert(error)),
            }
        }
        Err(refused.map(Error::Refused).or(unreachable).unwrap_or_else(|| fetch::no_mirror_left(&file)))
    }

    /// What a component's releases are below of: the addresses that its manifest names, or the site that is asked instead.
    pub(super) fn base_urls(&self, meta: &Meta) -> Vec<Url> {
        match &self.inner.site {
            Some(site) => site.join(&format!("{}/", meta.component)).into_iter().collect(),
            None => meta.base_urls.clone(),
        }
    }

    /// Fetches and verifies one manifest; none when it is the one that the server called `etag`.
    fn ask(
        &self,
        url: &Url,
        etag: Option<&str>,
        name: &Component,
        floors: &[Floor],
    ) -> Result<Option<(VerifiedManifest, Option<String>)>> {
        let inner = &self.inner;
        let ask = || fetch::manifest(&*inner.source, url, etag, &inner.cancel);
        let answer = inner.retries.run(&inner.cancel, ask)?;
        let Some(fetch::FetchedManifest { bytes, etag }) = answer else { return Ok(None) };
        Ok(Some((trust::verify(bytes, &inner.keys, &self.target(name), floors)?, etag)))
    }

    /// Verifies the manifest of an earlier download again, by the rules of today; with the manifest that names it, if it is a
    /// stepping stone.
    pub(super) fn verify_staged(
        &self,
        state_dir: &Dir,
        name: &Component,
        installed: Option<&Installed>,
        (bytes, newest): (Vec<u8>, Option<Vec<u8>>),
    ) -> Result<(TrustedManifest, Option<TrustedManifest>)> {
        if let Some(newest) = newest {
            let (newest, _) = self.verify_staged(state_dir, name, None, (newest, None))?;
            let from = installed.map(|installed| &installed.manifest.meta.version);
            // What is installed by now may need no stone any more: then what is staged is the way to nowhere.
            let Some(stone) = from.and_then(|from| newest.manifest().stepping_stone_for(from)) else {
                let sequence = newest.order().sequence;
                return Err(Refused::SteppingStone { sequence, detail: "what is installed needs none" }.into());
            };
            let earlier = self.verify_stepping_stone(name, installed, &newest, stone, bytes)?;
            return Ok((earlier, Some(newest)));
        }
        let floors = self.floors(name, installed, &SeenReleases::load_or_default(state_dir)?);
        let verified = trust::verify(bytes, &self.inner.keys, &self.target(name), &floors)?;
        Ok((verified.fresh(Timestamp::now())?, None))
    }

    fn target(&self, name: &Component) -> ReleaseTarget {
        ReleaseTarget {
            component: name.clone(),
            channel: self.inner.channel.clone(),
            platform: self.inner.platform.clone(),
        }
    }

    /// The places before which nothing is taken: what is installed, what was ever seen, and what the program was built with.
    fn floors(&self, name: &Component, installed: Option<&Installed>, seen: &SeenReleases) -> Vec<Floor> {
        let channel = &self.inner.channel;
        let installed = installed.filter(|installed| installed.manifest.meta.channel == *channel);
        let installed = installed.and_then(|installed| installed.place.clone());
        let seen = seen.release(name, channel).map(|release| release.place.clone());
        let compiled_in = self.inner.floors.get(name).cloned();
        installed.into_iter().chain(seen).map(Floor::Release).chain(compiled_in).collect()
    }

    /// Moves the floor, before anything else is fetched.
    fn remember(
        &self,
        state_dir: &Dir,
        seen: &mut SeenReleases,
        verified: &VerifiedManifest,
        url: &Url,
        etag: Option<String>,
    ) -> Result<()> {
        let moved = seen.record(verified, &self.inner.keys);
        let body = verified.order().body;
        let named = etag.is_some_and(|value| seen.record_etag(ManifestEtag { url: url.to_string(), value, body }));
        if moved || named { seen.save(state_dir) } else { Ok(()) }
    }

    /// Replaces the installed manifest by one that installs the same files, unless a swap has replaced it meanwhile.
    fn adopt(&self, name: &Component, installed: &[u8], trusted: &TrustedManifest) -> Result<()> {
        let (_state_dir, _lock) = self.lock()?;
        let dir = Dir::open(&self.inner.root.component(name))?;
        match dir.read_small(MANIFEST_NAME, MAX_MANIFEST_BYTES)? {
            Some(found) if found == installed => dir.replace(MANIFEST_NAME, trusted.bytes(), crate::disk::fs::PLAIN),
            _ => Ok(()),
        }
    }

    /// Checks the `requires` of all components as they would be with these updates. A repair changes no version.
    pub(super) fn must_fit(&self, updates: &[Update]) -> Result<()> {
        let changed = updates.iter().filter(|update| !update.repairs);
        self.check_requires(changed.map(|update| &update.trusted.manifest().meta), None)
    }

    /// Checks the `requires` of all components as they would be with `changed` and without `removed`.
    pub(super) fn check_requires<'a>(
        &self,
        changed: impl Iterator<Item = &'a Meta>,
        removed: Option<&Component>,
    ) -> Result<()> {
        let mut set: BTreeMap<Component, Meta> = changed.map(|meta| (meta.component.clone(), meta.clone())).collect();
        if set.is_empty() && removed.is_none() {
            return Ok(());
        }
        for name in self.components()? {
            // A component with a damaged manifest says nothing about what it needs.
            if Some(&name) != removed
                && !set.contains_key(&name)
                && let Ok(Some(installed)) = self.installed(&name)
            {
                set.insert(name, installed.manifest.meta);
            }
        }
        Ok(trust::check_requires(set.values())?)
    }

    /// Takes the inventory and works out what the update changes.
    pub(super) fn plan_update(
        &self,
        name: Component,
        installed: Option<Installed>,
        trusted: TrustedManifest,
        mirrors: Vec<Url>,
    ) -> Result<Update> {
        let old = installed.as_ref().map(|installed| (&installed.manifest, installed.place.is_some()));
        let (plan, inventory) = self.plan(&name, old, Some(trusted.manifest()))?;
        let old_manifest = inventory.content(MANIFEST_NAME).clone();
        let from = installed.map(|installed| installed.manifest.meta.version);
        let patcher = self.clone();
        Ok(Update {
            patcher,
            name,
            from,
            trusted,
            plan,
            inventory,
            old_manifest,
            mirrors,
            cancel: self.inner.cancel.clone(),
            repairs: false,
            on_the_way_to: None,
        })
    }

    /// Plans the way from the installed release (and whether it is vouched for) to `new` over what is on disk.
    pub(super) fn plan(
        &self,
        name: &Component,
        old: Option<(&Manifest, bool)>,
        new: Option<&Manifest>,
    ) -> Result<(Plan, Inventory)> {
        let dir = self.inner.root.checked_component(name)?;
        let manifests = old.map(|(manifest, _)| manifest).into_iter().chain(new);
        let mut paths: Vec<&str> = manifests.flat_map(Manifest::entries).map(|entry| entry.path().as_str()).collect();
        paths.push(MANIFEST_NAME);
        paths.sort_unstable();
        paths.dedup();
        let inventory = Inventory::take(&dir, paths.into_iter(), hash_threads())?;
        let others = self.contents_elsewhere(name)?;
        let tree = Tree::open(&dir)?;
        let taken = |path: &RelPath| {
            // What cannot be examined is taken: another name is always to be had.
            tree.as_ref().is_some_and(|tree| !matches!(tree.find(path.as_str()), Ok(crate::disk::fs::Found::Absent)))
        };
        let plan = Plan::new(&PlanInput {
            new,
            old: old.map(|(manifest, _)| manifest),
            is_old_trusted: old.is_some_and(|(_, vouched)| vouched),
            inventory: &inventory,
            elsewhere: &|hash| others.get(hash).cloned(),
            taken: &taken,
        });
        let plan = plan.map_err(|obstacle| match obstacle {
            Obstacle::LinkedFolder(at) => Machine::UnsafePath { path: dir.join(at) },
            Obstacle::NoFreeName(path) => Machine::FolderInTheWay { path: path.under(&dir) },
        })?;
        Ok((plan, inventory))
    }

    /// Where the other components hold which contents, by their manifests.
    fn contents_elsewhere(&self, except: &Component) -> Result<BTreeMap<Sha256, LocalFile>> {
        let mut contents = BTreeMap::new();
        for name in self.components()?.into_iter().filter(|name| name != except) {
            let Ok(Some(Installed { manifest, place: Some(_), .. })) = self.installed(&name) else { continue };
            for file in manifest.files {
                let location = LocalFile { component: Some(name.clone()), path: file.path.as_str().to_owned() };
                contents.insert(file.sha256, location);
            }
        }
        Ok(contents)
    }
}

/// What is not as the manifest says.
pub(super) fn damages(dir: &Path, manifest: &Manifest) -> Result<Vec<Damage>> {
    let entries = manifest.entries();
    let inventory = Inventory::take(dir, entries.iter().map(|entry| entry.path().as_str()), hash_threads())?;
    let damage = |entry: &LinkOrFile<'_>| {
        let (found, wanted) = (inventory.content(entry.path().as_str()), entry.content());
        let preserved = matches!(entry, LinkOrFile::File(file) if file.preserve);
        let kind = match found {
            PathContent::Absent => DamageKind::Missing,
            PathContent::File { .. } if preserved => return None,
            _ if *found == wanted => return None,
            _ if found.same_bytes(&wanted) => DamageKind::Mode,
            _ => DamageKind::Changed,
        };
        Some(Damage { path: entry.path().clone(), kind })
    };
    Ok(entries.iter().filter_map(damage).collect())
}
