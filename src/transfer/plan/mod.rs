//! What to do for each path of a release: a value, worked out from manifests and inventory, without any effect.
//!
//! Per file, the cheapest of: keep it; copy a local file of the same hash; the chain of deltas with the fewest bytes, from
//! anything that is held; the parts of the `.gz` that no local file has; the whole `.gz`. Each falls back to the next. Files
//! that no manifest lists are the user's, and so is a listed file's place when something else lies there.

mod graph;
#[cfg(test)]
mod tests;

use crate::disk::inventory::{Inventory, PathContent};
use crate::formats::manifest::{Component, File, LinkOrFile, Manifest, Object};
use crate::values::digest::Sha256;
use crate::values::rel_path::RelPath;
use graph::Graph;
use std::collections::{BTreeMap, BTreeSet};

/// In how many files parts of one file are looked for.
const MAX_RELATIVES: usize = 8;

/// What a plan is made from.
pub struct PlanInput<'a> {
    /// The release to reach; none to remove the component.
    pub new: Option<&'a Manifest>,
    /// The installed release.
    pub old: Option<&'a Manifest>,
    /// Whether a trusted key vouches for the installed release. If not, its paths are still the program's, but no file is
    /// deleted on its word.
    pub is_old_trusted: bool,
    /// What is at every path of both.
    pub inventory: &'a Inventory,
    /// Where other components hold a content, as far as their manifests say.
    pub elsewhere: &'a dyn Fn(&Sha256) -> Option<LocalFile>,
    /// Whether anything lies at a path of this component that neither release has.
    pub taken: &'a dyn Fn(&RelPath) -> bool,
}

/// A file of an installed component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// The other component; none for the one that is planned.
    pub component: Option<Component>,
    /// The path in it.
    pub path: String,
}

/// What an update changes in one component, and how it gets what is new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Every path that changes, sorted.
    pub changes: Vec<PathChange>,
    /// Every file content that is not in its place yet.
    pub contents: BTreeMap<Sha256, ContentPlan>,
    /// Files that the release drops but the user has changed: they stay.
    pub kept: Vec<RelPath>,
    /// Files and links of the user that lie where the release brings something, and their new names.
    pub saved: Vec<(RelPath, RelPath)>,
}

/// One path's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// The path.
    pub path: RelPath,
    /// What is there now.
    pub old: PathContent,
    /// What will be there.
    pub new: PathContent,
    /// For a user's file that moves aside: where it is now.
    pub saved_from: Option<RelPath>,
}

/// How to get a content: the first of these ways that there is, and the next where one fails. The whole always is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPlan {
    /// Its size in bytes.
    pub size: u64,
    /// A file that has it, to be copied.
    pub copy: Option<LocalFile>,
    /// Deltas from something that is held; they cost less than the whole.
    pub chain: Option<DeltaChain>,
    /// Files that may have parts of it.
    pub chunks: Option<ChunkPlan>,
    /// The whole, as it can be fetched.
    pub gz: Object,
}

impl ContentPlan {
    /// Every object that one of the ways needs.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        let hops = self.chain.iter().flat_map(|chain| &chain.hops).map(|hop| hop.delta);
        hops.chain(self.chunks.iter().map(|parts| parts.index)).chain([self.gz])
    }

    /// The bytes to fetch by the first way; for parts, of which only the index tells how many they are, those of
    /// index and whole.
    pub fn cost(&self) -> u64 {
        match (&self.copy, &self.chain) {
            (Some(_), _) => 0,
            (None, Some(chain)) => chain.cost(),
            (None, None) => self.cost_without_chain(),
        }
    }

    /// The bytes to fetch where neither a copy nor deltas lead to it.
    pub fn cost_without_chain(&self) -> u64 {
        self.gz.size.saturating_add(self.chunks.as_ref().map_or(0, |parts| parts.index.size))
    }
}

/// A chain of deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaChain {
    /// The file that it starts from.
    pub base: LocalFile,
    /// What that file holds.
    pub from: Sha256,
    /// The deltas in their order, at least one; the last makes the content.
    pub hops: Vec<Hop>,
    /// What the last of them reads besides.
    pub second_base: Option<SecondBase>,
}

/// A content that a delta reads besides the one that it starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondBase {
    /// This file has it.
    Local(LocalFile),
    /// It is new, and obtained by the same plan.
    Planned(Sha256),
}

/// One delta of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The patch.
    pub delta: Object,
    /// What it makes.
    pub to: Sha256,
}

impl DeltaChain {
    /// The bytes to fetch.
    pub fn cost(&self) -> u64 {
        self.hops.iter().fold(0, |sum, hop| sum.saturating_add(hop.delta.size))
    }
}

