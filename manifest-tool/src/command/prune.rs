//! `manifest-tool prune COMPONENT --keep N`: drops past releases, and what only they need.

use crate::error::Result;
use crate::prune::Dropped;
use crate::site::ComponentSite;
use patcher::internal::manifest::Component;
use std::io::Write;
use std::path::PathBuf;

/// Drop past releases and every object that only they name. What the latest manifest of a channel, a kept release or a
/// stepping stone of either names stays. Not while a release waits for its signature: nothing names its objects yet
#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// The component
    component: Component,
    /// How many releases each channel keeps besides its latest; `sign` makes deltas from those that are there
    #[arg(long, value_name = "N")]
    keep: usize,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// Only list what would be dropped
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// Those of [`Dropped::find`] and [`Dropped::carry_out`].
pub fn run(args: PruneArgs, out: &mut impl Write) -> Result<()> {
    let site = ComponentSite::new(args.site.join(args.component.as_str()));
    let dropped = Dropped::find(&site, args.keep)?;
    if !args.dry_run {
        dropped.carry_out(&site)?;
    }
    for file in dropped.manifests.iter().chain(&dropped.objects) {
        writeln!(out, "{:>11}  {}", file.bytes, file.path)?;
    }
    let (manifests, objects, bytes) = (dropped.manifests.len(), dropped.objects.len(), dropped.bytes());
    let done = if args.dry_run { "would be dropped" } else { "dropped" };
    Ok(writeln!(out, "{manifests} manifests and {objects} objects, {bytes} bytes, {done}")?)
}
