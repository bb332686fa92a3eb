//! Checks: which newer releases the site has, and which of them the client offers.

use super::deadline::Deadline;
use super::deferred::{DeferralReason, Deferred};
use super::newest::NewestRelease;
use super::{InstalledManifest, Patcher, Update};
use crate::disk::fs::{Dir, PLAIN_MODE};
use crate::error::{Error, Machine, Refused, Result};
use crate::formats::manifest::{Component, MAX_MANIFEST_BYTES, Manifest, Meta};
use crate::policy::PolicyRules;
use crate::state::{self, MAX_SWAP_ATTEMPTS, SeenReleases, StateFile as _, Verdicts, WatcherState};
use crate::trust::{TrustWarning, TrustedManifest, clock_warning};
use crate::values::rel_path::MANIFEST_NAME;
use crate::values::timestamp::Timestamp;
use std::time::Duration;

/// The result of a check of several components.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Check {
    /// The newer releases that the client offers. They fit together and are installed together.
    pub updates: Vec<Update>,
    /// The newer releases that the client does not offer, with the reasons.
    pub deferred: Vec<Deferred>,
    /// A fact about the newest releases that the user should know, also if nothing is newer.
    pub warning: Option<TrustWarning>,
}

/// The result of a check of one component.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "an update does nothing until it is downloaded"]
pub enum Offer {
    /// The client offers this update.
    Update(Box<Update>),
    /// The installed release is the newest one.
    UpToDate,
    /// There is a newer release, and the client does not offer it, for a reason.
    Deferred(Deferred),
    /// [`check_if_due`](Patcher::check_if_due) made no check: the last one was not long ago.
    NotDue,
}

impl Offer {
    /// Returns the update, if the client offers one.
    pub fn update(self) -> Option<Update> {
        match self {
            Self::Update(update) => Some(*update),
            _ => None,
        }
    }
}

impl Patcher {
    /// Looks for a newer release of one component.
    ///
    /// Without an update, the result tells the reason.
    ///
    /// A manifest that installs the same files as the installed one, for example a renewed manifest
    /// with a later expiry date, replaces the installed manifest silently.
    ///
    /// # Errors
    /// - [`Refused`] for a manifest that breaks a rule of trust.
    /// - [`Network`](crate::Network) if no mirror answers.
    /// - [`Machine::NotInstalled`](crate::Machine::NotInstalled) for a component that is not
    ///   installed, and [`Machine::InstalledManifest`](crate::Machine::InstalledManifest) for one
    ///   with a damaged manifest.
    /// - [`Machine::UpdatesOff`] if the administrator's policy turns updates off, and
    ///   [`Machine::Policy`] for a policy that cannot be used.
    /// - [`Error::Busy`] while another updater works on the install root.
    /// - [`Caller::BadSetting`](crate::Caller::BadSetting) for text that is not a component name.
    pub fn check_component(&self, component: impl AsRef<str>) -> Result<Offer> {
        let Check { mut updates, mut deferred, .. } = self.check(&[component])?;
        Ok(match (updates.pop(), deferred.pop()) {
            (Some(update), _) => Offer::Update(Box::new(update)),
            (None, Some(deferred)) => Offer::Deferred(deferred),
            (None, None) => Offer::UpToDate,
        })
    }

    /// Looks for a newer release of one component, unless a check was made less than `period` ago.
    ///
    /// It is for short-lived programs, which have no time for a [`Watcher`](crate::Watcher): call
    /// it at the end of `main`. A check that fails counts, so that a run without a network waits
    /// once in a period and not at each end. The checks of a watcher count as well.
    ///
    /// # Errors
    /// As [`check_component`](Self::check_component).
    pub fn check_if_due(&self, component: impl AsRef<str>, period: Duration) -> Result<Offer> {
        let component = super::parse_component(component.as_ref())?;
        self.require_installed(&component)?;
        let state_dir = state::open_or_create(&self.shared.root)?;
        let mut checks = WatcherState::load_or_default(&state_dir)?;
        let now = Timestamp::now();
        if !checks.is_due(now, period) {
            return Ok(Offer::NotDue);
        }
        checks.last = Some((now, 0));
        // Before the check, which may take long: other runs do not check meanwhile.
        checks.save(&state_dir)?;
        self.check_component(component.as_str())
    }

