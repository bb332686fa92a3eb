//! Replays updates: applies every delta of every update object, as clients do.
//!
//! The hash of an update object is right whatever its deltas make. This finds a delta that makes
//! something else. Old files are rebuilt from the site's own objects, on disk.

use super::Verifier;
use crate::error::{Error, Result};
use crate::hashing_sink::HashingSink;
use crate::install_contents::InstallContents;
use patcher::internal::delta::{self, FileSizes, JoinedFiles, METHODS};
use patcher::internal::digest::{Sha256, Sha256Hasher};
use patcher::internal::fetch::CancelToken;
use patcher::internal::gunzip::gunzip;
use patcher::internal::layout::{ObjectKind, SiteNames};
use patcher::internal::manifest::{IndexedObject, Manifest, Object};
use patcher::internal::tables::{RowBase, UpdateRow, UpdateTable};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// The largest delta that is read at once. Larger ones are copied to a temporary file.
const MAX_IN_MEMORY_DELTA_BYTES: u64 = 4 << 20;

/// Update objects, and the places of the files that they start from.
#[derive(Default)]
pub struct UpdateReplay {
    contents: HashMap<Sha256, ContentAt>,
    /// The install objects that were unpacked.
    unpacked: Mutex<HashMap<Url, Option<Arc<InstallContents>>>>,
    objects: BTreeMap<Url, IndexedObject>,
    /// The applied deltas: the hashes of the delta, of the files that it reads, and of the result.
    done: Mutex<HashSet<(Sha256, Vec<Sha256>, Sha256)>>,
}

/// The place of a file's content on the site.
enum ContentAt {
    /// Its gzip.
    Gz { url: Url, gz: Object, size: u64 },
    /// An install object.
    Install { url: Url, install: IndexedObject },
}

/// The result of a replay.
#[derive(Default)]
pub struct Replayed {
    /// The number of deltas with the right result.
    pub right: usize,
    /// The number of deltas that start from a file that is not on the site.
    pub not_applied: usize,
    /// The deltas and tables that are wrong.
    pub wrong: Vec<Error>,
}

impl UpdateReplay {
    /// Adds the files that can be rebuilt from a release below the URL `base`.
    pub fn add_contents(&mut self, manifest: &Manifest, base: &Url) {
        let names = SiteNames::of(&manifest.meta);
        let url = |kind, object: &Object| base.join(&names.object(kind, &object.sha256)).ok();
        for file in &manifest.files {
            let place = match (file.gz, manifest.meta.install) {
                (Some(gz), _) => url(ObjectKind::Gz, &gz).map(|url| ContentAt::Gz { url, gz, size: file.size }),
                (None, Some(install)) => {
                    url(ObjectKind::Install, &install.object).map(|url| ContentAt::Install { url, install })
                }
                (None, None) => None,
            };
            if let Some(place) = place {
                self.contents.entry(file.sha256).or_insert(place);
            }
        }
    }

    /// Adds the update objects of a release below the URL `base`.
    pub fn add_objects(&mut self, manifest: &Manifest, base: &Url) {
        for update in &manifest.meta.updates {
            if let Ok(url) =
                base.join(&SiteNames::of(&manifest.meta).object(ObjectKind::Update, &update.object.object.sha256))
            {
                self.objects.insert(url, update.object);
            }
        }
    }

    /// Replays all of them.
    pub fn replay(&self, verifier: &Verifier<'_>) -> Replayed {
        let objects: Vec<_> = self.objects.iter().collect();
        let replay = |(url, indexed): (&Url, &IndexedObject)| self.replay_object(url, indexed, verifier);
        objects.into_par_iter().map(replay).reduce(Replayed::default, |mut all, some| {
            all.right += some.right;
            all.not_applied += some.not_applied;
            all.wrong.extend(some.wrong);
            all
        })
    }

    fn replay_object(&self, url: &Url, indexed: &IndexedObject, verifier: &Verifier<'_>) -> Replayed {
        let mut replayed = Replayed::default();
        // An object that is missing or damaged is reported where all objects are examined.
        let Ok(mut object) = verifier.fetch(url, &indexed.object, &CancelToken::default()) else { return replayed };
        let wrong = |detail: String| Error::UpdateObject { url: url.to_string(), detail };
        let table = match object.rewind().map(|()| UpdateTable::read(&object, indexed)) {
            Ok(Ok(table)) => table,
            Ok(Err(error)) => {
                replayed.wrong.push(wrong(error.to_string()));
                return replayed;
            }
            Err(error) => {
                replayed.wrong.push(wrong(error.to_string()));
                return replayed;
            }
        };
        let mut made: HashMap<usize, File> = HashMap::new();
        let mut reported = 0;
        for (number, (row, position)) in table.rows.iter().zip(table.positions(indexed.table.size)).enumerate() {
            if !METHODS.contains(&row.method.as_str()) {
                continue;
            }
            match self.replay_row(&table, row, position, &mut object, &made, verifier) {
                Ok(Some(result)) => {
                    replayed.right += 1;
                    if !self.contents.contains_key(&row.to.sha256) {
                        made.extend(result.map(|file| (number, file)));
                    }
                }
                Ok(None) => replayed.not_applied += 1,
                Err(detail) if reported < 10 => {
                    reported += 1;
                    replayed.wrong.push(wrong(format!("row {number}: {detail}")));
                }
                Err(_) => {}
            }
        }
        replayed
    }

