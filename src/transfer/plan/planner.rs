//! The planner: applies the rules of a plan to each path.

use super::{ChunkPlan, ContentPlan, LocalFile, Obstacle, PathChange, Plan, PlanInput, PlannedObject, WholeContent};
use crate::disk::inventory::PathContent;
use crate::formats::manifest::{File, LinkOrFile, Manifest, SiteLayout};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// The limit on local files to search for chunks of one new file.
const MAX_CHUNK_BASES: usize = 8;

/// Tables that may be useless cost at most 1/8 of the bytes that they may save.
const TABLES_COST_DIVISOR: u64 = 8;
/// The size of a request and of the headers of its response.
pub const REQUEST_BYTES: u64 = 400;

/// A plan in progress, with indexes over both releases.
pub struct Planner<'a> {
    input: &'a PlanInput<'a>,
    plan: Plan,
    /// The content that the installed release has at each path.
    old: BTreeMap<&'a str, PathContent>,
    new_paths: BTreeSet<&'a str>,
    new_folders: BTreeSet<&'a str>,
    /// The size of all distinct contents of the release in bytes.
    new_bytes: u64,
    /// A path of this component for each content on disk.
    paths_by_content: BTreeMap<Sha256, &'a str>,
    /// The paths of the installed release by folder and extension.
    old_paths_by_kind: BTreeMap<(&'a str, &'a str), Vec<&'a str>>,
}

impl<'a> Planner<'a> {
    /// Builds the indexes.
    pub fn new(input: &'a PlanInput<'a>) -> Self {
        let entries = |manifest: Option<&'a Manifest>| manifest.map(Manifest::entries).unwrap_or_default();
        let new: Vec<&RelPath> = entries(input.new).iter().map(LinkOrFile::path).collect();
        let old: BTreeMap<_, _> =
            entries(input.old).iter().map(|entry| (entry.path().as_str(), entry.content())).collect();
        let mut old_paths_by_kind: BTreeMap<_, Vec<_>> = BTreeMap::new();
        old.keys().for_each(|path| old_paths_by_kind.entry(folder_and_extension(path)).or_default().push(*path));
        let on_disk = input.inventory.iter().filter_map(|(path, content)| Some((content.sha256()?, path)));
        Self {
            input,
            plan: Plan::default(),
            old,
            new_paths: new.iter().map(|path| path.as_str()).collect(),
            new_folders: new.iter().flat_map(|path| path.folders()).collect(),
            new_bytes: input.new.map_or(0, content_bytes),
            paths_by_content: on_disk.collect(),
            old_paths_by_kind,
        }
    }

