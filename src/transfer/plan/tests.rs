//! Plans for small trees, written as text.

use super::*;
use crate::formats::manifest::{
    Appearance, File, IndexedObject, Link, Meta, Object, Platform, SiteLayout, UpdateObject,
};

/// Builds a manifest: files as `path=content`, links as `path>target`.
///
/// A `*` at the end marks an executable file, a `!` a preserved one.
pub fn release(entries: &[&str]) -> Manifest {
    let meta = Meta {
        component: "core".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        sequence: 1,
        channel: "stable".parse().unwrap(),
        platform: Platform::any(),
        issued: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires: None,
        launch: None,
        appearance: Appearance::default(),
        rollout: None,
        critical: false,
        adoption: false,
        retires: None,
        layout: SiteLayout::Folders,
        base_urls: vec!["http://localhost/".parse().unwrap()],
        requires: vec![],
        stepping_stones: vec![],
        updates: vec![],
        install: None,
        freshness: None,
        notes: vec![],
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
            gz: Some(Object {
                size: 100 + content.len() as u64,
                sha256: Sha256::of(format!("gz {content}").as_bytes()),
            }),
            chunks: None,
        });
    }
    manifest
}

/// Plans from `old` to `new` over the files on `disk`, and returns the plan as text.
///
/// `-path` is deleted, `+path` created or replaced, `path->name` moved aside, `=path` kept.
/// `<path` is the source of a copy, and `(n)` the number of bytes to download.
fn plan(old: Option<&[&str]>, new: Option<&[&str]>, disk: &[&str]) -> String {
    plan_with(old, true, new, disk).unwrap()
}

fn plan_with(
    old: Option<&[&str]>,
    is_old_trusted: bool,
    new: Option<&[&str]>,
    disk: &[&str],
) -> Result<String, Obstacle> {
    let plan = planned(old.map(release), is_old_trusted, new.map(release), disk)?;
    let mut words: Vec<String> = plan
        .changes
        .iter()
        .filter(|change| change.saved_from.is_none())
        .map(|change| format!("{}{}", if change.new == PathContent::Absent { '-' } else { '+' }, change.path))
        .collect();
    words.extend(
        plan.changes.iter().filter_map(|change| Some(format!("{}->{}", change.saved_from.as_ref()?, change.path))),
    );
    words.extend(plan.kept.iter().map(|path| format!("={path}")));
    words.extend(
        plan.contents
            .values()
            .filter_map(|content_plan| content_plan.copy.as_ref())
            .map(|from| format!("<{}", from.path)),
    );
    words.push(format!("({})", plan.download_size()));
    Ok(words.join(" "))
}

fn planned(
    old: Option<Manifest>,
    is_old_trusted: bool,
    new: Option<Manifest>,
    disk: &[&str],
) -> Result<Plan, Obstacle> {
    let dir = tempfile::tempdir().unwrap();
    for entry in disk {
        let (path, content) = entry.split_once(['=', '>']).unwrap();
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let folder = crate::disk::fs::Dir::open(path.parent().unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        if entry.contains('>') {
            folder.make_link(name, content).unwrap();
            continue;
        }
        std::fs::write(&path, content.trim_end_matches('*')).unwrap();
        folder.ensure_mode(name, crate::disk::fs::mode(content.ends_with('*'))).unwrap();
    }
    let entries = |manifest: &Option<Manifest>| -> Vec<String> {
        manifest.iter().flat_map(Manifest::entries).map(|entry| entry.path().to_string()).collect()
    };
    let paths = [entries(&old), entries(&new)].concat();
    let inventory = Inventory::take(dir.path(), paths.iter().map(String::as_str), 1).unwrap();
    Plan::new(&PlanInput {
        new: new.as_ref(),
        old: old.as_ref(),
        is_old_trusted,
        inventory: &inventory,
        elsewhere: &|hash| {
            (*hash == Sha256::of(b"shared")).then(|| LocalFile { component: None, path: "other".into() })
        },
        taken: &|path| dir.path().join(path.as_str()).exists(),
    })
}

#[test]
fn only_what_changed_is_fetched() {
    let old: Option<&[&str]> = Some(&["a=1", "b=2", "c=3"]);
    assert_eq!(plan(old, Some(&["a=1", "b=2", "c=3"]), &["a=1", "b=2", "c=3"]), "(0)");
    assert_eq!(plan(old, Some(&["a=1", "b=22", "d=4"]), &["a=1", "b=2", "c=3"]), "+b -c +d (203)");
}

#[test]
fn a_file_that_the_user_changed_or_lost_is_repaired() {
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
fn a_dropped_file_is_deleted_only_if_it_is_unmodified() {
    assert_eq!(plan(Some(&["a=1", "b=2"]), Some(&["a=1"]), &["a=1", "b=9"]), "=b (0)");
    assert_eq!(plan(Some(&["a=1", "b=2"]), None, &["a=1", "b=9"]), "-a =b (0)");
    assert_eq!(plan_with(Some(&["a=1", "b=2"]), false, Some(&["a=1"]), &["a=1", "b=2"]).unwrap(), "=b (0)");
}

#[test]
fn a_users_file_at_a_new_path_is_saved() {
    assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "b=2"]), &["a=1", "b=mine"]), "+b b->b.saved (101)");
    assert_eq!(plan(Some(&["a=1"]), Some(&["a=1", "b=2"]), &["a=1", "b=mine", "b.saved=x"]), "+b b->b.saved-2 (101)");
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

