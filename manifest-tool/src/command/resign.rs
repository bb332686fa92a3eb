//! `manifest-tool resign COMPONENT`: issues the latest release again, to renew its term, to add a key, or for more clients.

use super::{write_next, write_release, write_terms};
use crate::build::settings::issued;
use crate::error::Result;
use crate::release::reissue::{self, Renewal};
use crate::signing::SigningFlags;
use patcher::internal::manifest::{Channel, Component};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sign the latest release of a component again, under the next sequence and with a new term; no object is touched
#[derive(Debug, clap::Args)]
pub struct ResignArgs {
    /// The component
    component: Component,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// The line of releases
    #[arg(long, default_value = "stable")]
    channel: Channel,
    /// From when on clients refuse it: a time, days as in 180d, or never [default: as long as the last time]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The share of clients that it is offered to, as in 50% [default: as it is]
    #[arg(long, value_name = "PERCENT")]
    rollout: Option<String>,
    /// Offer it to everybody, whatever the rollout and whatever a user skipped; or, with =false, no more [default: as it is]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    critical: Option<bool>,
    #[command(flatten)]
    signing: SigningFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`reissue::renew`], and of reading keys.
pub fn run(args: ResignArgs, out: &mut impl Write) -> Result<()> {
    let ResignArgs { component, site, channel, expires, rollout, critical, signing } = args;
    renew(&site, &Renewal { component, channel, issued: issued()?, expires, rollout, critical }, signing, out)
}

/// Issues a release again and says what it is now.
///
/// # Errors
/// Those of [`reissue::renew`], and of reading keys.
pub(super) fn renew(site: &Path, renewal: &Renewal, signing: SigningFlags, out: &mut impl Write) -> Result<()> {
    let signing = signing.load()?;
    let meta = reissue::renew(site, renewal, &signing)?;
    write_release(&meta, out)?;
    write_terms(&meta, out)?;
    write_next(&signing, site, "", out)
}
