//! `manifest-tool keygen NAME`: makes a key pair.

use crate::error::Result;
use crate::signing::passphrase::Passphrases;
use crate::signing::private_key::{KeyFiles, PrivateKey};
use std::io::Write;
use std::path::PathBuf;

/// Make a key pair: NAME.key.pem, to be kept secret and offline, and NAME.pub.pem, for the program to embed
#[derive(Debug, clap::Args)]
#[command(mut_arg("passphrase_file", |arg| arg.requires("encrypt")))]
pub struct KeygenArgs {
    /// Where the files go, without their endings
    name: PathBuf,
    /// The key's size
    #[arg(long, default_value_t = 3072, value_parser = clap::value_parser!(u16).range(2048..=4096))]
    bits: u16,
    /// Encrypt the private key with a passphrase
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    passphrases: Passphrases,
}

/// Runs the command.
///
/// # Errors
/// Those of [`PrivateKey::generate`], [`PrivateKey::save`] and [`Passphrases::for_new`].
pub fn run(args: KeygenArgs, out: &mut impl Write) -> Result<()> {
    let files = KeyFiles::new(&args.name);
    files.check_free()?;
    let passphrase = args.encrypt.then(|| args.passphrases.for_new(&files.private)).transpose()?;
    let key = PrivateKey::generate(args.bits.into())?;
    key.save(&files, passphrase.as_ref())?;
    writeln!(out, "private key  {}", files.private.display())?;
    writeln!(out, "public key   {}", files.public.display())?;
    writeln!(out, "key id       {}", key.public().id())?;
    Ok(())
}
