//! Delta graph: contents are its nodes and deltas its edges, weighted by their size.
//!
//! It finds the cheapest path from the contents of an earlier release to a content of the new one.
//! Clients do not search: the update object lists the paths that this module finds.

use patcher::internal::digest::Sha256;
use patcher::internal::manifest::{DeltaMethod, Object};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempPath;

/// The average size of a row in the table of an update object.
pub const ROW_BYTES: u64 = 70;
/// The limit for the number of paths to one content.
const MAX_PATHS: usize = 64;
/// Clients apply at most this many deltas in a row.
const MAX_PATH_DELTAS: usize = 32;

/// A delta between two contents.
#[derive(Debug, Clone)]
pub struct DeltaEdge {
    /// The method of the delta.
    pub method: DeltaMethod,
    /// The content that it starts from; that of an empty file for a delta that needs no old file.
    pub from: Sha256,
    /// Another content that it reads.
    pub with: Option<Sha256>,
    /// The content that it makes.
    pub to: Object,
    /// The size of the delta in bytes.
    pub size: u64,
    /// Where the bytes of the delta are.
    pub bytes: DeltaBytes,
}

/// The place of a delta's bytes.
#[derive(Debug, Clone)]
pub enum DeltaBytes {
    /// A file that was made for this release.
    Built(Arc<TempPath>),
    /// A part of an update object on the site, whose hash was verified.
    Stored {
        /// The update object.
        object: Arc<Path>,
        /// The offset of the delta in it.
        offset: u64,
    },
}

impl DeltaEdge {
    /// Returns the bytes that the delta adds to an update object.
    pub fn cost(&self) -> u64 {
        self.size.saturating_add(ROW_BYTES)
    }
}

/// Deltas by the content that they make.
#[derive(Debug, Default)]
pub struct DeltaGraph {
    into: HashMap<Sha256, Vec<DeltaEdge>>,
    known: HashSet<(Sha256, Sha256, Option<Sha256>)>,
}

/// A cheapest path between two contents.
#[derive(Debug, Clone)]
pub struct DeltaPath {
    /// The bytes that the path adds to an update object.
    pub cost: u64,
    /// The deltas in the order in which a client applies them, at least one.
    pub deltas: Vec<DeltaEdge>,
}

impl DeltaGraph {
    /// Adds a delta, unless one with the same `from`, `to` and `with` exists.
    pub fn add(&mut self, delta: DeltaEdge) {
        if self.known.insert((delta.from, delta.to.sha256, delta.with)) {
            self.into.entry(delta.to.sha256).or_default().push(delta);
        }
    }

    /// Returns `true` if there is a delta between two contents that needs no second base.
    pub fn has(&self, from: &Sha256, to: &Sha256) -> bool {
        self.known.contains(&(*from, *to, None))
    }

    /// Returns the cheapest path to `to` from a content that `is_start` accepts.
    ///
    /// The path costs less than `limit` bytes. Only its last delta may have a second base, and only
    /// one that `is_second_base` accepts.
    pub fn cheapest(
        &self,
        to: Sha256,
        limit: u64,
        is_start: impl Fn(&Sha256) -> bool,
        is_second_base: impl Fn(&Sha256) -> bool,
    ) -> Option<DeltaPath> {
        let mut found = None;
        self.search(to, limit, is_second_base, |path| {
            if is_start(&path.deltas[0].from) {
                found = Some(path);
            }
            found.is_some()
        });
        found
    }

    /// Returns the cheapest path without second bases from each content, the most expensive last.
    pub fn paths_to(&self, to: Sha256, limit: u64) -> Vec<DeltaPath> {
        let mut paths = Vec::new();
        self.search(
            to,
            limit,
            |_| false,
            |path| {
                paths.push(path);
                paths.len() == MAX_PATHS
            },
        );
        paths
    }

