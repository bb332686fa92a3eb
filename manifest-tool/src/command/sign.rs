//! `manifest-tool sign BUILD...`: publishes build folders on the site.

use super::flags::release::ReleaseFlags;
use super::flags::signing::SigningFlags;
use super::flags::stones::StoneFlags;
use super::{counted, issued, write_expiry_warning, write_next, write_release, write_terms};
use crate::build::component_file::ComponentFile;
use crate::build::links::Shortened;
use crate::build::settings::Settings;
use crate::delta::plan::DeltaLimits;
use crate::error::{Error, Result};
use crate::release::{self, ReleasePolicy, UpdateCost};
use crate::setting::checked;
use crate::signing::{Signer, Signing};
use patcher::internal::manifest::SiteLayout;
use patcher::internal::progress_line::{ProgressLine, percent_saved};
use patcher::internal::rel_path::MANIFEST_NAME;
use patcher::internal::timestamp::Timestamp;
use std::io::Write;
use std::path::{self, Path, PathBuf};

/// The highest value of `--updates`, which counts per channel. A manifest names at most 32 update
/// objects.
const MAX_UPDATES: usize = 16;

/// Publish a build folder: objects and the latest manifest on the site, and BUILD/manifest.xml for
/// the installer. Several build folders, such as one for each platform, are published in turn
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The build folders; flags replace the settings in their component.toml
    #[arg(required = true, value_name = "BUILD")]
    builds: Vec<PathBuf>,
    /// The site: the folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    #[command(flatten)]
    signing: SigningFlags,
    #[command(flatten)]
    release: ReleaseFlags,
    /// Publish the release even if its version is not higher than the latest one
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    stepping_stones: StoneFlags,
    /// The number of previous releases that are updated by deltas; 0 makes none
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_updates)]
    updates: usize,
    /// Make no install object: new users fetch each file by itself
    #[arg(long)]
    no_install_object: bool,
    /// The names of a new component's files: `folders`, or `flat` for stores without folders such
    /// as GitHub Releases. The site remembers it [default: folders]
    #[arg(long, conflicts_with = "no_install_object")]
    layout: Option<SiteLayout>,
    /// The memory that making deltas and the install object may use, as in 512M or 2G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = parse_size)]
    memory: u64,
}

/// Runs the command.
///
/// # Errors
/// Those of [`release::sign`], of [`Settings::new`], and of reading keys.
pub fn run(args: SignArgs, out: &mut impl Write) -> Result<()> {
    let SignArgs { builds, site, signing, release, allow_downgrade, stepping_stones, updates, memory, .. } = args;
    let mut releases: Vec<(PathBuf, Settings, ReleasePolicy)> = Vec::new();
    for build in builds {
        let critical = release.critical;
        let file = release.clone().over(ComponentFile::read(&build)?)?;
        let mut settings = Settings::new(&file, issued()?)?;
        settings.critical = critical;
        let policy = ReleasePolicy {
            allow_downgrade,
            stepping_stones: stepping_stones.clone().policy(file.min_version, file.stepping_stones)?,
            deltas: DeltaLimits { updates, memory },
            install_object: !args.no_install_object,
            layout: args.layout,
        };
        for path in signing.private_files().iter().chain([&site]) {
            check_outside(path, &build)?;
        }
        let target =
            |settings: &Settings| (settings.component.clone(), settings.channel.clone(), settings.platform.to_string());
        if releases.iter().any(|(_, other, _)| target(other) == target(&settings)) {
            let detail = "another build folder has the same component, channel and platform";
            return checked("BUILD", &build.to_string_lossy(), Err(detail));
        }
        releases.push((build, settings, policy));
    }
    let signing = signing.load()?;
    if let (Signer::Elsewhere(file), true) = (&signing.signer, releases.len() > 1) {
        return checked("body", &file.to_string_lossy(), Err("it holds one release; give one build folder"));
    }
    for (build, settings, policy) in &releases {
        sign_one(build, &site, settings, policy, &signing, out)?;
    }
    Ok(())
}

/// Publishes one build folder.
fn sign_one(
    build: &Path,
    site: &Path,
    settings: &Settings,
    policy: &ReleasePolicy,
    signing: &Signing,
    out: &mut impl Write,
) -> Result<()> {
    let summary = release::sign(build, site, settings, policy, signing, ProgressLine::new("reading"))?;
    write_release(&summary.meta, out)?;
    write_terms(&summary.meta, out)?;
    // The clock may be wrong, or `SOURCE_DATE_EPOCH` old.
    write_expiry_warning(&summary.meta, Timestamp::now(), out)?;
    for warning in &summary.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    for path in &summary.ignored {
        writeln!(out, "{} is not a release by a trusted key that counts, and was not used", path.display())?;
    }
    for Shortened { link, was } in &summary.shortened {
        writeln!(out, "{} -> {} (was {was})", link.path, link.target)?;
    }
    let (files, links) = (counted(summary.files, "file"), counted(summary.links, "link"));
    writeln!(out, "{files} and {links}, {} bytes", summary.bytes)?;
    writeln!(
        out,
        "{}, {} bytes; {} reused; {}, {} bytes",
        counted(summary.new_objects, "new object"),
        summary.new_bytes,
        summary.reused_objects,
        counted(summary.deltas, "delta"),
        summary.delta_bytes
    )?;
    if let Some(install) = &summary.meta.install {
        writeln!(out, "install object, {} bytes", install.object.size)?;
    }
    if let Some(UpdateCost { from, update, install }) = &summary.update {
        let saved = percent_saved(*update, *install);
        writeln!(out, "update from {from}, {update} bytes: {saved}% less than a first installation")?;
    }
    write_next(signing, site, &format!(" --output {}", build.join(MANIFEST_NAME).display()), out)
}

/// Refuses the site, a key or another file inside the build folder, which would be published.
pub(super) fn check_outside(path: &Path, build: &Path) -> Result<()> {
    // An absent path cannot be resolved, and is compared as it is written. An absent key fails
    // later, when it is read.
    let real = |path: &Path| path.canonicalize().or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    if real(path).starts_with(real(build)) { Err(Error::InsideBuild { path: path.to_owned() }) } else { Ok(()) }
}

/// Parses the number of releases that get an update object.
fn parse_updates(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= MAX_UPDATES);
    count.ok_or_else(|| format!("not a number up to {MAX_UPDATES}"))
}

/// Parses a number of bytes, with a suffix K, M or G for a power of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("the suffixes are K, M and G".to_owned()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "not a number of bytes".to_owned())
}
