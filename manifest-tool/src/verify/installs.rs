//! Replays first installations: unpacks every install object, as clients do.
//!
//! The hash of an install object is right whatever its blocks hold. This finds a content that is
//! wrong or missing.

use super::Verifier;
use crate::error::Error;
use patcher::internal::digest::Sha256;
use patcher::internal::fetch::CancelToken;
use patcher::internal::install_blocks::wrong_contents;
use patcher::internal::layout::{ObjectKind, SiteNames};
use patcher::internal::manifest::{IndexedObject, Manifest};
use patcher::internal::tables::InstallTable;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Seek as _, SeekFrom};
use url::Url;

/// Install objects, and the contents that each has to hold.
#[derive(Default)]
pub struct Installs {
    objects: BTreeMap<Url, (IndexedObject, BTreeSet<Sha256>)>,
}

impl Installs {
    /// Adds the install object of a release below the base URL `url`.
    pub fn add(&mut self, manifest: &Manifest, url: &Url) {
        let Some(install) = manifest.meta.install else { return };
        if let Ok(url) = url.join(&SiteNames::of(&manifest.meta).object(ObjectKind::Install, &install.object.sha256)) {
            let (_, contents) = self.objects.entry(url).or_insert((install, BTreeSet::new()));
            contents.extend(manifest.files.iter().map(|file| file.sha256));
        }
    }

    /// Returns the objects that do not hold their contents.
    pub fn replay(&self, verifier: &Verifier<'_>) -> Vec<Error> {
        let objects: Vec<_> = self.objects.iter().collect();
        let replay = |(url, (indexed, contents)): (&Url, &(IndexedObject, BTreeSet<Sha256>))| {
            let wrong = wrong(url, indexed, contents, verifier)?;
            Some(Error::InstallObject { url: url.to_string(), detail: wrong })
        };
        objects.into_par_iter().filter_map(replay).collect()
    }
}

/// Returns how an object is wrong; `None` if it holds all contents.
fn wrong(url: &Url, indexed: &IndexedObject, contents: &BTreeSet<Sha256>, verifier: &Verifier<'_>) -> Option<String> {
    // An object that is missing or damaged is reported where all objects are examined.
    let mut object = verifier.fetch(url, &indexed.object, &CancelToken::default()).ok()?;
    if let Err(error) = object.rewind() {
        return Some(error.to_string());
    }
    let table = match InstallTable::read(&object, indexed) {
        Ok(table) => table,
        Err(error) => return Some(error.to_string()),
    };
    if let Err(error) = object.seek(SeekFrom::Start(indexed.table.size)) {
        return Some(error.to_string());
    }
    if let Some(wrong) = wrong_contents(BufReader::new(object), &table).first() {
        return Some(format!("it does not make {}", table.contents[*wrong].sha256));
    }
    let held: BTreeSet<&Sha256> = table.contents.iter().map(|content| &content.sha256).collect();
    let missing = contents.iter().find(|content| !held.contains(content))?;
    Some(format!("it does not hold {missing}"))
}
