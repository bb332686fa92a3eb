//! Stored deltas: the deltas in the update objects of earlier releases.

use super::delta_graph::{DeltaBytes, DeltaEdge, DeltaGraph};
use crate::error::{Error, Result};
use crate::site::ComponentSite;
use patcher::internal::digest::Sha256;
use patcher::internal::layout::ObjectKind;
use patcher::internal::manifest::{IndexedObject, Meta};
use patcher::internal::tables::UpdateTable;
use std::fs::File;
use std::io::Seek as _;
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
        let path = site.object_path(ObjectKind::Update, &update.object.object.sha256);
        let path: Arc<Path> = path.into();
        let Some(table) = read_table(&path, &update.object)? else { continue };
        let positions = table.positions(update.object.table.size);
        for (row, position) in table.rows.iter().zip(positions) {
            let Some(from) = table.content(row.base) else { continue };
            graph.add(DeltaEdge {
                method: row.method.clone(),
                from,
                with: row.second_base.and_then(|base| table.content(base)),
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
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    if Sha256::of_reader(&mut file).map_err(failed)? != (indexed.object.sha256, indexed.object.size) {
        return Ok(None);
    }
    file.rewind().map_err(failed)?;
    Ok(UpdateTable::read(file, indexed).ok())
}
