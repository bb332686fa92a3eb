//! Symbolic links: shortens chains of links, because manifest format 1 has none.
//!
//! Linux libraries come as chains such as `libz.so -> libz.so.1 -> libz.so.1.3`. Each link of a
//! chain gets the file or folder at its end as its target.

use patcher::internal::manifest::Link;
use patcher::internal::rel_path::RelPath;
use std::collections::{HashMap, HashSet};

/// The most links that a path may lead through, as on Linux (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A link whose target was replaced by the end of its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    /// The new link.
    pub link: Link,
    /// The target that it has in the build folder.
    pub was: String,
}

/// Shortens the links that lead through other links, and returns the shortened ones.
pub fn shorten<'a>(files: impl Iterator<Item = &'a RelPath>, links: &mut [Link]) -> Vec<Shortened> {
    let paths = ReleasePaths::new(files, links);
    let mut shortened = Vec::new();
    for (index, target) in links.iter().map(|link| paths.shorter(link)).collect::<Vec<_>>().into_iter().enumerate() {
        if let Some(target) = target {
            let was = std::mem::replace(&mut links[index].target, target);
            shortened.push(Shortened { link: links[index].clone(), was });
        }
    }
    shortened
}

/// Returns the first link that leads to neither a file of the release nor a folder with one.
pub fn first_astray<'a>(files: impl Iterator<Item = &'a RelPath>, links: &[Link]) -> Option<&Link> {
    let paths = ReleasePaths::new(files, links);
    links.iter().find(|link| !paths.leads_somewhere(link))
}

/// The paths of a release by kind.
struct ReleasePaths {
    files: HashSet<String>,
    /// The folders; `true` if a file lies below.
    folders: HashMap<String, bool>,
    /// The links with their targets.
    links: HashMap<String, String>,
}

impl ReleasePaths {
    fn new<'a>(files: impl Iterator<Item = &'a RelPath>, links: &[Link]) -> Self {
        let mut map = Self { files: HashSet::new(), folders: HashMap::new(), links: HashMap::new() };
        for link in links {
            map.links.insert(link.path.as_str().to_owned(), link.target.clone());
            map.folders.extend(link.path.folders().map(|folder| (folder.to_owned(), false)));
        }
        for file in files {
            map.files.insert(file.as_str().to_owned());
            map.folders.extend(file.folders().map(|folder| (folder.to_owned(), true)));
        }
        map
    }

    /// Returns the end of the chain that starts with `link`, relative to its folder.
    ///
    /// The result is `None` for a link that leads through no other one, or out of the release.
    fn shorter(&self, link: &Link) -> Option<String> {
        let folder: Vec<&str> = link.path.parent().map_or_else(Vec::new, |parent| parent.split('/').collect());
        let (end, links) = self.follow(folder.clone(), &link.target)?;
        (links > 0 && self.is_listed(&end)).then(|| relative(&folder, &end))
    }

    /// Returns `true` if a link ends at a file of the release, or at a folder with such files.
    fn leads_somewhere(&self, link: &Link) -> bool {
        let folder = link.path.parent().map_or_else(Vec::new, |parent| parent.split('/').collect());
        self.follow(folder, &link.target).is_some_and(|(end, _)| self.is_listed(&end))
    }

    fn is_listed(&self, path: &[&str]) -> bool {
        let path = path.join("/");
        self.files.contains(&path) || self.folders.get(&path) == Some(&true)
    }

    /// Follows `target` from the folder `at`, as the system does.
    ///
    /// Returns the path of the end and the number of links on the way.
    fn follow<'a>(&'a self, mut at: Vec<&'a str>, target: &'a str) -> Option<(Vec<&'a str>, usize)> {
        let mut links = 0;
        let mut ahead: Vec<&str> = target.split('/').rev().collect();
        if target.starts_with('/') {
            return None;
        }
        while let Some(segment) = ahead.pop() {
            if !at.is_empty() && !self.folders.contains_key(&at.join("/")) {
                return None;
            }
            match segment {
                "" | "." => {}
                ".." => {
                    at.pop()?;
                }
                name => at.push(name),
            }
            if let Some(target) = self.links.get(&at.join("/")) {
                links += 1;
                if links > MAX_LINKS || target.starts_with('/') {
                    return None;
                }
                at.pop();
                ahead.extend(target.split('/').rev());
            }
        }
        Some((at, links))
    }
}

