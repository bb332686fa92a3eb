//! Row chains: the rows of an update object that lead from local files to each new content.
//!
//! A publisher writes the rows for a client that has exactly one earlier release. Other clients use
//! the rows whose bases they have.

use super::LocalFile;
use crate::formats::delta::METHODS;
use crate::formats::tables::{RowBase, UpdateTable};
use crate::values::digest::Sha256;
use std::collections::{BTreeMap, HashMap};

/// The limit on rows in one chain.
const MAX_CHAIN_ROWS: usize = 32;
/// The limit on the size of the content that a row before the last makes, as a multiple of the
/// size of the last row's content.
///
/// The preflight does not know such contents, and a hostile table must not fill the disk.
const MAX_STEP_FACTOR: u64 = 8;
/// The bytes that such a content may have beyond that multiple.
const MAX_STEP_ADDED_BYTES: u64 = 1 << 20;

/// The rows to apply one after the other to make a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChain {
    /// The steps, at least one. The last makes the content.
    pub steps: Vec<RowStep>,
}

/// One row to apply, with the files that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowStep {
    /// The row, counted from 0.
    pub row: usize,
    /// The file that the delta starts from.
    pub base: StepBase,
    /// The second file that the delta reads.
    pub second_base: Option<StepBase>,
}

/// A file that a step reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepBase {
    /// A file of 0 bytes.
    Empty,
    /// A local file.
    Local(LocalFile),
    /// A new content of the release, which an earlier chain makes.
    New(Sha256),
    /// The result of the step before.
    PreviousStep,
}

impl RowChain {
    /// Returns the new contents that must be staged before this chain starts.
    pub fn awaited(&self) -> impl Iterator<Item = Sha256> {
        let bases = self.steps.iter().flat_map(|step| [Some(&step.base), step.second_base.as_ref()]);
        bases.flatten().filter_map(|base| match base {
            StepBase::New(content) => Some(*content),
            _ => None,
        })
    }

    /// Returns the last row, which makes the content.
    pub fn last_row(&self) -> usize {
        self.steps.last().map_or(0, |step| step.row)
    }
}

/// Returns a chain for each wanted content that the rows can make.
///
/// `size_of` returns the size of a wanted content, and `None` for all others. A row that makes it
/// with another size is skipped. `find` returns a local file with a content. A chain waits only for
/// chains whose last row comes earlier.
pub fn row_chains(
    table: &UpdateTable,
    size_of: impl Fn(&Sha256) -> Option<u64>,
    find: impl Fn(&Sha256) -> Option<LocalFile>,
) -> BTreeMap<Sha256, RowChain> {
    let mut resolver = Resolver { table, find, by_content: HashMap::new(), chains: BTreeMap::new() };
    for (number, row) in table.rows.iter().enumerate() {
        resolver.by_content.entry(row.to.sha256).or_insert(number);
        let size = size_of(&row.to.sha256).filter(|size| *size == row.to.size);
        let Some(size) = size.filter(|_| !resolver.chains.contains_key(&row.to.sha256)) else { continue };
        let max_bytes = size.saturating_mul(MAX_STEP_FACTOR).saturating_add(MAX_STEP_ADDED_BYTES);
        let mut steps = Vec::new();
        if resolver.resolve(number, max_bytes, MAX_CHAIN_ROWS, &mut steps).is_some() {
            resolver.chains.insert(row.to.sha256, RowChain { steps });
        }
    }
    resolver.chains
}

struct Resolver<'a, F> {
    table: &'a UpdateTable,
    find: F,
    /// The first row that makes each content, among the rows so far.
    by_content: HashMap<Sha256, usize>,
    chains: BTreeMap<Sha256, RowChain>,
}

