//! `manifest-tool resign COMPONENT`: issues the latest release again.
//!
//! Publishers use it to renew the expiry, to add a key, or to raise the rollout.

use super::flags::platforms::PlatformFlags;
use super::flags::signing::SigningFlags;
use super::{issued, named, write_next, write_release, write_terms};
use crate::error::Result;
use crate::release::reissue::{self, Terms};
use crate::site::ComponentSite;
use patcher::internal::manifest::{Channel, Component};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sign the latest release of a component again, with the next sequence and new dates; objects stay
/// as they are
#[derive(Debug, clap::Args)]
pub struct ResignArgs {
    /// The component
    component: Component,
    /// The site: the folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// The channel
    #[arg(long, default_value = "stable")]
    channel: Channel,
    /// When clients start to refuse the release: a time, days from now as in 180d, or never
    /// [default: as long after signing as before]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The share of clients that are offered the release, as in 50% [default: unchanged]
    #[arg(long, value_name = "PERCENT")]
    rollout: Option<String>,
    /// Offer the release to all clients, even if the rollout leaves them out or the user skipped
    /// it; =false ends that [default: unchanged]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    critical: Option<bool>,
    #[command(flatten)]
    platforms: PlatformFlags,
    #[command(flatten)]
    signing: SigningFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`reissue::renew`], and of reading keys.
pub fn run(args: ResignArgs, out: &mut impl Write) -> Result<()> {
    let ResignArgs { component, site, channel, expires, rollout, critical, platforms, signing } = args;
    let terms = Terms { channel, issued: issued()?, expires, rollout, critical };
    renew(&site, &component, &terms, platforms, signing, out)
}

/// Issues the releases of a component again and prints their dates.
///
/// # Errors
/// Those of [`reissue::renew`], and of reading keys.
pub(super) fn renew(
    site: &Path,
    component: &Component,
    terms: &Terms,
    platforms: PlatformFlags,
    signing: SigningFlags,
    out: &mut impl Write,
) -> Result<()> {
    let signing = signing.load()?;
    for platform in platforms.select_to_sign(site, component, &terms.channel, &signing)? {
        let site = ComponentSite::find(site, component, platform, signing.site_keys()?)?;
        let meta = reissue::renew(&site, terms, &signing)?;
        write_release(&meta, out)?;
        write_terms(&meta, out)?;
        if let Some(retired) = signing.retires {
            // The release is published: another channel's bad manifest is no failure of this one.
            let latest = site.latest_manifests()?;
            let others: Vec<_> = latest.iter().filter_map(|path| site.read(path).ok()).collect();
            for other in others.iter().map(|file| &file.manifest.meta) {
                if other.retires != Some(retired) && other.channel != meta.channel {
                    writeln!(out, "warning: {} still counts the retired key; `resign` it as well", named(other))?;
                }
            }
        }
    }
    write_next(&signing, site, "", out)
}
