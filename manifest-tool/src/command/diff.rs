//! `manifest-tool diff OLD NEW`: lists the changes between two releases and their download size.
//!
//! It checks the form of both manifests, not their signatures.

use crate::error::Result;
use crate::release::difference::{Difference, PathDifference, Way};
use crate::site::manifest_file::ManifestFile;
use std::io::Write;
use std::path::PathBuf;

/// Show the changes from one release to another, and the bytes that a client with the first one
/// fetches. Signatures are not checked: `verify` does that
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The manifest of the old release
    old: PathBuf,
    /// The manifest of the new release
    new: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Those of [`ManifestFile::read_signed_or_not`].
pub fn run(args: DiffArgs, out: &mut impl Write) -> Result<()> {
    let old = ManifestFile::read_signed_or_not(&args.old)?.manifest;
    let new = ManifestFile::read_signed_or_not(&args.new)?.manifest;
    let Difference { changes, whole, bytes } = Difference::new(&old, &new);
    let mut counts = [0; 3];
    for (path, change, way) in &changes {
        let (mark, at) = match change {
            PathDifference::Added => ('+', 0),
            PathDifference::Removed => ('-', 1),
            PathDifference::Changed => ('~', 2),
        };
        counts[at] += 1;
        match way {
            Way::Local => writeln!(out, "{mark} {:>11}  {path}", 0)?,
            Way::Update => writeln!(out, "{mark} {:>11}  {path} (update object)", "")?,
            Way::Install => writeln!(out, "{mark} {:>11}  {path} (install object)", "")?,
            Way::Whole(bytes) => writeln!(out, "{mark} {bytes:>11}  {path} (whole)")?,
        }
    }
    let (from, to) = (&old.meta.version, &new.meta.version);
    let [added, removed, changed] = counts;
    writeln!(out, "{from} -> {to}: {added} added, {removed} removed, {changed} changed")?;
    Ok(writeln!(out, "{bytes} bytes to fetch; {whole} as wholes")?)
}
