//! Stored deltas: the deltas in the update objects of earlier releases.

use super::delta_graph::{DeltaBytes, DeltaEdge, DeltaGraph};
use crate::error::{Error, Result};
use crate::site::ComponentSite;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::{self, ObjectKind};
use patcher::internal::manifest::{IndexedObject, Meta};
use patcher::internal::update_table::{MAX_TABLE_BYTES, RowBase, UpdateTable};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

/// Adds the deltas of a release's update objects to `graph`.
///
/// An update object that is missing or damaged adds nothing. `verify` reports it.
///
/// # Errors
/// An I/O error.
pub fn add_all(graph: &mut DeltaGraph, site: &ComponentSite, meta: &Meta) -> Result<()> {
    for update in &meta.updates {
        let path = site.path(&layout::object_path(ObjectKind::Update, &update.object.object.sha256));
        let path: Arc<Path> = path.into();
        let Some(table) = read_table(&path, &update.object)? else { continue };
        let positions = table.positions(update.object.table.size);
        for (row, position) in table.rows.iter().zip(positions) {
            let content = |base: RowBase| match base {
                RowBase::Empty => Sha256::of(b""),
                RowBase::Content(content) => content,
                RowBase::Row(row) => table.rows[row].to.sha256,
            };
            graph.add(DeltaEdge {
                method: row.method.clone(),
                from: content(row.base),
                with: row.second_base.map(content),
                to: row.to,
                size: row.size,
                bytes: DeltaBytes::Stored { object: Arc::clone(&path), offset: position.start },
            });
        }
    }
    Ok(())
}

/// Reads the table of an update object; returns `None` if the object is not as it was signed.
fn read_table(path: &Path, indexed: &IndexedObject) -> Result<Option<UpdateTable>> {
    let failed = |error| Error::io("read", path, error);
    if indexed.table.size > MAX_TABLE_BYTES || indexed.table.size > indexed.object.size {
        return Ok(None);
    }
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    if Sha256::of_reader(&mut file).map_err(failed)? != (indexed.object.sha256, indexed.object.size) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.rewind().map_err(failed)?;
    file.take(indexed.table.size).read_to_end(&mut bytes).map_err(failed)?;
    if Sha256::of(&bytes) != indexed.table.sha256 {
        return Ok(None);
    }
    Ok(UpdateTable::parse(&bytes, indexed.object.size - indexed.table.size).ok())
}
