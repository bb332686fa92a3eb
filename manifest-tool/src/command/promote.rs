//! `manifest-tool promote COMPONENT --from beta --to stable`: another channel gets the same release.

use super::{write_next, write_release, write_terms};
use crate::build::settings::issued;
use crate::error::Result;
use crate::release::reissue::{self, Promotion, Renewal};
use crate::release::stepping_stones::{SteppingStones, StoneFlags};
use crate::signing::SigningFlags;
use patcher::internal::manifest::{Channel, Component};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Make the latest release of one channel the latest one of another: the same content, no object is touched
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// The component
    component: Component,
    /// The channel that has the release
    #[arg(long, value_name = "CHANNEL")]
    from: Channel,
    /// The channel that gets it
    #[arg(long, value_name = "CHANNEL")]
    to: Channel,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// From when on clients refuse it: a time, days as in 180d, or never [default: as long as in the other channel]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The share of clients that it is offered to at first, as in 10% [default: 100%]
    #[arg(long, value_name = "PERCENT")]
    rollout: Option<String>,
    /// Offer it to everybody, whatever the rollout and whatever a user skipped; or, with =false, not so
    /// [default: as in the other channel]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    critical: Option<bool>,
    /// Publish it even if its version is not higher than the latest one
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    stepping_stones: StoneFlags,
    #[command(flatten)]
    signing: SigningFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`reissue::promote`], and of reading keys.
pub fn run(args: PromoteArgs, out: &mut impl Write) -> Result<()> {
    let PromoteArgs { component, from: channel, to, site, expires, rollout, critical, .. } = args;
    let renewal = Renewal { component, channel, issued: issued()?, expires, rollout, critical };
    let stepping_stones = SteppingStones::new(args.stepping_stones, None, BTreeMap::new())?;
    let promotion = Promotion { to, stepping_stones, allow_downgrade: args.allow_downgrade };
    let signing = args.signing.load()?;
    let meta = reissue::promote(&site, &renewal, promotion, &signing)?;
    write_release(&meta, out)?;
    write_terms(&meta, out)?;
    write_next(&signing, &site, "", out)
}