/// What it takes to fetch only the parts of a content that no local file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    /// The index of the parts.
    pub index: Object,
    /// The files to look in, the likeliest first.
    pub bases: Vec<LocalFile>,
}

/// Something in the way that only the user can move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A link where the component has a folder.
    LinkedFolder(String),
    /// No name is left for a user's file to move to.
    NoFreeName(RelPath),
}

impl Plan {
    /// Works out the plan.
    ///
    /// # Errors
    /// An [`Obstacle`] that only the user can move.
    pub fn new(situation: &PlanInput<'_>) -> Result<Self, Obstacle> {
        let mut planner = Planner::new(situation);
        let mut needed = BTreeMap::new();
        for entry in situation.new.map(Manifest::entries).unwrap_or_default() {
            match entry {
                LinkOrFile::File(file) if planner.file(file)? => drop(needed.entry(file.sha256).or_insert(file)),
                LinkOrFile::File(_) => {}
                LinkOrFile::Link(_) => drop(planner.put(entry.path(), entry.content())?),
            }
        }
        for file in needed.values() {
            let obtain = planner.obtain(file, |content| needed.contains_key(content));
            planner.plan.contents.insert(file.sha256, obtain);
        }
        for entry in situation.old.map(Manifest::entries).unwrap_or_default() {
            planner.drop(entry.path())?;
        }
        planner.clear_the_way()?;
        planner.plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
        planner.plan.saved.sort();
        Ok(planner.plan)
    }

    /// The bytes to fetch if nothing is staged yet and no copy fails.
    pub fn download_size(&self) -> u64 {
        self.contents.values().fold(0, |sum, obtain| sum.saturating_add(obtain.cost()))
    }

    /// Whether any file is made from deltas or parts.
    pub fn is_partial(&self) -> bool {
        let partial =
            |obtain: &ContentPlan| obtain.copy.is_none() && (obtain.chain.is_some() || obtain.chunks.is_some());
        self.contents.values().any(partial)
    }
}

struct Planner<'a> {
    situation: &'a PlanInput<'a>,
    plan: Plan,
    /// What the installed release put at each path.
    old: BTreeMap<&'a str, PathContent>,
    new_paths: BTreeSet<&'a str>,
    new_folders: BTreeSet<&'a str>,
    /// A path that holds each content now.
    here: BTreeMap<Sha256, &'a str>,
    /// The paths of the installed release by folder and ending.
    kin: BTreeMap<(&'a str, &'a str), Vec<&'a str>>,
    graph: Graph,
}

/// The folder that a path lies in, and its ending.
fn kin(path: &str) -> (&str, &str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folder, name.rsplit_once('.').map_or("", |(_, ending)| ending))
}

impl<'a> Planner<'a> {
    fn new(situation: &'a PlanInput<'a>) -> Self {
        let entries = |manifest: Option<&'a Manifest>| manifest.map(Manifest::entries).unwrap_or_default();
        let new: Vec<&RelPath> = entries(situation.new).iter().map(LinkOrFile::path).collect();
        let old: BTreeMap<_, _> =
            entries(situation.old).iter().map(|entry| (entry.path().as_str(), entry.content())).collect();
        let mut by_kin: BTreeMap<_, Vec<_>> = BTreeMap::new();
        old.keys().for_each(|path| by_kin.entry(kin(path)).or_default().push(*path));
        let held = situation.inventory.iter().filter_map(|(path, content)| Some((content.sha256()?, path)));
        Self {
            situation,
            plan: Plan::default(),
            old,
            new_paths: new.iter().map(|path| path.as_str()).collect(),
            new_folders: new.iter().flat_map(|path| path.folders()).collect(),
            here: held.collect(),
            kin: by_kin,
            graph: situation.new.map(Graph::new).unwrap_or_default(),
        }
    }

    /// Plans that `file` is in its place, and tells whether its content is needed for that.
    fn file(&mut self, file: &'a File) -> Result<bool, Obstacle> {
        let have = self.situation.inventory.content(file.path.as_str());
        if file.preserve && matches!(have, PathContent::File { .. }) {
            return Ok(false);
        }
        self.put(&file.path, LinkOrFile::File(file).content())
    }

