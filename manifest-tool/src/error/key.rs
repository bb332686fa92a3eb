//! The errors of the publisher's keys: files, passphrases and signatures.

use patcher::internal::digest::Sha256;
use std::path::PathBuf;

/// A failure of a private key, a passphrase, a signing program or a choice of keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file holds no private key, or one whose public half clients refuse.
    #[error("{} is not a usable private key: {detail}", path.display())]
    PrivateKey {
        /// The file.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// A private key has another encryption than PKCS#8 with PBES2, AES, and HMAC-SHA-2 or scrypt.
    #[error("{} is encrypted in a way that is not supported; `openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW` makes one that is", path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase is needed, and there is no terminal to ask for it.
    #[error("{} needs a passphrase; use --passphrase-file, set ${variable}, or run it on a terminal", path.display())]
    NoPassphrase {
        /// The private key.
        path: PathBuf,
        /// The environment variable that may have it.
        variable: &'static str,
    },
    /// The passphrase does not open the private key.
    #[error("{} cannot be opened with this passphrase", path.display())]
    WrongPassphrase {
        /// The private key.
        path: PathBuf,
    },
    /// A new private key cannot have this passphrase.
    #[error("{} cannot be encrypted: {detail}", path.display())]
    NewPassphrase {
        /// The private key.
        path: PathBuf,
        /// The rule that the passphrase breaks.
        detail: &'static str,
    },
    /// The signing program failed.
    #[error("the signing program `{command}` failed: {detail}")]
    SigningProgram {
        /// The command.
        command: String,
        /// The reason.
        detail: String,
    },
    /// The release retires a key that signs it.
    #[error("the release retires key {key}, which signs it; sign with a later key")]
    RetiredSigner {
        /// The key's id.
        key: Sha256,
    },
    /// The freshness key also signs releases. It is online, so its thief could sign releases.
    #[error("key {key} signs releases; a freshness key must be another one")]
    FreshnessSigner {
        /// The id of the key.
        key: Sha256,
    },
    /// A key could not sign.
    #[error("key {key} cannot sign: {source}")]
    Sign {
        /// The key's id.
        key: Sha256,
        /// The reason.
        source: rsa::Error,
    },
    /// A key pair could not be made.
    #[error("no key could be made: {detail}")]
    Generate {
        /// The reason.
        detail: String,
    },
}

impl KeyError {
    /// Returns the stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            KeyError::PrivateKey { .. } => "private-key",
            KeyError::EncryptedKey { .. } => "encrypted-key",
            KeyError::NoPassphrase { .. } => "no-passphrase",
            KeyError::WrongPassphrase { .. } => "wrong-passphrase",
            KeyError::NewPassphrase { .. } => "new-passphrase",
            KeyError::SigningProgram { .. } => "signing-program",
            KeyError::RetiredSigner { .. } => "retired-signer",
            KeyError::FreshnessSigner { .. } => "freshness-signer",
            KeyError::Sign { .. } => "sign",
            KeyError::Generate { .. } => "generate",
        }
    }

    /// Returns the exit code of the program.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            KeyError::PrivateKey { .. }
            | KeyError::EncryptedKey { .. }
            | KeyError::NoPassphrase { .. }
            | KeyError::WrongPassphrase { .. }
            | KeyError::NewPassphrase { .. }
            | KeyError::RetiredSigner { .. }
            | KeyError::FreshnessSigner { .. } => 2,
            KeyError::SigningProgram { .. } | KeyError::Sign { .. } | KeyError::Generate { .. } => 22,
        }
    }
}
