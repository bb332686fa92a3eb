//! Reads manifest format 1: cuts out the signature lines by bytes, then parses the rest once.
//!
//! Nothing unsigned is ever parsed and nothing parsed is unsigned: the signatures cover
//! [`SignedBytes::body`], and [`parse`] reads exactly these bytes.

mod meta;

pub use meta::{base_url, notes_url};

use super::write::push_signatures;
use super::{File, Link, MAX_FILES, MAX_MANIFEST_BYTES, MAX_SIGNATURES, Manifest, Meta, Object, SiteLayout};
use crate::error::{Defect, Refused};
use crate::formats::xml::{XmlElement, XmlError, XmlReader, XmlTag};
use crate::values::digest::Sha256;
use crate::values::rel_path::{self, PathConflict, PathConflictKind, RelPath};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::HashSet;

const LINE_START: &[u8] = b"  <signature ";
const LAST_LINE: &[u8] = b"</manifest>\n";
const FILES_END: &[u8] = b"</files>\n";

/// A manifest's signed bytes and its signature lines, apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBytes {
    /// The file without its signature lines: the bytes that are signed and parsed.
    pub body: Vec<u8>,
    /// The signature lines, in order.
    pub signatures: Vec<Signature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The id of the key that claims to have signed.
    pub key: Sha256,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

impl SignedBytes {
    /// Cuts the signature lines out of a manifest file.
    ///
    /// # Errors
    /// [`Refused::Manifest`] when the lines are not 1 to 8, of distinct keys, each exactly as
    /// format 1 shows it, between `</files>` and the last line; or when the file has more than
    /// 64 MiB.
    pub fn split(mut file: Vec<u8>) -> Result<Self, Refused> {
        let refuse = |defect, line, detail: &str| Refused::Manifest { defect, line, detail: detail.to_owned() };
        if file.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(refuse(Defect::TooLarge, 1, "more than 64 MiB"));
        }
        let start = file.trim_ascii_start();
        let is_html = |tag: &[u8]| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
        if is_html(b"<!doctype html") || is_html(b"<html") {
            return Err(refuse(Defect::Html, 1, "it is an HTML page"));
        }
        let mut starts = Vec::new();
        let mut line_number = 0;
        let mut offset = 0;
        for line in file.split_inclusive(|byte| *byte == b'\n') {
            line_number += 1;
            if line.starts_with(LINE_START) {
                if starts.len() == MAX_SIGNATURES {
                    return Err(refuse(Defect::SignatureCount, line_number, "more than 8 signatures"));
                }
                starts.push((offset, offset + line.len(), line_number));
            }
            offset += line.len();
        }
        if !file.ends_with(&[b"\n", LAST_LINE].concat()) {
            return Err(refuse(Defect::End, line_number.max(1), "the last line is not </manifest>"));
        }
        let Some(&(cut_from, ..)) = starts.first() else {
            return Err(refuse(Defect::SignatureCount, line_number, "no signature"));
        };
        let mut expected_start = cut_from;
        let mut signatures: Vec<Signature> = Vec::with_capacity(starts.len());
        for &(start, end, line) in &starts {
            if start != expected_start || !file[..cut_from].ends_with(FILES_END) {
                let detail = "a signature line that does not stand between </files> and </manifest>";
                return Err(refuse(Defect::SignatureLine, line, detail));
            }
            let signature = parse_line(&file[start..end]).ok_or_else(|| {
                refuse(Defect::SignatureLine, line, "not `  <signature key=\"…64 hex…\">…base64…</signature>`")
            })?;
            if signatures.iter().any(|other| other.key == signature.key) {
                return Err(refuse(Defect::SignatureRepeated, line, "a second signature of one key"));
            }
            signatures.push(signature);
            expected_start = end;
        }
        if expected_start + LAST_LINE.len() != file.len() {
            return Err(refuse(Defect::End, line_number, "the last line is not </manifest>"));
        }
        file.truncate(cut_from);
        file.extend_from_slice(LAST_LINE);
        Ok(Self { body: file, signatures })
    }

    /// Returns the manifest file, in the memory of the body.
    ///
    /// After [`split`](Self::split) it is the same file, because signature lines have one form.
    pub fn into_file(self) -> Vec<u8> {
        let Self { body: mut file, signatures } = self;
        push_signatures(&mut file, &signatures);
        file
    }
}

