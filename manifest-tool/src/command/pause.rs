//! `manifest-tool pause COMPONENT`: stops offering the latest release.

use super::flags::platforms::PlatformFlags;
use super::flags::signing::SigningFlags;
use super::issued;
use super::resign::renew;
use crate::error::Result;
use crate::release::reissue::Terms;
use patcher::internal::manifest::{Channel, Component};
use std::io::Write;
use std::path::PathBuf;

/// Stop offering the latest release, like `resign --rollout 0% --critical=false`;
/// `resign --rollout 100%` resumes it
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// The component
    component: Component,
    /// The site: the folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// The channel
    #[arg(long, default_value = "stable")]
    channel: Channel,
    #[command(flatten)]
    platforms: PlatformFlags,
    #[command(flatten)]
    signing: SigningFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`reissue::renew`](crate::release::reissue::renew), and of reading keys.
pub fn run(args: PauseArgs, out: &mut impl Write) -> Result<()> {
    let PauseArgs { component, site, channel, platforms, signing } = args;
    // Clients take a critical release whatever its rollout is, so a paused one cannot be critical.
    let (rollout, critical) = (Some("0%".to_owned()), Some(false));
    let terms = Terms { channel, issued: issued()?, expires: None, rollout, critical };
    renew(&site, &component, &terms, platforms, signing, out)
}
