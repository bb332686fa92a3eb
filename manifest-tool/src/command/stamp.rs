//! `manifest-tool stamp SITE --key KEY`: proves that the releases of a site are the newest ones.

use super::flags::signing::{PassphraseFlags, TrustFlags};
use super::{named, write_expiry_warning};
use crate::error::Result;
use crate::release::stamp::stamp;
use crate::setting::valid_until;
use crate::signing::private_key::PrivateKey;
use patcher::internal::timestamp::Timestamp;
use std::io::Write;
use std::path::PathBuf;

/// Stamp all heads of a site whose releases name this freshness key; run it more often than the
/// stamps end, for example from cron. It needs no release key
#[derive(Debug, clap::Args)]
pub struct StampArgs {
    /// The site's folder
    site: PathBuf,
    /// The private freshness key, which `sign --freshness-key` has named
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The time for which the stamps are valid, as in 12h or 3d
    #[arg(long, value_name = "TIME", default_value = "3d")]
    valid: String,
    #[command(flatten)]
    passphrases: PassphraseFlags,
    #[command(flatten)]
    trust: TrustFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`stamp`], and of reading keys.
pub fn run(args: StampArgs, out: &mut impl Write) -> Result<()> {
    let StampArgs { site, key, valid, passphrases, trust } = args;
    let now = Timestamp::now();
    let until = valid_until(&valid, now)?;
    let key = PrivateKey::load(&key, &passphrases.passphrases())?;
    for meta in stamp(&site, &trust.load()?, &key, until)? {
        writeln!(out, "{}, sequence {}: the newest release until {until}", named(&meta), meta.sequence)?;
        write_expiry_warning(&meta, now, out)?;
    }
    Ok(())
}
