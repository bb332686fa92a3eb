//! `manifest-tool bundle BUILD`: packs a signed build folder for first installations.

use super::flags::signing::TrustFlags;
use super::sign::check_outside;
use super::write_release;
use crate::bundle::SignedBuild;
use crate::error::Result;
use std::io::Write;
use std::path::PathBuf;

/// Pack a signed build folder into a .tar.xz, which users extract in an install root
#[derive(Debug, clap::Args)]
pub struct BundleArgs {
    /// The build folder, which `sign` has published
    build: PathBuf,
    /// The archive [default: COMPONENT-VERSION-PLATFORM.tar.xz]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`SignedBuild`]; [`Error::InsideBuild`](crate::error::Error::InsideBuild) for an
/// archive that the next `sign` would publish.
pub fn run(args: BundleArgs, out: &mut impl Write) -> Result<()> {
    let BundleArgs { build, output, trust } = args;
    let signed = SignedBuild::read(&build, &trust.load()?)?;
    let archive = output.unwrap_or_else(|| signed.archive_name().into());
    check_outside(&archive, &build)?;
    let size = signed.pack(&archive)?;
    write_release(signed.meta(), out)?;
    writeln!(out, "{}, {size} bytes", archive.display())?;
    Ok(())
}
