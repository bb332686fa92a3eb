//! Names: short identifiers of components, channels and delta methods, all by one rule.
//!
//! The rule keeps a name safe as a file name on every system and as a part of a URL.

use super::rel_path::is_device;
use std::fmt;
use std::str::FromStr;

/// The name of a component: a part of the program with releases of its own, as in `core`.
///
/// A name has 1 to 64 characters of `a-z 0-9 _ -`, starts with a letter or digit, and is no DOS
/// device such as `nul`. [`str::parse`] makes one, and it compares with text:
/// `component == "core"`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component(Box<str>);

/// The name of a channel: a line of releases, `stable` for most users.
///
/// It follows the same rule as a [`Component`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(Box<str>);

/// The name of a delta method.
///
/// A client ignores deltas with a method that it does not know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaMethod(Box<str>);

/// An error for text that is not a name of a [`Component`] or [`Channel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of 1 to 64 of a-z 0-9 _ -, starting with a letter or digit, and no DOS device")]
pub struct NotAName;

impl Component {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Channel {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DeltaMethod {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the rule of all names.
fn check(text: &str) -> Result<Box<str>, NotAName> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !starts_well || text.len() > 64 || !text.bytes().all(is_allowed) || is_device(text) {
        return Err(NotAName);
    }
    Ok(text.into())
}

/// Implements the traits of a name for each kind of name.
macro_rules! impl_name_traits {
    ($($name:ident),+) => { $(
        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                check(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                *self.0 == *text
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                *self.0 == **text
            }
        }
    )+ };
}

impl_name_traits!(Component, Channel, DeltaMethod);
