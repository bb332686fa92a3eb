//! `manifest-tool keygen NAME`: makes a key pair.

use super::flags::signing::PassphraseFlags;
use crate::error::Result;
use crate::signing::private_key::{KeyFiles, PrivateKey};
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

/// Make a key pair: NAME.key.pem to keep secret and offline, and NAME.pub.pem to embed in the
/// program
#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// The path of both files without .key.pem and .pub.pem
    name: PathBuf,
    /// The size of the key in bits
    #[arg(long, default_value_t = 3072, value_parser = clap::value_parser!(u16).range(2048..=4096))]
    bits: u16,
    /// Encrypt the private key with a passphrase, also without a terminal that could ask for one
    #[arg(long)]
    encrypt: bool,
    /// Do not encrypt the private key, and do not ask for a passphrase
    #[arg(long, conflicts_with_all = ["encrypt", "passphrase_file"])]
    no_passphrase: bool,
    #[command(flatten)]
    passphrases: PassphraseFlags,
}

/// Runs the command.
///
/// # Errors
/// Those of [`PrivateKey::generate`], of [`PrivateKey::save`], and of reading the passphrase.
pub fn run(args: KeygenArgs, out: &mut impl Write) -> Result<()> {
    let files = KeyFiles::new(&args.name);
    files.check_absent()?;
    let passphrases = args.passphrases.passphrases();
    let asks = io::stdin().is_terminal() || passphrases.file.is_some();
    let encrypts = args.encrypt || (asks && !args.no_passphrase);
    let passphrase = encrypts.then(|| passphrases.for_new(&files.private)).transpose()?;
    let key = PrivateKey::generate(args.bits.into())?;
    key.save(&files, passphrase.as_ref())?;
    let warning = if encrypts { "" } else { " (not encrypted: who reads it can sign with it)" };
    writeln!(out, "private key  {}{warning}", files.private.display())?;
    writeln!(out, "public key   {}", files.public.display())?;
    writeln!(out, "key id       {}", key.public().id())?;
    Ok(())
}
