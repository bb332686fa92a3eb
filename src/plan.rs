//! What to do for each path of a release: a value, worked out from manifests and inventory, without any effect.
//!
//! Per file, the cheapest of: keep it, copy a local file of the same hash, fetch the whole `.gz`. Each falls back to the
//! next. Files that no manifest lists are the user's, and so is a listed file's place when something else lies there.

use crate::digest::Sha256;
use crate::inventory::{Content, Inventory};
use crate::manifest::{File, LinkOrFile, Manifest, Name, Object};
use crate::rel_path::RelPath;
use std::collections::{BTreeMap, BTreeSet};

/// What a plan is made from.
pub struct Situation<'a> {
    /// The release to reach; none to remove the component.
    pub new: Option<&'a Manifest>,
    /// The installed release.
    pub old: Option<&'a Manifest>,
    /// Whether a trusted key vouches for the installed release. If not, its paths are still the program's, but no file is
    /// deleted on its word.
    pub vouched: bool,
    /// What is at every path of both.
    pub inventory: &'a Inventory,
    /// Where other components hold a content, as far as their manifests say.
    pub elsewhere: &'a dyn Fn(&Sha256) -> Option<Location>,
    /// Whether anything lies at a path of this component that neither release has.
    pub taken: &'a dyn Fn(&RelPath) -> bool,
}

/// A file of an installed component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The other component; none for the one that is planned.
    pub component: Option<Name>,
    /// The path in it.
    pub path: String,
}

/// What an update changes in one component, and how it gets what is new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Every path that changes, sorted.
    pub changes: Vec<Change>,
    /// Every file content that is not in its place yet.
    pub contents: BTreeMap<Sha256, Obtain>,
    /// Files that the release drops but the user has changed: they stay.
    pub kept: Vec<RelPath>,
    /// Files and links of the user that lie where the release brings something, and their new names.
    pub saved: Vec<(RelPath, RelPath)>,
}

/// One path's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path.
    pub path: RelPath,
    /// What is there now.
    pub old: Content,
    /// What will be there.
    pub new: Content,
    /// For a user's file that moves aside: where it is now.
    pub saved_from: Option<RelPath>,
}

/// How to get a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obtain {
    /// Its size in bytes.
    pub size: u64,
    /// A file that has it, to be copied; where that fails, the whole is fetched.
    pub copy: Option<Location>,
    /// The whole, as it can be fetched.
    pub gz: Object,
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
    pub fn new(situation: &Situation<'_>) -> Result<Self, Obstacle> {
        let mut planner = Planner::new(situation);
        for entry in situation.new.map(Manifest::entries).unwrap_or_default() {
            match entry {
                LinkOrFile::File(file) => planner.file(file)?,
                LinkOrFile::Link(_) => drop(planner.put(entry.path(), entry.content())?),
            }
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
        self.contents
            .values()
            .filter(|obtain| obtain.copy.is_none())
            .fold(0, |sum, obtain| sum.saturating_add(obtain.gz.size))
    }
}

struct Planner<'a> {
    situation: &'a Situation<'a>,
    plan: Plan,
    /// What the installed release put at each path.
    old: BTreeMap<&'a str, Content>,
    new_paths: BTreeSet<&'a str>,
    new_folders: BTreeSet<&'a str>,
    /// A path that holds each content now.
    here: BTreeMap<Sha256, &'a str>,
}

impl<'a> Planner<'a> {
    fn new(situation: &'a Situation<'a>) -> Self {
        let entries = |manifest: Option<&'a Manifest>| manifest.map(Manifest::entries).unwrap_or_default();
        let new: Vec<&RelPath> = entries(situation.new).iter().map(LinkOrFile::path).collect();
        let held = situation.inventory.iter().filter_map(|(path, content)| Some((content.sha256()?, path)));
        Self {
            situation,
            plan: Plan::default(),
            old: entries(situation.old).iter().map(|entry| (entry.path().as_str(), entry.content())).collect(),
            new_paths: new.iter().map(|path| path.as_str()).collect(),
            new_folders: new.iter().flat_map(|path| path.folders()).collect(),
            here: held.collect(),
        }
    }

