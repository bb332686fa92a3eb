//! The program's commands, one file each: the arguments, and what is done with them.

pub mod attach;
pub mod body;
pub mod diff;
pub mod init;
pub mod inspect;
pub mod keygen;
pub mod pause;
pub mod promote;
pub mod prune;
pub mod publish;
pub mod resign;
pub mod sign;
pub mod verify;

use crate::error::Result;
use crate::signing::{Signer, Signing};
use patcher::internal::manifest::Meta;
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

/// Says from when on clients refuse it, and which of them it is for.
fn write_terms(meta: &Meta, out: &mut impl Write) -> Result<()> {
    match meta.expires {
        Some(expires) => writeln!(out, "expires {expires}")?,
        None => writeln!(out, "never expires")?,
    }
    write_audience(meta, out)
}

/// Says which clients it is for, unless it is for all of them in one step.
fn write_audience(meta: &Meta, out: &mut impl Write) -> Result<()> {
    match meta.rollout {
        _ if meta.critical => writeln!(out, "critical: offered to everybody, whatever the rollout")?,
        Some(0) => writeln!(out, "paused: offered to nobody")?,
        Some(percent) => writeln!(out, "offered to {percent}% of the clients")?,
        None => {}
    }
    for stone in &meta.stepping_stones {
        writeln!(out, "below {} first to releases/{}.xml", stone.below, stone.sequence)?;
    }
    Ok(())
}

/// Says what is left to do when a key elsewhere signs; `and` is what `attach` is to be told beside the site.
fn write_next(signing: &Signing, site: &Path, and: &str, out: &mut impl Write) -> Result<()> {
    if let Signer::Elsewhere(file) = &signing.signer {
        let (file, site) = (file.display(), site.display());
        writeln!(out, "nothing is published yet: sign {file}, then")?;
        writeln!(out, "manifest-tool attach {file} --signature SIG --key PUB.pem --site {site}{and}")?;
    }
    Ok(())
}
