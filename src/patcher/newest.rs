//! The newest release: fetched from the mirrors one after the other, verified, and recorded as
//! seen.

use super::deadline::Deadline;
use super::{InstalledManifest, Patcher};
use crate::disk::fs::Dir;
use crate::disk::layout::SiteNames;
use crate::error::{Error, Refused, Result};
use crate::formats::manifest::{Component, Meta, Platform, SignedBytes, SiteLayout, SteppingStone};
use crate::state::journal::{Journal, JournalState};
use crate::state::{SeenReleases, StateFile as _};
use crate::swap;
use crate::transfer::fetch::{self, CancelToken, KnownManifest, Newest};
use crate::trust::{self, Floor, ReleaseTarget, TrustedManifest, VerifiedManifest, check_stamp, not_expired};
use crate::values::digest::Sha256;
use crate::values::timestamp::Timestamp;
use url::Url;

/// The newest release of a component on a site.
pub(super) struct NewestRelease {
    /// Its manifest.
    pub manifest: TrustedManifest,
    /// The error if nothing proves that it is the newest release.
    ///
    /// A client that installs a newer release needs no proof: the signatures show that it is newer.
    /// A client that defers it needs one: an attacker could serve an earlier release that was
    /// offered to few clients, and hide the later ones.
    pub stamp: Result<(), Refused>,
}

/// Checks that a release is for the platform of the installed one.
///
/// The releases for `any` are older on many sites: they must not replace those for a platform.
fn same_platform(installed: &Meta, newest: &Meta) -> Result<(), Refused> {
    if installed.platform == Platform::any() || installed.platform == newest.platform {
        return Ok(());
    }
    let (found, expected) = (newest.platform.to_string(), installed.platform.to_string());
    Err(Refused::WrongTarget { what: "platform", found, expected })
}

impl Patcher {
    /// Fetches the newest manifest from the first mirror that has an acceptable one.
    ///
    /// The client asks the next mirror if one is unreachable or serves a manifest that is refused
    /// or has expired.
    pub(super) fn fetch_newest(
        &self,
        state_dir: &Dir,
        seen: &mut SeenReleases,
        component: &Component,
        installed: &InstalledManifest,
        deadline: &Deadline,
    ) -> Result<Option<NewestRelease>> {
        let floors = self.floors(component, Some(installed), seen);
        // Otherwise a head that names the installed release would keep the client on a release
        // older than the newest one it has seen.
        let newest_seen = seen.release(component, &self.shared.channel).map(|release| &release.order);
        let body = SignedBytes::split(installed.bytes.clone()).map(|signed| signed.body).unwrap_or_default();
        let names = SiteNames::of(&installed.manifest.meta);
        let known = KnownManifest {
            component,
            channel: &self.shared.channel,
            names: &names,
            sequence: installed.manifest.meta.sequence,
            body: &body,
            is_newest_seen: installed.order.is_some() && newest_seen == installed.order.as_ref(),
        };
        let shared = &self.shared;
        let head = names.head(&shared.channel);
        let mirrors = self.base_urls(&installed.manifest.meta);
        let mut left = mirrors.len();
        fetch::try_mirrors(mirrors, &head, |mirror, url| {
            let cancel = deadline.share(&self.cancel, left);
            left -= 1;
            let fetched = self
                .check_retry_after_of(state_dir, seen, url, deadline.is_background)
                .and_then(|()| fetch::newest(&*shared.source, mirror, &known, &shared.retries, &cancel))
                .map_err(|error| deadline.explain(error, &cancel, url));
            match fetched {
                Ok(Newest { head, manifest: None }) => {
                    self.forget_retry_after(state_dir, seen, url);
                    // An unchanged manifest can have expired.
                    not_expired(&installed.manifest.meta, Timestamp::now())?;
                    check_stamp(&installed.manifest.meta, &Sha256::of(&body), head.as_ref(), Timestamp::now())?;
                    Ok(None)
                }
                Ok(Newest { head, manifest: Some(bytes) }) => {
                    let verified = trust::verify(bytes, &shared.keys, &self.target(component), &floors)?;
                    same_platform(&installed.manifest.meta, &verified.manifest().meta)?;
                    self.record_seen(state_dir, seen, &verified)?;
                    self.forget_retry_after(state_dir, seen, url);
                    self.discard_superseded_swap(state_dir);
                    let trusted = verified.fresh(Timestamp::now())?;
                    let (meta, body) = (&trusted.manifest().meta, &trusted.order().body);
                    let stamp = check_stamp(meta, body, head.as_ref(), Timestamp::now());
                    if trusted.manifest().same_content(&installed.manifest) {
                        // The next mirror may have a stamp.
                        stamp?;
                        return Ok(Some(NewestRelease { manifest: trusted, stamp: Ok(()) }));
                    }
                    Ok(Some(NewestRelease { manifest: trusted, stamp }))
                }
                Err(error @ Error::Network(_)) => Err(self.record_retry_after(state_dir, seen, error)),
                Err(error) => Err(error),
            }
        })
    }

