//! `manifest-tool attach MANIFEST`: adds a signature that another program made.

use super::write_release;
use crate::error::{Error, Result};
use crate::signing::public_key;
use crate::site::manifest_file::ManifestFile;
use crate::site::site_keys::SiteKeys;
use crate::site::{self, ComponentSite};
use patcher::internal::error::Refused;
use patcher::internal::keys::{PublicKey, TrustedKeys};
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Signature, with_signatures};
use patcher::internal::trust::{self, VerifiedManifest};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Add a signature made by another program to a manifest or to the bytes that `--body` wrote; a
/// signature by the same key is replaced
#[derive(Debug, clap::Args)]
pub struct AttachArgs {
    /// The manifest, signed or not
    manifest: PathBuf,
    /// The signature's bytes, as `openssl dgst -sha256 -sign` writes them
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    /// The public key that checks the signature
    #[arg(long, value_name = "PUB")]
    key: PathBuf,
    /// The file for the result [default: MANIFEST itself]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Publish the result as well on this site: the folder that is uploaded
    #[arg(long)]
    site: Option<PathBuf>,
    /// A public key, other than KEY, that may have signed earlier releases on the site; repeat it
    /// for each, in the order of the client's list
    #[arg(long = "trust", value_name = "PUB")]
    trusted: Vec<PathBuf>,
    /// How many of these keys must have signed a release of the site, the result included
    #[arg(long, value_name = "N", default_value_t = 1, requires = "site")]
    threshold: usize,
}

/// Runs the command.
///
/// # Errors
/// [`Error::Signature`], [`Error::FewSigners`], everything else that a client would refuse, and
/// [`Error::SequenceTaken`], all before anything is written; an I/O error.
pub fn run(args: AttachArgs, out: &mut impl Write) -> Result<()> {
    let public = public_key::load("--key", &args.key)?;
    let signed = attach(&args, &public)?;
    let meta = &signed.manifest().meta;
    let mut keys = args.trusted.iter().map(|path| public_key::load("--trust", path)).collect::<Result<Vec<_>>>()?;
    keys.push(public);
    let keys = SiteKeys::new(keys).retiring(meta.retires).needing(args.threshold)?;
    keys.verify(&args.manifest, |keys| trust::authenticate(signed.bytes().to_vec(), keys))?;
    let site = args.site.map(|site| ComponentSite::new(&site, SiteNames::of(meta), keys));
    let _lock = site.as_ref().map(ComponentSite::lock).transpose()?;
    if let Some(site) = &site {
        site.check_next(&signed)?;
    }
    site::replace(&args.output.unwrap_or(args.manifest), signed.bytes())?;
    if let Some(site) = &site {
        site.publish(&signed)?;
    }
    write_release(meta, out)?;
    writeln!(out, "signed by {}", signed.order().key)?;
    Ok(())
}

/// Adds the signature, and verifies the result as a client does.
fn attach(args: &AttachArgs, public: &PublicKey) -> Result<VerifiedManifest> {
    let ManifestFile { signed, .. } = ManifestFile::read_signed_or_not(&args.manifest)?;
    let bytes = fs::read(&args.signature).map_err(|error| Error::io("read", &args.signature, error))?;
    let key = public.id();
    let mut signatures = signed.signatures;
    let signature = Signature { key, bytes };
    match signatures.iter_mut().find(|other| other.key == key) {
        Some(same) => *same = signature,
        None => signatures.push(signature),
    }
    let keys = TrustedKeys::new(vec![public.clone()], 1)?;
    let verified = trust::authenticate(with_signatures(&signed.body, &signatures), &keys);
    verified.map_err(|refused| match refused {
        Refused::BadSignature { key } => {
            Error::Signature { path: args.signature.clone(), manifest: args.manifest.clone(), key }
        }
        other => Error::ManifestFile { path: args.manifest.clone(), source: Box::new(other) },
    })
}
