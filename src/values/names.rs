//! Names: short identifiers of components, channels and delta methods, all by one rule.
//!
//! The rule keeps a name safe as a file name on every system and as a part of a URL.

use super::rel_path::is_device;
use std::fmt;
use std::str::FromStr;

/// The name of a component, a part of the program with its own releases, as in `core`.
///
/// A name has 1 to 64 characters of `a-z 0-9 _ -`, starts with a letter or digit, and is no DOS
/// device such as `nul`. [`str::parse`] makes one, and it compares with text:
/// `component == "core"`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component(Box<str>);

/// The name of a channel: a line of releases, `stable` for most users.
///
/// It follows the same rule as a [`Component`]. `latest` and `manifest` are no channels, because
/// their manifests would have the names of other files of a site.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(Box<str>);

/// The name of a delta method.
///
/// A client ignores deltas with a method that it does not know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaMethod(Box<str>);

/// An error for text that is not a name of a [`Component`] or [`Channel`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a name of 1 to 64 of a-z 0-9 _ -, starting with a letter or digit, and no DOS device{}",
    similar.as_ref().map(|name| format!("; `{name}` is one")).unwrap_or_default())]
pub struct NotAName {
    /// The name that the text probably means, such as `core` for `Core`.
    similar: Option<Box<str>>,
}

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
        let similar = text.trim().to_ascii_lowercase().replace([' ', '.'], "-");
        // A text that is its own similar name has no better one.
        let similar = (similar != text).then(|| check(&similar).ok()).flatten();
        return Err(NotAName { similar });
    }
    Ok(text.into())
}

/// Implements the traits of a name for each kind of name, apart from reserved names.
macro_rules! impl_name_traits {
    ($($name:ident without $reserved:expr),+) => { $(
        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                let reserved: &[&str] = &$reserved;
                match reserved.contains(&text) {
                    true => Err(NotAName { similar: None }),
                    false => check(text).map(Self),
                }
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

impl_name_traits!(Component without [], Channel without ["latest", "manifest"], DeltaMethod without []);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_name_that_was_probably_meant() {
        let message = |text: &str| text.parse::<Component>().unwrap_err().to_string();
        assert!(message("Core").ends_with("; `core` is one"), "{}", message("Core"));
        assert!(message("My Add-on").ends_with("; `my-add-on` is one"));
        assert!(message("../core").ends_with("DOS device"));
        assert!(message("").ends_with("DOS device"));
    }

    #[test]
    fn a_channel_is_not_named_like_another_file_of_a_site() {
        for name in ["latest", "manifest"] {
            name.parse::<Channel>().unwrap_err();
            name.parse::<Component>().unwrap();
        }
    }
}
