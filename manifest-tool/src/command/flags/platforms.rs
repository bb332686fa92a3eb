//! The flag that names platforms.

use crate::error::Result;
use crate::setting::checked;
use crate::signing::{Signer, Signing};
use crate::site::site_keys::SiteKeys;
use crate::site::{self, ComponentSite};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Channel, Component, Platform};
use std::path::Path;

/// The platforms whose releases a command changes.
#[derive(Debug, clap::Args)]
pub struct PlatformFlags {
    /// Only the release for this platform, as in x86_64-linux; repeat it for each [default: all
    /// platforms of the component]
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<Platform>,
}

impl PlatformFlags {
    /// Returns the named platforms, or all that `component` has releases for.
    ///
    /// Without any release, it returns the platform `any`, for which the command then finds
    /// nothing.
    ///
    /// # Errors
    /// An I/O error.
    pub fn select(self, site: &Path, component: &Component) -> Result<Vec<Platform>> {
        if !self.platforms.is_empty() {
            return Ok(self.platforms);
        }
        let layout = site::layout_of(site, component)?.unwrap_or_default();
        let platforms = site::platforms(site, &SiteNames::new(layout, component.clone(), Platform::any()))?;
        Ok(if platforms.is_empty() { vec![Platform::any()] } else { platforms })
    }

    /// Returns the platforms for a command that signs the releases of a channel again.
    ///
    /// It is [`select`](Self::select) without the platforms that lack the channel.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for several platforms
    /// with `--body`, whose file holds one release; an I/O error.
    pub fn select_to_sign(
        self,
        site: &Path,
        component: &Component,
        channel: &Channel,
        signing: &Signing,
    ) -> Result<Vec<Platform>> {
        let is_named = !self.platforms.is_empty();
        let mut platforms = self.select(site, component)?;
        let mut with_channel = Vec::new();
        for platform in &platforms {
            let found = ComponentSite::find(site, component, platform.clone(), SiteKeys::default())?;
            if found.latest_path(channel).symlink_metadata().is_ok() {
                with_channel.push(platform.clone());
            }
        }
        // A platform without the channel is left out, unless the user names it or none has it.
        if !is_named && !with_channel.is_empty() {
            platforms = with_channel;
        }
        match (&signing.signer, &platforms[..]) {
            (Signer::Elsewhere(file), [_, _, ..]) => {
                let names: Vec<&str> = platforms.iter().map(Platform::as_str).collect();
                let detail = format!("it holds one release; name one of {} by --platform", names.join(", "));
                checked("body", &file.to_string_lossy(), Err(detail))
            }
            _ => Ok(platforms),
        }
    }
}
