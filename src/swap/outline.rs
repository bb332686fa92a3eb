//! The outline of a manifest: enough to tell releases apart, read without the rules that trust needs.
//!
//! The helper must be small, and the full reader would be a third of it. Nothing is installed by an outline; it only keeps a
//! journal that is out of date from touching a third release.

use crate::values::digest::Sha256;

/// A manifest's component and version.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    pub component: &'a str,
    pub version: &'a str,
    text: &'a str,
}

impl<'a> Outline<'a> {
    /// Reads an outline; returns `None` for what is no manifest.
    pub fn read(text: &'a str) -> Option<Self> {
        let meta = elements(text, "meta").next()?;
        Some(Self { component: attribute(meta, "component")?, version: attribute(meta, "version")?, text })
    }

    /// Returns the path and the hash of every file that the user is not free to change.
    pub fn files(&self) -> Vec<(String, Option<Sha256>)> {
        let files = elements(self.text, "file").filter(|file| attribute(file, "preserve") != Some("true"));
        let row = |file| Some((unescape(attribute(file, "path")?), attribute(file, "sha256")?.parse().ok()));
        files.filter_map(row).collect()
    }
}

/// Returns the attributes of every element of a name.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("<{name} ");
    let starts: Vec<usize> = text.match_indices(&start).map(|(at, _)| at + start.len() - 1).collect();
    starts.into_iter().filter_map(move |at| text[at..].split('>').next())
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(&format!(" {name}=\"")).nth(1)?.split('"').next()
}

fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_has_component_version_and_files() {
        let hash = Sha256::of(b"x");
        let text = format!(
            "<manifest format=\"1\">\n  <meta component=\"core\" version=\"3.1.0\" sequence=\"42\">\n  <files>\n    \
             <file path=\"a &amp; b\" size=\"1\" sha256=\"{hash}\"/>\n    \
             <file path=\"mine\" size=\"1\" sha256=\"{hash}\" preserve=\"true\"/>\n  </files>\n</manifest>\n"
        );
        let outline = Outline::read(&text).unwrap();
        assert_eq!((outline.component, outline.version), ("core", "3.1.0"));
        assert_eq!(outline.files(), [("a & b".to_owned(), Some(hash))]);
        assert_eq!(Outline::read("mine"), None);
    }
}
