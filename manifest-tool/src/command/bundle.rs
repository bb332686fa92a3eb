//! `manifest-tool bundle BUILD`: packs a signed build folder for first installations.

use super::flags::signing::TrustFlags;
use super::sign::check_outside;
use super::write_release;
use crate::bundle::{SignedBuild, Uninstalling};
use crate::error::Result;
use crate::setting::checked;
use std::io::Write;
use std::path::PathBuf;

/// Pack a signed build folder for first installations: for Windows into an installer, for other
/// platforms into a .tar.xz, which users extract in an install root
#[derive(Debug, clap::Args)]
pub struct BundleArgs {
    /// The build folder, which `sign` has published
    build: PathBuf,
    /// The bundle [default: COMPONENT-VERSION-PLATFORM.exe or .tar.xz]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The program patcher.exe for Windows, with which the installer adds the program to the start
    /// menu and the uninstaller removes it
    #[arg(long, value_name = "FILE")]
    patcher: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`SignedBuild`]; [`Error::InsideBuild`](crate::error::Error::InsideBuild) for a
/// bundle that the next `sign` would publish.
pub fn run(args: BundleArgs, out: &mut impl Write) -> Result<()> {
    let BundleArgs { build, output, patcher, trust } = args;
    let signed = SignedBuild::read(&build, &trust.load()?)?;
    let bundle = output.unwrap_or_else(|| signed.file_name().into());
    check_outside(&bundle, &build)?;
    let size = if signed.is_for_windows() {
        let patcher = checked("patcher", "", patcher.as_deref().ok_or("an installer needs --patcher patcher.exe"))?;
        let keys = trust.paths();
        signed.build_installer(&Uninstalling { patcher, keys: &keys, threshold: trust.threshold() }, &bundle)?
    } else {
        signed.pack(&bundle)?
    };
    write_release(signed.meta(), out)?;
    writeln!(out, "{}, {size} bytes", bundle.display())?;
    Ok(())
}