    fn file(&mut self, file: &'a File) -> Result<(), Obstacle> {
        let have = self.situation.inventory.content(file.path.as_str());
        if file.preserve && matches!(have, Content::File { .. }) {
            return Ok(());
        }
        if self.put(&file.path, LinkOrFile::File(file).content())? {
            let here = self.here.get(&file.sha256).map(|path| Location { component: None, path: (*path).to_owned() });
            let copy = here.or_else(|| (self.situation.elsewhere)(&file.sha256));
            self.plan.contents.entry(file.sha256).or_insert(Obtain { size: file.size, copy, gz: file.gz });
        }
        Ok(())
    }

    /// Plans that `path` holds `want`, and tells whether that changes anything.
    fn put(&mut self, path: &RelPath, want: Content) -> Result<bool, Obstacle> {
        let have = self.situation.inventory.content(path.as_str()).clone();
        if have == want {
            return Ok(false);
        }
        let ours = self.old.contains_key(path.as_str()) || have.same_bytes(&want);
        if !ours && matches!(have, Content::File { .. } | Content::Link { .. }) {
            self.save(path, &have)?;
        }
        self.plan.changes.push(Change { path: path.clone(), old: have, new: want, saved_from: None });
        Ok(true)
    }

    /// Plans what becomes of a path of the installed release that the new one does not have.
    fn drop(&mut self, path: &RelPath) -> Result<(), Obstacle> {
        let have = self.situation.inventory.content(path.as_str());
        let something = matches!(have, Content::File { .. } | Content::Link { .. });
        if !something || self.new_paths.contains(path.as_str()) {
            return Ok(());
        }
        let in_the_way = self.new_folders.contains(path.as_str());
        let ours = self.situation.vouched && self.old.get(path.as_str()).is_some_and(|was| was.same_bytes(have));
        if !ours && !in_the_way {
            self.plan.kept.push(path.clone());
            return Ok(());
        }
        if !ours {
            self.save(path, have)?;
        }
        self.plan.changes.push(Change {
            path: path.clone(),
            old: have.clone(),
            new: Content::Absent,
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
                (Content::File { .. }, Ok(path)) => {
                    self.save(&path, content)?;
                    self.plan.changes.push(Change {
                        path,
                        old: content.clone(),
                        new: Content::Absent,
                        saved_from: None,
                    });
                }
                _ => return Err(Obstacle::LinkedFolder(at.to_owned())),
            }
        }
        Ok(())
    }

