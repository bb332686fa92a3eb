//! A signing program: a command of the publisher that signs a digest, with a key in a KMS or HSM.
//!
//! The command gets the 32 bytes of the SHA-256 on its standard input, and writes the bytes of the
//! signature (RSASSA-PKCS1-v1_5) to its standard output.

use crate::error::{KeyError, Result};
use patcher::internal::digest::Sha256;
use patcher::internal::keys::PublicKey;
use patcher::internal::manifest::Signature;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// The largest output that is read: more than the signature of any key.
const MAX_SIGNATURE_BYTES: u64 = 64 << 10;

/// A command that signs, and the public half of its key.
#[derive(Debug, Clone)]
pub struct SigningProgram {
    /// The command line, for the shell.
    pub command: String,
    /// The key that it signs with.
    pub key: PublicKey,
}

impl SigningProgram {
    /// Lets the command sign `body`. The caller verifies the signature.
    ///
    /// # Errors
    /// [`KeyError::SigningProgram`].
    pub fn sign(&self, body: &[u8]) -> Result<Signature> {
        let failed = |detail: String| KeyError::SigningProgram { command: self.command.clone(), detail };
        let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let mut command = Command::new(shell);
        command.arg(option).arg(&self.command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing fails later, by its signature.
            let _ = stdin.write_all(Sha256::of(body).as_bytes());
        }
        let mut bytes = Vec::new();
        let read = child.stdout.take().map(|stdout| stdout.take(MAX_SIGNATURE_BYTES).read_to_end(&mut bytes));
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        read.transpose().map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            return Err(failed(format!("it ended with {status}")).into());
        }
        Ok(Signature { key: self.key.id(), bytes })
    }
}
