//! The program's commands, one file each: the arguments, and what is done with them.

pub mod attach;
pub mod body;
pub mod init;
pub mod inspect;
pub mod keygen;
pub mod resign;
pub mod sign;
pub mod verify;

use crate::error::Result;
use crate::signing::Signing;
use patcher::manifest::Meta;
use std::io::Write;
use std::path::Path;

/// Says which release it is.
fn write_release(meta: &Meta, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{} {}, sequence {}, channel {}, platform {}",
        meta.component, meta.version, meta.sequence, meta.channel, meta.platform
    )?;
    Ok(())
}

/// Says what is left to do when a key elsewhere signs; `and` is what `attach` is to be told beside the site.
fn write_next(signing: &Signing, site: &Path, and: &str, out: &mut impl Write) -> Result<()> {
    if let Signing::Elsewhere(file) = signing {
        let (file, site) = (file.display(), site.display());
        writeln!(out, "nothing is published yet: sign {file}, then")?;
        writeln!(out, "manifest-tool attach {file} --signature SIG --key PUB.pem --site {site}{and}")?;
    }
    Ok(())
}
