//! Passphrases of private keys: from a file, from the environment, or asked for, and wiped from memory after use.

use crate::error::{Error, Result};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::{env, fs};
use zeroize::Zeroizing;

/// The environment variable that is looked at.
pub const VARIABLE: &str = "MANIFEST_KEY_PASSPHRASE";

/// A passphrase, as the bytes that were given.
pub type Passphrase = Zeroizing<Vec<u8>>;

/// Where passphrases come from, as the command line says it.
#[derive(Debug, Default, clap::Args)]
pub struct Passphrases {
    /// A file whose first line is the passphrase of encrypted keys [default: $MANIFEST_KEY_PASSPHRASE, or asked for]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl Passphrases {
    /// The passphrase of the private key `key`.
    ///
    /// # Errors
    /// [`Error::NoPassphrase`] when there is none and no terminal to ask on, or the system's answer.
    pub fn of(&self, key: &Path) -> Result<Passphrase> {
        match self.given()? {
            Some(passphrase) => Ok(passphrase),
            None => ask("Passphrase of", key),
        }
    }

    /// A passphrase for the private key `key`, which is yet to be written; on a terminal it is asked for twice.
    ///
    /// # Errors
    /// [`Error::NewPassphrase`] when it is empty or the second one differs; those of [`of`](Self::of).
    pub fn for_new(&self, key: &Path) -> Result<Passphrase> {
        let unfit = |detail| Err(Error::NewPassphrase { path: key.to_owned(), detail });
        let passphrase = match self.given()? {
            Some(passphrase) => passphrase,
            None => {
                let passphrase = ask("New passphrase of", key)?;
                if ask("The same again, for", key)? != passphrase {
                    return unfit("the two passphrases are not the same");
                }
                passphrase
            }
        };
        if passphrase.is_empty() { unfit("the passphrase is empty") } else { Ok(passphrase) }
    }

    fn given(&self) -> Result<Option<Passphrase>> {
        let Some(path) = &self.passphrase_file else {
            return Ok(env::var_os(VARIABLE).map(|value| Zeroizing::new(value.into_encoded_bytes())));
        };
        let text = Zeroizing::new(fs::read(path).map_err(|error| Error::io("read", path, error))?);
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(Some(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())))
    }
}

/// Asks on the terminal; a program that has none, a build's for one, must not wait for an answer.
fn ask(what: &str, key: &Path) -> Result<Passphrase> {
    if !io::stdin().is_terminal() {
        return Err(Error::NoPassphrase { path: key.to_owned() });
    }
    let answer = rpassword::prompt_password(format!("{what} {}: ", key.display()));
    let answer = answer.map_err(|error| Error::io("ask for the passphrase of", key, error))?;
    Ok(Zeroizing::new(answer.into_bytes()))
}
