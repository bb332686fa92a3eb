//! `manifest-tool body MANIFEST`: writes the signed bytes of a manifest.
//!
//! Another program, such as openssl, can sign them or check a signature of them.

use crate::error::Result;
use crate::site::manifest_file::ManifestFile;
use std::io::Write;
use std::path::PathBuf;

/// Write the signed bytes of a manifest, the file without its signature lines, to the standard
/// output
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
