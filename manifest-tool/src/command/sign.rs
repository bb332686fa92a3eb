//! `manifest-tool sign BUILD`: publishes a build folder.

use super::{write_audience, write_next, write_release};
use crate::build::links::Shortened;
use crate::build::settings::{ComponentFile, Flags, Settings, issued};
use crate::error::{Error, Result};
use crate::release;
use crate::signing::SigningFlags;
use patcher::internal::rel_path::MANIFEST_NAME;
use std::io::Write;
use std::path::{self, Path, PathBuf};

/// Publish a build folder: objects and the latest manifest for the site, and BUILD/manifest.xml for the installer
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The build folder; its component.toml says what flags do not
    build: PathBuf,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    #[command(flatten)]
    signing: SigningFlags,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`release::sign`], and of reading settings and keys.
pub fn run(args: SignArgs, out: &mut impl Write) -> Result<()> {
    let settings = Settings::new(args.flags, ComponentFile::read(&args.build)?, issued()?)?;
    for path in args.signing.files().iter().chain([&args.site]) {
        check_outside(path, &args.build)?;
    }
    let signing = args.signing.load()?;
    let summary = release::sign(&args.build, &args.site, &settings, &signing)?;
    write_release(&summary.meta, out)?;
    write_audience(&summary.meta, out)?;
    for Shortened { link, was } in &summary.shortened {
        writeln!(out, "{} -> {} (was {was})", link.path, link.target)?;
    }
    writeln!(out, "{} files and {} links, {} bytes", summary.files, summary.links, summary.bytes)?;
    writeln!(
        out,
        "{} new objects, {} bytes; {} reused; {} deltas, {} bytes",
        summary.new_objects, summary.new_bytes, summary.reused_objects, summary.deltas, summary.delta_bytes
    )?;
    write_next(&signing, &args.site, &format!(" --output {}", args.build.join(MANIFEST_NAME).display()), out)
}

/// Refuses a site, a key or anything else that would be published with the build.
fn check_outside(path: &Path, build: &Path) -> Result<()> {
    // What is not there yet is compared as it is written; a key that is not there is reported when it is read.
    let real = |path: &Path| path.canonicalize().or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    if real(path).starts_with(real(build)) { Err(Error::InsideBuild { path: path.to_owned() }) } else { Ok(()) }
}
