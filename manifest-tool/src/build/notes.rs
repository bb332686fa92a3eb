//! Release notes: reads the text files and the addresses of pages that the publisher gives.

use super::secrets::holds_private_key;
use crate::error::{Error, Result};
use crate::setting::{checked, checked_url, parsed};
use patcher::internal::fs::open_regular;
use patcher::internal::manifest::{Language, MAX_NOTES_BYTES, Notes, notes_url};
use std::io::Read as _;
use std::path::Path;

/// Reads notes from pairs of a language and a file or an address; a language may have one of each.
///
/// Files are relative to `dir`, and must lie in it unless `dir` is empty.
///
/// # Errors
/// [`Caller::BadSetting`](patcher::internal::error::Caller::BadSetting), [`Error::OutsideBuild`],
/// [`Error::PublishedKey`], or an I/O error.
pub fn read(given: &[(String, String)], dir: &Path) -> Result<Vec<Notes>> {
    let mut all: Vec<Notes> = Vec::new();
    for (language, source) in given {
        let language: Language = parsed("notes", language)?;
        let index = all.iter().position(|notes| notes.language == language).unwrap_or_else(|| {
            all.push(Notes { language, href: None, lines: Vec::new() });
            all.len() - 1
        });
        let notes = &mut all[index];
        let is_address = source.contains("://");
        if if is_address { notes.href.is_some() } else { !notes.lines.is_empty() } {
            return checked_url("notes", source, Err("the language has such notes already"));
        }
        if is_address {
            notes.href = Some(checked_url("notes", source, notes_url(source))?);
        } else {
            notes.lines = checked("notes", source, lines(&text(source, dir)?))?;
        }
    }
    Ok(all)
}

fn text(source: &str, dir: &Path) -> Result<Vec<u8>> {
    let path = &dir.join(source);
    if dir != Path::new("") {
        let real = |path: &Path| path.canonicalize().map_err(|error| Error::io("read", path, error));
        if !real(path)?.starts_with(real(dir)?) {
            return Err(Error::OutsideBuild { path: path.clone() });
        }
    }
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(|error| Error::io("read", path, error))?;
    // A longer text is refused below. The manifest's reader checks the exact limit.
    file.take(2 * MAX_NOTES_BYTES as u64).read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
    if holds_private_key(&bytes) {
        return Err(Error::PublishedKey { path: path.clone() });
    }
    Ok(bytes)
}

/// Returns the lines of a text for a manifest: without tabs, and without empty lines at both ends.
fn lines(text: &[u8]) -> Result<Vec<String>, String> {
    if text.len() == 2 * MAX_NOTES_BYTES {
        return Err("more than 64 KiB".into());
    }
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines: Vec<String> = text.lines().map(|line| line.replace('\t', "    ").trim_end().to_owned()).collect();
    let blank = lines.iter().take_while(|line| line.is_empty()).count();
    lines.drain(..blank);
    lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
    if lines.is_empty() {
        return Err("there is nothing in it".into());
    }
    match lines.iter().position(|line| line.contains(char::is_control)) {
        Some(index) => Err(format!("line {} of its text holds a control character", blank + index + 1)),
        None => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_plain_lines() {
        let text = "\u{feff}\r\n\nNew:\t\r\n\r\n\t- „fast“\n\n\n";
        assert_eq!(lines(text.as_bytes()).unwrap(), ["New:", "", "    - „fast“"]);
    }

    #[test]
    fn what_no_terminal_should_show_is_refused() {
        assert_eq!(lines(b"\nred: \x1b[31m").unwrap_err(), "line 2 of its text holds a control character");
        assert_eq!(lines(b"\xff").unwrap_err(), "not UTF-8");
        assert_eq!(lines(b"\n \n").unwrap_err(), "there is nothing in it");
        assert_eq!(lines(&vec![b'x'; 2 * MAX_NOTES_BYTES]).unwrap_err(), "more than 64 KiB");
    }
}