/// Returns the update object of a plan from `old` to `new`, and the contents that it should make.
fn update(old: &[&str], new: &[&str], disk: &[&str]) -> (Option<bool>, usize) {
    let old = release(old);
    let mut new = release(new);
    let object = Object { size: 7, sha256: Sha256::of(b"update") };
    let object = IndexedObject { object, table: Object { size: 3, sha256: Sha256::of(b"table") } };
    new.meta.updates.push(UpdateObject { from: 0, content: old.content_id(), object, rest: 0 });
    let plan = planned(Some(old), true, Some(new), disk).unwrap();
    let in_update = plan.contents.values().filter(|content_plan| content_plan.is_in_object);
    let is_whole = match plan.object {
        Some(PlannedObject::Exact { is_whole, .. }) => Some(is_whole),
        _ => None,
    };
    (is_whole, in_update.count())
}

#[test]
fn the_update_object_makes_what_the_installed_release_lacks() {
    let (old, new) = (["a=1", "b=2"], ["a=3", "b=2", "c=4"]);
    assert_eq!(update(&old, &new, &["a=1", "b=2"]), (Some(true), 2));
    assert_eq!(update(&old, &new, &["a=mine", "b=2"]), (Some(false), 1), "a changed file has no base");
    assert_eq!(update(&old, &new, &["a=1", "b=lost"]), (Some(false), 2), "a damaged file is not in the update");
}

#[test]
fn an_update_object_that_makes_nothing_is_not_fetched() {
    assert_eq!(update(&["a=1"], &["a=3"], &["a=mine"]), (None, 0));
    assert_eq!(update(&["a=1"], &["b=1"], &["a=1"]), (None, 0), "a renamed file is copied");
}

/// Returns whether the client plans an install object of this size, and the contents from it.
fn install(old: Option<&[&str]>, new: &[&str], disk: &[&str], size: u64) -> (bool, usize) {
    let mut new = release(new);
    let object = Object { size, sha256: Sha256::of(b"install") };
    new.meta.install = Some(IndexedObject { object, table: Object { size: 3, sha256: Sha256::of(b"table") } });
    if let Some(first) = new.files.iter_mut().find(|file| file.path.as_str() == "large") {
        first.chunks = Some(Object { size: 5, sha256: Sha256::of(b"chunks") });
    }
    let plan = planned(old.map(release), true, Some(new), disk).unwrap();
    let is_planned = matches!(plan.object, Some(PlannedObject::Install(_)));
    if is_planned {
        assert_eq!(plan.download_size(), size);
    }
    (is_planned, plan.contents.values().filter(|content_plan| content_plan.is_in_object).count())
}

#[test]
fn the_install_object_is_planned_where_it_costs_less_than_single_files() {
    // Each file costs 101 bytes and a request.
    let (new, single) = (["a=1", "b=2", "c=3"], 3 * 101 + 2 * REQUEST_BYTES);
    assert_eq!(install(None, &new, &[], single - 1), (true, 3));
    assert_eq!(install(None, &new, &[], single), (false, 0));
    assert_eq!(install(Some(&["a=0"]), &new, &["a=0"], single - 1), (true, 3), "an update without deltas");
    let two = 2 * 101 + REQUEST_BYTES;
    assert_eq!(install(None, &new, &["a=1"], two - 1), (true, 2), "what is there is not fetched");
    assert_eq!(install(Some(&new), &new, &["a=1", "b=2", "c=lost"], 101), (false, 0), "a repair of one file");
}

#[test]
fn chunks_are_preferred_to_the_install_object() {
    assert_eq!(install(None, &["large=1"], &[], 100), (true, 1));
    assert_eq!(install(Some(&["large=0"]), &["large=1"], &["large=0"], 100), (false, 0));
}
