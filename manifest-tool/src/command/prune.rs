//! `manifest-tool prune COMPONENT --keep N`: removes past releases and the objects only they need.

use super::counted;
use super::flags::platforms::PlatformFlags;
use super::flags::signing::TrustFlags;
use crate::error::Result;
use crate::prune::Dropped;
use crate::site::ComponentSite;
use patcher::internal::manifest::Component;
use std::io::Write;
use std::path::PathBuf;

/// Remove past releases, and every object that only they name. The latest release of each channel,
/// the kept releases and the stepping stones of both stay. Do not use it while a release waits for
/// its signature: no manifest names its objects yet, so they would be removed
#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// The component
    component: Component,
    /// The number of past releases that each channel keeps; `sign` makes deltas from them
    #[arg(long, value_name = "N")]
    keep: usize,
    /// The site: the folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// List the files and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    platforms: PlatformFlags,
    #[command(flatten)]
    trust: TrustFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`Dropped::find`] and [`Dropped::carry_out`].
pub fn run(args: PruneArgs, out: &mut impl Write) -> Result<()> {
    let keys = args.trust.load()?;
    let (mut manifests, mut objects, mut bytes) = (0, 0, 0);
    for platform in args.platforms.select(&args.site, &args.component)? {
        let site = ComponentSite::find(&args.site, &args.component, platform, keys.clone())?;
        let _lock = site.lock_existing()?;
        let dropped = Dropped::find(&site, args.keep)?;
        if !args.dry_run {
            dropped.carry_out(&site)?;
        }
        for file in dropped.manifests.iter().chain(&dropped.objects) {
            writeln!(
                out,
                "{:>11}  {}",
                file.bytes,
                file.path.strip_prefix(site.dir()).unwrap_or(&file.path).display()
            )?;
        }
        manifests += dropped.manifests.len();
        objects += dropped.objects.len();
        bytes += dropped.bytes();
    }
    let (manifests, objects) = (counted(manifests, "manifest"), counted(objects, "object"));
    let done = if args.dry_run { "would be dropped" } else { "dropped" };
    Ok(writeln!(out, "{manifests} and {objects}, {bytes} bytes, {done}")?)
}