    /// Calls `visit` with the cheapest path from each content, the cheapest first, until it returns
    /// `true`.
    ///
    /// This is Dijkstra's algorithm, from the target back.
    fn search(
        &self,
        to: Sha256,
        limit: u64,
        is_second_base: impl Fn(&Sha256) -> bool,
        mut visit: impl FnMut(DeltaPath) -> bool,
    ) {
        // For each content, the delta by which its path continues, and the cost of the path.
        let mut next: BTreeMap<Sha256, (u64, &DeltaEdge)> = BTreeMap::new();
        let mut done = HashSet::new();
        let mut open = BinaryHeap::from([(Reverse((0_u64, to)), 0_usize)]);
        while let Some((Reverse((cost, at)), length)) = open.pop() {
            if !done.insert(at) {
                continue;
            }
            if length > 0 {
                let (mut deltas, mut content) = (Vec::new(), at);
                while let Some((_, delta)) = next.get(&content) {
                    deltas.push((*delta).clone());
                    content = delta.to.sha256;
                }
                if visit(DeltaPath { cost, deltas }) {
                    return;
                }
            }
            if length == MAX_PATH_DELTAS {
                continue;
            }
            for delta in self.into.get(&at).into_iter().flatten() {
                let usable = delta.with.as_ref().is_none_or(|with| length == 0 && is_second_base(with));
                let through = cost.saturating_add(delta.cost());
                let better = next.get(&delta.from).is_none_or(|(known, _)| through < *known);
                if usable && through < limit && better && !done.contains(&delta.from) {
                    next.insert(delta.from, (through, delta));
                    open.push((Reverse((through, delta.from)), length + 1));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &str) -> Sha256 {
        Sha256::of(name.as_bytes())
    }

    /// Parses deltas written as `from>to:size`, or `from+with>to:size`; a size includes the row.
    fn graph(list: &[&str]) -> DeltaGraph {
        let mut graph = DeltaGraph::default();
        for edge in list {
            let (from, rest) = edge.split_once('>').unwrap();
            let (to, cost) = rest.split_once(':').unwrap();
            let (from, with) = from.split_once('+').map_or((from, None), |(from, with)| (from, Some(hash(with))));
            graph.add(DeltaEdge {
                method: "plain".parse().unwrap(),
                from: hash(from),
                with,
                to: Object { size: 1, sha256: hash(to) },
                size: cost.parse::<u64>().unwrap() - ROW_BYTES,
                bytes: DeltaBytes::Stored { object: Arc::from(Path::new(edge)), offset: 0 },
            });
        }
        graph
    }

    /// Returns the cheapest path to `new` as the texts of its deltas.
    fn path(list: &[&str], start: &[&str], limit: u64) -> Option<Vec<String>> {
        let is = |content: &Sha256| start.iter().any(|name| hash(name) == *content);
        let path = graph(list).cheapest(hash("new"), limit, is, is)?;
        let name = |delta: DeltaEdge| match delta.bytes {
            DeltaBytes::Stored { object, .. } => object.display().to_string(),
            DeltaBytes::Built(_) => unreachable!("tests build nothing"),
        };
        Some(path.deltas.into_iter().map(name).collect())
    }

    fn through(deltas: &[&str]) -> Option<Vec<String>> {
        Some(deltas.iter().map(|delta| (*delta).to_owned()).collect())
    }

    #[test]
    fn the_fewest_bytes_win_and_not_the_fewest_deltas() {
        let list = ["a>new:400", "a>b:130", "b>new:140", "c>new:260"];
        assert_eq!(path(&list, &["a"], 1000), through(&["a>b:130", "b>new:140"]));
        assert_eq!(path(&list, &["a", "c"], 1000), through(&["c>new:260"]));
        assert_eq!(path(&list, &["a", "b"], 1000), through(&["b>new:140"]));
    }

    #[test]
    fn no_path_without_a_start_or_below_the_limit() {
        assert_eq!(path(&["a>new:100"], &["b"], 1000), None);
        assert_eq!(path(&["a>new:100"], &["a"], 100), None);
        assert_eq!(path(&["a>b:100", "b>new:100"], &["a"], 200), None);
        assert!(path(&["a>b:100", "b>new:100"], &["a"], 201).is_some());
    }

    #[test]
    fn only_the_last_delta_may_have_a_second_base() {
        let list = ["a>new:200", "a+x>new:110", "b>a:105"];
        assert_eq!(path(&list, &["a"], 1000), through(&["a>new:200"]));
        assert_eq!(path(&list, &["a", "x"], 1000), through(&["a+x>new:110"]));
        assert_eq!(path(&list, &["b", "x"], 1000), through(&["b>a:105", "a+x>new:110"]));
        assert_eq!(path(&["a>new:100", "b+x>a:105"], &["b", "x"], 1000), None);
    }

    #[test]
    fn cycles_end_and_paths_have_at_most_32_deltas() {
        assert_eq!(path(&["x>y:80", "y>x:80", "y>new:80", "new>y:80"], &["q"], 1000), None);
        let list: Vec<String> = (0..40)
            .map(|at| format!("{at}>{}:80", if at == 39 { "new".to_owned() } else { (at + 1).to_string() }))
            .collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        assert!(path(&list, &["8"], 10_000).is_some());
        assert_eq!(path(&list, &["7"], 10_000), None);
    }
}
