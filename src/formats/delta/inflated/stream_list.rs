//! Stream list: the deflate streams to inflate in the old file, and those to deflate in the new
//! one.

use crate::formats::deflate::{DeflateKind, DeflateParameters, DeflateStrategy};
use crate::formats::delta::{DeltaError, FileSizes, varint};

/// Limit for the number of streams of each file.
pub const MAX_STREAMS: usize = 1 << 18;
/// Limit for the number of different parameters.
const MAX_PARAMETERS: usize = 64;
/// Limit for the length of an unpacked list.
pub const MAX_LIST_BYTES: u64 = 8 << 20;
/// The contents of the old file and the new view take at most 8 times the size of both files.
///
/// They lie in scratch files. The archives that were measured need at most 4.3 times the new file.
pub const MAX_SCRATCH_FACTOR: u64 = 8;

/// A stream of the old file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldStream {
    /// Bytes between the end of the stream before and the start of this one.
    pub gap: u64,
    /// Length of its content in bytes, at least 1. The stream itself says where it ends.
    pub length: u64,
}

/// A stream of the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewStream {
    /// Bytes between the end of the stream before and the start of this one.
    pub gap: u64,
    /// Length of its content in bytes, at least 1.
    pub length: u64,
    /// The encoder that makes the stream from its content.
    pub parameters: DeflateParameters,
    /// The old stream that the content's own delta starts from, and the size of the delta in bytes.
    ///
    /// `None` if the main delta makes the content.
    pub own_delta: Option<(usize, u64)>,
}

/// The streams of both files that are inflated, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamList {
    /// The streams of the old file.
    pub old: Vec<OldStream>,
    /// The streams of the new file.
    pub new: Vec<NewStream>,
    /// Bytes of the new file after its last stream.
    pub tail: u64,
}

impl StreamList {
    /// Parses a list; `deltas_bytes` is the size of all deltas.
    pub(super) fn parse(bytes: &[u8], sizes: &FileSizes, deltas_bytes: u64) -> Result<Self, DeltaError> {
        let mut reader = ListReader { rest: bytes };
        let parameters = reader.parameters()?;
        let count = reader.count(2, MAX_STREAMS)?;
        let gaps = reader.numbers(count)?;
        let lengths = reader.numbers(count)?;
        let old: Vec<_> = gaps.into_iter().zip(lengths).map(|(gap, length)| OldStream { gap, length }).collect();
        let count = reader.count(4, MAX_STREAMS)?;
        let gaps = reader.numbers(count)?;
        let lengths = reader.numbers(count)?;
        let encoders = reader.numbers(count)?;
        let mut new = Vec::with_capacity(count);
        for ((gap, length), encoder) in gaps.into_iter().zip(lengths).zip(encoders) {
            let parameters = usize::try_from(encoder).ok().and_then(|encoder| parameters.get(encoder)).copied();
            let parameters =
                parameters.ok_or(DeltaError::StreamList("a stream has parameters that it does not name"))?;
            new.push(NewStream { gap, length, parameters, own_delta: None });
        }
        for stream in &mut new {
            let Some(base) = reader.number()?.checked_sub(1) else { continue };
            let base = usize::try_from(base).ok().filter(|base| *base < old.len());
            let base = base.ok_or(DeltaError::StreamList("a delta starts from a stream that it does not list"))?;
            stream.own_delta = Some((base, 0));
        }
        let tail = reader.number()?;
        for (_, bytes) in new.iter_mut().filter_map(|stream| stream.own_delta.as_mut()) {
            *bytes = reader.number()?;
        }
        if !reader.rest.is_empty() {
            return Err(DeltaError::StreamList("bytes follow its end"));
        }
        let list = Self { old, new, tail };
        list.check(sizes, deltas_bytes)?;
        Ok(list)
    }

    /// Checks the rules that relate the numbers to each other. No sum overflows afterwards.
    fn check(&self, sizes: &FileSizes, deltas_bytes: u64) -> Result<(), DeltaError> {
        let invalid = |rule| Err(DeltaError::StreamList(rule));
        let old_lengths = self.old.iter().map(|stream| stream.length);
        let new_lengths = self.new.iter().map(|stream| stream.length);
        if old_lengths.clone().chain(new_lengths.clone()).any(|length| length == 0) {
            return invalid("a stream has no content");
        }
        let gaps = self.old.iter().map(|stream| stream.gap);
        if sum(gaps.chain([0])).is_none_or(|gaps| gaps > sizes.old) {
            return invalid("a stream starts after the end of the old file");
        }
        let new_gaps = self.new.iter().map(|stream| stream.gap).chain([self.tail]);
        if sum(new_gaps.clone()).is_none_or(|gaps| gaps > sizes.new) {
            return invalid("a stream starts after the end of the new file");
        }
        let limit = sizes.old.checked_add(sizes.new).and_then(|bytes| bytes.checked_mul(MAX_SCRATCH_FACTOR));
        let scratch = sum(old_lengths.chain(new_lengths).chain(new_gaps));
        if scratch.is_none_or(|scratch| limit.is_none_or(|limit| scratch > limit)) {
            return invalid("its contents are too long for its files");
        }
        let own = self.new.iter().filter_map(|stream| stream.own_delta).map(|(_, bytes)| bytes);
        if sum(own).is_none_or(|own| own > deltas_bytes) {
            return invalid("its deltas are longer than the delta");
        }
        Ok(())
    }

