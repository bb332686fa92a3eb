//! `manifest-tool inspect MANIFEST`: shows a manifest as readable text.
//!
//! It checks the form of the manifest, not its signatures.

use crate::error::Result;
use crate::site::manifest_file::ManifestFile;
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Appearance, File, SiteLayout, SteppingStone};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

/// Show a manifest as readable text; -v lists its files and release notes. Signatures are not
/// checked: `verify` does that
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The manifest, signed or not
    manifest: PathBuf,
}

/// Runs the command; `verbose` lists every file and every line of the release notes.
///
/// # Errors
/// Those of [`ManifestFile::read_signed_or_not`].
pub fn run(args: InspectArgs, verbose: bool, out: &mut impl Write) -> Result<()> {
    let ManifestFile { signed, manifest, .. } = ManifestFile::read_signed_or_not(&args.manifest)?;
    let meta = &manifest.meta;
    writeln!(out, "component  {}", meta.component)?;
    writeln!(out, "version    {}", meta.version)?;
    writeln!(out, "sequence   {}", meta.sequence)?;
    writeln!(out, "channel    {}", meta.channel)?;
    writeln!(out, "platform   {}", meta.platform)?;
    writeln!(out, "issued     {}", meta.issued)?;
    if let Some(expires) = meta.expires {
        writeln!(out, "expires    {expires}")?;
    }
    if let Some(launch) = &meta.launch {
        writeln!(out, "launch     {launch}")?;
    }
    let Appearance { title, publisher, icon } = &meta.appearance;
    for (name, value) in [("title", title), ("publisher", publisher)] {
        if let Some(value) = value {
            writeln!(out, "{name:<10} {value}")?;
        }
    }
    if let Some(icon) = icon {
        writeln!(out, "icon       {icon}")?;
    }
    for url in &meta.base_urls {
        writeln!(out, "url        {url}")?;
    }
    for requirement in &meta.requires {
        writeln!(out, "requires   {} {}", requirement.component, requirement.version)?;
    }
    if let Some(percent) = meta.rollout {
        writeln!(out, "rollout    {percent}%")?;
    }
    if meta.critical {
        writeln!(out, "critical   true")?;
    }
    if meta.adoption {
        writeln!(out, "adoption   counted once a week if the user agrees")?;
    }
    for SteppingStone { below, sequence, .. } in &meta.stepping_stones {
        writeln!(out, "first to   releases/{sequence}.xml, when below {below}")?;
    }
    if let Some(key) = &meta.freshness {
        writeln!(out, "stamps by  {}", Sha256::of(key))?;
    }
    for notes in &meta.notes {
        let address = notes.href.as_ref().map(|href| format!(", {href}")).unwrap_or_default();
        writeln!(out, "notes      {}, {} lines{address}", notes.language, notes.lines.len())?;
        if verbose {
            notes.lines.iter().try_for_each(|line| writeln!(out, "           {line}"))?;
        }
    }
    for signature in &signed.signatures {
        writeln!(out, "signed by  {}", signature.key)?;
    }
    let size: u64 = manifest.files.iter().map(|file| file.size).sum();
    let gz: HashMap<_, _> = manifest.files.iter().filter_map(|file| file.gz).map(|gz| (gz.sha256, gz.size)).collect();
    write!(out, "files      {}, {size} bytes", manifest.files.len())?;
    match manifest.meta.layout {
        SiteLayout::Folders => writeln!(out, "; {} as gz", gz.values().sum::<u64>())?,
        SiteLayout::Flat => writeln!(out, "; in a flat layout")?,
    }
    for update in &manifest.meta.updates {
        writeln!(out, "update     from sequence {}, {} bytes", update.from, update.object.object.size + update.rest)?;
    }
    if let Some(install) = &manifest.meta.install {
        writeln!(out, "install    {} bytes", install.object.size)?;
    }
    if !manifest.links.is_empty() {
        writeln!(out, "links      {}", manifest.links.len())?;
    }
    if verbose {
        writeln!(out)?;
        manifest.files.iter().try_for_each(|file| write_file(file, out))?;
        for link in &manifest.links {
            writeln!(out, "{} -> {}", link.path, link.target)?;
        }
    }
    Ok(())
}

fn write_file(file: &File, out: &mut impl Write) -> Result<()> {
    let gz = file.gz.map_or_else(|| "-".to_owned(), |gz| gz.size.to_string());
    write!(out, "{} {:>11} {gz:>11}  {}", file.sha256, file.size, file.path)?;
    for (is_set, word) in [(file.executable, "executable"), (file.preserve, "preserve")] {
        if is_set {
            write!(out, "  {word}")?;
        }
    }
    Ok(writeln!(out)?)
}
