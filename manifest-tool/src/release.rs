//! Makes a release: reads the build folder, completes the site's objects, writes the manifest for the installer and, last
//! of all, replaces the latest one on the site. Or issues one again, with nothing but a new manifest.
//!
//! Every manifest goes through [`Signing::seal`]; a draft of it does before anything is written.

use crate::error::{Error, Result};
use crate::links::Shortened;
use crate::manifest_file::ManifestFile;
use crate::pack::{self, Contents};
use crate::settings::{Settings, expiry};
use crate::signing::Signing;
use crate::site::{ComponentSite, Packed, Survey};
use crate::tree::Tree;
use patcher::digest::Sha256;
use patcher::error::Refused;
use patcher::keys::{PublicKey, TrustedKeys};
use patcher::manifest::{File, Manifest, Meta, Name, Object};
use patcher::rel_path::MANIFEST;
use patcher::timestamp::Timestamp;
use patcher::trust::{self, Target};
use std::path::Path;

/// What was published.
#[derive(Debug)]
pub struct Summary {
    /// What the manifest says of the release.
    pub meta: Meta,
    /// How many files and links it has.
    pub files: usize,
    /// How many of them are links.
    pub links: usize,
    /// The links that were shortened.
    pub shortened: Vec<Shortened>,
    /// Bytes of all files.
    pub bytes: u64,
    /// The objects that this release brought to the site.
    pub new_objects: usize,
    /// Bytes of those.
    pub new_bytes: u64,
    /// The objects that were there already.
    pub reused_objects: usize,
}

/// Publishes the folder `build` on `site`.
///
/// # Errors
/// Whatever a client would refuse, before anything is written; [`Error::Changed`] when the build folder does not keep
/// still; or the system's answer.
pub fn sign(build: &Path, site: &Path, settings: &Settings, signing: &Signing) -> Result<Summary> {
    let tree = Tree::scan(build, settings)?;
    let hashes = pack::hash(&tree)?;
    let mut contents: Contents<'_> = hashes.iter().copied().zip(&tree.files).collect();

    let site = ComponentSite::new(site.join(settings.component.as_str()));
    let Survey { last_sequence, packed: reused } = site.survey(|sha256| contents.contains_key(sha256))?;
    let meta = settings.meta(next_sequence(last_sequence)?);
    signing.seal(&assemble(meta.clone(), &tree, &hashes, |content| Packed { gz: content, chunks: None }))?;

    contents.retain(|sha256, _| !reused.contains_key(sha256));
    let new = pack::compress(&tree, &contents, &site)?;
    let packed = |content: Object| {
        let packed = reused.get(&content.sha256).or_else(|| new.get(&content.sha256));
        packed.copied().unwrap_or(Packed { gz: content, chunks: None })
    };
    let manifest = assemble(meta, &tree, &hashes, packed);
    let sealed = signing.seal(&manifest)?;
    tree.check_unchanged()?;
    sealed.publish(&site, Some(&build.join(MANIFEST)))?;
    Ok(Summary {
        files: tree.files.len(),
        links: tree.links.len(),
        bytes: tree.files.iter().map(|file| file.size).sum(),
        new_objects: new.values().map(Packed::count).sum(),
        new_bytes: new.values().map(Packed::bytes).sum(),
        reused_objects: reused.values().map(Packed::count).sum(),
        meta: manifest.meta,
        shortened: tree.shortened,
    })
}

/// The manifest of `tree`; `packed` tells each content's objects.
fn assemble(meta: Meta, tree: &Tree, hashes: &[Sha256], packed: impl Fn(Object) -> Packed) -> Manifest {
    let files = tree.files.iter().zip(hashes).map(|(file, sha256)| {
        let Packed { gz, chunks } = packed(Object { size: file.size, sha256: *sha256 });
        File {
            path: file.path.clone(),
            size: file.size,
            sha256: *sha256,
            executable: file.executable,
            preserve: file.preserve,
            gz,
            deltas: Vec::new(),
            chunks,
        }
    });
    Manifest { meta, files: files.collect(), links: tree.links.clone() }
}

/// What changes when a release is issued again.
#[derive(Debug)]
pub struct Renewal {
    /// The component.
    pub component: Name,
    /// The channel whose latest release it is.
    pub channel: Name,
    /// When it is issued again.
    pub issued: Timestamp,
    /// When it expires, as [`expiry`] reads it; without it the old term starts anew, and none stays none.
    pub expires: Option<String>,
}

/// Issues the latest release on `site` again: the same content under the next sequence and a new term. Objects are not
/// touched. The release has to be signed by one of the keys that sign it now or by one of `trusted`.
///
/// # Errors
/// [`Error::OtherSigner`]; whatever a client would refuse, before anything is written; or the system's answer.
pub fn renew(site: &Path, renewal: &Renewal, trusted: Vec<PublicKey>, signing: &Signing) -> Result<Meta> {
    let site = ComponentSite::new(site.join(renewal.component.as_str()));
    let path = site.latest(&renewal.channel);
    let latest = ManifestFile::read(&path)?;
    let target = Target {
        component: renewal.component.clone(),
        channel: renewal.channel.clone(),
        platform: latest.manifest.meta.platform.clone(),
    };
    let mut keys = signing.public_keys();
    let further: Vec<_> = trusted.into_iter().filter(|key| !keys.contains(key)).collect();
    keys.extend(further);
    if keys.is_empty() {
        return Err(Error::OtherSigner { path });
    }
    let verified = trust::verify(latest.bytes, &TrustedKeys::new(keys, 1)?, &target, &[]);
    let verified = verified.map_err(|refused| match refused {
        Refused::UnknownKey => Error::OtherSigner { path },
        other => Error::ManifestFile { path, source: Box::new(other) },
    })?;
    let mut manifest = verified.manifest().clone();
    let meta = &mut manifest.meta;
    let renewed = |expires: Timestamp| {
        Timestamp::from_unix(renewal.issued.unix().saturating_add(expires.unix() - meta.issued.unix()))
    };
    meta.expires = match &renewal.expires {
        Some(expires) => expiry(expires, renewal.issued)?,
        None => meta.expires.map(renewed),
    };
    meta.issued = renewal.issued;
    meta.sequence = next_sequence(site.survey(|_| false)?.last_sequence)?;
    signing.seal(&manifest)?.publish(&site, None)?;
    Ok(manifest.meta)
}

fn next_sequence(last: Option<u64>) -> Result<u64> {
    last.unwrap_or(0).checked_add(1).ok_or(Error::LastSequence)
}
