//! The deltas of a site, applied to what they start from.
//!
//! Hash and size of a delta are right whatever it makes; this finds one that makes something else.
//! Old files are made again from the site's own objects, one at a time for each thread, on disk.

use super::Verifier;
use crate::error::{Error, Result};
use crate::hashing_sink::HashingSink;
use patcher::internal::delta::{self, DeltaHeader, FileSizes, JoinedFiles, METHODS};
use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::fetch::CancelToken;
use patcher::internal::gunzip::gunzip;
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::{Manifest, Object};
use patcher::internal::rel_path::RelPath;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Seek as _, Write as _};
use url::Url;

/// Deltas, and where the files are that they start from.
#[derive(Default)]
pub struct Patches {
    contents: HashMap<Sha256, Packed>,
    /// By what they start from and by their address.
    deltas: BTreeMap<Sha256, BTreeMap<Url, Patch>>,
}

/// A file's gzip.
struct Packed {
    url: Url,
    gz: Object,
    size: u64,
}

struct Patch {
    object: Object,
    with: Option<Sha256>,
    to: Sha256,
    path: RelPath,
}

/// What came of the deltas.
#[derive(Default)]
pub struct Applied {
    /// How many make what they should.
    pub right: usize,
    /// How many were not applied.
    pub not_applied: usize,
    /// Those that make something else.
    pub wrong: Vec<Error>,
}

impl Patches {
    /// Adds what can be made again from the release at `url`.
    pub fn add_contents(&mut self, manifest: &Manifest, url: &Url) {
        for file in &manifest.files {
            if let Ok(url) = url.join(&layout::object_path(ObjectKind::Gz, &file.gz.sha256)) {
                self.contents.entry(file.sha256).or_insert(Packed { url, gz: file.gz, size: file.size });
            }
        }
    }

    /// Adds the deltas of the release at `url`, as far as clients of today know their method.
    pub fn add_deltas(&mut self, manifest: &Manifest, url: &Url) {
        for file in &manifest.files {
            for delta in file.deltas.iter().filter(|delta| METHODS.contains(&delta.method.as_str())) {
                let Ok(url) = url.join(&layout::object_path(ObjectKind::Delta, &delta.object.sha256)) else { continue };
                let to = delta.to.unwrap_or(file.sha256);
                let patch = Patch { object: delta.object, with: delta.with, to, path: file.path.clone() };
                self.deltas.entry(delta.from).or_default().insert(url, patch);
            }
        }
    }

    /// Applies them all.
    pub fn apply(&self, verifier: &Verifier<'_>) -> Applied {
        let apply = |(from, patches)| self.apply_to(from, patches, verifier);
        self.deltas.iter().collect::<Vec<_>>().into_par_iter().map(apply).reduce(Applied::default, |mut all, some| {
            all.right += some.right;
            all.not_applied += some.not_applied;
            all.wrong.extend(some.wrong);
            all
        })
    }

    fn apply_to(&self, from: &Sha256, patches: &BTreeMap<Url, Patch>, verifier: &Verifier<'_>) -> Applied {
        let Some(old) = self.rebuild(from, verifier) else {
            return Applied { not_applied: patches.len(), ..Applied::default() };
        };
        let mut applied = Applied::default();
        for (url, patch) in patches {
            // What is missing or damaged is found where all objects are looked at.
            let file = verifier.fetch(url, &patch.object, &CancelToken::default()).ok();
            let with = patch.with.map_or(Some(None), |with| self.rebuild(&with, verifier).map(Some));
            let (Some(mut file), Some(with)) = (file, with) else {
                applied.not_applied += 1;
                continue;
            };
            match self.try_patch([&old].into_iter().chain(&with), &mut file, patch) {
                Ok(()) => applied.right += 1,
                Err(detail) => {
                    let detail = format!("{url}: {detail}");
                    applied.wrong.push(Error::Delta { path: patch.path.as_str().into(), detail });
                }
            }
        }
        applied
    }

    fn try_patch<'a>(&self, old: impl Iterator<Item = &'a File>, file: &mut File, patch: &Patch) -> Result<(), String> {
        let words = |error: delta::DeltaError| error.to_string();
        let rewind = |file: &mut File| file.rewind().map_err(|error| error.to_string());
        rewind(file)?;
        let header = DeltaHeader::read(&mut BufReader::new(&mut *file)).map_err(words)?;
        let size = self.contents.get(&patch.to).map_or(header.new, |packed| packed.size);
        let old = JoinedFiles::new(old).map_err(|error| error.to_string())?;
        let edge = FileSizes { old: old.size(), new: size };
        rewind(file)?;
        let mut made = HashingSink::default();
        delta::apply(old, file, &edge, &mut made).map_err(words)?;
        match made.0.finish().0 {
            found if found == patch.to => Ok(()),
            found => Err(format!("it makes {found}, not {}", patch.to)),
        }
    }

    /// The file with this content; none where no release has it, or its object is not what it
    /// should be, which is found elsewhere.
    fn rebuild(&self, content: &Sha256, verifier: &Verifier<'_>) -> Option<File> {
        let packed = self.contents.get(content)?;
        let mut object = verifier.fetch(&packed.url, &packed.gz, &CancelToken::default()).ok()?;
        object.rewind().ok()?;
        let mut file = tempfile::tempfile().ok()?;
        let mut hasher = Sha256Hasher::default();
        let unpacked = gunzip(BufReader::new(object), packed.size, |bytes| {
            hasher.update(bytes);
            file.write_all(bytes)
        });
        (unpacked.is_ok() && hasher.finish().0 == *content).then_some(file)
    }
}
