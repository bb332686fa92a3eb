//! The flag that names platforms.

use crate::error::Result;
use crate::setting::checked;
use crate::signing::{Signer, Signing};
use crate::site;
use patcher::internal::manifest::{Component, Platform};
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
    /// A component without a release counts as one for the platform `any`, where the command then
    /// finds nothing.
    ///
    /// # Errors
    /// An I/O error.
    pub fn select(self, site: &Path, component: &Component) -> Result<Vec<Platform>> {
        if !self.platforms.is_empty() {
            return Ok(self.platforms);
        }
        let platforms = site::platforms(&site.join(component.as_str()))?;
        Ok(if platforms.is_empty() { vec![Platform::any()] } else { platforms })
    }

    /// As [`select`](Self::select), for a command that signs.
    ///
    /// # Errors
    /// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for several platforms
    /// with `--body`, whose file holds one release; an I/O error.
    pub fn select_to_sign(self, site: &Path, component: &Component, signing: &Signing) -> Result<Vec<Platform>> {
        let platforms = self.select(site, component)?;
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
