//! The flags that name keys and passphrases.

use crate::error::Result;
use crate::signing::passphrase::Passphrases;
use crate::signing::private_key::PrivateKey;
use crate::signing::{Signer, Signing, public_key};
use std::env;
use std::path::PathBuf;

/// The source of passphrases.
#[derive(Debug, Default, clap::Args)]
pub struct PassphraseFlags {
    /// A file whose first line is the passphrase of encrypted keys
    /// [default: $MANIFEST_KEY_PASSPHRASE, else a prompt on the terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseFlags {
    /// Returns the source of passphrases.
    pub fn passphrases(&self) -> Passphrases {
        Passphrases { file: self.passphrase_file.clone() }
    }
}

/// The keys that sign, and those that may have signed earlier releases.
#[derive(Debug, clap::Args)]
pub struct SigningFlags {
    /// A private key; repeat it for each further signature [default: $MANIFEST_KEY or
    /// ./release.key.pem]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    passphrases: PassphraseFlags,
    /// Publish nothing, and write the bytes to be signed to FILE for a key in another place;
    /// `attach` adds the signature and publishes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "passphrase_file"])]
    body: Option<PathBuf>,
    /// A public key that may have signed earlier releases, besides the keys that sign now; repeat
    /// it for each
    #[arg(long = "trust", value_name = "PUB")]
    trusted: Vec<PathBuf>,
}

impl SigningFlags {
    /// Returns the files that must not be published: keys, the passphrase file, the body.
    pub fn private_files(&self) -> Vec<PathBuf> {
        let more = [&self.passphrases.passphrase_file, &self.body].into_iter().flatten().cloned();
        self.key_paths().into_iter().chain(more).collect()
    }

    /// Reads the public keys and, unless `--body` is given, the private keys.
    ///
    /// # Errors
    /// Those of [`PrivateKey::load`] and [`public_key::load`].
    pub fn load(self) -> Result<Signing> {
        let trusted = self.trusted.iter().map(|path| public_key::load("--trust", path)).collect::<Result<_>>()?;
        let (keys, passphrases) = (self.key_paths(), self.passphrases.passphrases());
        let signer = match self.body {
            Some(file) => Signer::Elsewhere(file),
            None => {
                let load = |path: &PathBuf| PrivateKey::load(path, &passphrases);
                Signer::Here(keys.iter().map(load).collect::<Result<_>>()?)
            }
        };
        Ok(Signing { signer, trusted })
    }

    fn key_paths(&self) -> Vec<PathBuf> {
        match &self.body {
            None if self.keys.is_empty() => {
                vec![env::var_os("MANIFEST_KEY").map_or_else(|| "./release.key.pem".into(), PathBuf::from)]
            }
            _ => self.keys.clone(),
        }
    }
}
