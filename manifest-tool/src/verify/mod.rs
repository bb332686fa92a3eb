//! Replays a client against every object of a site, in a folder or where it is served.
//!
//! A client stops at the first problem; `verify` finds all of them. Only a network error ends it,
//! because that says nothing about the site.

mod installs;
mod leads;
mod replay;

use crate::error::{Error, Result};
use crate::site;
use crate::site::site_keys::SiteKeys;
use installs::Installs;
use patcher::internal::chunks::{
    ChunkIndex, ChunkSearch, ChunksError, MAX_INDEX_BYTES, MissingRanges, RangeLimits, rebuild,
};
use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::error::{Network, Refused};
use patcher::internal::fetch::{self, CancelToken, Fetch, Request, Retries, StallGuard};
use patcher::internal::gunzip::gunzip;
use patcher::internal::keys::TrustedKeys;
use patcher::internal::layout::{ObjectKind, SiteNames};
use patcher::internal::manifest::{IndexedObject, Manifest, Meta, Object, SiteLayout, SteppingStone};
use patcher::internal::rel_path::RelPath;
use patcher::internal::timestamp::Timestamp;
use patcher::internal::trust::{self, ReleaseTarget};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use replay::{Replayed, UpdateReplay};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use url::Url;

/// The result of a verification.
#[derive(Debug, Default)]
pub struct SiteFindings {
    /// The number of manifests.
    pub manifests: usize,
    /// The latest releases that are right.
    pub latest: Vec<Meta>,
    /// The number of objects that the manifests name.
    pub objects: usize,
    /// The number of deltas that were applied and make the content that their row names.
    pub applied: usize,
    /// The number of deltas that were not applied, because their old file is not on the site.
    pub not_applied: usize,
    /// The problems: manifests first, then objects by URL.
    pub problems: Vec<Error>,
}

/// A client that trusts some keys, at some time.
pub struct Verifier<'a> {
    /// The source of manifests and objects.
    pub source: &'a dyn Fetch,
    /// The trusted keys.
    pub keys: &'a TrustedKeys,
    /// The time of the verification.
    pub now: Timestamp,
    /// Past releases, from which the files are made again that deltas start from. Those that no
    /// trusted key has signed are skipped.
    pub past: &'a [Url],
}

/// Returns the URLs of the latest manifests of every component and channel of the site in `dir`.
///
/// # Errors
/// [`Error::EmptySite`], or an I/O error.
pub fn latest_manifests(dir: &Path) -> Result<Vec<Url>> {
    // The address of a file has to be absolute.
    let dir = dir.canonicalize().map_err(|error| Error::io("read", dir, error))?;
    let mut urls = Vec::new();
    for releases in site::releases(&dir, &SiteKeys::default())? {
        urls.extend(releases.latest_manifests()?.iter().flat_map(Url::from_file_path));
    }
    if urls.is_empty() { Err(Error::EmptySite { path: dir }) } else { Ok(urls) }
}

/// Returns the URLs of the past manifests of every component of the site in `dir`.
///
/// # Errors
/// An I/O error.
pub fn past_manifests(dir: &Path) -> Result<Vec<Url>> {
    let dir = dir.canonicalize().map_err(|error| Error::io("read", dir, error))?;
    let mut urls = Vec::new();
    for releases in site::releases(&dir, &SiteKeys::default())? {
        urls.extend(releases.past_manifests()?.iter().flat_map(Url::from_file_path));
    }
    Ok(urls)
}

/// The objects to verify, each once: its URL and hash, and for a gzip the URL of its chunk index.
type Objects = BTreeMap<(Url, Sha256, Option<Url>), (Object, Option<Content>)>;

struct Content {
    path: RelPath,
    object: Object,
    chunks: Option<Object>,
}

