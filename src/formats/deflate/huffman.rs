//! Huffman codes: code lengths from the counts of symbols, and codes from code lengths.
//!
//! Different trees can have the same cost. Ties are decided as in zlib's `build_tree`: the order of
//! the heap and the depths of subtrees count.

/// The largest number of symbols of a code.
pub const MAX_SYMBOLS: usize = 288;
/// The largest number of nodes of a tree.
const MAX_NODES: usize = 2 * MAX_SYMBOLS;
/// The longest code in bits.
const MAX_BITS: usize = 15;

/// A prefix code.
pub struct PrefixCode {
    /// The length of each code in bits, 0 for unused symbols.
    pub lengths: [u8; MAX_SYMBOLS],
    /// The codes, with their first bit lowest.
    pub codes: [u16; MAX_SYMBOLS],
    /// The number of symbols up to the last used one.
    pub used: usize,
}

impl PrefixCode {
    /// Builds the cheapest code with lengths up to `max_bits`.
    ///
    /// It has at least two symbols. Symbols without a use are added if necessary.
    pub fn from_counts(counts: &[u32], max_bits: usize) -> Self {
        CodeTree::new(counts).into_code(max_bits)
    }

    /// Assigns codes to lengths in the order of RFC 1951, section 3.2.2.
    pub fn from_lengths(lengths: [u8; MAX_SYMBOLS], used: usize) -> Self {
        let mut next = [0_u16; MAX_BITS + 2];
        for length in lengths[..used].iter().filter(|length| **length > 0) {
            next[usize::from(*length) + 1] += 1;
        }
        for bits in 1..next.len() {
            next[bits] = (next[bits] + next[bits - 1]) << 1;
        }
        let mut codes = [0; MAX_SYMBOLS];
        for (code, length) in codes.iter_mut().zip(lengths).take(used).filter(|(_, length)| *length > 0) {
            let next = &mut next[usize::from(length)];
            *code = next.reverse_bits() >> (16 - length);
            *next += 1;
        }
        Self { lengths, codes, used }
    }

    /// Returns the bits that symbols take with this code, where each has its `extra` bits.
    pub fn cost(&self, counts: &[u32], extra: impl Fn(usize) -> u8) -> u64 {
        let cost = |(symbol, count): (usize, &u32)| u64::from(*count) * u64::from(self.lengths[symbol] + extra(symbol));
        counts.iter().enumerate().filter(|(_, count)| **count > 0).map(cost).sum()
    }
}

/// A tree that grows from its leaves. The nodes below `symbols` are the leaves.
struct CodeTree {
    counts: [u32; MAX_NODES],
    depths: [u8; MAX_NODES],
    parents: [u16; MAX_NODES],
    symbols: usize,
    used: usize,
    /// The roots of the subtrees, the least frequent at index 1. Index 0 is unused.
    heap: Vec<u16>,
}

impl CodeTree {
    fn new(symbol_counts: &[u32]) -> Self {
        let mut counts = [0; MAX_NODES];
        counts[..symbol_counts.len()].copy_from_slice(symbol_counts);
        let mut heap = vec![0];
        heap.extend((0..symbol_counts.len() as u16).filter(|symbol| counts[usize::from(*symbol)] > 0));
        let mut used = heap.last().filter(|_| heap.len() > 1).map_or(0, |last| usize::from(*last) + 1);
        while heap.len() < 3 {
            let added = if used < 3 { used } else { 0 };
            used = used.max(added + 1);
            counts[added] = 1;
            heap.push(added as u16);
        }
        let symbols = symbol_counts.len();
        Self { counts, depths: [0; MAX_NODES], parents: [0; MAX_NODES], symbols, used, heap }
    }

    fn into_code(mut self, max_bits: usize) -> PrefixCode {
        for at in (1..=(self.heap.len() - 1) / 2).rev() {
            self.sift_down(at);
        }
        // All nodes, the root last.
        let mut order = Vec::with_capacity(MAX_NODES);
        let mut node = self.symbols;
        while self.heap.len() > 2 {
            let one = self.heap.swap_remove(1);
            self.sift_down(1);
            let other = self.heap[1];
            order.extend([one, other]);
            let (one, other) = (usize::from(one), usize::from(other));
            self.counts[node] = self.counts[one] + self.counts[other];
            self.depths[node] = self.depths[one].max(self.depths[other]) + 1;
            self.parents[one] = node as u16;
            self.parents[other] = node as u16;
            self.heap[1] = node as u16;
            self.sift_down(1);
            node += 1;
        }
        PrefixCode::from_lengths(self.lengths(&order, max_bits), self.used)
    }

    /// Moves the subtree at `at` down until both below it are larger.
    fn sift_down(&mut self, mut at: usize) {
        let Some(&moved) = self.heap.get(at) else { return };
        loop {
            let mut below = 2 * at;
            if below >= self.heap.len() {
                break;
            }
            if below + 1 < self.heap.len() && self.is_smaller(self.heap[below + 1], self.heap[below]) {
                below += 1;
            }
            if self.is_smaller(moved, self.heap[below]) {
                break;
            }
            self.heap[at] = self.heap[below];
            at = below;
        }
        self.heap[at] = moved;
    }

    fn is_smaller(&self, one: u16, other: u16) -> bool {
        let key = |node: u16| (self.counts[usize::from(node)], self.depths[usize::from(node)]);
        key(one) <= key(other)
    }

    /// Returns the lengths of the codes. `order` are all nodes below the root, the lowest first.
    fn lengths(&self, order: &[u16], max_bits: usize) -> [u8; MAX_SYMBOLS] {
        let mut bits = [0_u8; MAX_NODES];
        let mut with_bits = [0_usize; MAX_BITS + 1];
        let mut too_long = 0_usize;
        for node in order.iter().rev().map(|node| usize::from(*node)) {
            let mut length = usize::from(bits[usize::from(self.parents[node])]) + 1;
            if length > max_bits {
                length = max_bits;
                too_long += 1;
            }
            bits[node] = length as u8;
            with_bits[length] += usize::from(node < self.symbols);
        }
        if too_long > 0 {
            while too_long > 0 {
                // One leaf above the limit goes down a level, and takes one that is too long as its
                // sibling.
                let above = (1..max_bits).rev().find(|length| with_bits[*length] > 0).unwrap_or(1);
                with_bits[above] -= 1;
                with_bits[above + 1] += 2;
                with_bits[max_bits] -= 1;
                too_long = too_long.saturating_sub(2);
            }
            let mut leaves = order.iter().map(|node| usize::from(*node)).filter(|node| *node < self.symbols);
            for length in (1..=max_bits).rev() {
                for leaf in leaves.by_ref().take(with_bits[length]) {
                    bits[leaf] = length as u8;
                }
            }
        }
        let mut lengths = [0; MAX_SYMBOLS];
        lengths[..self.symbols].copy_from_slice(&bits[..self.symbols]);
        lengths
    }
}