    /// Plans every path of both releases.
    pub fn plan(mut self) -> Result<Plan, Obstacle> {
        let mut needed = BTreeMap::new();
        for entry in self.input.new.map(Manifest::entries).unwrap_or_default() {
            match entry {
                LinkOrFile::File(file) if self.plan_file(file)? => drop(needed.entry(file.sha256).or_insert(file)),
                LinkOrFile::File(_) => {}
                LinkOrFile::Link(_) => drop(self.plan_path(entry.path(), entry.content())?),
            }
        }
        let update = self.exact_update();
        let is_flat = |new: &&Manifest| new.meta.layout == SiteLayout::Flat;
        self.plan.install = self.input.new.filter(is_flat).and_then(|new| new.meta.install);
        for file in needed.values() {
            let content_plan = self.plan_content(file, update.is_some());
            self.plan.contents.insert(file.sha256, content_plan);
        }
        let is_needed = self.plan.contents.values().any(|content_plan| content_plan.is_in_object);
        self.plan.object = update.filter(|_| is_needed).or_else(|| self.update_search());
        self.prefer_install_object();
        for entry in self.input.old.map(Manifest::entries).unwrap_or_default() {
            self.plan_removal(entry.path())?;
        }
        self.clear_new_folders()?;
        self.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.plan)
    }

    /// Plans a file of the release; returns whether its content is needed.
    fn plan_file(&mut self, file: &'a File) -> Result<bool, Obstacle> {
        let on_disk = self.input.inventory.content(file.path.as_str());
        if file.preserve && matches!(on_disk, PathContent::File { .. }) {
            return Ok(false);
        }
        self.plan_path(&file.path, LinkOrFile::File(file).content())
    }

    /// Plans that `path` gets the content `new`; returns whether that changes anything.
    fn plan_path(&mut self, path: &RelPath, new: PathContent) -> Result<bool, Obstacle> {
        let on_disk = self.input.inventory.content(path.as_str()).clone();
        if on_disk == new {
            return Ok(false);
        }
        let is_ours = self.old.contains_key(path.as_str()) || on_disk.same_bytes(&new);
        if !is_ours && matches!(on_disk, PathContent::File { .. } | PathContent::Link { .. }) {
            self.move_aside(path, &on_disk)?;
        }
        self.plan.changes.push(PathChange { path: path.clone(), old: on_disk, new, saved_from: None });
        Ok(true)
    }

    /// Returns the update object that leads from the installed release to the new one.
    fn exact_update(&self) -> Option<PlannedObject> {
        let (old, new) = (self.input.old?, self.input.new?);
        let update = new.update_from(&old.content_id())?;
        let is_unmodified = |file: &File| file.preserve || self.is_unmodified(file.path.as_str());
        let is_whole = old.files.iter().all(is_unmodified);
        Some(PlannedObject::Exact { indexed: update.object, rest: update.rest, is_whole })
    }

    /// Returns the update objects in which to look for rows that start from files on disk.
    ///
    /// Only files with an unknown content justify that: the tables cost bytes, too.
    fn update_search(&self) -> Option<PlannedObject> {
        let is_replaced = |change: &PathChange| {
            let is_file = matches!(change.old, PathContent::File { .. });
            let needed = change.new.sha256().and_then(|content| self.plan.contents.get(&content));
            is_file && needed.is_some_and(|content_plan| content_plan.copy.is_none())
        };
        let replaced = self.plan.changes.iter().filter(|change| is_replaced(change));
        let contents: BTreeSet<Sha256> = replaced.filter_map(|change| change.new.sha256()).collect();
        let own_cost = |content: &Sha256| self.plan.contents.get(content).map_or(0, ContentPlan::own_cost);
        let mut budget = contents.iter().map(own_cost).sum::<u64>() / TABLES_COST_DIVISOR;
        let updates = self.input.new.map_or(&[][..], |new| &new.meta.updates);
        let affordable = updates.iter().map(|update| update.object).take_while(|indexed| {
            let left = budget.checked_sub(indexed.table.size.saturating_add(REQUEST_BYTES));
            budget = left.unwrap_or(0);
            left.is_some()
        });
        let objects: Vec<_> = affordable.collect();
        (!objects.is_empty()).then_some(PlannedObject::Search(objects))
    }

    /// Plans the install object if that costs less than the objects that it replaces.
    ///
    /// Contents with chunk bases do not count: chunks may cost far less than the plan knows. In a
    /// flat layout, two requests get the table and all blocks.
    fn prefer_install_object(&mut self) {
        let Some(install) = self.input.new.and_then(|new| new.meta.install) else { return };
        let update = match &self.plan.object {
            Some(PlannedObject::Exact { indexed, rest, .. }) => indexed.object.size.saturating_add(*rest),
            _ => 0,
        };
        let fetched = self.plan.contents.values().filter(|content_plan| content_plan.copy.is_none());
        let is_single = |content_plan: &&ContentPlan| !content_plan.is_in_object && content_plan.chunks.is_none();
        let single: Vec<&ContentPlan> = fetched.filter(is_single).collect();
        let requests = match self.plan.install {
            Some(_) if !single.is_empty() => 2,
            _ => single.len() as u64,
        };
        let objects = update.saturating_add(requests.saturating_mul(REQUEST_BYTES));
        let cost = single.iter().fold(objects, |sum, content_plan| sum.saturating_add(content_plan.whole.cost()));
        if install.object.size.saturating_add(REQUEST_BYTES) < cost {
            let contents = self.plan.contents.values_mut().filter(|content_plan| content_plan.copy.is_none());
            contents.for_each(|content_plan| content_plan.is_in_object = true);
            self.plan.object = Some(PlannedObject::Install(install));
        }
    }

    /// Returns `true` if a path has the content that the installed release lists.
    fn is_unmodified(&self, path: &str) -> bool {
        self.old.get(path).is_some_and(|old| old.same_bytes(self.input.inventory.content(path)))
    }

    /// Plans the ways to the content of `file`.
    fn plan_content(&self, file: &File, has_update: bool) -> ContentPlan {
        let path = file.path.as_str();
        let copy = self.find_content(&file.sha256);
        let chunks = file.chunks.zip(file.gz).map(|(index, gz)| ChunkPlan { index, gz, bases: self.chunk_bases(file) });
        let chunks = chunks.filter(|chunks| !chunks.bases.is_empty());
        // The update object makes the contents that the installed release lacks.
        let is_new = self.old.get(path).is_none_or(|old| old.sha256() != Some(file.sha256));
        let has_base = !self.old.contains_key(path) || self.is_unmodified(path);
        let is_in_object = has_update && copy.is_none() && is_new && has_base;
        let whole = match file.gz {
            Some(gz) => WholeContent::Gz(gz),
            None => WholeContent::Blocks { cost: self.blocks_cost(file.size) },
        };
        ContentPlan { size: file.size, copy, is_in_object, chunks, whole }
    }

    /// Estimates the bytes of the blocks with a content of `size` bytes.
    ///
    /// That is twice its share of the install object, because its blocks hold other contents, too.
    fn blocks_cost(&self, size: u64) -> u64 {
        let Some(install) = self.plan.install.map(|install| install.object.size) else { return 0 };
        let share = u128::from(install) * u128::from(size) / u128::from(self.new_bytes.max(1));
        u64::try_from(share.saturating_mul(2)).unwrap_or(u64::MAX).min(install)
    }

    /// Returns a local file that has this content.
    fn find_content(&self, content: &Sha256) -> Option<LocalFile> {
        let here = self.paths_by_content.get(content);
        let here = here.map(|path| LocalFile { component: None, path: (*path).to_owned() });
        here.or_else(|| (self.input.elsewhere)(content))
    }

    /// Returns the local files that may contain chunks of a new file.
    ///
    /// The file at the same path comes first, then those with the same extension in its folder.
    fn chunk_bases(&self, file: &File) -> Vec<LocalFile> {
        let path = file.path.as_str();
        let similar = self.old_paths_by_kind.get(&folder_and_extension(path)).map_or(&[][..], Vec::as_slice);
        let others = similar.iter().copied().filter(|other| *other != path);
        let is_file = |path: &&str| matches!(self.input.inventory.content(path), PathContent::File { .. });
        let bases = std::iter::once(path).chain(others).filter(is_file).take(MAX_CHUNK_BASES);
        bases.map(|path| LocalFile { component: None, path: path.to_owned() }).collect()
    }

    /// Plans a path of the installed release that the new release does not have.
    ///
    /// A file that the user has modified stays, unless the release has a folder there.
    fn plan_removal(&mut self, path: &RelPath) -> Result<(), Obstacle> {
        let on_disk = self.input.inventory.content(path.as_str());
        let exists = matches!(on_disk, PathContent::File { .. } | PathContent::Link { .. });
        if !exists || self.new_paths.contains(path.as_str()) {
            return Ok(());
        }
        let is_in_the_way = self.new_folders.contains(path.as_str());
        let is_unmodified = self.old.get(path.as_str()).is_some_and(|old| old.same_bytes(on_disk));
        let is_ours = self.input.is_old_trusted && is_unmodified;
        if !is_ours && !is_in_the_way {
            self.plan.kept.push(path.clone());
            return Ok(());
        }
        if !is_ours {
            self.move_aside(path, on_disk)?;
        }
        self.remove(path.clone(), on_disk);
        Ok(())
    }

    /// Moves aside the user's files at paths where the new release has a folder.
    fn clear_new_folders(&mut self) -> Result<(), Obstacle> {
        let inventory = self.input.inventory;
        for (at, content) in inventory.blocked() {
            if !self.new_folders.contains(at) || self.plan.changes.iter().any(|change| change.path.as_str() == at) {
                continue;
            }
            match (content, RelPath::new(at)) {
                (PathContent::File { .. }, Ok(path)) => {
                    self.move_aside(&path, content)?;
                    self.remove(path, content);
                }
                _ => return Err(Obstacle::LinkedFolder(at.to_owned())),
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: RelPath, old: &PathContent) {
        self.plan.changes.push(PathChange { path, old: old.clone(), new: PathContent::Absent, saved_from: None });
    }

    /// Plans that the user's file at `path` gets a free name such as `NAME.saved` in its folder.
    fn move_aside(&mut self, path: &RelPath, content: &PathContent) -> Result<(), Obstacle> {
        let is_free = |name: &RelPath| {
            let is_planned = self.new_paths.contains(name.as_str()) || self.new_folders.contains(name.as_str());
            !is_planned && !(self.input.taken)(name)
        };
        let name = path.saved_names().find(is_free).ok_or_else(|| Obstacle::NoFreeName(path.clone()))?;
        self.plan.changes.push(PathChange {
            path: name,
            old: PathContent::Absent,
            new: content.clone(),
            saved_from: Some(path.clone()),
        });
        Ok(())
    }
}

/// Returns the size of all distinct contents of a release in bytes.
fn content_bytes(manifest: &Manifest) -> u64 {
    let mut known = BTreeSet::new();
    let distinct = manifest.files.iter().filter(|file| known.insert(file.sha256));
    distinct.fold(0, |sum, file| sum.saturating_add(file.size))
}

/// Returns the folder and the extension of a path.
fn folder_and_extension(path: &str) -> (&str, &str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folder, name.rsplit_once('.').map_or("", |(_, extension)| extension))
}