impl Verifier<'_> {
    /// Checks the manifests at `urls`, the earlier releases that they send older versions to, and
    /// all objects below their addresses.
    ///
    /// # Errors
    /// A network that does not deliver; everything else is a finding.
    pub fn verify(&self, urls: &[Url]) -> Result<SiteFindings> {
        let mut findings = SiteFindings { manifests: urls.len(), ..SiteFindings::default() };
        let (mut objects, mut updates, mut installs) = (Objects::new(), UpdateReplay::default(), Installs::default());
        let mut stones = BTreeSet::new();
        for url in urls {
            let manifest = match self.manifest(url) {
                Ok(manifest) => manifest,
                Err(error) => {
                    findings.problems.push(finding(error)?);
                    continue;
                }
            };
            findings.latest.push(manifest.meta.clone());
            let names = SiteNames::of(&manifest.meta);
            // Never fails: it is a relative address of plain characters.
            let Some(base) = names.base_url(url) else { continue };
            for error in self.check_leads(url, &base, &manifest) {
                findings.problems.push(finding(error)?);
            }
            collect(&manifest, &base, &mut objects);
            updates.add_contents(&manifest, &base);
            updates.add_objects(&manifest, &base);
            installs.add(&manifest, &base);
            for stone in &manifest.meta.stepping_stones {
                let Ok(at) = base.join(&names.release(stone.sequence)) else { continue };
                match self.stepping_stone(&at, &manifest.meta, stone) {
                    Ok(stone) => {
                        collect(&stone, &base, &mut objects);
                        updates.add_contents(&stone, &base);
                        updates.add_objects(&stone, &base);
                        installs.add(&stone, &base);
                    }
                    Err(error) => findings.problems.push(finding(error)?),
                }
                stones.insert(at);
            }
        }
        findings.manifests += stones.len();
        findings.objects = objects.keys().map(|(.., chunks)| 1 + usize::from(chunks.is_some())).sum();
        let check = |((url, _, chunks), (object, content)): ((Url, _, Option<Url>), (_, Option<Content>))| match content
        {
            Some(content) => self.content(&url, &object, &content, chunks.as_ref()),
            None => self.object(&url, &object).err().into_iter().collect(),
        };
        let objects: Vec<_> = objects.into_iter().collect();
        let wrong: Vec<Error> = objects.into_par_iter().flat_map_iter(check).collect();
        for error in wrong {
            findings.problems.push(finding(error)?);
        }
        for past in self.past {
            let Ok(bytes) = self.bytes(past) else { continue };
            let Ok(verified) = trust::authenticate(bytes, self.keys) else { continue };
            let names = SiteNames::of(&verified.manifest().meta);
            // Past manifests have a folder of their own in a layout with folders.
            let newest = match names.layout() {
                SiteLayout::Folders => past.join("../"),
                SiteLayout::Flat => Ok(past.clone()),
            };
            if let Some(base) = newest.ok().and_then(|newest| names.base_url(&newest)) {
                updates.add_contents(verified.manifest(), &base);
            }
        }
        let Replayed { right, not_applied, wrong } = updates.replay(self);
        (findings.applied, findings.not_applied) = (right, not_applied);
        findings.problems.extend(wrong);
        findings.problems.extend(installs.replay(self));
        Ok(findings)
    }

    /// Verifies a stepping stone as a client with an older version does.
    fn stepping_stone(&self, url: &Url, meta: &Meta, stone: &SteppingStone) -> Result<Manifest> {
        let Meta { component, channel, platform, .. } = meta.clone();
        let target = ReleaseTarget { component, channel, platform };
        let verified = trust::verify_stepping_stone(self.bytes(url)?, self.keys, &target, stone, &[]);
        Ok(verified.map_err(|refused| refused_at(url, refused))?.manifest().clone())
    }

    fn bytes(&self, url: &Url) -> Result<Vec<u8>> {
        let cancel = CancelToken::default();
        let fetched = Retries::default().run(&cancel, || fetch::manifest(self.source, url, &cancel));
        fetched.map_err(|error| missing(url, error))
    }

    fn manifest(&self, url: &Url) -> Result<Manifest> {
        let refused = |refused| refused_at(url, refused);
        let verified = trust::authenticate(self.bytes(url)?, self.keys).map_err(refused)?;
        let trusted = verified.fresh(self.now).map_err(refused)?;
        let channel = &trusted.manifest().meta.channel;
        let names = SiteNames::of(&trusted.manifest().meta);
        // Name and folder tell which channel and platform a client asked for.
        let wanted = names.manifest(channel);
        let parts = url.path().rsplit('/').zip(wanted.rsplit('/'));
        let targets = [("channel", channel.as_str()), ("platform", names.platform().as_str())];
        for ((asked, wanted), (what, found)) in parts.zip(targets) {
            if asked != wanted {
                let (found, expected) = (found.to_owned(), asked.trim_end_matches(".xml").to_owned());
                return Err(refused(Refused::WrongTarget { what, found, expected }));
            }
        }
        Ok(trusted.manifest().clone())
    }

    /// Returns the problems of a gzip and of its chunk index.
    fn content(&self, url: &Url, object: &Object, content: &Content, chunks: Option<&Url>) -> Vec<Error> {
        let gz = self.gzip(url, object, content);
        let index = chunks.zip(content.chunks).map(|(url, chunks)| (url, self.index(url, &chunks, object, content)));
        match (gz, index) {
            (Ok(gz), Some((url, Ok(index)))) => segments(gz, &index, url, &content.path).err().into_iter().collect(),
            (gz, index) => gz.err().into_iter().chain(index.and_then(|(_, index)| index.err())).collect(),
        }
    }

    /// Returns a gzip after its content was verified.
    fn gzip(&self, url: &Url, object: &Object, content: &Content) -> Result<File> {
        let Content { path, object: signed, .. } = content;
        let mut file = self.object(url, object)?;
        let refused = |detail| Refused::Gzip { url: url.to_string(), path: path.to_string(), detail };
        let mut hasher = Sha256Hasher::default();
        let inflated = gunzip(BufReader::new(&mut file), signed.size, |bytes| {
            hasher.update(bytes);
            Ok(())
        });
        inflated.map_err(|error| refused(error.to_string()))?;
        match hasher.finish().0 {
            found if found == signed.sha256 => Ok(file),
            found => Err(refused(format!("it holds {found}, not {}", signed.sha256)).into()),
        }
    }

    /// Returns a chunk index that fits its content and gzip.
    fn index(&self, url: &Url, chunks: &Object, gz: &Object, content: &Content) -> Result<ChunkIndex> {
        let file = self.object(url, chunks)?;
        let mut bytes = Vec::new();
        file.take(MAX_INDEX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("read", "a temporary file", error))?;
        ChunkIndex::parse(&bytes, content.object.size, gz.size).map_err(|error| unsound(url, &content.path, error))
    }

    fn object(&self, url: &Url, object: &Object) -> Result<File> {
        let cancel = CancelToken::default();
        let fetched = Retries::default().run(&cancel, || self.fetch(url, object, &cancel));
        let mut file = fetched.map_err(|error| missing(url, error))?;
        file.rewind().map_err(|error| Error::io("read", "a temporary file", error))?;
        Ok(file)
    }

    /// Fetches an object, and verifies its size and hash.
    fn fetch(&self, url: &Url, object: &Object, cancel: &CancelToken) -> patcher::Result<File> {
        let io =
            |action, source| patcher::internal::error::Machine::Io { action, path: "a temporary file".into(), source };
        let mut file = tempfile::tempfile().map_err(|error| io("create", error))?;
        let mut hasher = Sha256Hasher::default();
        let body = self.source.get(&Request::new(url, cancel))?;
        StallGuard::new(body, url, cancel).read_to_end(object.size, |piece| {
            hasher.update(piece);
            Ok(file.write_all(piece).map_err(|error| io("write", error))?)
        })?;
        let (sha256, size) = hasher.finish();
        let url = || url.to_string();
        if size != object.size {
            let found = (size < object.size).then_some(size);
            return Err(Refused::ObjectSize { url: url(), expected: object.size, found }.into());
        }
        if sha256 != object.sha256 {
            return Err(Refused::ObjectHash { url: url(), expected: object.sha256, found: sha256 }.into());
        }
        Ok(file)
    }
}

