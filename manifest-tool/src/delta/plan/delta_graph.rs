//! Delta graph: contents are its nodes and deltas its graph, weighted by their size.
//!
//! It decides which deltas a release lists: those on the cheapest path from each old content to a
//! content of the release. The client has its own search in `src/transfer/plan/graph.rs`. That one
//! stops at the nearest content on the disk, with a limit on the number of deltas; this one
//! collects the paths from all old contents.

use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Delta, Manifest, Object};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

/// Limit for the number of paths to one content.
const MAX_PATHS: usize = 64;

/// The cheapest path from an old content to a new one.
#[derive(Debug, Clone)]
pub struct DeltaPath {
    /// Size of all deltas on the path in bytes.
    pub cost: u64,
    /// The first delta on the path; its `from` is the old content.
    pub first: Delta,
}

/// Deltas by the content that they make. Each has its `to` set.
#[derive(Debug, Default)]
pub struct DeltaGraph {
    into: HashMap<Sha256, Vec<Delta>>,
    known: HashSet<(Sha256, Sha256, Option<Sha256>)>,
}

impl DeltaGraph {
    /// Adds a delta whose `to` is set, unless one with the same `from`, `to` and `with` exists.
    pub fn add(&mut self, delta: Delta) {
        let Some(to) = delta.to else { return };
        if self.known.insert((delta.from, to, delta.with)) {
            self.into.entry(to).or_default().push(delta);
        }
    }

    /// Adds the deltas of a release whose objects and second bases exist.
    pub fn add_all(
        &mut self,
        manifest: &Manifest,
        is_there: impl Fn(&Object) -> bool,
        is_companion: impl Fn(&Sha256) -> bool,
    ) {
        for file in &manifest.files {
            let usable = |delta: &&Delta| is_there(&delta.object) && delta.with.as_ref().is_none_or(&is_companion);
            for delta in file.deltas.iter().filter(usable) {
                self.add(Delta { to: Some(delta.to.unwrap_or(file.sha256)), ..delta.clone() });
            }
        }
    }

    /// Returns whether there is a delta between two contents that needs no second base.
    pub fn has(&self, from: &Sha256, to: &Sha256) -> bool {
        self.known.contains(&(*from, *to, None))
    }

    /// Returns the deltas to list for each content of a release, given with the size of its gzip.
    ///
    /// A delta is listed if it lies on a path that is smaller than the gzip, and it is listed once.
    /// The next release cannot use a delta with a second base in the middle of a path. Wherever
    /// such a delta is the cheapest, the cheapest path without one is therefore listed as well.
    pub fn deltas_to_list(&self, contents: impl Iterator<Item = (Sha256, u64)>) -> HashMap<Sha256, Vec<Delta>> {
        let (mut useful, mut used) = (HashMap::new(), HashSet::new());
        for (content, gz) in contents {
            let mut paths = self.paths_to(content, gz);
            if paths.iter().any(|path| path.first.with.is_some()) {
                paths.extend(self.cheapest(content, gz, |delta| delta.with.is_none()));
            }
            let mut deltas: Vec<Delta> = paths.into_iter().map(|path| path.first).collect();
            deltas.retain(|delta| used.insert((delta.from, delta.to, delta.with)));
            for delta in &mut deltas {
                delta.to = delta.to.filter(|to| *to != content);
            }
            if !deltas.is_empty() {
                useful.insert(content, deltas);
            }
        }
        useful
    }

    /// Returns the cheapest path from each old content that costs less than `limit`, the cheapest
    /// first.
    ///
    /// A path therefore comes after the path that continues it.
    pub fn paths_to(&self, content: Sha256, limit: u64) -> Vec<DeltaPath> {
        // Clients accept a second base only in the last delta of a path.
        self.cheapest(content, limit, |delta| delta.with.is_none() || delta.to == Some(content))
    }

