//! The first installation of a component.

use super::{InstalledManifest, Patcher, Update};
use crate::disk::fs::create_root;
use crate::disk::layout::SiteNames;
use crate::error::{Error, Machine, Result};
use crate::formats::manifest::{Component, Platform, SiteLayout};
use crate::state::{SeenReleases, StateFile as _, Verdicts};
use crate::transfer::fetch;
use crate::values::timestamp::Timestamp;
use std::collections::BTreeSet;
use url::Url;

impl Patcher {
    /// Prepares the first installation of a component, or adopts the files of one whose manifest
    /// was lost.
    ///
    /// `from` names the component's manifest: an `http`, `https` or `file` URL, or a path. A URL
    /// that ends in `/` and the path of a folder stand for the newest manifest of the channel: that
    /// for the platform, or else the one for all platforms. The download skips files that the
    /// component's folder already holds.
    ///
    /// A release that was rolled back or failed on this machine before is installed all the same.
    ///
    /// # Errors
    /// As [`check_component`](Self::check_component), and
    /// [`Caller::BadSetting`](crate::Caller::BadSetting) if `from` is neither a URL of these
    /// schemes nor the path of a file or folder.
    pub fn install(&self, component: impl AsRef<str>, from: &str) -> Result<Update> {
        let component = super::parse_component(component.as_ref())?;
        let mut url = fetch::parse_url_or_path("URL", from)?;
        let base = self.base_of(&url, &component);
        self.shared.source.take_credentials(&mut url, &base);
        // A state folder in the install root would create it as well.
        create_root(&self.shared.root.dir)?;
        let (state_dir, _downloading) = self.lock_downloading()?;
        // A new installation is how a user repairs a damaged manifest.
        let installed = match self.require_installed(&component) {
            Ok(installed) => Some(installed),
            Err(Error::Machine(Machine::InstalledManifest { .. })) => None,
            Err(Error::Machine(Machine::NotInstalled { .. } | Machine::NothingInstalled { .. })) => {
                // Until the installation ends, the component's folder may lack a manifest.
                self.change_choices(|choices| choices.set_removed(&component, true))?;
                None
            }
            Err(error) => return Err(error),
        };
        let mut places = self.manifests_in(&url, &component, installed.as_ref())?;
        let mut seen = SeenReleases::load_or_default(&state_dir)?;
        let floors = self.floors(&component, installed.as_ref(), &seen);
        self.check_retry_after_of(&state_dir, &mut seen, &url, false)?;
        let verified = loop {
            url = places.remove(0);
            match self.fetch_manifest(&url, &component, &floors, &self.cancel) {
                Err(Error::Network(error)) if error.is_absent() && !places.is_empty() => {}
                fetched => break fetched.map_err(|error| self.record_retry_after(&state_dir, &mut seen, error))?,
            }
        };
        self.record_seen(&state_dir, &mut seen, &verified)?;
        self.forget_retry_after(&state_dir, &mut seen, &url);
        self.discard_superseded_swap(&state_dir);
        let trusted = verified.fresh(Timestamp::now())?;
        let (mut verdicts, manifest) = (Verdicts::load_or_default(&state_dir)?, trusted.manifest());
        if verdicts.remove(&component, &manifest.content_id(), manifest.meta.sequence) {
            verdicts.save(&state_dir)?;
        }
        self.check_requirements_with(std::iter::once(&manifest.meta), None)?;
        // The place of the manifest is the first mirror; the base URLs that the manifest names
        // follow.
        let mut mirrors: Vec<Url> = SiteNames::of(&manifest.meta).base_url(&url).into_iter().collect();
        mirrors.extend(self.base_urls(&manifest.meta));
        let mut known = BTreeSet::new();
        mirrors.retain(|mirror| known.insert(mirror.clone()));
        self.plan_update(component, installed, trusted, mirrors)
    }

    /// Returns the base URL of the component whose newest manifest, or its folder, is at `url`.
    fn base_of(&self, url: &Url, component: &Component) -> Url {
        let platform_folder = SiteNames::new(SiteLayout::Folders, component.clone(), self.shared.platform.clone());
        let is_in_it = url.path().ends_with(&format!("/{}", platform_folder.manifest(&self.shared.channel)));
        if is_in_it { platform_folder.base_url(url) } else { url.join("./").ok() }.unwrap_or_else(|| url.clone())
    }

    /// Returns the places of the newest manifest below a folder, or `url` itself if it names a
    /// file.
    ///
    /// Only the manifest tells the layout of the site, so the client asks for the names of both. A
    /// component that is installed for this platform keeps to it: an attacker could hide its
    /// releases, and the ones for `any` are older on many sites.
    fn manifests_in(
        &self,
        url: &Url,
        component: &Component,
        installed: Option<&InstalledManifest>,
    ) -> Result<Vec<Url>> {
        if !url.path().ends_with('/') {
            return Ok(vec![url.clone()]);
        }
        let mut platforms = vec![self.shared.platform.clone(), Platform::any()];
        if installed.is_some_and(|installed| installed.manifest.meta.platform == self.shared.platform) {
            platforms.truncate(1);
        }
        let mut places = Vec::new();
        for layout in [SiteLayout::Folders, SiteLayout::Flat] {
            for platform in platforms.iter().cloned() {
                let path = SiteNames::new(layout, component.clone(), platform).manifest(&self.shared.channel);
                places.push(url.join(&path).map_err(|error| super::config::bad("URL", url.as_str(), error))?);
            }
        }
        Ok(places)
    }
}
