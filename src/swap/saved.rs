//! Files of the user that stand in the way: each moves beside its path as `NAME.saved`,
//! `NAME.saved-2` and so on.

use super::component::ComponentSwap;
use crate::disk::fs::Dir;
use crate::error::Result;
use crate::formats::manifest::Component;

/// The longest name that file systems take, in bytes.
const NAME_BYTES: usize = 255;

/// A file, link or folder of the user that stood in the way of a swap and lies beside its path now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SavedFile {
    /// The component.
    pub component: Component,
    /// The path in the component that it had.
    pub path: String,
    /// The path in the component that it has now.
    pub saved_as: String,
}

impl SavedFile {
    /// Describes an entry that was at `path` and is called `name` in the same folder now.
    pub(super) fn new(part: &ComponentSwap, path: &str, name: &str) -> Self {
        let saved_as = path.rsplit_once('/').map_or(name.to_owned(), |(folder, _)| format!("{folder}/{name}"));
        Self { component: part.steps.component.clone(), path: path.to_owned(), saved_as }
    }
}

/// Moves an entry of a folder to the first free name beside it, and returns that name.
///
/// # Errors
/// [`Machine::Io`](crate::error::Machine::Io).
pub fn move_beside(from: &Dir, name: &str, to: &Dir, beside: &str) -> Result<String> {
    let mut number = 1;
    loop {
        let candidate = saved_name(beside, number);
        if from.rename_new(name, to, &candidate)? {
            return Ok(candidate);
        }
        number += 1;
    }
}

/// Returns the `number`-th name beside a file.
///
/// The file's own name is cut if the result would be longer than [`NAME_BYTES`].
fn saved_name(name: &str, number: u32) -> String {
    let ending = if number == 1 { ".saved".to_owned() } else { format!(".saved-{number}") };
    let mut end = name.len().min(NAME_BYTES - ending.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_leads_to_the_next_and_a_long_one_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "a.saved", "a.saved-2"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let folder = Dir::open(dir.path()).unwrap();
        assert_eq!(move_beside(&folder, "a", &folder, "a").unwrap(), "a.saved-3");
        assert_eq!(std::fs::read_to_string(dir.path().join("a.saved-3")).unwrap(), "a");
        let long = "ß".repeat(127);
        std::fs::write(dir.path().join(&long), "long").unwrap();
        let saved = move_beside(&folder, &long, &folder, &long).unwrap();
        assert!(saved.len() <= NAME_BYTES && saved.ends_with(".saved"));
        assert_eq!(std::fs::read_to_string(dir.path().join(saved)).unwrap(), "long");
    }
}