    fn cheapest(&self, content: Sha256, limit: u64, usable: impl Fn(&Delta) -> bool) -> Vec<DeltaPath> {
        let mut paths: BTreeMap<Sha256, (u64, &Delta)> = BTreeMap::new();
        let (mut done, mut tree) = (HashSet::new(), Vec::new());
        let mut open = BinaryHeap::from([Reverse((0_u64, content))]);
        while let Some(Reverse((cost, at))) = open.pop() {
            if !done.insert(at) {
                continue;
            }
            if let Some((_, delta)) = paths.get(&at) {
                tree.push(DeltaPath { cost, first: (*delta).clone() });
                if tree.len() == MAX_PATHS {
                    break;
                }
            }
            for delta in self.into.get(&at).into_iter().flatten().filter(|delta| usable(delta)) {
                let through = cost.saturating_add(delta.object.size);
                let better = paths.get(&delta.from).is_none_or(|(known, _)| through < *known);
                if through < limit && better && !done.contains(&delta.from) {
                    paths.insert(delta.from, (through, delta));
                    open.push(Reverse((through, delta.from)));
                }
            }
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &str) -> Sha256 {
        Sha256::of(name.as_bytes())
    }

    /// Parses deltas written as `from>to:size`, or `from+with>to:size`.
    fn graph(list: &[&str]) -> DeltaGraph {
        let mut graph = DeltaGraph::default();
        for edge in list {
            let (from, rest) = edge.split_once('>').unwrap();
            let (to, size) = rest.split_once(':').unwrap();
            let (from, with) = from.split_once('+').map_or((from, None), |(from, with)| (from, Some(hash(with))));
            let object = Object { size: size.parse().unwrap(), sha256: hash(edge) };
            graph.add(Delta { method: "plain".parse().unwrap(), from: hash(from), to: Some(hash(to)), with, object });
        }
        graph
    }

    fn kept(list: &[&str], contents: &[(&str, u64)]) -> Vec<Vec<String>> {
        let useful = graph(list).deltas_to_list(contents.iter().map(|(name, gz)| (hash(name), *gz)));
        let name = |delta: &Delta| list.iter().find(|edge| hash(edge) == delta.object.sha256).unwrap().to_string();
        contents
            .iter()
            .map(|(content, _)| useful.get(&hash(content)).map_or(vec![], |list| list.iter().map(name).collect()))
            .collect()
    }

    #[test]
    fn older_deltas_are_kept_while_a_path_over_them_is_cheaper_than_the_gzip() {
        let list = ["c>n:10", "b>c:20", "a>b:80"];
        assert_eq!(kept(&list, &[("n", 100)]), [["c>n:10", "b>c:20"]]);
        assert_eq!(kept(&list, &[("n", 111)]), [["c>n:10", "b>c:20", "a>b:80"]]);
    }

    #[test]
    fn a_more_expensive_path_from_the_same_content_is_dropped() {
        assert_eq!(kept(&["a>n:50", "a>b:10", "b>n:10"], &[("n", 100)]), [["b>n:10", "a>b:10"]]);
    }

    #[test]
    fn a_delta_is_listed_once() {
        let list = ["m>n:10", "a>m:10"];
        assert_eq!(kept(&list, &[("m", 100), ("n", 100)]), [vec!["a>m:10"], vec!["m>n:10"]]);
    }

    #[test]
    fn the_cheapest_path_without_second_bases_is_kept_for_later_releases() {
        let list = ["b+x>n:10", "b>n:30", "a+x>n:9", "a>n:50", "a>b:5"];
        assert_eq!(kept(&list, &[("n", 100)]), [["a+x>n:9", "b+x>n:10", "b>n:30", "a>b:5"]]);
        let list = ["b>n:30", "a>n:40", "a>b:15"];
        assert_eq!(kept(&list, &[("n", 100)]), [["b>n:30", "a>n:40"]], "nothing more where there is none");
        assert_eq!(kept(&["m>n:10", "a+x>m:5", "a>m:50"], &[("n", 100)]), [["m>n:10", "a>m:50"]], "only as the last");
    }

    #[test]
    fn of_two_deltas_between_the_same_contents_one_is_kept() {
        assert_eq!(kept(&["a>n:10", "a>n:20"], &[("n", 100)]), [["a>n:10"]]);
    }

    #[test]
    fn a_delta_to_the_files_own_content_has_no_to() {
        let useful = graph(&["a>n:1", "b>a:1"]).deltas_to_list([(hash("n"), 100)].into_iter());
        let targets: Vec<_> = useful[&hash("n")].iter().map(|delta| delta.to).collect();
        assert_eq!(targets, [None, Some(hash("a"))]);
    }
}
