//! The release: turns a build folder into objects and a signed manifest on the site.
//!
//! 1. [`sign`] reads the build folder and hashes every file ([`pack`]).
//! 2. It assembles a draft of the manifest and seals it: everything that a client would refuse
//!    shows before anything is written.
//! 3. It compresses new contents ([`gzip`]), makes deltas to them ([`plan`]), and packs all
//!    contents into one object ([`install_object`]). A flat layout keeps no gzips.
//! 4. It seals the complete manifest, writes a copy for the installer and, as the last step,
//!    replaces the channel's latest manifest.
//!
//! [`reissue`] publishes the same content again; [`stamp`](stamp::stamp) proves that releases are
//! the newest; [`difference`] compares two releases.

pub mod difference;
pub mod gzip;
pub mod install_object;
pub mod pack;
pub mod reissue;
pub mod stamp;
pub mod stepping_stones;

use crate::build::links::Shortened;
use crate::build::settings::Settings;
use crate::build::tree::BuildTree;
use crate::build::warnings::BuildWarning;
use crate::delta::plan::{self, DeltaLimits, NewFiles, update_objects};
use crate::error::{Error, Result};
use crate::release::pack::Contents;
use crate::release::stepping_stones::StonePolicy;
use crate::signing::Signing;
use crate::site::manifest_file::ManifestFile;
use crate::site::{self, ComponentSite, GzObjects, SiteRelease, Survey};
use patcher::internal::digest::Sha256;
use patcher::internal::layout::SiteNames;
use patcher::internal::manifest::{Channel, Component, File, IndexedObject, Manifest, Meta, Object, SiteLayout};
use patcher::internal::plan::install_size;
use patcher::internal::progress_line::ProgressLine;
use patcher::internal::rel_path::MANIFEST_NAME;
use semver::Version;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The counts and sizes of a published release.
#[derive(Debug)]
pub struct ReleaseSummary {
    /// The manifest's description of the release.
    pub meta: Meta,
    /// The number of files.
    pub files: usize,
    /// The number of links.
    pub links: usize,
    /// The links that were shortened.
    pub shortened: Vec<Shortened>,
    /// The size of all files in bytes.
    pub bytes: u64,
    /// The number of objects that this release added to the site.
    pub new_objects: usize,
    /// The size of the new objects in bytes.
    pub new_bytes: u64,
    /// The number of objects that were already on the site.
    pub reused_objects: usize,
    /// The number of new deltas.
    pub deltas: usize,
    /// The size of the new deltas in bytes.
    pub delta_bytes: u64,
    /// The update from the newest earlier release that has an update object.
    pub update: Option<UpdateCost>,
    /// Files in `releases/` that no trusted key has signed. They were not used.
    pub ignored: Vec<PathBuf>,
    /// The warnings about the build folder.
    pub warnings: Vec<BuildWarning>,
}

/// The bytes that clients of an earlier release fetch.
#[derive(Debug)]
pub struct UpdateCost {
    /// The version of the earlier release.
    pub from: Version,
    /// The bytes of the update.
    pub update: u64,
    /// The bytes of a first installation.
    pub install: u64,
}

impl UpdateCost {
    /// Returns the cost of the update from the newest of the `earlier` releases.
    fn of_newest(new: &Manifest, earlier: &[Manifest]) -> Option<Self> {
        let object = new.meta.updates.iter().max_by_key(|update| update.from)?;
        let from = earlier.iter().find(|release| release.meta.sequence == object.from)?;
        let update = object.object.object.size.saturating_add(object.rest);
        Some(Self { from: from.meta.version.clone(), update, install: install_size(new) })
    }
}

/// The publisher's choices about deltas, stepping stones and objects of a release.
#[derive(Debug)]
pub struct ReleasePolicy {
    /// `true` accepts a version that is not higher than the channel's latest one.
    pub allow_downgrade: bool,
    /// The stepping stones that older versions need.
    pub stepping_stones: StonePolicy,
    /// The limits of making deltas from earlier releases.
    pub deltas: DeltaLimits,
    /// `true` adds an object with all contents, for first installations. A flat layout always has
    /// it.
    pub install_object: bool,
    /// The layout of a component that is new on the site; `None` means folders.
    pub layout: Option<SiteLayout>,
}

