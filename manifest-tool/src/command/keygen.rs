//! `manifest-tool keygen NAME`: makes a key pair.

use crate::error::Result;
use crate::private_key::PrivateKey;
use std::io::Write;
use std::path::PathBuf;

/// Make a key pair: NAME.key.pem, to be kept secret and offline, and NAME.pub.pem, for the program to embed
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the files go, without their endings
    name: PathBuf,
    /// The key's size
    #[arg(long, default_value_t = 3072, value_parser = clap::value_parser!(u16).range(2048..=4096))]
    bits: u16,
}

/// Runs the command.
///
/// # Errors
/// Those of [`PrivateKey::generate`] and [`PrivateKey::save`].
pub fn run(args: Args, out: &mut impl Write) -> Result<()> {
    PrivateKey::check_free(&args.name)?;
    let key = PrivateKey::generate(args.bits.into())?;
    let (private, public) = key.save(&args.name)?;
    writeln!(out, "private key  {}", private.display())?;
    writeln!(out, "public key   {}", public.display())?;
    writeln!(out, "key id       {}", key.public().id())?;
    Ok(())
}
