//! Plain text: text that a terminal shows as it is.
//!
//! Release notes, paths and file names come from the publisher, the site or other programs. A
//! control character in them could command the terminal, and a bidirectional one could show another
//! name than the real one (CVE-2021-42574).

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes control and bidirectional characters as `\u{202e}`; line feeds and tabs stay.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_active(character) {
            // Writing to a string never fails.
            let _ = write!(plain, "{}", character.escape_unicode());
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// Writes the same characters of a JSON text as `\u202e`, which is the same text for JSON.
///
/// The text is of one line, as serde_json writes it.
#[cfg(feature = "cli")]
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_active) {
        return Cow::Borrowed(json);
    }
    let mut plain = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if is_active(character) {
            let _ = write!(plain, "\\u{:04x}", u32::from(character));
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// Returns `true` if a terminal acts on a character instead of showing it.
fn is_active(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Marks, embeddings, overrides and isolates (Unicode Standard Annex 9), and the separators
        // of lines and paragraphs.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        for (text, plain) in [
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("\u{1b}[31mred\u{7}\r", "\\u{1b}[31mred\\u{7}\\u{d}"),
            ("a\u{9b}b\u{7f}", "a\\u{9b}b\\u{7f}"),
            ("\u{2066}\u{200f}\u{61c}\u{2028}", "\\u{2066}\\u{200f}\\u{61c}\\u{2028}"),
        ] {
            assert_eq!(escaped(text), plain);
        }
        #[cfg(feature = "cli")]
        for (json, plain) in
            [("\"exe.\u{202e}gpj\"", "\"exe.\\u202egpj\""), ("\"\u{9b}\u{7f}\u{2066}\"", "\"\\u009b\\u007f\\u2066\"")]
        {
            assert_eq!(escaped_json(json), plain);
        }
        for text in ["", "a\tb\nc", "„fast“ — naïve", "日本語 العربية עברית", "👩‍🚀"] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