    /// How to get the content of `file`, where other contents are `planned`, too.
    fn obtain(&self, file: &File, planned: impl Fn(&Sha256) -> bool) -> ContentPlan {
        let second_base = |content: &Sha256| {
            // What is planned is checked when it is made; what is held is so by the word of a manifest.
            let planned = planned(content).then_some(SecondBase::Planned(*content));
            planned.or_else(|| self.held(content).map(SecondBase::Local))
        };
        let copy = self.held(&file.sha256);
        let chain = self.graph.cheapest(file.sha256, file.gz.size, |content| self.held(content), second_base);
        let chunks = file.chunks.map(|index| ChunkPlan { index, bases: self.relatives(file) });
        let chunks = chunks.filter(|chunks| !chunks.bases.is_empty());
        ContentPlan { size: file.size, copy, chain, chunks, gz: file.gz }
    }

    /// A file that holds this content.
    fn held(&self, content: &Sha256) -> Option<LocalFile> {
        let here = self.here.get(content).map(|path| LocalFile { component: None, path: (*path).to_owned() });
        here.or_else(|| (self.situation.elsewhere)(content))
    }

    /// Files of this component that may have parts of a new one: what is at its path, then what has the same ending in the
    /// same folder.
    fn relatives(&self, file: &File) -> Vec<LocalFile> {
        let path = file.path.as_str();
        let kin = self.kin.get(&kin(path)).map_or(&[][..], Vec::as_slice);
        let others = kin.iter().copied().filter(|other| *other != path);
        let is_file = |path: &&str| matches!(self.situation.inventory.content(path), PathContent::File { .. });
        let relatives = std::iter::once(path).chain(others).filter(is_file).take(MAX_RELATIVES);
        relatives.map(|path| LocalFile { component: None, path: path.to_owned() }).collect()
    }

    /// Plans that `path` holds `want`, and tells whether that changes anything.
    fn put(&mut self, path: &RelPath, want: PathContent) -> Result<bool, Obstacle> {
        let have = self.situation.inventory.content(path.as_str()).clone();
        if have == want {
            return Ok(false);
        }
        let ours = self.old.contains_key(path.as_str()) || have.same_bytes(&want);
        if !ours && matches!(have, PathContent::File { .. } | PathContent::Link { .. }) {
            self.save(path, &have)?;
        }
        self.plan.changes.push(PathChange { path: path.clone(), old: have, new: want, saved_from: None });
        Ok(true)
    }

    /// Plans what becomes of a path of the installed release that the new one does not have.
    fn drop(&mut self, path: &RelPath) -> Result<(), Obstacle> {
        let have = self.situation.inventory.content(path.as_str());
        let something = matches!(have, PathContent::File { .. } | PathContent::Link { .. });
        if !something || self.new_paths.contains(path.as_str()) {
            return Ok(());
        }
        let in_the_way = self.new_folders.contains(path.as_str());
        let ours = self.situation.is_old_trusted && self.old.get(path.as_str()).is_some_and(|was| was.same_bytes(have));
        if !ours && !in_the_way {
            self.plan.kept.push(path.clone());
            return Ok(());
        }
        if !ours {
            self.save(path, have)?;
        }
        self.plan.changes.push(PathChange {
            path: path.clone(),
            old: have.clone(),
            new: PathContent::Absent,
            saved_from: None,
        });
        Ok(())
    }

    /// Moves the user's files aside that stand where the new release has a folder.
    fn clear_the_way(&mut self) -> Result<(), Obstacle> {
        let inventory = self.situation.inventory;
        for (at, content) in inventory.blocked() {
            if !self.new_folders.contains(at) || self.plan.changes.iter().any(|change| change.path.as_str() == at) {
                continue;
            }
            match (content, RelPath::new(at)) {
                (PathContent::File { .. }, Ok(path)) => {
                    self.save(&path, content)?;
                    self.plan.changes.push(PathChange {
                        path,
                        old: content.clone(),
                        new: PathContent::Absent,
                        saved_from: None,
                    });
                }
                _ => return Err(Obstacle::LinkedFolder(at.to_owned())),
            }
        }
        Ok(())
    }

    /// Plans that the user's file at `path` is kept beside it under a free name.
    fn save(&mut self, path: &RelPath, content: &PathContent) -> Result<(), Obstacle> {
        let free = |name: &RelPath| {
            let planned = self.new_paths.contains(name.as_str()) || self.new_folders.contains(name.as_str());
            !planned && !(self.situation.taken)(name)
        };
        let name = path.saved_names().find(free).ok_or_else(|| Obstacle::NoFreeName(path.clone()))?;
        let change = PathChange {
            path: name.clone(),
            old: PathContent::Absent,
            new: content.clone(),
            saved_from: Some(path.clone()),
        };
        self.plan.changes.push(change);
        self.plan.saved.push((path.clone(), name));
        Ok(())
    }
}
