//! Fills the stage with an update object: one thread fetches it while workers apply its deltas.

use super::Stage;
use super::arriving_file::ArrivingFile;
use super::fill::join;
use super::job::jobs;
use super::object::{ObjectFetcher, to_signed};
use super::progress::{Phase, ProgressEvent};
use super::staged_name;
use super::transfer::Transfer;
use super::update_object::{ChosenRows, UpdateFetch, UpdatePart};
use super::writer::is_staged;
use crate::error::Result;
use crate::formats::manifest::IndexedObject;
use crate::transfer::plan::{ContentPlan, Plan, PlannedObject};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Sender;

/// A download that uses an update object.
pub struct UpdateFill<'a, 'b> {
    stage: &'a Stage,
    plan: &'b Plan,
    planned: &'b PlannedObject,
    transfer: &'a Transfer<'a>,
    progress: &'a Sender<ProgressEvent<'b>>,
    /// The contents that the object may make and that are not staged, with their sizes.
    wanted: BTreeMap<Sha256, u64>,
    /// The first path of them, for the progress display.
    path: &'b RelPath,
}

/// Rows that were chosen from one of several objects.
struct UsableUpdate<'a> {
    indexed: IndexedObject,
    rows: ChosenRows<'a>,
    /// The bytes that the contents of the rows would cost otherwise.
    saved: u64,
}

impl<'a, 'b> UpdateFill<'a, 'b> {
    /// Returns `None` if the plan has no update object, or if all its contents are staged.
    pub fn new(
        stage: &'a Stage,
        plan: &'b Plan,
        transfer: &'a Transfer<'a>,
        progress: &'a Sender<ProgressEvent<'b>>,
    ) -> Result<Option<Self>> {
        let Some(planned) = &plan.object else { return Ok(None) };
        let is_exact = matches!(planned, PlannedObject::Exact { .. });
        let may_make = |content: &ContentPlan| content.is_in_object || (!is_exact && content.copy.is_none());
        let (mut wanted, mut first) = (BTreeMap::new(), None);
        for change in plan.changes.iter().filter(|change| change.saved_from.is_none()) {
            let Some(hash) = change.new.sha256() else { continue };
            let Some(content) = plan.contents.get(&hash).filter(|content| may_make(content)) else { continue };
            if !is_staged(&stage.files, &staged_name(&hash, 0), &change.new)? {
                wanted.insert(hash, content.size);
                first.get_or_insert(&change.path);
            }
        }
        Ok(first.map(|path| Self { stage, plan, planned, transfer, progress, wanted, path }))
    }

    /// Makes all contents of the plan, and returns those that only blocks of the install object
    /// hold.
    pub fn fill(&self) -> Result<BTreeSet<Sha256>> {
        match self.planned {
            PlannedObject::Exact { indexed, rest, is_whole: true } => self.fill_from_whole(*indexed, *rest),
            _ => self.fill_from_table(),
        }
    }

    /// Fetches the whole object, and applies its deltas as they arrive.
    fn fill_from_whole(&self, indexed: IndexedObject, rest: u64) -> Result<BTreeSet<Sha256>> {
        let arriving = ArrivingFile::default();
        let fetch = self.fetch(indexed, &arriving, true);
        std::thread::scope(|scope| {
            let fetched = scope.spawn(|| fetch.fetch(&UpdatePart::Whole, ""));
            let rows = fetch.wait_for_table()?.map(|table| fetch.choose(table, &self.wanted, true));
            // From now on, contents that no row makes are counted one by one.
            self.report_total(rest, 0);
            let made = self.run(rows);
            let fetched = join(fetched);
            made.and_then(|left| fetched.map(|()| left))
        })
    }

    /// Reads the tables first, and then fetches the needed part of the best object.
    fn fill_from_table(&self) -> Result<BTreeSet<Sha256>> {
        let arriving = ArrivingFile::default();
        let mut best: Option<UsableUpdate<'_>> = None;
        for indexed in self.planned.objects() {
            let fetch = self.fetch(*indexed, &arriving, false);
            let Some(table) = fetch.fetch_table()? else { continue };
            let rows = fetch.choose(table, &self.wanted, false);
            let saved = rows.chains.keys().map(|content| self.plan.contents[content].own_cost()).sum();
            if best.as_ref().map_or(saved > 0, |best| saved > best.saved) {
                best = Some(UsableUpdate { indexed: *indexed, rows, saved });
            }
        }
        let planned_bytes = match (self.planned, &best) {
            (PlannedObject::Exact { indexed, rest, .. }, _) => indexed.object.size.saturating_add(*rest),
            (PlannedObject::Search(_) | PlannedObject::Install(_), best) => best.as_ref().map_or(0, |best| best.saved),
        };
        let Some(UsableUpdate { indexed, rows, .. }) = best else {
            self.report_total(planned_bytes, 0);
            return self.run(None);
        };
        let fetch = self.fetch(indexed, &arriving, true);
        self.report_total(planned_bytes, fetch.part_bytes(&rows.part));
        let (part, file) = (rows.part.clone(), rows.update.file.clone());
        std::thread::scope(|scope| {
            let fetched = scope.spawn(|| fetch.fetch(&part, &file));
            let made = self.run(Some(rows));
            let fetched = join(fetched);
            made.and_then(|left| fetched.map(|()| left))
        })
    }

    /// Makes the contents of the plan, with the chosen rows.
    fn run(&self, rows: Option<ChosenRows<'_>>) -> Result<BTreeSet<Sha256>> {
        let (update, chains) = rows.map(|rows| (rows.update, rows.chains)).unzip();
        let jobs = jobs(self.plan, chains.unwrap_or_default(), &BTreeSet::new());
        self.stage.run_jobs(&jobs, update.as_ref(), self.transfer, self.progress)
    }

    fn fetch<'c>(&self, indexed: IndexedObject, arriving: &'c ArrivingFile, is_watched: bool) -> UpdateFetch<'c, 'b>
    where
        'a: 'c,
    {
        let fetcher = ObjectFetcher {
            stage: self.stage,
            transfer: self.transfer,
            progress: self.progress.clone(),
            path: self.path,
            arriving: is_watched.then_some(arriving),
        };
        UpdateFetch { fetcher, indexed, arriving }
    }

    /// Corrects the bytes to fetch in the progress display.
    fn report_total(&self, planned: u64, actual: u64) {
        let total = to_signed(actual) - to_signed(planned);
        let _ = self.progress.send(ProgressEvent { phase: Phase::Downloading, path: self.path, done: 0, total });
    }
}