    /// Plans that the user's file at `path` is kept beside it under a free name.
    fn save(&mut self, path: &RelPath, content: &Content) -> Result<(), Obstacle> {
        let free = |name: &RelPath| {
            let planned = self.new_paths.contains(name.as_str()) || self.new_folders.contains(name.as_str());
            !planned && !(self.situation.taken)(name)
        };
        let name = path.saved_names().find(free).ok_or_else(|| Obstacle::NoFreeName(path.clone()))?;
        let change =
            Change { path: name.clone(), old: Content::Absent, new: content.clone(), saved_from: Some(path.clone()) };
        self.plan.changes.push(change);
        self.plan.saved.push((path.clone(), name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Link, Meta, Platform};

    /// A manifest of files `path=content`, executable with a `*` at the end, preserved with a `!`, links `path>target`.
    fn release(entries: &[&str]) -> Manifest {
        let meta = Meta {
            component: "core".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            sequence: 1,
            channel: "stable".parse().unwrap(),
            platform: Platform::any(),
            issued: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires: None,
            launch: None,
            base_urls: vec!["http://localhost/".parse().unwrap()],
            requires: vec![],
        };
        let mut manifest = Manifest { meta, files: vec![], links: vec![] };
        for entry in entries {
            if let Some((path, target)) = entry.split_once('>') {
                manifest.links.push(Link { path: RelPath::new(path).unwrap(), target: target.into() });
                continue;
            }
            let (path, text) = entry.split_once('=').unwrap();
            let content = text.trim_end_matches(['*', '!']);
            manifest.files.push(File {
                path: RelPath::new(path).unwrap(),
                size: content.len() as u64,
                sha256: Sha256::of(content.as_bytes()),
                executable: text.ends_with('*'),
                preserve: text.ends_with('!'),
                gz: Object { size: 100 + content.len() as u64, sha256: Sha256::of(format!("gz {content}").as_bytes()) },
                deltas: vec![],
                chunks: None,
            });
        }
        manifest
    }

    /// Plans from `old` to `new` over what `disk` holds, and writes the plan down: `-path` deleted, `+path` made or
    /// replaced, `path->name` saved, `=path` kept, `<path` copied from there, `(n)` bytes to download.
    fn plan(old: Option<&[&str]>, new: Option<&[&str]>, disk: &[&str]) -> String {
        plan_with(old, true, new, disk).unwrap()
    }

    fn plan_with(old: Option<&[&str]>, vouched: bool, new: Option<&[&str]>, disk: &[&str]) -> Result<String, Obstacle> {
        let (old, new) = (old.map(release), new.map(release));
        let dir = tempfile::tempdir().unwrap();
        for entry in disk {
            let (path, content) = entry.split_once(['=', '>']).unwrap();
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let folder = crate::fs::Dir::open(path.parent().unwrap()).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            if entry.contains('>') {
                folder.make_link(name, content).unwrap();
                continue;
            }
            std::fs::write(&path, content.trim_end_matches('*')).unwrap();
            folder.ensure_mode(name, crate::fs::mode(content.ends_with('*'))).unwrap();
        }
        let entries = |manifest: &Option<Manifest>| -> Vec<String> {
            manifest.iter().flat_map(Manifest::entries).map(|entry| entry.path().to_string()).collect()
        };
        let paths = [entries(&old), entries(&new)].concat();
        let inventory = Inventory::take(dir.path(), paths.iter().map(String::as_str), 1).unwrap();
        let plan = Plan::new(&Situation {
            new: new.as_ref(),
            old: old.as_ref(),
            vouched,
            inventory: &inventory,
            elsewhere: &|hash| {
                (*hash == Sha256::of(b"shared")).then(|| Location { component: None, path: "other".into() })
            },
            taken: &|path| dir.path().join(path.as_str()).exists(),
        })?;
        let mut words: Vec<String> = plan
            .changes
            .iter()
            .filter(|change| change.saved_from.is_none())
            .map(|change| format!("{}{}", if change.new == Content::Absent { '-' } else { '+' }, change.path))
            .collect();
        words.extend(plan.saved.iter().map(|(path, name)| format!("{path}->{name}")));
        words.extend(plan.kept.iter().map(|path| format!("={path}")));
        words.extend(
            plan.contents.values().filter_map(|obtain| obtain.copy.as_ref()).map(|from| format!("<{}", from.path)),
        );
        words.push(format!("({})", plan.download_size()));
        Ok(words.join(" "))
    }

    #[test]
    fn only_what_changed_is_fetched() {
        let old: Option<&[&str]> = Some(&["a=1", "b=2", "c=3"]);
        assert_eq!(plan(old, Some(&["a=1", "b=2", "c=3"]), &["a=1", "b=2", "c=3"]), "(0)");
        assert_eq!(plan(old, Some(&["a=1", "b=22", "d=4"]), &["a=1", "b=2", "c=3"]), "+b -c +d (203)");
    }

    #[test]
    fn a_file_that_the_user_changed_or_lost_is_healed() {
        let old: Option<&[&str]> = Some(&["a=1", "b=2"]);
        assert_eq!(plan(old, Some(&["a=1", "b=2"]), &["a=9"]), "+a +b (202)");
    }

    #[cfg(unix)]
    #[test]
    fn a_mode_alone_is_a_change_that_costs_nothing() {
        assert_eq!(plan(Some(&["a=1"]), Some(&["a=1*"]), &["a=1"]), "+a <a (0)");
    }

    #[test]
    fn renamed_duplicated_and_shared_files_are_copied() {
        assert_eq!(plan(Some(&["a=1"]), Some(&["b=1", "c=1"]), &["a=1"]), "-a +b +c <a (0)");
        assert_eq!(plan(None, Some(&["x=shared"]), &[]), "+x <other (0)");
        assert_eq!(plan(None, Some(&["x=new", "y=new"]), &[]), "+x +y (103)");
    }

    #[test]
    fn a_dropped_file_goes_only_if_it_is_as_it_came() {
        assert_eq!(plan(Some(&["a=1", "b=2"]), Some(&["a=1"]), &["a=1", "b=9"]), "=b (0)");
        assert_eq!(plan(Some(&["a=1", "b=2"]), None, &["a=1", "b=9"]), "-a =b (0)");
        assert_eq!(plan_with(Some(&["a=1", "b=2"]), false, Some(&["a=1"]), &["a=1", "b=2"]).unwrap(), "=b (0)");
    }

    #[test]
    fn a_users_file_at_a_new_path_is_saved() {
        assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "b=2"]), &["a=1", "b=mine"]), "+b b->b.saved (101)");
        assert_eq!(
            plan(Some(&["a=1"]), Some(&["a=1", "b=2"]), &["a=1", "b=mine", "b.saved=x"]),
            "+b b->b.saved2 (101)"
        );
        assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "b=2"]), &["a=1", "b=2"]), "(0)");
        #[cfg(unix)]
        assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "b=2"]), &["a=1", "b>a"]), "+b b->b.saved (101)");
    }

    #[test]
    fn a_preserved_file_is_only_installed_when_missing() {
        assert_eq!(plan(Some(&["c=1!"]), Some(&["c=22!"]), &["c=mine"]), "(0)");
        assert_eq!(plan(Some(&["c=1!"]), Some(&["c=22!"]), &[]), "+c (102)");
    }

    #[test]
    fn files_become_folders_and_folders_files() {
        assert_eq!(plan(Some(&["x=1"]), Some(&["x/y=2"]), &["x=1"]), "-x +x/y (101)");
        assert_eq!(plan(Some(&["x/y=1"]), Some(&["x=2"]), &["x/y=1"]), "+x -x/y (101)");
        assert_eq!(plan(Some(&["x=1"]), Some(&["x/y=2"]), &["x=mine"]), "-x +x/y x->x.saved (101)");
        assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "x/y=2"]), &["a=1", "x=mine"]), "-x +x/y x->x.saved (101)");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_made_replaced_and_dropped() {
        assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "l>a"]), &["a=1"]), "+l (0)");
        assert_eq!(plan(Some(&["a=1", "l>a"]), Some(&["a=1", "b=1", "l>b"]), &["a=1", "l>a"]), "+b +l <a (0)");
        assert_eq!(plan(Some(&["a=1", "l>a"]), Some(&["a=1"]), &["a=1", "l>a"]), "-l (0)");
        assert_eq!(plan(Some(&["d/a=1", "l>d"]), Some(&["d/a=1", "l/b=2"]), &["d/a=1", "l>d"]), "-l +l/b (101)");
    }

    #[cfg(unix)]
    #[test]
    fn a_linked_folder_stops_the_update() {
        let linked = plan_with(Some(&["d/a=1"]), true, Some(&["d/a=2"]), &["e/a=1", "d>e"]);
        assert_eq!(linked, Err(Obstacle::LinkedFolder("d".into())));
    }
}
