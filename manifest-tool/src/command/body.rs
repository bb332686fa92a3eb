//! `manifest-tool body MANIFEST`: the signed bytes, for a signature made or checked by another program.

use crate::error::Result;
use crate::site::manifest_file::ManifestFile;
use std::io::Write;
use std::path::PathBuf;

/// Write a manifest's signed bytes to the standard output: the file without its signature lines
#[derive(Debug, clap::Args)]
pub struct BodyArgs {
    /// The manifest, signed or not
    manifest: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Those of [`ManifestFile::read_signed_or_not`].
pub fn run(args: BodyArgs, out: &mut impl Write) -> Result<()> {
    out.write_all(&ManifestFile::read_signed_or_not(&args.manifest)?.signed.body)?;
    Ok(())
}