/// Publishes the folder `build` on `site`, and shows the progress until the manifest is signed.
///
/// # Errors
/// [`Error::VersionNotNewer`], [`Error::RolledBackSite`], those of [`StonePolicy::choose`], and
/// everything that a client would refuse, all before anything is written; [`Error::Changed`] when a
/// file of the build folder changes meanwhile; an I/O error.
pub fn sign(
    build: &Path,
    site: &Path,
    settings: &Settings,
    policy: &ReleasePolicy,
    signing: &Signing,
    progress: ProgressLine,
) -> Result<ReleaseSummary> {
    let tree = BuildTree::scan(build, settings)?;
    let hashes = pack::hash(&tree, &progress)?;
    let mut contents: Contents<'_> = hashes.iter().copied().zip(&tree.files).collect();
    let layout = choose_layout(site, &settings.component, policy.layout)?;

    // A release that clients would refuse fails before the site's folder is created.
    signing.check(&assemble(draft_meta(settings.meta(1, layout)), &tree, &hashes, stand_in))?;
    let names = SiteNames::new(layout, settings.component.clone(), settings.platform.clone());
    let site = ComponentSite::new(site, names, signing.site_keys()?);
    let _lock = site.lock()?;
    let survey = site.survey(|sha256| contents.contains_key(sha256))?;
    let mut meta = settings.meta(next_sequence(survey.last_sequence, signing.sequence)?, layout);
    signing.inherit(&mut meta, &survey)?;
    let latest = site.read_latest(&meta.channel)?;
    latest.iter().try_for_each(|latest| survey.check_is_newest(latest))?;
    let Survey { packed: reused, known: known_contents, releases, ignored, .. } = survey;
    if !policy.allow_downgrade {
        check_version(&assemble(draft_meta(meta.clone()), &tree, &hashes, stand_in), latest.as_ref())?;
    }
    meta.stepping_stones = policy.stepping_stones.choose(&meta, latest.as_ref(), &releases, signing)?;
    signing.check(&assemble(draft_meta(meta.clone()), &tree, &hashes, stand_in))?;

    contents.retain(|sha256, _| !reused.contains_key(sha256) && !known_contents.contains(sha256));
    let new = pack::compress(&tree, &contents, &site, &progress)?;
    let known = |sha256: &Sha256| reused.get(sha256).or_else(|| new.get(sha256));
    let packed = |content: Object| known(&content.sha256).copied().unwrap_or(stand_in(content));
    let sizes: HashMap<Sha256, u64> =
        hashes.iter().zip(&tree.files).map(|(sha256, file)| (*sha256, file.size)).collect();
    let gz = |sha256: &Sha256| {
        // A flat layout has no gzip of a known content. Its size bounds the cost of a delta.
        let by_size = || sizes.get(sha256).map(|size| stand_in(Object { size: *size, sha256: *sha256 }));
        known(sha256).copied().or_else(by_size).map(|packed| packed.gz)
    };
    let earlier = earlier_releases(&releases, &meta.channel, policy.deltas.updates)?;
    let new_files = NewFiles { tree: &tree, hashes: &hashes };
    let deltas = plan::make(policy.deltas, &site, &releases, new_files, &gz, &earlier, &progress)?;
    let mut manifest = assemble(meta, &tree, &hashes, packed);
    if policy.install_object || layout == SiteLayout::Flat {
        manifest.meta.install = match install_object::reusable(&site, &earlier, &manifest) {
            Some(install) => Some(install),
            None => install_object::write(&site, &tree, &manifest, policy.deltas.memory, &progress)?,
        };
    }
    manifest.meta.updates = update_objects::write(&site, &deltas.graph, &earlier, &manifest)?;
    // A signing program may ask on the terminal.
    drop(progress);
    let sealed = signing.seal(&manifest)?;
    tree.check_unchanged()?;
    sealed.publish(&site, Some(&build.join(MANIFEST_NAME)))?;
    Ok(ReleaseSummary {
        files: tree.files.len(),
        links: tree.links.len(),
        bytes: tree.files.iter().map(|file| file.size).sum(),
        new_objects: new.values().filter(|_| layout == SiteLayout::Folders).map(GzObjects::count).sum(),
        new_bytes: new.values().filter(|_| layout == SiteLayout::Folders).map(GzObjects::bytes).sum(),
        reused_objects: reused.values().map(GzObjects::count).sum(),
        deltas: deltas.built,
        delta_bytes: deltas.bytes,
        update: UpdateCost::of_newest(&manifest, &earlier),
        meta: manifest.meta,
        warnings: BuildWarning::all(&tree, settings)?,
        shortened: tree.shortened,
        ignored,
    })
}

