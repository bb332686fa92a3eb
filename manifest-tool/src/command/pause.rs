//! `manifest-tool pause COMPONENT`: stops a release: no further client is offered it. `resign --rollout` goes on.

use super::resign::renew;
use crate::build::settings::issued;
use crate::error::Result;
use crate::release::reissue::Renewal;
use crate::signing::SigningFlags;
use patcher::internal::manifest::{Channel, Component};
use std::io::Write;
use std::path::PathBuf;

/// Offer the latest release of a component to nobody further, as `resign --rollout 0% --critical=false` does;
/// `resign --rollout 100%` goes on
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// The component
    component: Component,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// The line of releases
    #[arg(long, default_value = "stable")]
    channel: Channel,
    #[command(flatten)]
    signing: SigningFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`reissue::renew`](crate::release::reissue::renew), and of reading keys.
pub fn run(args: PauseArgs, out: &mut impl Write) -> Result<()> {
    let PauseArgs { component, site, channel, signing } = args;
    // A critical release is offered whatever the rollout says: it has to lose that to stop.
    let (rollout, critical) = (Some("0%".to_owned()), Some(false));
    let renewal = Renewal { component, channel, issued: issued()?, expires: None, rollout, critical };
    renew(&site, &renewal, signing, out)
}
