//! The head: the small file that names the newest release of a channel, format 1.
//!
//! A check fetches the head and nothing else while there is nothing new. The manifest that the head
//! leads to is verified in any case, so a wrong head can only delay an update or cost one fetch of
//! the manifest.
//!
//! A head may carry a [`Stamp`]: the signature of a key that is online, which proves that the named
//! release is the newest one until some time. `trust` decides what a stamp is worth.

use crate::error::Defect;
use crate::formats::manifest::Signature;
use crate::formats::xml::{DECLARATION, XmlElement, XmlError, XmlReader, XmlTag, push_attribute};
use crate::values::digest::Sha256;
use crate::values::names::{Channel, Component};
use crate::values::timestamp::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

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
    /// The proof that this is the newest release; `None` if the publisher stamps no heads.
    pub stamp: Option<Stamp>,
}

/// The statement of a freshness key that a head names the newest release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The time from which on the stamp proves nothing.
    pub until: Timestamp,
    /// The signature over [`Head::stamped_bytes`].
    pub signature: Signature,
}

impl Head {
    /// Parses a head.
    ///
    /// # Errors
    /// [`XmlError`] with the first rule of format 1 that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let mut reader = XmlReader::new(bytes)?;
        let mut element = reader.root_element("latest")?;
        let mut head = Self {
            component: element.value("component", Defect::Name)?,
            channel: element.value("channel", Defect::Name)?,
            sequence: element.number("sequence")?,
            body: element.value("body", Defect::Hash)?,
            size: element.number("size")?,
            stamp: None,
        };
        element.finish()?;
        if let Some(XmlTag::Open(child)) = reader.tag()? {
            head.stamp = Some(stamp(child)?);
            reader.expect_close()?;
            reader.expect_close()?;
        }
        reader.end()?;
        Ok(head)
    }

    /// Returns the head in its canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = self.start();
        match &self.stamp {
            Some(Stamp { until, signature: Signature { key, bytes } }) => {
                text.push_str(">\n  <stamp");
                push_attribute(&mut text, "until", until);
                push_attribute(&mut text, "key", key);
                push_attribute(&mut text, "signature", BASE64.encode(bytes));
                text.push_str("/>\n</latest>\n");
            }
            None => text.push_str("/>\n"),
        }
        text.into_bytes()
    }

    /// Returns the bytes that a stamp signs: the head without a stamp, with the attribute `until`.
    pub fn stamped_bytes(&self, until: Timestamp) -> Vec<u8> {
        let mut text = self.start();
        push_attribute(&mut text, "until", until);
        text.push_str("/>\n");
        text.into_bytes()
    }

    /// Returns the canonical text up to the last attribute that every head has.
    fn start(&self) -> String {
        let mut text = format!("{DECLARATION}<latest format=\"1\"");
        push_attribute(&mut text, "component", &self.component);
        push_attribute(&mut text, "channel", &self.channel);
        push_attribute(&mut text, "sequence", self.sequence);
        push_attribute(&mut text, "body", self.body);
        push_attribute(&mut text, "size", self.size);
        text
    }
}

fn stamp(mut element: XmlElement<'_>) -> Result<Stamp, XmlError> {
    if element.name != "stamp" {
        return Err(element.unknown());
    }
    let until = element.value("until", Defect::Time)?;
    let key = element.value("key", Defect::Hash)?;
    let base64 = element.required("signature")?;
    let no_base64 = |_| element.error(Defect::SignatureLine, "the signature is not base64");
    let bytes = BASE64.decode(base64.as_bytes()).map_err(no_base64)?;
    element.finish()?;
    Ok(Stamp { until, signature: Signature { key, bytes } })
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
            stamp: None,
        }
    }

    fn stamped() -> Head {
        let signature = Signature { key: Sha256::of(b"key"), bytes: vec![7; 512] };
        Head { stamp: Some(Stamp { until: "2026-12-01T00:00:00Z".parse().unwrap(), signature }), ..head() }
    }

    #[test]
    fn a_head_survives_a_round_trip_and_is_small() {
        let bytes = head().to_bytes();
        assert_eq!(Head::parse(&bytes).unwrap(), head());
        assert!(bytes.len() < 300, "{}", bytes.len());
        // The largest key: 4,096 bits.
        let bytes = stamped().to_bytes();
        assert_eq!(Head::parse(&bytes).unwrap(), stamped());
        assert!(bytes.len() < 1200, "{}", bytes.len());
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
        let text = String::from_utf8(stamped().to_bytes()).unwrap();
        let defect = |from: &str, to: &str| Head::parse(text.replace(from, to).as_bytes()).unwrap_err().defect;
        assert_eq!(defect("until=\"2026", "until=\"26"), Defect::Time);
        assert_eq!(defect("key=\"", "key=\"x"), Defect::Hash);
        assert_eq!(defect("signature=\"", "signature=\"*"), Defect::SignatureLine);
        assert_eq!(defect(" until=\"2026-12-01T00:00:00Z\"", ""), Defect::AttributeMissing);
        assert_eq!(defect("/>\n", "/>\n<stamp/>\n"), Defect::Element);
    }
}
