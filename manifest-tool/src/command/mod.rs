//! The commands of the program, one file each with its arguments and its function `run`.
//!
//! Flags stay in this folder. The other folders receive checked values.

pub mod attach;
pub mod body;
pub mod bundle;
pub mod diff;
pub mod flags;
pub mod init;
pub mod inspect;
pub mod keygen;
pub mod pause;
pub mod promote;
pub mod prune;
pub mod publish;
pub mod resign;
pub mod serve;
pub mod sign;
pub mod stamp;
pub mod verify;

use crate::error::Result;
use crate::setting::checked;
use crate::signing::{Signer, Signing};
use patcher::internal::manifest::{Meta, Platform};
use patcher::internal::timestamp::Timestamp;
use std::env;
use std::io::Write;
use std::path::Path;

const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The time before its expiry from which on the tools warn about a release: 30 days.
const EXPIRY_WARNING_SECONDS: i64 = 30 * 24 * 3600;

/// Returns the time of signing: `$SOURCE_DATE_EPOCH` if it is set, else the current time.
///
/// <https://reproducible-builds.org/specs/source-date-epoch/>
fn issued() -> Result<Timestamp> {
    let Some(value) = env::var_os(SOURCE_DATE_EPOCH) else { return Ok(Timestamp::now()) };
    let value = value.to_string_lossy();
    let seconds = value.parse().map_err(|_| "not a number of seconds");
    checked(SOURCE_DATE_EPOCH, &value, seconds).map(Timestamp::from_unix)
}

/// Writes the line that identifies a release.
fn write_release(meta: &Meta, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{} {}, sequence {}, channel {}, platform {}",
        meta.component, meta.version, meta.sequence, meta.channel, meta.platform
    )?;
    Ok(())
}

/// Writes the expiry of a release, and the clients that it is offered to.
fn write_terms(meta: &Meta, out: &mut impl Write) -> Result<()> {
    match meta.expires {
        Some(expires) => writeln!(out, "expires {expires}")?,
        None => writeln!(out, "never expires")?,
    }
    if meta.freshness.is_some() {
        writeln!(out, "the head has no stamp yet; `manifest-tool stamp` makes it")?;
    }
    write_audience(meta, out)
}

/// Writes a warning if a release has expired or expires within 30 days.
fn write_expiry_warning(meta: &Meta, now: Timestamp, out: &mut impl Write) -> Result<()> {
    let Some(expires) = meta.expires.filter(|expires| expires.unix() - now.unix() <= EXPIRY_WARNING_SECONDS) else {
        return Ok(());
    };
    let verb = if expires <= now { "expired at" } else { "expires at" };
    writeln!(out, "warning: {}, {verb} {expires}; `resign {}` renews it", named(meta), meta.component)?;
    Ok(())
}

/// Returns the component and the channel of a release, and its platform unless that is `any`.
fn named(meta: &Meta) -> String {
    let platform =
        if meta.platform == Platform::any() { String::new() } else { format!(", platform {}", meta.platform) };
    format!("{}, channel {}{platform}", meta.component, meta.channel)
}

/// Writes which clients a release is offered to, and the stepping stones before it.
fn write_audience(meta: &Meta, out: &mut impl Write) -> Result<()> {
    match meta.rollout {
        _ if meta.critical => writeln!(out, "critical: offered to all clients, whatever the rollout")?,
        Some(0) => writeln!(out, "paused: offered to no client")?,
        Some(percent) => writeln!(out, "offered to {percent}% of the clients")?,
        None => {}
    }
    for stone in &meta.stepping_stones {
        writeln!(out, "below {} first to releases/{}.xml", stone.below, stone.sequence)?;
    }
    Ok(())
}

/// Writes warnings about keys, and the next steps after `--body`; `more` are further arguments of
/// `attach`.
fn write_next(signing: &Signing, site: &Path, more: &str, out: &mut impl Write) -> Result<()> {
    for path in &signing.readable {
        let path = path.display();
        writeln!(out, "warning: other users can read the private key {path}; `chmod 600 {path}` ends that")?;
    }
    if let Signer::Elsewhere(file) = &signing.signer {
        let (file, site) = (file.display(), site.display());
        writeln!(out, "nothing is published yet: sign {file}, then")?;
        writeln!(out, "manifest-tool attach {file} --signature SIG --key PUB.pem --site {site}{more}")?;
    }
    Ok(())
}

/// Returns a count with its noun, as in `1 manifest` and `2 manifests`.
fn counted(count: impl Into<usize>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}
