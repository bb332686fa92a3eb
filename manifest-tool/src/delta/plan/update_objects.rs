//! Update objects: one file for each earlier release, with everything that leads to the new one.
//!
//! For each content that the earlier release lacks, the object holds the deltas of the cheapest
//! path. Contents come in the order of their sizes, so that a second base precedes its users and
//! clients wait for no large file.

use super::delta_graph::{DeltaBytes, DeltaEdge, DeltaGraph};
use crate::error::{Error, Result};
use crate::site::ComponentSite;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{
    File, IndexedObject, MAX_UPDATE_OBJECTS, Manifest, Object, SiteLayout, UpdateObject,
};
use patcher::internal::plan::REQUEST_BYTES;
use patcher::internal::tables::{RowBase, UpdateRow, UpdateTable};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Writes the update objects from `earlier` releases to `new`, and returns their lines.
///
/// `earlier` starts with the most important release. A release with the content of another one, or
/// of the new one, gets no object.
///
/// # Errors
/// An I/O error.
pub fn write(
    site: &ComponentSite,
    graph: &DeltaGraph,
    earlier: &[Manifest],
    new: &Manifest,
) -> Result<Vec<UpdateObject>> {
    let mut known = HashSet::from([new.content_id()]);
    let mut updates = Vec::new();
    for manifest in earlier {
        let content = manifest.content_id();
        if updates.len() == MAX_UPDATE_OBJECTS || !known.insert(content) {
            continue;
        }
        let draft = UpdateDraft::new(graph, manifest, new);
        if draft.is_worth_it(new) {
            let object = draft.write(site)?;
            updates.push(UpdateObject { from: manifest.meta.sequence, content, object, rest: draft.rest });
        }
    }
    updates.sort_by_key(|update| std::cmp::Reverse(update.from));
    Ok(updates)
}

/// The rows of an update object, and the places of their deltas.
struct UpdateDraft {
    table: UpdateTable,
    deltas: Vec<DeltaEdge>,
    /// `false` if a content without a gzip is not made.
    is_complete: bool,
    /// The size of the gzips of the contents that no row makes, in bytes.
    rest: u64,
    /// The cost of the contents that rows make, if a client fetches their gzips one by one.
    whole: u64,
}

impl UpdateDraft {
    fn new(graph: &DeltaGraph, old: &Manifest, new: &Manifest) -> Self {
        // A preserved file belongs to the user, and its content on a client is unknown.
        let there: HashSet<Sha256> =
            old.files.iter().filter(|file| !file.preserve).map(|file| file.sha256).chain([Sha256::of(b"")]).collect();
        let mut missing: Vec<&File> = new.files.iter().filter(|file| !there.contains(&file.sha256)).collect();
        missing.sort_by_key(|file| (file.size, file.sha256));
        missing.dedup_by_key(|file| file.sha256);
        let mut draft =
            Self { table: UpdateTable::default(), deltas: Vec::new(), is_complete: true, rest: 0, whole: 0 };
        // The row of each content that is made.
        let mut rows: HashMap<Sha256, usize> = HashMap::new();
        for file in missing {
            if rows.contains_key(&file.sha256) {
                continue;
            }
            let is_there = |content: &Sha256| there.contains(content) || rows.contains_key(content);
            let limit = file.gz.map_or(u64::MAX, |gz| gz.size.saturating_add(REQUEST_BYTES));
            match graph.cheapest(file.sha256, limit, is_there, is_there) {
                Some(path) => {
                    draft.whole = draft.whole.saturating_add(limit);
                    path.deltas.into_iter().for_each(|delta| draft.add(delta, &mut rows));
                }
                None => match file.gz {
                    Some(gz) => draft.rest += gz.size,
                    None => draft.is_complete = false,
                },
            }
        }
        draft
    }

    /// Returns `true` if a client saves bytes by the object, its request included.
    ///
    /// In a flat layout it has to save bytes against the install object, and to make every content.
    fn is_worth_it(&self, new: &Manifest) -> bool {
        let deltas: u64 = self.table.rows.iter().map(|row| row.size).sum();
        let cost = deltas + self.table.to_bytes().len() as u64 + REQUEST_BYTES;
        let whole = match new.meta.layout {
            SiteLayout::Folders => self.whole,
            SiteLayout::Flat => new.meta.install.map_or(0, |install| install.object.size),
        };
        self.is_complete && !self.table.rows.is_empty() && cost < whole
    }

    /// Adds the row of a delta whose bases are there.
    fn add(&mut self, delta: DeltaEdge, rows: &mut HashMap<Sha256, usize>) {
        let base = |content: &Sha256| match rows.get(content) {
            Some(row) => RowBase::Row(*row),
            None if *content == Sha256::of(b"") => RowBase::Empty,
            None => RowBase::Content(*content),
        };
        let (base, second_base) = (base(&delta.from), delta.with.as_ref().map(base));
        let row = UpdateRow { to: delta.to, method: delta.method.clone(), base, second_base, size: delta.size };
        rows.insert(delta.to.sha256, self.table.rows.len());
        self.table.rows.push(row);
        self.deltas.push(delta);
    }

    /// Writes the object to the site.
    fn write(&self, site: &ComponentSite) -> Result<IndexedObject> {
        let mut output = site.new_object()?;
        let failed = |error| Error::io("write", "an update object", error);
        let table = self.table.to_bytes();
        output.write_all(&table).map_err(failed)?;
        for delta in &self.deltas {
            let copied = copy(delta, output.as_file_mut()).map_err(failed)?;
            if copied != delta.size {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        output.rewind().map_err(failed)?;
        let (sha256, size) = Sha256::of_reader(output.as_file_mut()).map_err(failed)?;
        let object = Object { size, sha256 };
        if !site.holds(ObjectKind::Update, &object) {
            site.add_object(ObjectKind::Update, &object, output.into_temp_path())?;
        }
        Ok(IndexedObject { object, table: Object { size: table.len() as u64, sha256: Sha256::of(&table) } })
    }
}

/// Copies the bytes of a delta.
fn copy(delta: &DeltaEdge, output: &mut fs::File) -> io::Result<u64> {
    let mut input = match &delta.bytes {
        DeltaBytes::Built(path) => fs::File::open(path.as_ref() as &Path)?,
        DeltaBytes::Stored { object, offset } => {
            let mut file = fs::File::open(object)?;
            file.seek(SeekFrom::Start(*offset))?;
            file
        }
    }
    .take(delta.size);
    io::copy(&mut input, output)
}