fn parse_line(line: &[u8]) -> Option<Signature> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("  <signature key=\"")?.strip_suffix("</signature>\n")?;
    let (key, base64) = rest.split_once("\">")?;
    Some(Signature { key: key.parse().ok()?, bytes: BASE64.decode(base64).ok()? })
}

/// Parses the signed bytes of a manifest.
///
/// # Errors
/// [`Refused::Manifest`] with the first rule of format 1 that they break. Time and memory grow
/// linearly with the input.
pub fn parse(body: &[u8]) -> Result<Manifest, Refused> {
    if body.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Refused::Manifest { defect: Defect::TooLarge, line: 1, detail: "more than 64 MiB".into() });
    }
    document(body).map_err(|XmlError { defect, line, detail }| Refused::Manifest { defect, line, detail })
}

fn document(body: &[u8]) -> Result<Manifest, XmlError> {
    let mut reader = XmlReader::new(body)?;
    let root_line = reader.root("manifest")?;
    let meta_element = open(&mut reader, "meta", root_line)?;
    let (meta, launch_line) = meta::read(&mut reader, meta_element)?;
    let files_element = open(&mut reader, "files", root_line)?;
    let (files, links, lines) = files(&mut reader, files_element, meta.layout)?;
    reader.expect_close()?;
    reader.end()?;
    check_paths(&meta, launch_line, &files, &links, &lines)?;
    Ok(Manifest { meta, files, links })
}

/// Reads the next tag, which must open `name`.
fn open<'a>(reader: &mut XmlReader<'a>, name: &str, line: u64) -> Result<XmlElement<'a>, XmlError> {
    match reader.tag()? {
        Some(XmlTag::Open(element)) if element.name == name => Ok(element),
        Some(XmlTag::Open(element)) => Err(element.unknown()),
        _ => Err(XmlError { defect: Defect::ElementMissing, line, detail: format!("<{name}> is missing") }),
    }
}

/// The line of each file, followed by the line of each link.
type Lines = Vec<u64>;

fn files(
    reader: &mut XmlReader<'_>,
    element: XmlElement<'_>,
    layout: SiteLayout,
) -> Result<(Vec<File>, Vec<Link>, Lines), XmlError> {
    let files_line = element.line;
    element.finish()?;
    let (mut files, mut links) = (Vec::new(), Vec::new());
    let (mut file_lines, mut link_lines) = (Vec::new(), Vec::new());
    while let Some(XmlTag::Open(mut child)) = reader.tag()? {
        if files.len() + links.len() == MAX_FILES {
            return Err(child.error(Defect::TooManyFiles, "more than 200,000 files"));
        }
        match child.name {
            "file" => {
                file_lines.push(child.line);
                files.push(file(reader, child, layout)?);
            }
            "link" => {
                link_lines.push(child.line);
                let text = child.required("path")?;
                let path = path(&child, &text)?;
                let target = child.required("target")?.into_owned();
                links.push(Link { path, target });
                child.finish()?;
                reader.expect_close()?;
            }
            _ => return Err(child.unknown()),
        }
    }
    if files.is_empty() {
        return Err(XmlError { defect: Defect::ElementMissing, line: files_line, detail: "<file> is missing".into() });
    }
    file_lines.append(&mut link_lines);
    Ok((files, links, file_lines))
}

