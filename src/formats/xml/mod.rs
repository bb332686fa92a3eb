//! The XML subset of manifests and state files: elements and attributes, without text content.
//!
//! - [`XmlReader`] gives one tag after the other and keeps only the attributes of one element in
//!   memory.
//! - [`XmlElement`] gives its attributes by name and type, and reports those that the caller did
//!   not take.
//! - [`push_attribute`] writes one attribute; the callers write the elements.
//!
//! The reader uses quick-xml to find tokens. quick-xml does not validate, so the reader itself
//! refuses everything outside of the subset: text, comments, CDATA, processing instructions, a DTD,
//! character references, prefixes, missing space between attributes and a second root.

mod element;
mod escape;
mod reader;

pub use element::XmlElement;
pub use escape::{escape, push_attribute};
pub use reader::{XmlReader, XmlTag};

use crate::error::Defect;

/// The first line of every document.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The characters that may separate tags and attributes.
const SPACES: [char; 3] = [' ', '\n', '\t'];

/// A place in a document that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlError {
    /// The rule.
    pub defect: Defect,
    /// The line number, from 1.
    pub line: u64,
    /// The fact that breaks the rule, for people.
    pub detail: String,
}