/// Rebuilds a content from the segments of its gzip, as a client with some of the chunks does.
fn segments(mut gz: File, index: &ChunkIndex, url: &Url, path: &RelPath) -> Result<()> {
    let io = |error| Error::io("read", "a temporary file", error);
    let nothing = ChunkSearch::new(index).finish();
    let all = MissingRanges::new(index, &nothing, RangeLimits { max_gap_bytes: 0, max_requests: 1 });
    let start = all.iter().next().map_or(0, |range| range.start);
    gz.seek(SeekFrom::Start(start)).map_err(io)?;
    let local = |_, _: &mut [u8]| Err(std::io::ErrorKind::NotFound.into());
    rebuild(index, &nothing, &all, local, BufReader::new(gz), |_| Ok(())).map_err(|error| unsound(url, path, error))
}

fn unsound(url: &Url, path: &RelPath, source: ChunksError) -> Error {
    Error::Chunks { url: url.to_string(), path: path.to_string(), source }
}

/// Adds the objects that `manifest` names, below the base URL at which the manifest is.
///
/// So the objects of a mirror are checked at that mirror.
fn collect(manifest: &Manifest, base: &Url, objects: &mut Objects) {
    let names = SiteNames::of(&manifest.meta);
    // Never fails: what is joined is a relative address of plain characters.
    let address = |kind, object: &Object| base.join(&names.object(kind, &object.sha256)).ok();
    for file in &manifest.files {
        let chunks = file.chunks.and_then(|chunks| address(ObjectKind::Chunks, &chunks));
        let object = Object { size: file.size, sha256: file.sha256 };
        // In a flat layout, the install object holds the content.
        let Some(gz) = file.gz else { continue };
        if let Some(url) = address(ObjectKind::Gz, &gz) {
            let content = Content { path: file.path.clone(), object, chunks: file.chunks };
            objects.entry((url, file.sha256, chunks)).or_insert((gz, Some(content)));
        }
    }
    let updates = manifest.meta.updates.iter().map(|update| (ObjectKind::Update, update.object));
    let install = manifest.meta.install.map(|install| (ObjectKind::Install, install));
    for (kind, IndexedObject { object, .. }) in updates.chain(install) {
        if let Some(url) = address(kind, &object) {
            objects.entry((url, object.sha256, None)).or_insert((object, None));
        }
    }
}

fn refused_at(url: &Url, refused: Refused) -> Error {
    Error::ManifestFile { path: url.as_str().into(), source: Box::new(refused) }
}

fn missing(url: &Url, error: patcher::Error) -> Error {
    match error {
        patcher::Error::Network(Network::Status { status: 404, .. }) => Error::Missing { url: url.to_string() },
        other => other.into(),
    }
}

/// Returns `error` as a finding; a network error that may pass ends the verification.
fn finding(error: Error) -> Result<Error> {
    match error {
        Error::Patcher(error) if error.is_retryable() => Err(error.into()),
        other => Ok(other),
    }
}
