//! The flags that name keys and passphrases.

use crate::error::Result;
use crate::signing::passphrase::Passphrases;
use crate::signing::private_key::PrivateKey;
use crate::signing::program::SigningProgram;
use crate::signing::{FreshnessKey, Signer, Signing, public_key};
use crate::site::site_keys::SiteKeys;
use patcher::internal::keys::PublicKey;
use std::env;
use std::path::{Path, PathBuf};

/// The public key that `keygen` writes beside the private key that signs by default.
const PUBLIC_KEY: &str = "./release.pub.pem";

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
    /// Sign with this command, which reads the 32 bytes of a SHA-256 digest and writes the bytes of
    /// the signature, as `openssl pkeyutl -sign -pkeyopt digest:sha256 -inkey KEY` does
    #[arg(long, value_name = "COMMAND", requires = "signer_key", conflicts_with_all = ["keys", "passphrase_file", "body"])]
    signer: Option<String>,
    /// The public key of the signing command
    #[arg(long, value_name = "PUB", requires = "signer")]
    signer_key: Option<PathBuf>,
    /// Publish nothing, and write the bytes to sign to FILE, for a key on another machine; `attach`
    /// adds the signature and publishes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "passphrase_file"])]
    body: Option<PathBuf>,
    /// A public key, other than those that sign now, that may have signed earlier releases; repeat
    /// it for each, in the order of the client's list. Releases by other keys are not used
    #[arg(long = "trust", value_name = "PUB")]
    trusted: Vec<PathBuf>,
    /// The number of keys that must have signed a release of the site. Releases with fewer
    /// signatures are not used [default: the number of keys that sign now]
    #[arg(long, value_name = "N")]
    threshold: Option<usize>,
    /// Retire this public key, and all keys before it in the client's list: a client that has seen
    /// the release refuses every release that counts one of them. Later releases keep it
    #[arg(long, value_name = "PUB")]
    retire: Option<PathBuf>,
    /// Demand stamps by this key, which is online: clients report `stale` instead of "up to date"
    /// unless the head has a valid stamp by `manifest-tool stamp`. Later releases keep it
    #[arg(long, value_name = "PUB")]
    freshness_key: Option<PathBuf>,
    /// Stop demanding stamps
    #[arg(long, conflicts_with = "freshness_key")]
    no_freshness_key: bool,
    /// The sequence of the release [default: one more than the highest of the site]
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
}

/// The keys whose releases count, for a command that signs nothing.
#[derive(Debug, clap::Args)]
pub struct TrustFlags {
    /// A public key of the publisher; repeat it for each. Releases by other keys are not used
    /// [default: ./release.pub.pem]
    #[arg(long = "trust", value_name = "PUB")]
    trusted: Vec<PathBuf>,
    /// The number of these keys that must have signed a release
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: usize,
}

impl TrustFlags {
    /// Reads the keys.
    ///
    /// # Errors
    /// Those of [`public_key::load`] and [`SiteKeys::needing`].
    pub fn load(&self) -> Result<SiteKeys> {
        SiteKeys::new(load_keys(&self.paths())?).needing(self.threshold)
    }

    /// Returns the files of the keys.
    pub fn paths(&self) -> Vec<PathBuf> {
        if self.trusted.is_empty() { vec![PUBLIC_KEY.into()] } else { self.trusted.clone() }
    }

    /// Returns the number of keys that must have signed a release.
    pub fn threshold(&self) -> usize {
        self.threshold
    }
}

/// Returns `true` if the mode of a private key's file lets other users read it.
#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

fn load_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| public_key::load("--trust", path)).collect()
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
        // Without a private key, the public one beside it tells which releases are the publisher's.
        let default = || self.body.is_some() && Path::new(PUBLIC_KEY).exists();
        let trusted = match &self.trusted[..] {
            [] if default() => load_keys(&[PUBLIC_KEY.into()])?,
            paths => load_keys(paths)?,
        };
        let retire = self.retire.as_ref().map(|path| public_key::load("--retire", path)).transpose()?;
        let freshness =
            self.freshness_key.as_ref().map(|path| public_key::load("--freshness-key", path)).transpose()?;
        let freshness = match freshness {
            Some(key) => FreshnessKey::Key(key),
            None if self.no_freshness_key => FreshnessKey::None,
            None => FreshnessKey::Unchanged,
        };
        let (keys, passphrases) = (self.key_paths(), self.passphrases.passphrases());
        let signer = match (self.body, self.signer.zip(self.signer_key)) {
            (Some(file), _) => Signer::Elsewhere(file),
            (None, Some((command, key))) => {
                let key = public_key::load("--signer-key", &key)?;
                Signer::Program(SigningProgram { command, key })
            }
            (None, None) => {
                let load = |path: &PathBuf| PrivateKey::load(path, &passphrases);
                Signer::Here(keys.iter().map(load).collect::<Result<_>>()?)
            }
        };
        let readable = keys.into_iter().filter(|path| is_readable_by_others(path)).collect();
        let retires = retire.map(|key| key.id());
        let (threshold, sequence) = (self.threshold, self.sequence);
        Ok(Signing { signer, trusted, threshold, readable, retires, freshness, sequence })
    }

    fn key_paths(&self) -> Vec<PathBuf> {
        match &self.body {
            None if self.keys.is_empty() && self.signer.is_none() => {
                vec![env::var_os("MANIFEST_KEY").map_or_else(|| "./release.key.pem".into(), PathBuf::from)]
            }
            _ => self.keys.clone(),
        }
    }
}
