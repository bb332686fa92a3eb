//! `manifest-tool sign BUILD`: publishes a build folder.

use crate::error::{Error, Result};
use crate::private_key::PrivateKey;
use crate::release;
use crate::settings::{ComponentFile, Flags, Settings};
use patcher::error::Caller;
use patcher::timestamp::Timestamp;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, path};

/// Where the time of signing is taken from: https://reproducible-builds.org/specs/source-date-epoch/
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Publish a build folder: objects and the latest manifest for the site, and BUILD/manifest.xml for the installer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The build folder; its component.toml says what flags do not
    build: PathBuf,
    /// The folder that is uploaded
    #[arg(long, default_value = "./site")]
    site: PathBuf,
    /// A private key; again for each further signature [default: $MANIFEST_KEY or ./release.key.pem]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`release::sign`], and of reading settings and keys.
pub fn run(args: Args, out: &mut impl Write) -> Result<()> {
    let settings = Settings::new(args.flags, ComponentFile::read(&args.build)?, issued()?)?;
    let key_paths = if args.keys.is_empty() { vec![default_key()] } else { args.keys };
    for path in key_paths.iter().chain([&args.site]) {
        check_outside(path, &args.build)?;
    }
    let keys: Vec<_> = key_paths.iter().map(|path| PrivateKey::load(path)).collect::<Result<_>>()?;
    let summary = release::sign(&args.build, &args.site, &settings, &keys)?;
    let meta = &summary.meta;
    writeln!(
        out,
        "{} {}, sequence {}, channel {}, platform {}",
        meta.component, meta.version, meta.sequence, meta.channel, meta.platform
    )?;
    writeln!(out, "{} files and {} links, {} bytes", summary.files, summary.links, summary.bytes)?;
    writeln!(
        out,
        "{} new objects, {} bytes; {} reused",
        summary.new_objects, summary.new_bytes, summary.reused_objects
    )?;
    Ok(())
}

fn default_key() -> PathBuf {
    env::var_os("MANIFEST_KEY").map_or_else(|| "./release.key.pem".into(), PathBuf::from)
}

fn issued() -> Result<Timestamp> {
    let Some(value) = env::var_os(SOURCE_DATE_EPOCH) else { return Ok(Timestamp::now()) };
    match value.to_str().and_then(|value| value.parse().ok()) {
        Some(seconds) => Ok(Timestamp::from_unix(seconds)),
        None => {
            let value = value.to_string_lossy().into_owned();
            Err(Caller::BadSetting { setting: SOURCE_DATE_EPOCH, value, detail: "not a number of seconds".into() }
                .into())
        }
    }
}

/// Refuses a site or a key that would be published with the build.
fn check_outside(path: &Path, build: &Path) -> Result<()> {
    // What is not there yet is compared as it is written; a key that is not there is reported when it is read.
    let real = |path: &Path| path.canonicalize().or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    if real(path).starts_with(real(build)) { Err(Error::InsideBuild { path: path.to_owned() }) } else { Ok(()) }
}