    /// Applies one delta; returns `None` if a file that it reads is not on the site.
    ///
    /// The result is kept only if no release has it, for the rows that follow.
    fn replay_row(
        &self,
        table: &UpdateTable,
        row: &UpdateRow,
        position: Range<u64>,
        object: &mut File,
        made: &HashMap<usize, File>,
        verifier: &Verifier<'_>,
    ) -> Result<Option<Option<File>>, String> {
        let words = |error: io::Error| error.to_string();
        let bases = || [Some(row.base), row.second_base].into_iter().flatten();
        object.seek(SeekFrom::Start(position.start)).map_err(words)?;
        let mut patch = tempfile::SpooledTempFile::new(MAX_IN_MEMORY_DELTA_BYTES as usize);
        io::copy(&mut object.take(row.size), &mut patch).map_err(words)?;
        patch.rewind().map_err(words)?;
        let (hash, _) = Sha256::of_reader(&mut patch).map_err(words)?;
        let key = (hash, bases().filter_map(|base| table.content(base)).collect(), row.to.sha256);
        let is_known = self.done.lock().unwrap_or_else(PoisonError::into_inner).contains(&key);
        if is_known && self.contents.contains_key(&row.to.sha256) {
            return Ok(Some(None));
        }
        let mut files = Vec::new();
        for base in bases() {
            let file = match base {
                RowBase::Empty => continue,
                RowBase::Row(row) if made.contains_key(&row) => made[&row].try_clone().ok(),
                other => table.content(other).and_then(|content| self.rebuild(&content, verifier)),
            };
            let Some(file) = file else { return Ok(None) };
            files.push(file);
        }
        let old = JoinedFiles::new(files).map_err(words)?;
        let sizes = FileSizes { old: old.size(), new: row.to.size };
        patch.rewind().map_err(words)?;
        let mut result = tempfile::tempfile().map_err(words)?;
        delta::apply(old, patch, &sizes, |_| tempfile::tempfile(), &mut result).map_err(|error| error.to_string())?;
        result.rewind().map_err(words)?;
        let mut hashed = HashingSink::default();
        io::copy(&mut result, &mut hashed).map_err(words)?;
        match hashed.0.finish() {
            found if found == (row.to.sha256, row.to.size) => {
                self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                Ok(Some(Some(result)))
            }
            (found, _) => Err(format!("the delta makes {found}, not {}", row.to.sha256)),
        }
    }

    /// Rebuilds the file with this content; returns `None` if no release has it, or if its object
    /// is not as it was signed.
    fn rebuild(&self, content: &Sha256, verifier: &Verifier<'_>) -> Option<File> {
        let mut file = tempfile::tempfile().ok()?;
        match self.contents.get(content)? {
            ContentAt::Gz { url, gz, size } => {
                let mut object = verifier.fetch(url, gz, &CancelToken::default()).ok()?;
                object.rewind().ok()?;
                let mut hasher = Sha256Hasher::default();
                let unpacked = gunzip(BufReader::new(object), *size, |bytes| {
                    hasher.update(bytes);
                    file.write_all(bytes)
                });
                (unpacked.is_ok() && hasher.finish().0 == *content).then_some(file)
            }
            ContentAt::Install { url, install } => {
                let is_right = self.install(url, install, verifier)?.copy(content, &mut file).ok()?;
                is_right.then_some(file)
            }
        }
    }

    /// Returns the contents of an install object, which is fetched and unpacked once.
    fn install(&self, url: &Url, install: &IndexedObject, verifier: &Verifier<'_>) -> Option<Arc<InstallContents>> {
        // The lock is held meanwhile: another thread would unpack the same object.
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = unpacked.entry(url.clone()).or_insert_with(|| {
            let object = verifier.fetch(url, &install.object, &CancelToken::default()).ok()?;
            InstallContents::unpack(object, install).ok().map(Arc::new)
        });
        contents.clone()
    }
}