    /// Looks for newer releases of everything that is installed.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_all(&self) -> Result<Check> {
        self.check(&self.require_components()?)
    }

    /// Looks for newer releases of the given components, to be installed together.
    ///
    /// # Errors
    /// As [`check_component`](Self::check_component).
    pub fn check(&self, components: &[impl AsRef<str>]) -> Result<Check> {
        self.check_until(components, Deadline::after(self.shared.check_timeout))
    }

    /// Looks for newer releases until a deadline.
    pub(super) fn check_until(&self, components: &[impl AsRef<str>], deadline: Deadline) -> Result<Check> {
        let components = components.iter().map(|name| super::parse_component(name.as_ref()));
        let components = components.collect::<Result<Vec<_>>>()?;
        // Nothing is created in a folder that no component was ever installed in.
        if state::open(&self.shared.root)?.is_none() && !self.is_installed()? {
            return Err(Machine::NothingInstalled { dir: self.shared.root.dir.clone() }.into());
        }
        let rules = self.require_updates_on()?;
        let (state_dir, _downloading) = self.lock_downloading()?;
        let mut check = Check::default();
        for component in components {
            let installed = self.require_installed(&component)?;
            self.record_installed(&component)?;
            let meta = installed.counted_meta();
            self.find_update(&state_dir, component, installed, &rules, &deadline, &mut check)?;
            if let Some(meta) = meta {
                self.count_adoption(&meta, &deadline);
            }
        }
        self.defer_unmet_requirements(&mut check)?;
        Ok(check)
    }

    /// Adds the newest release of one component to `check`, as an update or as deferred.
    fn find_update(
        &self,
        state_dir: &Dir,
        component: Component,
        installed: InstalledManifest,
        rules: &PolicyRules,
        deadline: &Deadline,
        check: &mut Check,
    ) -> Result<()> {
        let mut seen = SeenReleases::load_or_default(state_dir)?;
        let newest = self.fetch_newest(state_dir, &mut seen, &component, &installed, deadline)?;
        // Without a newer manifest, the installed one is the newest.
        let meta = newest.as_ref().map_or(&installed.manifest.meta, |newest| &newest.manifest.manifest().meta);
        check.warning = check.warning.or(clock_warning(meta, Timestamp::now()));
        let Some(NewestRelease { manifest: trusted, stamp }) = newest else { return Ok(()) };
        if trusted.manifest().same_content(&installed.manifest) {
            // The order must rise: a copy of the installed manifest that lost a signature must not
            // retire a key.
            if installed.order.is_none_or(|order| trusted.order().is_after(&order, &self.shared.keys)) {
                self.replace_installed_manifest(&component, &installed.bytes, &trusted)?;
            }
            return Ok(());
        }
        let verdicts = Verdicts::load_or_default(state_dir)?;
        let mut deferral = local_deferral(&verdicts, trusted.manifest());
        if deferral.is_none() {
            deferral = self.deferral(trusted.manifest())?;
        }
        if deferral.is_none() {
            let rule = self.policy_rule(state_dir, rules, trusted.manifest())?;
            deferral = rule.map(DeferralReason::Policy);
        }
        if let Some(reason) = deferral {
            stamp?;
            check.deferred.push(Deferred::of(trusted.manifest(), reason));
            return Ok(());
        }
        let mirrors = self.base_urls(&trusted.manifest().meta);
        let Some(stone) = trusted.manifest().stepping_stone_for(&installed.manifest.meta.version) else {
            let update = self.plan_update(component, Some(installed), trusted, mirrors)?;
            check.updates.push(Update { unproven: stamp.err(), ..update });
            return Ok(());
        };
        let earlier = self.fetch_stepping_stone(&component, &installed, &trusted, stone, deadline)?;
        if let Some(reason) = local_deferral(&verdicts, earlier.manifest()) {
            stamp?;
            check.deferred.push(Deferred::of(earlier.manifest(), reason));
            return Ok(());
        }
        let update = self.plan_update(component, Some(installed), earlier, mirrors)?;
        check.updates.push(Update { stepping_stone_to: Some(trusted), unproven: stamp.err(), ..update });
        Ok(())
    }

    /// Replaces the installed manifest by one that installs the same files.
    ///
    /// It does nothing if a swap has replaced the manifest `installed` since it was read.
    fn replace_installed_manifest(
        &self,
        component: &Component,
        installed: &[u8],
        trusted: &TrustedManifest,
    ) -> Result<()> {
        let (_state_dir, _lock) = self.lock()?;
        let dir = Dir::open(&self.shared.root.component(component))?;
        match dir.read_small(MANIFEST_NAME, MAX_MANIFEST_BYTES)? {
            Some(found) if found == installed => {
                dir.remove_temporaries(Some(MANIFEST_NAME))?;
                dir.replace(MANIFEST_NAME, trusted.bytes(), PLAIN_MODE)
            }
            _ => Ok(()),
        }
    }

    /// Returns the reason why the publisher or the user defers a release on this machine.
    ///
    /// Neither a rollout nor a skipped version defers a critical release.
    pub(super) fn deferral(&self, manifest: &Manifest) -> Result<Option<DeferralReason>> {
        let Meta { component, version, critical: false, rollout, .. } = &manifest.meta else { return Ok(None) };
        let choices = if rollout.is_some() { self.choices_with_draw()? } else { self.choices()? };
        Ok(match *rollout {
            Some(percent) if !choices.is_in_rollout(percent, component, version) => Some(match percent {
                0 => DeferralReason::RolloutPaused,
                percent => DeferralReason::Rollout { percent },
            }),
            _ => choices.skips(component, version).then_some(DeferralReason::Skipped),
        })
    }

    /// Moves the updates with unmet requirements to the deferred releases, until the rest fits
    /// together.
    ///
    /// An update does not fit if it needs a version that is neither installed nor offered, or if an
    /// installed component does not accept its version.
    ///
    /// # Errors
    /// [`Machine::Io`]; [`Refused::Requires`] if installed components do not fit together;
    /// [`Refused::NoStamp`] if a deferred release demands a stamp that is missing.
    pub(crate) fn defer_unmet_requirements(&self, check: &mut Check) -> Result<()> {
        while let Err(error) = self.check_requirements(&check.updates) {
            let Error::Refused(Refused::Requires { component, required, .. }) = &error else { return Err(error) };
            let position = |name: &Component| check.updates.iter().position(|update| update.component() == name);
            let Some(at) = position(component).or_else(|| position(required)) else { return Err(error) };
            let update = check.updates.remove(at);
            check.deferred.push(update.deferred(DeferralReason::Requires(error.to_string()))?);
        }
        Ok(())
    }
}

/// Returns the reason to defer a release that failed on this machine before.
pub(super) fn local_deferral(verdicts: &Verdicts, manifest: &Manifest) -> Option<DeferralReason> {
    let component = &manifest.meta.component;
    if let Some(bad) = verdicts.bad_release(component, &manifest.content_id()) {
        return Some(DeferralReason::RolledBack(bad.reason));
    }
    (verdicts.failed_swaps(component, manifest.meta.sequence) >= MAX_SWAP_ATTEMPTS)
        .then_some(DeferralReason::SwapFailed)
}
