//! The delta graph: finds the chain of deltas to a content with the fewest bytes.
//!
//! Contents are the nodes and deltas the edges. A chain starts at a content that a local file has.

use super::{DeltaChain, Hop, LocalFile, SecondBase};
use crate::formats::delta::METHODS;
use crate::formats::manifest::Manifest;
use crate::values::digest::Sha256;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// The limit on deltas in one chain.
const MAX_HOPS: usize = 32;

/// The deltas that this client can apply, by the content that they make.
#[derive(Default)]
pub struct Graph {
    into: HashMap<Sha256, Vec<GraphEdge>>,
}

#[derive(Clone, Copy)]
struct GraphEdge {
    from: Sha256,
    with: Option<Sha256>,
    hop: Hop,
}

impl Graph {
    /// Takes the deltas of a release; skips those of unknown methods.
    pub fn new(manifest: &Manifest) -> Self {
        let mut into: HashMap<Sha256, Vec<GraphEdge>> = HashMap::new();
        for file in &manifest.files {
            for delta in file.deltas.iter().filter(|delta| METHODS.contains(&delta.method.as_str())) {
                let to = delta.to.unwrap_or(file.sha256);
                let hop = Hop { delta: delta.object, to };
                into.entry(to).or_default().push(GraphEdge { from: delta.from, with: delta.with, hop });
            }
        }
        Self { into }
    }

    /// Returns the cheapest chain to `target` that costs less than `limit` bytes.
    ///
    /// This is Dijkstra's algorithm, from the target back to a content for which `find` returns a
    /// local file. Of two contents with equal cost, the one with the lower hash is visited first.
    ///
    /// Only the last delta of a chain may have a second base, and only one that `second_base`
    /// finds. The manifest's order of sizes then ensures that no two contents wait for each other.
    pub fn cheapest(
        &self,
        target: Sha256,
        limit: u64,
        find: impl Fn(&Sha256) -> Option<LocalFile>,
        second_base: impl Fn(&Sha256) -> Option<SecondBase>,
    ) -> Option<DeltaChain> {
        let mut done = BTreeSet::new();
        let mut next: BTreeMap<Sha256, (u64, usize, GraphEdge)> = BTreeMap::new();
        // `BinaryHeap` returns the greatest element first, hence `Reverse`.
        let mut open = BinaryHeap::from([(std::cmp::Reverse((0_u64, target)), 0_usize)]);
        while let Some((std::cmp::Reverse((cost, content)), hops)) = open.pop() {
            if !done.insert(content) {
                continue;
            }
            if let Some(base) = find(&content).filter(|_| hops > 0) {
                let edges = unwind(content, &next);
                let with = edges.last().and_then(|edge| edge.with);
                let hops = edges.into_iter().map(|edge| edge.hop).collect();
                return Some(DeltaChain {
                    base,
                    from: content,
                    hops,
                    second_base: with.and_then(|with| second_base(&with)),
                });
            }
            if hops == MAX_HOPS {
                continue;
            }
            for edge in self.into.get(&content).into_iter().flatten() {
                let usable = edge.with.is_none_or(|with| hops == 0 && second_base(&with).is_some());
                let through = cost.saturating_add(edge.hop.delta.size);
                let better = next.get(&edge.from).is_none_or(|(known, ..)| through < *known);
                if usable && through < limit && better && !done.contains(&edge.from) {
                    next.insert(edge.from, (through, hops + 1, *edge));
                    open.push((std::cmp::Reverse((through, edge.from)), hops + 1));
                }
            }
        }
        None
    }
}

