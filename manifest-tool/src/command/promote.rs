//! `manifest-tool promote COMPONENT --from beta --to stable`: offers a release in another channel.

use super::flags::platforms::PlatformFlags;
use super::flags::signing::SigningFlags;
use super::flags::stones::StoneFlags;
use super::{issued, write_next, write_release, write_terms};
use crate::error::Result;
use crate::release::reissue::{self, Promotion, Terms};
use crate::site::ComponentSite;
use patcher::internal::manifest::{Channel, Component};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Make the latest release of one channel the latest one of another channel; objects stay as they
/// are
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// The component
    component: Component,
    /// The channel that has the release
    #[arg(long, value_name = "CHANNEL")]
    from: Channel,
    /// The channel that gets the release
    #[arg(long, value_name = "CHANNEL")]
    to: Channel,
    /// The site: the folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// When clients start to refuse the release: a time, days from now as in 180d, or never
    /// [default: a term as long as in the other channel]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The share of clients that are offered the release at first, as in 10% [default: 100%]
    #[arg(long, value_name = "PERCENT")]
    rollout: Option<String>,
    /// Offer the release to all clients, even if the rollout leaves them out or the user skipped
    /// it; =false ends that [default: as in the other channel]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    critical: Option<bool>,
    /// Publish the release even if its version is not higher than the latest one
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    stepping_stones: StoneFlags,
    #[command(flatten)]
    platforms: PlatformFlags,
    #[command(flatten)]
    signing: SigningFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`reissue::promote`], and of reading keys.
pub fn run(args: PromoteArgs, out: &mut impl Write) -> Result<()> {
    let PromoteArgs { component, from: channel, to, site, expires, rollout, critical, .. } = args;
    let terms = Terms { channel, issued: issued()?, expires, rollout, critical };
    let stepping_stones = args.stepping_stones.policy(None, BTreeMap::new())?;
    let promotion = Promotion { to, stepping_stones, allow_downgrade: args.allow_downgrade };
    let signing = args.signing.load()?;
    for platform in args.platforms.select_to_sign(&site, &component, &terms.channel, &signing)? {
        let site = ComponentSite::find(&site, &component, platform, signing.site_keys()?)?;
        let meta = reissue::promote(&site, &terms, promotion.clone(), &signing)?;
        write_release(&meta, out)?;
        write_terms(&meta, out)?;
    }
    write_next(&signing, &site, "", out)
}
