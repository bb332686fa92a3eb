//! `manifest-tool init BUILD`: writes a commented `component.toml`.

use crate::build::component_file::{COMPONENT_FILE, TEMPLATE};
use crate::error::{Error, Result};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Write a commented component.toml into a build folder
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The build folder
    build: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Exists`], or an I/O error.
pub fn run(args: InitArgs, out: &mut impl Write) -> Result<()> {
    let path = args.build.join(COMPONENT_FILE);
    let mut file = fs::File::create_new(&path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
        _ => Error::io("create", &path, error),
    })?;
    file.write_all(TEMPLATE.as_bytes()).map_err(|error| Error::io("write", &path, error))?;
    writeln!(
        out,
        "{}: fill in name, version and urls, then `manifest-tool sign {}`",
        path.display(),
        args.build.display()
    )?;
    Ok(())
}
