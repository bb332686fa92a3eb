//! `manifest-tool resign COMPONENT`: issues the latest release again, to renew its term or to add a key.

use super::{write_next, write_release};
use crate::error::Result;
use crate::public_key;
use crate::release::{self, Renewal};
use crate::settings::issued;
use crate::signing::SigningFlags;
use patcher::manifest::Name;
use std::io::Write;
use std::path::PathBuf;

/// Sign the latest release of a component again, under the next sequence and with a new term; no object is touched
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component
    component: Name,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// The line of releases
    #[arg(long, default_value = "stable")]
    channel: Name,
    /// From when on clients refuse it: a time, days as in 180d, or never [default: as long as the last time]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    #[command(flatten)]
    signing: SigningFlags,
    /// A public key that the release may be signed by so far, beside those that sign it now; again for each
    #[arg(long = "trust", value_name = "PUB")]
    trusted: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Those of [`release::renew`], and of reading keys.
pub fn run(args: Args, out: &mut impl Write) -> Result<()> {
    let trusted = args.trusted.iter().map(|path| public_key::load("--trust", path)).collect::<Result<_>>()?;
    let Args { component, site, channel, expires, signing, .. } = args;
    let renewal = Renewal { component, channel, issued: issued()?, expires };
    let signing = signing.load()?;
    let meta = release::renew(&site, &renewal, trusted, &signing)?;
    write_release(&meta, out)?;
    match meta.expires {
        Some(expires) => writeln!(out, "expires {expires}")?,
        None => writeln!(out, "never expires")?,
    }
    write_next(&signing, &site, "", out)
}