/// Returns the path from the folder `from` to `to`.
fn relative(from: &[&str], to: &[&str]) -> String {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    // A target must end with a name, not with `..`. So the target for a folder above the link goes
    // one folder further up and names that folder.
    let shared = shared.min(to.len() - 1);
    let mut segments = vec![".."; from.len() - shared];
    segments.extend(&to[shared..]);
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    /// Shortens `links` (`PATH -> TARGET`) in a release with `files`, and returns the changed ones.
    fn shortened(files: &[&str], links: &[&str]) -> Vec<String> {
        let files: Vec<RelPath> = files.iter().map(|file| path(file)).collect();
        let link = |text: &&str| {
            let (from, target) = text.split_once(" -> ").unwrap();
            Link { path: path(from), target: target.to_owned() }
        };
        let mut links: Vec<Link> = links.iter().map(link).collect();
        let shortened = shorten(files.iter(), &mut links);
        assert!(shortened.iter().all(|short| links.contains(&short.link) && short.was != short.link.target));
        shortened.iter().map(|short| format!("{} -> {}", short.link.path, short.link.target)).collect()
    }

    #[test]
    fn a_librarys_chain_leads_to_its_file() {
        let links = ["lib/libz.so -> libz.so.1", "lib/libz.so.1 -> libz.so.1.3", "z -> ./lib/../lib/libz.so"];
        assert_eq!(shortened(&["lib/libz.so.1.3"], &links), ["lib/libz.so -> libz.so.1.3", "z -> lib/libz.so.1.3"]);
    }

    #[test]
    fn a_framework_leads_to_its_version() {
        let links = ["A.framework/Versions/Current -> B", "A.framework/A -> Versions/Current/A"];
        assert_eq!(shortened(&["A.framework/Versions/B/A"], &links), ["A.framework/A -> Versions/B/A"]);
    }

    #[test]
    fn folders_on_the_way_may_be_links_and_hold_nothing_but_links() {
        let links = ["lib64 -> usr/lib", "alias/z -> ../lib64/z.so", "usr/lib/z.so -> z.so.1", "y -> alias/z"];
        let expected = ["alias/z -> ../usr/lib/z.so.1", "y -> usr/lib/z.so.1"];
        assert_eq!(shortened(&["usr/lib/z.so.1"], &links), expected);
        let links = ["a/b -> ../c", "c -> d", "a/up -> b/.."];
        assert_eq!(shortened(&["d/file"], &links), ["a/b -> ../d"], "the folder above a/b is that of d");
    }

    #[test]
    fn a_folder_above_the_link_is_named_from_above() {
        let links = ["a/b/up -> ../../x", "x -> a"];
        assert_eq!(shortened(&["a/b/file"], &links), ["a/b/up -> ../../a"]);
    }

    #[test]
    fn what_leads_nowhere_stays_as_it_is() {
        for links in [
            &["a -> b", "b -> a"][..],
            &["a -> a"],
            &["a -> b", "b -> missing"],
            &["a -> b", "b -> ../outside"],
            &["a -> b", "b -> /file"],
            &["a -> b/x", "b -> file"],
            &["a -> b/", "b -> file"],
            &["a -> b", "b -> empty"],
            &["a -> d/b", "d/b -> .."],
            &["a -> file"],
            &["a -> ./file"],
        ] {
            assert_eq!(shortened(&["file"], links), [""; 0], "{links:?}");
        }
    }

    #[test]
    fn more_links_than_a_system_follows_lead_nowhere() {
        let link = |index: usize| {
            format!("l{index} -> {}", if index == 0 { "file".into() } else { format!("l{}", index - 1) })
        };
        let links: Vec<String> = (0..50).map(link).collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        // The first link needs no other one, and the last nine need more than 40.
        assert_eq!(shortened(&["file"], &links).len(), MAX_LINKS);
    }
}
