//! Fills the stage with an install object: one thread fetches it while another unpacks it.
//!
//! If the object fails, or a part of it, workers fetch the missing contents one by one.

use super::Stage;
use super::arriving_file::{ArrivingFile, EndOnDrop};
use super::fill::join;
use super::install_unpack::{InstallUnpacker, WantedContent};
use super::object::{FetchedObject, ObjectFetcher, ObjectRequest};
use super::progress::ProgressEvent;
use super::transfer::Transfer;
use super::writer::{is_staged, partial};
use super::{staged_name, staged_names};
use crate::disk::fs::Found;
use crate::disk::layout::ObjectKind;
use crate::error::{Error, Result};
use crate::formats::manifest::IndexedObject;
use crate::transfer::plan::{Plan, PlannedObject};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Sender;

/// The code of an object that is as it was signed but does not hold the contents.
const CONTENT_FAILURE: &str = "install-content";

/// A download that begins with an install object.
pub struct InstallFill<'a, 'b> {
    stage: &'a Stage,
    transfer: &'a Transfer<'a>,
    progress: &'a Sender<ProgressEvent<'b>>,
    indexed: IndexedObject,
    /// The contents that the object makes and that are not staged.
    wanted: BTreeMap<Sha256, WantedContent<'b>>,
    /// The first path of them, for the progress display.
    path: &'b RelPath,
}

impl<'a, 'b> InstallFill<'a, 'b> {
    /// Returns `None` if the plan has no install object, or if the missing contents cost less.
    pub fn new(
        stage: &'a Stage,
        plan: &'b Plan,
        transfer: &'a Transfer<'a>,
        progress: &'a Sender<ProgressEvent<'b>>,
    ) -> Result<Option<Self>> {
        let Some(PlannedObject::Install(indexed)) = plan.object else { return Ok(None) };
        let (mut wanted, mut first, mut cost) = (BTreeMap::new(), None, 0u64);
        for (change, name) in plan.changes.iter().zip(staged_names(&plan.changes)) {
            let (Some(hash), None) = (change.new.sha256(), &change.saved_from) else { continue };
            let Some(content_plan) = plan.contents.get(&hash).filter(|content_plan| content_plan.is_in_object) else {
                continue;
            };
            let is_first = name.is_some_and(|name| name == staged_name(&hash, 0));
            if is_first && !is_staged(&stage.files, &staged_name(&hash, 0), &change.new)? {
                wanted.insert(hash, WantedContent { content: &change.new, size: content_plan.size });
                first.get_or_insert(&change.path);
                cost = cost.saturating_add(content_plan.own_cost());
            }
        }
        let is_begun = stage.objects.find(&partial(&indexed.object.sha256.to_string()))? != Found::Absent;
        let is_worth_it = is_begun || cost > indexed.object.size;
        Ok(first.filter(|_| is_worth_it).map(|path| Self { stage, transfer, progress, indexed, wanted, path }))
    }

    /// Fetches and unpacks the object, and returns the contents that were staged.
    ///
    /// # Errors
    /// [`Machine::Io`](crate::error::Machine::Io), [`Error::Cancelled`]. A network that does not
    /// deliver is no error here: the next way to each content tries the network again.
    pub fn fill(&self) -> Result<BTreeSet<Sha256>> {
        let arriving = ArrivingFile::default();
        let fetcher = ObjectFetcher {
            stage: self.stage,
            transfer: self.transfer,
            progress: self.progress.clone(),
            path: self.path,
            arriving: Some(&arriving),
        };
        let object = self.indexed.object;
        let request = ObjectRequest { kind: ObjectKind::Install, object, decompressed: None };
        if self.transfer.mirrors.is_race_worthwhile(object.size) {
            self.stage.race_for(ObjectKind::Install, &object, self.transfer)?;
        }
        let mut unpacker = InstallUnpacker {
            stage: self.stage,
            transfer: self.transfer,
            wanted: self.wanted.clone(),
            made: BTreeSet::new(),
        };
        let reader = arriving.reader();
        let is_whole = std::thread::scope(|scope| {
            let fetched = scope.spawn(|| {
                let _end = EndOnDrop(&arriving);
                match fetcher.fetch(request, |_, fetched| Ok(fetched)) {
                    Ok(fetched) => Ok(matches!(fetched, FetchedObject::Original(_))),
                    Err(Error::Refused(_) | Error::Network(_)) => Ok(false),
                    Err(error) => Err(error),
                }
            });
            let unpacked = unpacker.unpack(&self.indexed, &reader).map(drop);
            drop(reader);
            unpacked.and(join(fetched))
        })?;
        if is_whole && !unpacker.is_done() {
            // One mirror may have sent wrong bytes, and another one the whole object.
            unpacker.unpack(&self.indexed, &arriving.reader())?;
            if !unpacker.is_done() {
                fetcher.record_failure(request, CONTENT_FAILURE);
            }
        }
        Ok(unpacker.made)
    }
}
