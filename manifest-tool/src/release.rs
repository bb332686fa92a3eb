//! Signs a release: reads the build folder, completes the site's objects, writes the manifest for the installer and, last
//! of all, replaces the latest one on the site.
//!
//! A manifest is signed in `seal` alone, and leaves it only if the client's own reader takes it, under the public
//! halves of all keys, for the very value that was meant. A draft goes that way before anything is written.

use crate::error::{Error, Result};
use crate::pack::{self, Contents};
use crate::private_key::PrivateKey;
use crate::settings::Settings;
use crate::site::{self, ComponentSite, Survey};
use crate::tree::Tree;
use patcher::digest::Sha256;
use patcher::keys::TrustedKeys;
use patcher::manifest::{self, File, Manifest, Meta, Object};
use patcher::rel_path::MANIFEST;
use patcher::trust;
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
pub fn sign(build: &Path, site: &Path, settings: &Settings, keys: &[PrivateKey]) -> Result<Summary> {
    let trusted = TrustedKeys::new(keys.iter().map(|key| key.public().clone()).collect(), keys.len().max(1))?;
    let seal = |manifest: &Manifest| seal(manifest, keys, &trusted);
    let tree = Tree::scan(build, settings)?;
    let hashes = pack::hash(&tree)?;
    let mut contents: Contents<'_> = hashes.iter().copied().zip(&tree.files).collect();

    let site = ComponentSite::new(site.join(settings.component.as_str()));
    let Survey { last_sequence, gz: reused } = site.survey(|sha256| contents.contains_key(sha256))?;
    let sequence = last_sequence.unwrap_or(0).checked_add(1).ok_or(Error::LastSequence)?;
    let meta = settings.meta(sequence);
    seal(&assemble(meta.clone(), &tree, &hashes, |content| content))?;

    contents.retain(|sha256, _| !reused.contains_key(sha256));
    let new = pack::compress(&tree, &contents, &site)?;
    let gz =
        |content: Object| reused.get(&content.sha256).or_else(|| new.get(&content.sha256)).copied().unwrap_or(content);
    let manifest = assemble(meta, &tree, &hashes, gz);
    let bytes = seal(&manifest)?;
    tree.check_unchanged()?;
    site::replace(&build.join(MANIFEST), &bytes)?;
    site.publish(&settings.channel, &bytes)?;
    Ok(Summary {
        files: tree.files.len(),
        links: tree.links.len(),
        bytes: tree.files.iter().map(|file| file.size).sum(),
        new_objects: new.len(),
        new_bytes: new.values().map(|object| object.size).sum(),
        reused_objects: reused.len(),
        meta: manifest.meta,
    })
}

/// The manifest of `tree`; `gz` tells each content's object.
fn assemble(meta: Meta, tree: &Tree, hashes: &[Sha256], gz: impl Fn(Object) -> Object) -> Manifest {
    let files = tree.files.iter().zip(hashes).map(|(file, sha256)| File {
        path: file.path.clone(),
        size: file.size,
        sha256: *sha256,
        executable: file.executable,
        preserve: file.preserve,
        gz: gz(Object { size: file.size, sha256: *sha256 }),
        deltas: Vec::new(),
        chunks: None,
    });
    Manifest { meta, files: files.collect(), links: tree.links.clone() }
}

/// Signs with every key and reads the result as a client does.
fn seal(manifest: &Manifest, keys: &[PrivateKey], trusted: &TrustedKeys) -> Result<Vec<u8>> {
    let body = manifest::body(manifest);
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(&body)).collect::<Result<_>>()?;
    let bytes = manifest::with_signatures(&body, &signatures);
    let verified = trust::authenticate(bytes, trusted)?;
    if verified.manifest() != manifest {
        return Err(Error::ReadBack);
    }
    Ok(verified.bytes().to_vec())
}
