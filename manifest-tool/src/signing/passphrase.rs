//! Passphrases of private keys: read from a file, an environment variable or the terminal.
//!
//! [`Zeroizing`] wipes them from memory after use.

use crate::error::{Error, KeyError, Result};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::{env, fs};
use zeroize::Zeroizing;

/// The environment variable that may hold the passphrase.
pub const VARIABLE: &str = "MANIFEST_KEY_PASSPHRASE";

/// The bytes of a passphrase.
pub type Passphrase = Zeroizing<Vec<u8>>;

/// The source of passphrases.
#[derive(Debug, Default)]
pub struct Passphrases {
    /// A file whose first line is the passphrase. Without it, the variable or the terminal is used.
    pub file: Option<PathBuf>,
}

impl Passphrases {
    /// Returns the passphrase of the private key `key`.
    ///
    /// # Errors
    /// [`KeyError::NoPassphrase`] when no source has one and there is no terminal; an I/O error.
    pub fn of(&self, key: &Path) -> Result<Passphrase> {
        match self.read_file_or_variable()? {
            Some(passphrase) => Ok(passphrase),
            None => prompt("Passphrase of", key),
        }
    }

    /// Returns the passphrase for a new private key `key`; a terminal asks for it twice.
    ///
    /// # Errors
    /// [`KeyError::NewPassphrase`] when it is empty or the two entries differ; those of
    /// [`of`](Self::of).
    pub fn for_new(&self, key: &Path) -> Result<Passphrase> {
        let unfit = |detail| Err(KeyError::NewPassphrase { path: key.to_owned(), detail }.into());
        let passphrase = match self.read_file_or_variable()? {
            Some(passphrase) => passphrase,
            None => {
                let passphrase = prompt("New passphrase of", key)?;
                if prompt("The same again, for", key)? != passphrase {
                    return unfit("the two passphrases are not the same");
                }
                passphrase
            }
        };
        if passphrase.is_empty() { unfit("the passphrase is empty") } else { Ok(passphrase) }
    }

    fn read_file_or_variable(&self) -> Result<Option<Passphrase>> {
        let Some(path) = &self.file else {
            return Ok(env::var_os(VARIABLE).map(|value| Zeroizing::new(value.into_encoded_bytes())));
        };
        let text = Zeroizing::new(fs::read(path).map_err(|error| Error::io("read", path, error))?);
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(Some(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())))
    }
}

/// Asks on the terminal. Without one, as in a build job, it fails instead of waiting.
fn prompt(label: &str, key: &Path) -> Result<Passphrase> {
    if !io::stdin().is_terminal() {
        return Err(KeyError::NoPassphrase { path: key.to_owned(), variable: VARIABLE }.into());
    }
    let answer = rpassword::prompt_password(format!("{label} {}: ", key.display()));
    let answer = answer.map_err(|error| Error::io("ask for the passphrase of", key, error))?;
    Ok(Zeroizing::new(answer.into_bytes()))
}