impl<F: Fn(&Sha256) -> Option<LocalFile>> Resolver<'_, F> {
    /// Appends the steps that make a row's content, at most `limit` with at most `max_bytes` each.
    ///
    /// Returns `None` if a base is missing or a limit is reached.
    ///
    /// The limit also bounds the recursion: a table may list far more rows in a row.
    fn resolve(&self, number: usize, max_bytes: u64, limit: usize, steps: &mut Vec<RowStep>) -> Option<()> {
        let row = self.table.rows.get(number)?;
        if !METHODS.contains(&row.method.as_str()) || row.to.size > max_bytes || limit == 0 {
            return None;
        }
        let base = match self.ready(row.base) {
            Some(base) => base,
            None => {
                let earlier = match row.base {
                    RowBase::Row(earlier) => earlier,
                    RowBase::Content(content) => *self.by_content.get(&content).filter(|earlier| **earlier < number)?,
                    RowBase::Empty => return None,
                };
                self.resolve(earlier, max_bytes, limit - 1, steps)?;
                StepBase::PreviousStep
            }
        };
        let second_base = match row.second_base {
            Some(second_base) => Some(self.ready(second_base)?),
            None => None,
        };
        steps.push(RowStep { row: number, base, second_base });
        Some(())
    }

    /// Returns a base that exists when the chain starts.
    fn ready(&self, base: RowBase) -> Option<StepBase> {
        let content = match base {
            RowBase::Empty => return Some(StepBase::Empty),
            RowBase::Content(content) => content,
            RowBase::Row(row) => self.table.rows.get(row)?.to.sha256,
        };
        // A new content is preferred: the client verifies it when it makes it. A local file was
        // hashed at the check, or is only in the manifest of another component.
        if self.chains.contains_key(&content) {
            return Some(StepBase::New(content));
        }
        (self.find)(&content).map(StepBase::Local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::manifest::Object;
    use crate::formats::tables::UpdateRow;

    fn hash(name: &str) -> Sha256 {
        Sha256::of(name.as_bytes())
    }

    /// Parses rows such as `old>new`, `old+second>new` or `>new` with an optional `:method`. A
    /// number refers to a row.
    fn table(rows: &[&str]) -> UpdateTable {
        let base = |name: &str| match (name, name.parse()) {
            ("", _) => RowBase::Empty,
            (_, Ok(row)) => RowBase::Row(row),
            _ => RowBase::Content(hash(name)),
        };
        let row = |text: &&str| {
            let (bases, to) = text.split_once('>').unwrap();
            let (to, method) = to.split_once(':').unwrap_or((to, "plain"));
            let (first, second) = bases.split_once('+').map_or((bases, None), |(first, second)| (first, Some(second)));
            UpdateRow {
                to: Object { size: 1, sha256: hash(to) },
                method: method.parse().unwrap(),
                base: base(first),
                second_base: second.map(base),
                size: 1,
            }
        };
        UpdateTable { rows: rows.iter().map(row).collect() }
    }

    /// Returns the chain to each wanted content as text, such as `local(old)0 previous1`.
    fn chains(rows: &[&str], wanted: &[&str], local: &[&str]) -> Vec<String> {
        let names = ["a", "b", "c", "new", "newer"];
        let name = |content: &Sha256| names.iter().find(|name| hash(name) == *content).unwrap().to_string();
        let find = |content: &Sha256| {
            let path = local.iter().find(|name| hash(name) == *content)?.to_string();
            Some(LocalFile { component: None, path })
        };
        let size_of = |content: &Sha256| wanted.iter().any(|name| hash(name) == *content).then_some(1);
        let found = row_chains(&table(rows), size_of, find);
        let word = |base: &StepBase| match base {
            StepBase::Empty => "empty".to_owned(),
            StepBase::Local(file) => format!("local({})", file.path),
            StepBase::New(content) => format!("new({})", name(content)),
            StepBase::PreviousStep => "previous".to_owned(),
        };
        let text = |step: &RowStep| {
            let second = step.second_base.as_ref().map(|base| format!("+{}", word(base))).unwrap_or_default();
            format!("{}{second}{}", word(&step.base), step.row)
        };
        let chain = |name: &&str| match found.get(&hash(name)) {
            Some(chain) => chain.steps.iter().map(text).collect::<Vec<_>>().join(" "),
            None => "-".to_owned(),
        };
        wanted.iter().map(chain).collect()
    }

    #[test]
    fn a_row_starts_from_a_local_file_or_from_nothing() {
        assert_eq!(chains(&["a>new", ">newer"], &["new", "newer"], &["a"]), ["local(a)0", "empty1"]);
    }

    #[test]
    fn a_row_without_its_base_makes_nothing() {
        assert_eq!(chains(&["a>new", "0>newer"], &["new", "newer"], &["b"]), ["-", "-"]);
        assert_eq!(chains(&["a+b>new"], &["new"], &["a"]), ["-"]);
    }

    #[test]
    fn several_rows_follow_each_other_through_contents_that_no_release_has() {
        assert_eq!(chains(&["a>b", "0>c", "1>new"], &["new"], &["a"]), ["local(a)0 previous1 previous2"]);
        assert_eq!(chains(&["a>b", "0>new"], &["new"], &["b"]), ["local(b)1"], "a step that is on the disk");
    }

    #[test]
    fn a_new_content_is_a_base_of_later_rows() {
        let rows = ["a>new", "b+0>newer"];
        assert_eq!(chains(&rows, &["new", "newer"], &["a", "b"]), ["local(a)0", "local(b)+new(new)1"]);
        assert_eq!(chains(&rows, &["newer"], &["a", "b"]), ["-"], "a second base that is not staged");
    }

    #[test]
    fn an_unknown_method_is_skipped() {
        assert_eq!(chains(&["a>new:program9", "a>new"], &["new"], &["a"]), ["local(a)1"]);
        assert_eq!(chains(&["a>b:program9", "0>new"], &["new"], &["a"]), ["-"]);
    }

    #[test]
    fn a_row_of_another_size_than_its_content_makes_nothing() {
        let (table, find) = (table(&["a>new"]), |_: &Sha256| Some(LocalFile { component: None, path: "a".into() }));
        let size_of = |size| move |content: &Sha256| (*content == hash("new")).then_some(size);
        assert_eq!(row_chains(&table, size_of(1), find).len(), 1);
        assert_eq!(row_chains(&table, size_of(2), find).len(), 0);
    }

    #[test]
    fn a_step_that_is_far_larger_than_the_content_makes_nothing() {
        let find =
            |content: &Sha256| (*content == hash("a")).then(|| LocalFile { component: None, path: "a".to_owned() });
        let made = |size| {
            let mut table = table(&["a>b", "0>new"]);
            table.rows[0].to.size = size;
            !row_chains(&table, |content| (*content == hash("new")).then_some(1), find).is_empty()
        };
        assert!(made(8 + (1 << 20)) && !made(9 + (1 << 20)) && !made(u64::MAX));
    }

    #[test]
    fn a_chain_has_at_most_32_rows() {
        let rows = |count: usize| -> Vec<String> {
            let row = |at| match at {
                0 => "a>0".to_owned(),
                at if at == count - 1 => format!("{}>new", at - 1),
                at => format!("{}>{at}", at - 1),
            };
            (0..count).map(row).collect()
        };
        let made = |count| {
            let rows = rows(count);
            chains(&rows.iter().map(String::as_str).collect::<Vec<_>>(), &["new"], &["a"])[0] != "-"
        };
        assert!(made(32) && !made(33));
        assert!(!made(200_000), "and no long chain overflows the stack");
    }
}
