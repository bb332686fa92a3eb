//! Encoder parameters: the choices of a producer when it calls zlib.

/// The encoders whose output can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeflateKind {
    /// The C library zlib, as in Java, Python, PHP, Ruby and most programs.
    Zlib,
    /// The encoder of gzip and of Info-ZIP's zip, from which zlib descends.
    ///
    /// It differs in one rule: it may end a block early.
    InfoZip,
}

/// How matches are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeflateStrategy {
    /// `Z_DEFAULT_STRATEGY`.
    Default,
    /// `Z_FILTERED`: no matches of 5 bytes or less, for filtered images.
    Filtered,
}

/// The parameters of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeflateParameters {
    kind: DeflateKind,
    level: u8,
    memory_level: u8,
    strategy: DeflateStrategy,
}

impl DeflateParameters {
    /// Creates parameters; returns `None` for a level or memory level out of 1 to 9.
    ///
    /// Info-ZIP's encoder has no memory levels and no strategies; it counts as memory level 8.
    pub fn new(kind: DeflateKind, level: u8, memory_level: u8, strategy: DeflateStrategy) -> Option<Self> {
        let in_range = (1..=9).contains(&level) && (1..=9).contains(&memory_level);
        let fits = kind == DeflateKind::Zlib || (memory_level == 8 && strategy == DeflateStrategy::Default);
        (in_range && fits).then_some(Self { kind, level, memory_level, strategy })
    }

    /// Returns the encoder.
    pub fn kind(&self) -> DeflateKind {
        self.kind
    }

    /// Returns the compression level, 1 to 9.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Returns zlib's `memLevel`, 1 to 9.
    pub fn memory_level(&self) -> u8 {
        self.memory_level
    }

    /// Returns the strategy.
    pub fn strategy(&self) -> DeflateStrategy {
        self.strategy
    }

    /// Returns the number of bits of a hash.
    pub(super) fn hash_bits(&self) -> u32 {
        u32::from(self.memory_level) + 7
    }

    /// Returns the number of symbols at which a block is full.
    pub(super) fn block_symbols(&self) -> usize {
        match self.kind {
            DeflateKind::Zlib => (1 << (self.memory_level + 6)) - 1,
            DeflateKind::InfoZip => (1 << 15) - 1,
        }
    }

    /// Returns how hard the level searches.
    pub(super) fn effort(&self) -> Effort {
        let [good, lazy, nice, chain] = EFFORTS[usize::from(self.level) - 1];
        Effort { good, lazy, nice, chain, is_lazy: self.level >= 4 }
    }
}

/// How hard a level searches for matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// With a match of this length at hand, only 1/4 of the chain is searched.
    pub good: usize,
    /// With a match of this length at hand, a lazy parser does not search for a longer one.
    ///
    /// The other parser enters the positions within a match into chains up to this length.
    pub lazy: usize,
    /// The search ends at a match of this length.
    pub nice: usize,
    /// The number of positions of a chain that are compared.
    pub chain: usize,
    /// `true` for the lazy parser.
    pub is_lazy: bool,
}

/// `configuration_table` of zlib's `deflate.c` for the levels 1 to 9.
const EFFORTS: [[usize; 4]; 9] = [
    [4, 4, 8, 4],
    [4, 5, 16, 8],
    [4, 6, 32, 32],
    [4, 4, 16, 16],
    [8, 16, 32, 32],
    [8, 16, 128, 128],
    [8, 32, 128, 256],
    [32, 128, 258, 1024],
    [32, 258, 258, 4096],
];