    /// Returns the list in its one canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut parameters: Vec<_> = self.new.iter().map(|stream| stream.parameters).collect();
        parameters.sort_unstable();
        parameters.dedup();
        let mut write = |number: u64| varint::write(number, &mut bytes);
        write(parameters.len() as u64);
        for one in &parameters {
            let strategy = STRATEGIES.iter().position(|strategy| *strategy == one.strategy()).unwrap_or_default();
            let kind = KINDS.iter().position(|kind| *kind == one.kind()).unwrap_or_default();
            let numbers = [kind as u64, one.level().into(), one.memory_level().into(), strategy as u64];
            numbers.into_iter().for_each(&mut write);
        }
        write(self.old.len() as u64);
        self.old.iter().for_each(|stream| write(stream.gap));
        self.old.iter().for_each(|stream| write(stream.length));
        write(self.new.len() as u64);
        self.new.iter().for_each(|stream| write(stream.gap));
        self.new.iter().for_each(|stream| write(stream.length));
        let encoder = |stream: &NewStream| parameters.binary_search(&stream.parameters).unwrap_or_default();
        self.new.iter().for_each(|stream| write(encoder(stream) as u64));
        self.new.iter().for_each(|stream| write(stream.own_delta.map_or(0, |(base, _)| base as u64 + 1)));
        write(self.tail);
        self.own_deltas().for_each(|(_, (_, size))| write(size));
        bytes
    }

    /// Returns the streams that have their own delta, with its old stream and its size.
    pub fn own_deltas(&self) -> impl Iterator<Item = (&NewStream, (usize, u64))> {
        self.new.iter().filter_map(|stream| Some((stream, stream.own_delta?)))
    }

    /// Returns the size of the contents of the listed old streams, in bytes.
    pub fn old_contents_bytes(&self) -> u64 {
        self.old.iter().map(|stream| stream.length).sum()
    }

    /// Returns the size of what the main delta makes, in bytes.
    pub fn main_bytes(&self) -> u64 {
        self.new_view_bytes() - self.own_deltas().map(|(stream, _)| stream.length).sum::<u64>()
    }

    /// Returns the size of the new view in bytes.
    pub fn new_view_bytes(&self) -> u64 {
        self.new.iter().map(|stream| stream.gap + stream.length).sum::<u64>() + self.tail
    }

    /// Returns the size of the main delta, if all deltas have `deltas_bytes`.
    pub(super) fn main_delta_bytes(&self, deltas_bytes: u64) -> u64 {
        deltas_bytes - self.own_deltas().map(|(_, (_, bytes))| bytes).sum::<u64>()
    }
}

/// The encoders by their number.
const KINDS: [DeflateKind; 2] = [DeflateKind::Zlib, DeflateKind::InfoZip];
/// The strategies by their number.
const STRATEGIES: [DeflateStrategy; 2] = [DeflateStrategy::Default, DeflateStrategy::Filtered];

fn sum(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(0_u64, u64::checked_add)
}

/// Takes the numbers of a list from its front.
struct ListReader<'a> {
    rest: &'a [u8],
}

impl ListReader<'_> {
    fn number(&mut self) -> Result<u64, DeltaError> {
        match varint::read(&mut self.rest) {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(DeltaError::StreamList("a number is not in its shortest form")),
            Err(_) => Err(DeltaError::StreamList("it is cut off")),
        }
    }

    /// Reads the count of entries that take at least `entry_bytes` each.
    fn count(&mut self, entry_bytes: usize, limit: usize) -> Result<usize, DeltaError> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > limit || count > self.rest.len() / entry_bytes {
            return Err(DeltaError::StreamList("it has too many entries"));
        }
        Ok(count)
    }

    fn numbers(&mut self, count: usize) -> Result<Vec<u64>, DeltaError> {
        (0..count).map(|_| self.number()).collect()
    }

    fn parameters(&mut self) -> Result<Vec<DeflateParameters>, DeltaError> {
        let count = self.count(4, MAX_PARAMETERS)?;
        let mut all: Vec<DeflateParameters> = Vec::with_capacity(count);
        for _ in 0..count {
            let numbers = self.numbers(4)?;
            let [kind, level, memory_level, strategy] = std::array::from_fn(|at| usize::try_from(numbers[at]).ok());
            let parameters = (|| {
                let (kind, strategy) = (*KINDS.get(kind?)?, *STRATEGIES.get(strategy?)?);
                let (level, memory_level) = (u8::try_from(level?).ok()?, u8::try_from(memory_level?).ok()?);
                DeflateParameters::new(kind, level, memory_level, strategy)
            })();
            let parameters = parameters.ok_or(DeltaError::StreamList("it names an unknown encoder"))?;
            if all.last().is_some_and(|last| *last >= parameters) {
                return Err(DeltaError::StreamList("its parameters are not sorted"));
            }
            all.push(parameters);
        }
        Ok(all)
    }
}