    /// Fetches the stepping stone that `newest` names, from the first mirror that has it.
    pub(super) fn fetch_stepping_stone(
        &self,
        component: &Component,
        installed: &InstalledManifest,
        newest: &TrustedManifest,
        stone: &SteppingStone,
        deadline: &Deadline,
    ) -> Result<TrustedManifest> {
        let shared = &self.shared;
        let file = SiteNames::of(&newest.manifest().meta).release(stone.sequence);
        let mirrors = self.base_urls(&newest.manifest().meta);
        let mut left = mirrors.len();
        fetch::try_mirrors(mirrors, &file, |_, url| {
            let cancel = deadline.share(&self.cancel, left);
            left -= 1;
            let fetch = || fetch::manifest(&*shared.source, url, &cancel);
            let bytes = shared.retries.run(&cancel, fetch).map_err(|error| deadline.explain(error, &cancel, url))?;
            self.verify_stepping_stone(component, Some(installed), newest, stone, bytes)
        })
    }

    /// Fetches and verifies one manifest.
    pub(super) fn fetch_manifest(
        &self,
        url: &Url,
        component: &Component,
        floors: &[Floor],
        cancel: &CancelToken,
    ) -> Result<VerifiedManifest> {
        let shared = &self.shared;
        let bytes = shared.retries.run(cancel, || fetch::manifest(&*shared.source, url, cancel))?;
        Ok(trust::verify(bytes, &shared.keys, &self.target(component), floors)?)
    }

    /// Records a verified manifest as seen, which raises the floor before the client fetches
    /// anything else.
    pub(super) fn record_seen(
        &self,
        state_dir: &Dir,
        seen: &mut SeenReleases,
        verified: &VerifiedManifest,
    ) -> Result<()> {
        if seen.record(verified, &self.shared.keys) { seen.save(state_dir) } else { Ok(()) }
    }

    /// Discards a prepared swap that is older than a release seen since.
    ///
    /// Helper and start do the same before they carry it out, so a failure here does no harm.
    pub(super) fn discard_superseded_swap(&self, state_dir: &Dir) {
        if matches!(Journal::peek(state_dir), Ok(Some((JournalState::Prepared, _))))
            && let Ok((_, lock)) = self.lock()
        {
            let _ = swap::discard_superseded(&self.shared.root, &lock);
        }
    }

    /// Verifies a staged manifest again, with the floors and the clock of today.
    ///
    /// `newest` is the manifest that names the staged one, if that is a stepping stone.
    pub(super) fn verify_staged(
        &self,
        state_dir: &Dir,
        component: &Component,
        installed: Option<&InstalledManifest>,
        (bytes, newest): (Vec<u8>, Option<Vec<u8>>),
    ) -> Result<(TrustedManifest, Option<TrustedManifest>)> {
        if let Some(newest) = newest {
            let (newest, _) = self.verify_staged(state_dir, component, None, (newest, None))?;
            let from = installed.map(|installed| &installed.manifest.meta.version);
            // The installed release may have changed since, so that it needs no stepping stone.
            let Some(stone) = from.and_then(|from| newest.manifest().stepping_stone_for(from)) else {
                let sequence = newest.order().sequence;
                return Err(Refused::SteppingStone { sequence, detail: "what is installed needs none" }.into());
            };
            let earlier = self.verify_stepping_stone(component, installed, &newest, stone, bytes)?;
            return Ok((earlier, Some(newest)));
        }
        let floors = self.floors(component, installed, &SeenReleases::load_or_default(state_dir)?);
        let verified = trust::verify(bytes, &self.shared.keys, &self.target(component), &floors)?;
        Ok((verified.fresh(Timestamp::now())?, None))
    }

    /// Returns the base URLs of a component: those that its manifest names, or the configured site
    /// alone.
    pub(super) fn base_urls(&self, meta: &Meta) -> Vec<Url> {
        match &self.shared.site {
            Some(site) => match meta.layout {
                SiteLayout::Folders => site.join(&format!("{}/", meta.component)).into_iter().collect(),
                SiteLayout::Flat => vec![site.clone()],
            },
            None => meta.base_urls.clone(),
        }
    }

    /// Returns the lowest accepted release orders: of the installed release, the newest seen in
    /// this channel, and the configuration.
    pub(super) fn floors(
        &self,
        component: &Component,
        installed: Option<&InstalledManifest>,
        seen: &SeenReleases,
    ) -> Vec<Floor> {
        let channel = &self.shared.channel;
        let installed = installed.and_then(|installed| {
            let order = installed.order.clone()?;
            if installed.manifest.meta.channel == *channel {
                return Some(Floor::Release(order));
            }
            // The channels of a component share their sequences: switching is no way back.
            let floor = Floor::Number { key: order.key, sequence: order.sequence };
            (!self.shared.allow_downgrade).then_some(floor)
        });
        let seen = seen.release(component, channel).map(|release| Floor::Release(release.order.clone()));
        let configured = self.shared.floors.get(component).cloned();
        installed.into_iter().chain(seen).chain(configured).collect()
    }

    fn verify_stepping_stone(
        &self,
        component: &Component,
        installed: Option<&InstalledManifest>,
        newest: &TrustedManifest,
        stone: &SteppingStone,
        bytes: Vec<u8>,
    ) -> Result<TrustedManifest> {
        // The newest release seen is no floor here: a stepping stone is older than it.
        let floors = self.floors(component, installed, &SeenReleases::default());
        let verified = trust::verify_stepping_stone(bytes, &self.shared.keys, &self.target(component), stone, &floors)?;
        Ok(verified.fresh_as_stepping_stone_of(newest)?)
    }

    fn target(&self, component: &Component) -> ReleaseTarget {
        ReleaseTarget {
            component: component.clone(),
            channel: self.shared.channel.clone(),
            platform: self.shared.platform.clone(),
        }
    }
}
