//! The deltas that are known, and which of them help somebody on the way to a release.

use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{Delta, Manifest, Object};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

/// How many ways to a content are kept at most.
const MOST: usize = 64;

/// A way from an old content to a new one.
#[derive(Debug, Clone)]
pub struct DeltaPath {
    /// Bytes of all deltas on it.
    pub cost: u64,
    /// Its first delta, whose `from` is the old content.
    pub first: Delta,
}

/// ReleaseDeltas by what they make, each with its `to`.
#[derive(Debug, Default)]
pub struct DeltaGraph {
    into: HashMap<Sha256, Vec<Delta>>,
    known: HashSet<(Sha256, Sha256, Option<Sha256>)>,
}

impl DeltaGraph {
    /// Adds a delta whose `to` is given, unless there is one between the same contents that reads the same besides.
    pub fn add(&mut self, delta: Delta) {
        let Some(to) = delta.to else { return };
        if self.known.insert((delta.from, to, delta.with)) {
            self.into.entry(to).or_default().push(delta);
        }
    }

    /// Adds the deltas of a release whose objects are there, and what they read besides.
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

    /// Whether there is a delta between two contents that reads nothing besides.
    pub fn has(&self, from: &Sha256, to: &Sha256) -> bool {
        self.known.contains(&(*from, *to, None))
    }

    /// For each content of a release, with the size of its gzip, the deltas on the ways to it that are cheaper than the gzip;
    /// each delta once.
    ///
    /// What reads another file of the release besides is of no use to the next one: from where it is the cheapest, the cheapest way
    /// without is there as well.
    pub fn deltas_to_list(&self, contents: impl Iterator<Item = (Sha256, u64)>) -> HashMap<Sha256, Vec<Delta>> {
        let (mut useful, mut used) = (HashMap::new(), HashSet::new());
        for (content, gz) in contents {
            let mut ways = self.paths_to(content, gz);
            if ways.iter().any(|way| way.first.with.is_some()) {
                ways.extend(self.cheapest(content, gz, |delta| delta.with.is_none()));
            }
            let mut deltas: Vec<Delta> = ways.into_iter().map(|way| way.first).collect();
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

    /// The cheapest way to a content from each of those from which it costs less than `limit`: the cheapest first, so that
    /// where a way goes on another one stands before it.
    pub fn paths_to(&self, content: Sha256, limit: u64) -> Vec<DeltaPath> {
        // Clients take only the last delta with a second base.
        self.cheapest(content, limit, |delta| delta.with.is_none() || delta.to == Some(content))
    }

    fn cheapest(&self, content: Sha256, limit: u64, usable: impl Fn(&Delta) -> bool) -> Vec<DeltaPath> {
        let mut ways: BTreeMap<Sha256, (u64, &Delta)> = BTreeMap::new();
        let (mut done, mut tree) = (HashSet::new(), Vec::new());
        let mut open = BinaryHeap::from([Reverse((0_u64, content))]);
        while let Some(Reverse((cost, at))) = open.pop() {
            if !done.insert(at) {
                continue;
            }
            if let Some((_, delta)) = ways.get(&at) {
                tree.push(DeltaPath { cost, first: (*delta).clone() });
                if tree.len() == MOST {
                    break;
                }
            }
            for delta in self.into.get(&at).into_iter().flatten().filter(|delta| usable(delta)) {
                let through = cost.saturating_add(delta.object.size);
                let better = ways.get(&delta.from).is_none_or(|(known, _)| through < *known);
                if through < limit && better && !done.contains(&delta.from) {
                    ways.insert(delta.from, (through, delta));
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

    /// ReleaseDeltas as `from>to:size`, or `from+with>to:size`.
    fn edges(list: &[&str]) -> DeltaGraph {
        let mut edges = DeltaGraph::default();
        for edge in list {
            let (from, rest) = edge.split_once('>').unwrap();
            let (to, size) = rest.split_once(':').unwrap();
            let (from, with) = from.split_once('+').map_or((from, None), |(from, with)| (from, Some(hash(with))));
            let object = Object { size: size.parse().unwrap(), sha256: hash(edge) };
            edges.add(Delta { method: "plain".parse().unwrap(), from: hash(from), to: Some(hash(to)), with, object });
        }
        edges
    }

    fn kept(list: &[&str], contents: &[(&str, u64)]) -> Vec<Vec<String>> {
        let useful = edges(list).deltas_to_list(contents.iter().map(|(name, gz)| (hash(name), *gz)));
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
        let useful = edges(&["a>n:1", "b>a:1"]).deltas_to_list([(hash("n"), 100)].into_iter());
        let targets: Vec<_> = useful[&hash("n")].iter().map(|delta| delta.to).collect();
        assert_eq!(targets, [None, Some(hash("a"))]);
    }
}
