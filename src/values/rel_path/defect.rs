//! A path defect: the one rule of format 1 that a path breaks.

use super::{MAX_PATH_BYTES, MAX_PATH_SEGMENTS};

/// The rule of format 1 that a path breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PathDefect {
    /// The path has no bytes.
    #[error("it is empty")]
    Empty,
    /// The path is longer than [`MAX_PATH_BYTES`].
    #[error("it has more than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// The path has more than [`MAX_PATH_SEGMENTS`] segments.
    #[error("it has more than {MAX_PATH_SEGMENTS} segments")]
    TooDeep,
    /// The path starts with a slash.
    #[error("it is absolute")]
    Absolute,
    /// The path has two slashes in a row, or ends with one.
    #[error("it has an empty segment")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("it has a segment `.` or `..`")]
    Dots,
    /// A character is one of ``\ < > : " | ? *``, which have a meaning on Windows.
    #[error("it has one of \\ < > : \" | ? *")]
    Reserved,
    /// A character is a control character, a line separator or a paragraph separator.
    #[error("it has a control character")]
    Control,
    /// A character is invisible or changes the direction of text.
    ///
    /// An attacker could use it to make two different paths look the same.
    #[error("it has an invisible character or one that changes the direction of text")]
    Invisible,
    /// A character is unassigned in Unicode, or for private use.
    ///
    /// A later version of Unicode may still define how such a character folds and normalizes.
    #[error("it has an unassigned or private-use character")]
    Unassigned,
    /// The path is not in Unicode normalization form C.
    #[error("it is not in Unicode normalization form C")]
    NotNormalized,
    /// A segment starts with a space.
    #[error("a segment starts with a space")]
    LeadingSpace,
    /// A segment ends with a dot or a space, which Windows drops.
    #[error("a segment ends with a dot or a space")]
    TrailingDotOrSpace,
    /// A segment is the name of a DOS device, with or without an extension.
    #[error("a segment is the name of a DOS device")]
    Device,
    /// A segment has a `~` before a digit, as in the short file names that Windows makes.
    #[error("it has a ~ before a digit, as in the short file names of Windows")]
    ShortName,
    /// The path is the manifest's, or leads into the state folder.
    #[error("it is reserved for the updater")]
    Updater,
}

impl PathDefect {
    /// Returns the stable code of an error with this defect.
    pub(crate) fn code(self) -> &'static str {
        match self {
            PathDefect::Empty => "path-empty",
            PathDefect::TooLong => "path-too-long",
            PathDefect::TooDeep => "path-too-deep",
            PathDefect::Absolute => "path-absolute",
            PathDefect::EmptySegment => "path-empty-segment",
            PathDefect::Dots => "path-dots",
            PathDefect::Reserved => "path-reserved",
            PathDefect::Control => "path-control",
            PathDefect::Invisible => "path-invisible",
            PathDefect::Unassigned => "path-unassigned",
            PathDefect::NotNormalized => "path-not-normalized",
            PathDefect::LeadingSpace => "path-leading-space",
            PathDefect::TrailingDotOrSpace => "path-trailing-dot-or-space",
            PathDefect::Device => "path-device",
            PathDefect::ShortName => "path-short-name",
            PathDefect::Updater => "path-updater",
        }
    }
}
