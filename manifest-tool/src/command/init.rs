//! `manifest-tool init BUILD`: writes a commented `component.toml`.

use crate::build::component_file::{COMPONENT_FILE, TEMPLATE};
use crate::error::{Error, Result};
use crate::setting::checked_url;
use patcher::internal::manifest::{Component, base_url};
use semver::Version;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Write a commented component.toml into a build folder, which is created if it is missing
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The build folder
    build: PathBuf,
    /// The component's name
    #[arg(long, value_name = "NAME")]
    component: Option<Component>,
    /// The version that users read, as in 3.1.0
    #[arg(long)]
    version: Option<Version>,
    /// The URL where the component's folder of the site will be served; repeat it for each mirror
    #[arg(long = "base-url", value_name = "URL")]
    base_urls: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting) for a URL that no client
/// accepts; [`Error::Exists`], or an I/O error.
pub fn run(args: InitArgs, out: &mut impl Write) -> Result<()> {
    let InitArgs { build, component, version, base_urls } = args;
    let urls = base_urls.iter().map(|url| checked_url("base-url", url, base_url(url)));
    let urls = urls.map(|url| Ok(quoted(url?))).collect::<Result<Vec<_>>>()?.join(", ");
    // None of these values has a character that TOML gives a meaning.
    let settings = [
        ("name", component.map(quoted)),
        ("version", version.map(quoted)),
        ("urls", Some(format!("[{urls}]")).filter(|_| !urls.is_empty())),
    ];
    let missing: Vec<&str> = settings.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect();
    fs::create_dir_all(&build).map_err(|error| Error::io("create", &build, error))?;
    let path = build.join(COMPONENT_FILE);
    let mut file = fs::File::create_new(&path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
        _ => Error::io("create", &path, error),
    })?;
    file.write_all(filled_in(&settings).as_bytes()).map_err(|error| Error::io("write", &path, error))?;
    let (path, build) = (path.display(), build.display());
    match &missing[..] {
        [] => writeln!(out, "{path} is complete: `manifest-tool sign {build}`")?,
        missing => writeln!(out, "{path}: fill in {}, then `manifest-tool sign {build}`", missing.join(", "))?,
    }
    Ok(())
}

/// Returns the template with these settings in the place of their examples.
fn filled_in(settings: &[(&str, Option<String>)]) -> String {
    let mut text = TEMPLATE.to_owned();
    for (key, value) in settings {
        let example = TEMPLATE.lines().find(|line| line.starts_with(&format!("# {key} = ")));
        if let (Some(value), Some(example)) = (value, example) {
            text = text.replacen(example, &format!("{key} = {value}"), 1);
        }
    }
    text
}

fn quoted(value: impl Display) -> String {
    format!("\"{value}\"")
}
