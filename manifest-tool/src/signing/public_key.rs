//! The public keys that a publisher names on the command line.

use crate::error::{Error, Result};
use patcher::internal::error::Caller;
use patcher::internal::keys::PublicKey;
use std::fs;
use std::path::Path;

/// Reads the PEM that `flag` names.
///
/// # Errors
/// [`Caller::BadSetting`] for a file that is no public key that clients accept; an I/O error.
pub fn load(flag: &'static str, path: &Path) -> Result<PublicKey> {
    let pem = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    PublicKey::from_pem(&pem).map_err(|error| {
        let detail = error.to_string();
        Caller::BadSetting { setting: flag, value: path.display().to_string(), detail }.into()
    })
}