/// Returns a stand-in for the objects of a content, for a draft that is made before they exist.
fn stand_in(content: Object) -> GzObjects {
    GzObjects { gz: content, chunks: None }
}

/// Adds a stand-in for the install object, which a flat layout needs.
fn draft_meta(mut meta: Meta) -> Meta {
    let object = Object { size: 0, sha256: Sha256::of(b"") };
    meta.install = (meta.layout == SiteLayout::Flat).then_some(IndexedObject { object, table: object });
    meta
}

/// Returns the layout of a component, which never changes: old clients know no other names.
///
/// # Errors
/// [`Error::OtherLayout`] if `wanted` is not the layout that it has.
fn choose_layout(site: &Path, component: &Component, wanted: Option<SiteLayout>) -> Result<SiteLayout> {
    match (site::layout_of(site, component)?, wanted) {
        (Some(layout), Some(wanted)) if layout != wanted => {
            Err(Error::OtherLayout { component: component.clone(), layout })
        }
        (layout, wanted) => Ok(layout.or(wanted).unwrap_or_default()),
    }
}

/// Assembles the manifest of `tree`; `packed` returns the objects of a content.
fn assemble(meta: Meta, tree: &BuildTree, hashes: &[Sha256], packed: impl Fn(Object) -> GzObjects) -> Manifest {
    let has_gz = meta.layout == SiteLayout::Folders;
    let files = tree.files.iter().zip(hashes).map(|(file, sha256)| {
        let GzObjects { gz, chunks } = packed(Object { size: file.size, sha256: *sha256 });
        let (gz, chunks) = if has_gz { (Some(gz), chunks) } else { (None, None) };
        File {
            path: file.path.clone(),
            size: file.size,
            sha256: *sha256,
            executable: file.executable,
            preserve: file.preserve,
            gz,
            chunks,
        }
    });
    Manifest { meta, files: files.collect(), links: tree.links.clone() }
}

/// Fails unless the version is higher than that of the channel's latest release.
///
/// The same content with the same version is accepted: it renews the release.
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

/// Returns the last releases that get an update object: `count` of the channel, then of all
/// channels. A content counts once.
///
/// # Errors
/// Those of [`SiteRelease::manifest`].
pub fn earlier_releases(releases: &[SiteRelease], channel: &Channel, count: usize) -> Result<Vec<Manifest>> {
    let mut releases: Vec<&SiteRelease> = releases.iter().collect();
    releases.sort_by_key(|release| Reverse(release.meta.sequence));
    let (own, other): (Vec<_>, Vec<_>) = releases.into_iter().partition(|release| release.meta.channel == *channel);
    let (mut earlier, mut known) = (Vec::new(), HashSet::new());
    for releases in [own, other] {
        let mut left = count;
        for release in releases {
            if left == 0 {
                break;
            }
            let manifest = release.manifest()?;
            if known.insert(manifest.content_id()) {
                earlier.push(manifest);
                left -= 1;
            }
        }
    }
    Ok(earlier)
}

/// Returns the sequence after `last`, the highest one of a site, or the `wanted` one.
///
/// # Errors
/// [`Error::LastSequence`]; [`Error::SequenceNotAfter`] for a wanted one that is not higher.
pub fn next_sequence(last: Option<u64>, wanted: Option<u64>) -> Result<u64> {
    match (last, wanted) {
        (Some(last), Some(sequence)) if sequence <= last => Err(Error::SequenceNotAfter { sequence, last }),
        (_, Some(sequence)) => Ok(sequence),
        (last, None) => last.unwrap_or(0).checked_add(1).ok_or(Error::LastSequence),
    }
}
