//! Makes a release: reads the build folder, completes the site's objects, writes the manifest for the installer and, last
//! of all, replaces the latest one on the site.
//!
//! Every manifest goes through [`Signing::seal`]; a draft of it does before anything is written.

pub mod difference;
pub mod gzip;
pub mod pack;
pub mod reissue;
pub mod stepping_stones;

use crate::build::links::Shortened;
use crate::build::settings::Settings;
use crate::build::tree::Tree;
use crate::delta::plan;
use crate::error::{Error, Result};
use crate::release::pack::Contents;
use crate::signing::Signing;
use crate::site::manifest_file::ManifestFile;
use crate::site::{ComponentSite, Packed, Survey};
use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{File, Manifest, Meta, Object};
use patcher::internal::rel_path::MANIFEST_NAME;
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
    /// The deltas that were made.
    pub deltas: usize,
    /// Bytes of those.
    pub delta_bytes: u64,
}

/// Publishes the folder `build` on `site`.
///
/// # Errors
/// [`Error::VersionNotNewer`], those of [`SteppingStones::choose`](crate::release::stepping_stones::SteppingStones::choose), and
/// whatever a client would refuse, all before anything is written; [`Error::Changed`] when the build folder does not keep
/// still; or the system's answer.
pub fn sign(build: &Path, site: &Path, settings: &Settings, signing: &Signing) -> Result<Summary> {
    let tree = Tree::scan(build, settings)?;
    let hashes = pack::hash(&tree)?;
    let mut contents: Contents<'_> = hashes.iter().copied().zip(&tree.files).collect();

    let site = ComponentSite::new(site.join(settings.component.as_str()));
    let Survey { last_sequence, packed: reused, releases } = site.survey(|sha256| contents.contains_key(sha256))?;
    let mut meta = settings.meta(next_sequence(last_sequence)?);
    let latest = site.read_latest(&meta.channel)?;
    if !settings.allow_downgrade {
        check_version(&assemble(meta.clone(), &tree, &hashes, unpacked), latest.as_ref())?;
    }
    meta.stepping_stones = settings.stepping_stones.choose(&meta, latest.as_ref(), &releases, signing)?;
    signing.seal(&assemble(meta.clone(), &tree, &hashes, unpacked))?;

    contents.retain(|sha256, _| !reused.contains_key(sha256));
    let new = pack::compress(&tree, &contents, &site)?;
    let known = |sha256: &Sha256| reused.get(sha256).or_else(|| new.get(sha256));
    let packed = |content: Object| known(&content.sha256).copied().unwrap_or(unpacked(content));
    let gz = |sha256: &Sha256| known(sha256).map(|packed| packed.gz);
    let mut deltas = plan::make(settings.deltas, &site, &releases, &tree, &hashes, &gz)?;
    let mut manifest = assemble(meta, &tree, &hashes, packed);
    for file in &mut manifest.files {
        // The first file of a content has them; they are found from anywhere in the manifest.
        file.deltas = deltas.of.remove(&file.sha256).unwrap_or_default();
    }
    let sealed = signing.seal(&manifest)?;
    tree.check_unchanged()?;
    sealed.publish(&site, Some(&build.join(MANIFEST_NAME)))?;
    Ok(Summary {
        files: tree.files.len(),
        links: tree.links.len(),
        bytes: tree.files.iter().map(|file| file.size).sum(),
        new_objects: new.values().map(Packed::count).sum(),
        new_bytes: new.values().map(Packed::bytes).sum(),
        reused_objects: reused.values().map(Packed::count).sum(),
        deltas: deltas.made,
        delta_bytes: deltas.bytes,
        meta: manifest.meta,
        shortened: tree.shortened,
    })
}

/// A content in the place of objects that are not made yet.
fn unpacked(content: Object) -> Packed {
    Packed { gz: content, chunks: None }
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

/// Fails unless the version grows over the channel's latest release; the very release again is a renewal.
///
/// # Errors
/// [`Error::VersionNotNewer`].
pub fn check_version(manifest: &Manifest, latest: Option<&ManifestFile>) -> Result<()> {
    let Some(latest) = latest.map(|file| &file.manifest) else { return Ok(()) };
    let (version, before) = (&manifest.meta.version, &latest.meta.version);
    if version.cmp_precedence(before).is_gt() || manifest.same_content(latest) {
        return Ok(());
    }
    let channel = manifest.meta.channel.clone();
    Err(Error::VersionNotNewer { version: version.clone(), latest: before.clone(), channel })
}

/// The sequence after `last`, the highest of a site.
///
/// # Errors
/// [`Error::LastSequence`].
pub fn next_sequence(last: Option<u64>) -> Result<u64> {
    last.unwrap_or(0).checked_add(1).ok_or(Error::LastSequence)
}