fn file(reader: &mut XmlReader<'_>, mut element: XmlElement<'_>, layout: SiteLayout) -> Result<File, XmlError> {
    let line = element.line;
    let text = element.required("path")?;
    let path = path(&element, &text)?;
    let object = object(&mut element)?;
    let executable = element.boolean("executable")?;
    let preserve = element.boolean("preserve")?;
    element.finish()?;
    let (mut gz, mut chunks) = (None, None);
    while let Some(XmlTag::Open(mut child)) = reader.tag()? {
        match child.name {
            // The blocks of the install object stand in for both.
            _ if layout == SiteLayout::Flat => return Err(child.unknown()),
            "gz" if gz.is_none() => gz = Some(self::object(&mut child)?),
            "chunks" if chunks.is_none() => chunks = Some(self::object(&mut child)?),
            _ => return Err(child.unknown()),
        }
        child.finish()?;
        reader.expect_close()?;
    }
    if gz.is_none() && layout == SiteLayout::Folders {
        return Err(XmlError { defect: Defect::ElementMissing, line, detail: "<gz> is missing".into() });
    }
    Ok(File { path, size: object.size, sha256: object.sha256, executable, preserve, gz, chunks })
}

fn object(element: &mut XmlElement<'_>) -> Result<Object, XmlError> {
    Ok(Object { size: element.number("size")?, sha256: element.value("sha256", Defect::Hash)? })
}

fn path(element: &XmlElement<'_>, text: &str) -> Result<RelPath, XmlError> {
    RelPath::new(text).map_err(|defect| element.error(Defect::Path(defect), format!("path {text:?}: {defect}")))
}

/// Checks the rules between paths: no two are one name, `launch` and the icon are files,
/// and links lead to listed files or folders.
fn check_paths(meta: &Meta, meta_line: u64, files: &[File], links: &[Link], lines: &Lines) -> Result<(), XmlError> {
    let paths = || files.iter().map(|file| &file.path).chain(links.iter().map(|link| &link.path));
    rel_path::check_conflicts(paths()).map_err(|PathConflict { index, kind }| {
        let path = paths().nth(index).map(RelPath::as_str).unwrap_or_default();
        let (defect, detail) = match kind {
            PathConflictKind::SameName => (
                Defect::PathConflict,
                format!("path {path:?} or a folder in it has the same name as another, ignoring case"),
            ),
            PathConflictKind::FileIsFolder => {
                (Defect::PathIsFolder, format!("path {path:?} is a folder in another path, or the reverse"))
            }
        };
        XmlError { defect, line: lines[index], detail }
    })?;
    let named = [("launch", &meta.launch, Defect::Launch), ("icon", &meta.appearance.icon, Defect::Appearance)];
    for (name, path, defect) in named {
        if let Some(path) = path
            && !files.iter().any(|file| file.path == *path)
        {
            return Err(XmlError { defect, line: meta_line, detail: format!("{name} `{path}` is not a listed file") });
        }
    }
    if links.is_empty() {
        return Ok(());
    }
    let mut targets: HashSet<&str> = HashSet::new();
    for file in files {
        targets.insert(file.path.as_str());
        targets.extend(file.path.folders());
    }
    for (link, line) in links.iter().zip(&lines[files.len()..]) {
        // A target reached through another link is not listed under the link's name, so it is not
        // found either.
        let target = resolve(&link.path, &link.target);
        if !target.is_some_and(|target| targets.contains(target.as_str())) {
            let detail = format!(
                "the target {:?} of {:?} is neither a listed file nor a folder with one",
                link.target, link.path
            );
            return Err(XmlError { defect: Defect::LinkTarget, line: *line, detail });
        }
    }
    Ok(())
}

/// Returns the target of a link as a path from the component's folder; `None` if it is outside.
pub(crate) fn resolve(link: &RelPath, target: &str) -> Option<String> {
    let mut segments: Vec<&str> = link.parent().map_or_else(Vec::new, |parent| parent.split('/').collect());
    let mut descending = false;
    for segment in target.split('/') {
        match segment {
            // If `a` is a link to a folder, `a/../b` may be another file than `b`. Only leading
            // dots have one meaning.
            ".." if descending => return None,
            ".." => {
                segments.pop()?;
            }
            "" | "." => return None,
            _ => {
                descending = true;
                segments.push(segment);
            }
        }
    }
    Some(segments.join("/"))
}
