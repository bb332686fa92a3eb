//! The head: the small file that names the newest release of a channel, format 1.
//!
//! A check fetches the head and nothing else while there is nothing new. The head is unsigned, so
//! it decides nothing: the manifest that it leads to is verified in any case. A wrong head can only
//! delay an update or cost one fetch of the manifest.

use crate::error::Defect;
use crate::formats::xml::{DECLARATION, XmlError, XmlReader, push_attribute};
use crate::values::digest::Sha256;
use crate::values::names::{Channel, Component};

/// The limit for the size of a head in bytes.
pub const MAX_HEAD_BYTES: u64 = 4096;

/// The newest release of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The component.
    pub component: Component,
    /// The channel.
    pub channel: Channel,
    /// The sequence of the release.
    pub sequence: u64,
    /// The hash of the signed bytes of its manifest.
    pub body: Sha256,
    /// The size of its manifest in bytes, signatures included.
    pub size: u64,
}

impl Head {
    /// Parses a head.
    ///
    /// # Errors
    /// [`XmlError`] with the first rule of format 1 that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut element = reader.root_element("latest")?;
        let head = Self {
            component: element.value("component", Defect::Name)?,
            channel: element.value("channel", Defect::Name)?,
            sequence: element.number("sequence")?,
            body: element.value("body", Defect::Hash)?,
            size: element.number("size")?,
        };
        element.finish()?;
        reader.expect_close()?;
        reader.end()?;
        Ok(head)
    }

    /// Returns the head in its canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{DECLARATION}<latest format=\"1\"");
        push_attribute(&mut text, "component", &self.component);
        push_attribute(&mut text, "channel", &self.channel);
        push_attribute(&mut text, "sequence", self.sequence);
        push_attribute(&mut text, "body", self.body);
        push_attribute(&mut text, "size", self.size);
        text.push_str("/>\n");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            component: "core".parse().unwrap(),
            channel: "stable".parse().unwrap(),
            sequence: 42,
            body: Sha256::of(b"body"),
            size: 272_103,
        }
    }

    #[test]
    fn a_head_survives_a_round_trip_and_is_small() {
        let bytes = head().to_bytes();
        assert_eq!(Head::parse(&bytes).unwrap(), head());
        assert!(bytes.len() < 300, "{}", bytes.len());
    }

    #[test]
    fn a_head_that_breaks_a_rule_is_refused() {
        let text = String::from_utf8(head().to_bytes()).unwrap();
        let defect = |from: &str, to: &str| Head::parse(text.replace(from, to).as_bytes()).unwrap_err().defect;
        assert_eq!(defect("format=\"1\"", "format=\"2\""), Defect::Format);
        assert_eq!(defect("latest", "newest"), Defect::ElementMissing);
        assert_eq!(defect("sequence=\"42\"", "sequence=\"042\""), Defect::Number);
        assert_eq!(defect("body=\"", "body=\"x"), Defect::Hash);
        assert_eq!(defect("\"core\"", "\"Core\""), Defect::Name);
        assert_eq!(defect("/>", " mood=\"good\"/>"), Defect::Attribute);
        assert_eq!(defect("/>", "><x/></latest>"), Defect::Element);
    }
}