fn unwind(from: Sha256, next: &BTreeMap<Sha256, (u64, usize, GraphEdge)>) -> Vec<GraphEdge> {
    let mut edges = Vec::new();
    let mut at = from;
    while let Some((_, _, edge)) = next.get(&at) {
        edges.push(*edge);
        at = edge.hop.to;
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::manifest::{Delta, Object};
    use crate::transfer::plan::tests::release;

    fn hash(name: &str) -> Sha256 {
        Sha256::of(name.as_bytes())
    }

    /// Builds the graph of a release with one file `new`.
    ///
    /// Deltas are written as `from>to:size` or `from>to:size:method`, with a second base as
    /// `from+second>to:size`.
    fn graph(edges: &[&str]) -> Graph {
        let mut manifest = release(&["file=new"]);
        for edge in edges {
            let mut parts = edge.split([':', '>']);
            let (from, to) = (parts.next().unwrap(), hash(parts.next().unwrap()));
            let (from, with) = from.split_once('+').map_or((from, None), |(from, with)| (from, Some(hash(with))));
            let size = parts.next().unwrap().parse().unwrap();
            let method = parts.next().unwrap_or("plain").parse().unwrap();
            let to = (to != hash("new")).then_some(to);
            manifest.files[0].deltas.push(Delta {
                method,
                from: hash(from),
                to,
                with,
                object: Object { size, sha256: hash(edge) },
            });
        }
        Graph::new(&manifest)
    }

    /// Returns the start of the cheapest chain from the local contents, and its objects.
    fn way(edges: &[&str], local: &[&str], limit: u64) -> Option<(Sha256, Vec<Sha256>)> {
        let location = |name: &str| LocalFile { component: None, path: name.into() };
        let find = |content: &Sha256| local.iter().find(|name| hash(name) == *content).map(|name| location(name));
        let second_base = |content: &Sha256| find(content).map(SecondBase::Local);
        let chain = graph(edges).cheapest(hash("new"), limit, find, second_base)?;
        Some((chain.from, chain.hops.iter().map(|hop| hop.delta.sha256).collect()))
    }

    fn through(from: &str, edges: &[&str]) -> Option<(Sha256, Vec<Sha256>)> {
        Some((hash(from), edges.iter().map(|edge| hash(edge)).collect()))
    }

    #[test]
    fn the_fewest_bytes_win_and_not_the_fewest_deltas() {
        let edges = ["a>new:100", "a>b:30", "b>new:40", "c>new:60"];
        assert_eq!(way(&edges, &["a"], 1000), through("a", &["a>b:30", "b>new:40"]));
        assert_eq!(way(&edges, &["a", "c"], 1000), through("c", &["c>new:60"]));
        assert_eq!(way(&edges, &["a", "b"], 1000), through("b", &["b>new:40"]));
    }

    #[test]
    fn no_chain_without_a_base_or_below_the_limit() {
        assert_eq!(way(&["a>new:100"], &["b"], 1000), None);
        assert_eq!(way(&["a>new:100"], &[], 1000), None);
        assert_eq!(way(&["a>new:100"], &["a"], 100), None);
        assert_eq!(way(&["a>b:60", "b>new:60"], &["a"], 120), None);
        assert!(way(&["a>b:60", "b>new:60"], &["a"], 121).is_some());
        assert_eq!(way(&["b>new:60"], &["a"], 1000), None, "an edge is missing");
    }

    #[test]
    fn deltas_of_an_unknown_method_are_skipped() {
        let edges = ["a>new:10:program9", "a>new:100:program1"];
        assert_eq!(way(&edges, &["a"], 1000), through("a", &["a>new:100:program1"]));
    }

    #[test]
    fn a_second_base_is_used_if_it_is_found_and_only_by_the_last_delta() {
        let edges = ["a>new:100", "a+x>new:10", "b>a:5"];
        assert_eq!(way(&edges, &["a"], 1000), through("a", &["a>new:100"]));
        assert_eq!(way(&edges, &["a", "x"], 1000), through("a", &["a+x>new:10"]));
        assert_eq!(way(&edges, &["b", "x"], 1000), through("b", &["b>a:5", "a+x>new:10"]));
        let in_between = ["a>new:100", "b+x>a:5"];
        assert_eq!(way(&in_between, &["b", "x"], 1000), None);
    }

    #[test]
    fn cycles_end_and_ties_are_resolved_deterministically() {
        assert_eq!(way(&["x>y:1", "y>x:1", "y>new:1", "new>y:1"], &["q"], 1000), None);
        let lower = if hash("a") < hash("b") { "a" } else { "b" };
        let edges = ["a>new:10", "b>new:10"];
        assert_eq!(way(&edges, &["a", "b"], 1000), through(lower, &[&format!("{lower}>new:10")]));
    }

    #[test]
    fn sizes_that_overflow_do_not_win() {
        let huge = format!("a>b:{}", u64::MAX);
        assert_eq!(way(&[&huge, "b>new:60"], &["a"], u64::MAX), None);
    }

    #[test]
    fn a_chain_has_at_most_32_deltas() {
        let edges: Vec<String> =
            (0..40).map(|n| format!("{n}>{}:1", if n == 39 { "new".into() } else { (n + 1).to_string() })).collect();
        let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
        assert!(way(&edges, &["8"], 1000).is_some());
        assert_eq!(way(&edges, &["7"], 1000), None);
    }
}
