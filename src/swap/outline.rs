//! The outline of a manifest: component, version and files, read without verifying anything.
//!
//! The helper must be small, and the full reader would be a third of it. An outline never decides
//! what is installed. It only shows that a journal is stale: the installed release is then neither
//! of the swap's two versions.

use crate::values::digest::Sha256;

/// A manifest's component and version.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    pub component: &'a str,
    pub version: &'a str,
    text: &'a str,
}

impl<'a> Outline<'a> {
    /// Reads an outline; returns `None` if the text is no manifest.
    pub fn read(text: &'a str) -> Option<Self> {
        let meta = *elements(text, "meta").first()?;
        Some(Self { component: attribute(meta, "component")?, version: attribute(meta, "version")?, text })
    }

    /// Returns the path and the hash of every file, except for those with `preserve`.
    pub fn files(&self) -> Vec<(String, Option<Sha256>)> {
        let files = elements(self.text, "file").into_iter();
        let files = files.filter(|file| attribute(file, "preserve") != Some("true"));
        let row = |file| Some((unescape(attribute(file, "path")?), attribute(file, "sha256")?.parse().ok()));
        files.filter_map(row).collect()
    }
}

/// Returns the attributes of every element with this name, as text.
fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (mut elements, mut rest) = (Vec::new(), text);
    while let Some((_, element)) = rest.split_once('<') {
        let end = element.bytes().position(|byte| byte == b'>').unwrap_or(element.len());
        if let Some(attributes) = element[..end].strip_prefix(name)
            && attributes.starts_with(' ')
        {
            elements.push(attributes);
        }
        rest = &element[end..];
    }
    elements
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut words = element.split('"');
    while let (Some(before), Some(value)) = (words.next(), words.next()) {
        if before.trim() == format!("{name}=") {
            return Some(value);
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = after.split_once(';').unwrap_or((after, ""));
        plain.push(match name {
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => '&',
        });
        rest = after;
    }
    plain.push_str(rest);
    plain
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
