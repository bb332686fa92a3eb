//! Writes manifest format 1 in its one canonical form: two spaces a level, attributes in a fixed
//! order, paths sorted.

use super::{Appearance, IndexedObject, LinkOrFile, Manifest, Notes, Object, Signature, SiteLayout};
use crate::formats::xml::{DECLARATION, push_attribute};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const LAST_LINE: &str = "</manifest>\n";

/// Returns the bytes to sign: the manifest without signature lines.
pub fn body(manifest: &Manifest) -> Vec<u8> {
    let meta = &manifest.meta;
    let mut text = format!("{DECLARATION}<manifest format=\"1\">\n  <meta");
    push_attribute(&mut text, "component", &meta.component);
    push_attribute(&mut text, "version", &meta.version);
    push_attribute(&mut text, "sequence", meta.sequence);
    push_attribute(&mut text, "channel", &meta.channel);
    push_attribute(&mut text, "platform", &meta.platform);
    push_attribute(&mut text, "issued", meta.issued);
    if let Some(expires) = meta.expires {
        push_attribute(&mut text, "expires", expires);
    }
    if let Some(launch) = &meta.launch {
        push_attribute(&mut text, "launch", launch);
    }
    if let Some(rollout) = meta.rollout {
        push_attribute(&mut text, "rollout", rollout);
    }
    if meta.critical {
        push_attribute(&mut text, "critical", true);
    }
    if meta.adoption {
        push_attribute(&mut text, "adoption", true);
    }
    if let Some(retires) = meta.retires {
        push_attribute(&mut text, "retires", retires);
    }
    if meta.layout == SiteLayout::Flat {
        push_attribute(&mut text, "layout", meta.layout);
    }
    text.push_str(">\n");
    push_appearance(&mut text, &meta.appearance);
    for url in &meta.base_urls {
        text.push_str("    <baseurl");
        push_attribute(&mut text, "href", url);
        text.push_str("/>\n");
    }
    for requirement in &meta.requires {
        text.push_str("    <requires");
        push_attribute(&mut text, "component", &requirement.component);
        push_attribute(&mut text, "version", &requirement.version);
        text.push_str("/>\n");
    }
    for stone in &meta.stepping_stones {
        text.push_str("    <stepping-stone");
        push_attribute(&mut text, "below", &stone.below);
        push_attribute(&mut text, "sequence", stone.sequence);
        push_attribute(&mut text, "body", stone.body);
        text.push_str("/>\n");
    }
    for update in &meta.updates {
        text.push_str("    <update");
        push_attribute(&mut text, "from", update.from);
        push_attribute(&mut text, "content", update.content);
        push_indexed_object(&mut text, &update.object);
        if update.rest > 0 {
            push_attribute(&mut text, "rest", update.rest);
        }
        text.push_str("/>\n");
    }
    if let Some(install) = &meta.install {
        text.push_str("    <install");
        push_indexed_object(&mut text, install);
        text.push_str("/>\n");
    }
    if let Some(key) = &meta.freshness {
        text.push_str("    <freshness");
        push_attribute(&mut text, "spki", BASE64.encode(key));
        text.push_str("/>\n");
    }
    meta.notes.iter().for_each(|notes| push_notes(&mut text, notes));
    text.push_str("  </meta>\n  <files>\n");
    for entry in manifest.entries() {
        match entry {
            LinkOrFile::File(file) => {
                text.push_str("    <file");
                push_attribute(&mut text, "path", &file.path);
                push_object(&mut text, &Object { size: file.size, sha256: file.sha256 });
                for (name, value) in [("executable", file.executable), ("preserve", file.preserve)] {
                    if value {
                        push_attribute(&mut text, name, value);
                    }
                }
                let Some(gz) = &file.gz else {
                    text.push_str("/>\n");
                    continue;
                };
                text.push_str(">\n      <gz");
                push_object(&mut text, gz);
                text.push_str("/>\n");
                if let Some(chunks) = &file.chunks {
                    text.push_str("      <chunks");
                    push_object(&mut text, chunks);
                    text.push_str("/>\n");
                }
                text.push_str("    </file>\n");
            }
            LinkOrFile::Link(link) => {
                text.push_str("    <link");
                push_attribute(&mut text, "path", &link.path);
                push_attribute(&mut text, "target", &link.target);
                text.push_str("/>\n");
            }
        }
    }
    text.push_str("  </files>\n");
    text.push_str(LAST_LINE);
    text.into_bytes()
}

/// Returns a manifest file: `body` with its signature lines.
pub fn with_signatures(body: &[u8], signatures: &[Signature]) -> Vec<u8> {
    let mut file = body.to_vec();
    push_signatures(&mut file, signatures);
    file
}

/// Inserts signature lines before the last line of a body.
pub(super) fn push_signatures(file: &mut Vec<u8>, signatures: &[Signature]) {
    if file.ends_with(LAST_LINE.as_bytes()) {
        file.truncate(file.len() - LAST_LINE.len());
    }
    for signature in signatures {
        let base64 = BASE64.encode(&signature.bytes);
        file.extend_from_slice(format!("  <signature key=\"{}\">{base64}</signature>\n", signature.key).as_bytes());
    }
    file.extend_from_slice(LAST_LINE.as_bytes());
}

fn push_appearance(text: &mut String, appearance: &Appearance) {
    let Appearance { title, publisher, icon } = appearance;
    if *appearance == Appearance::default() {
        return;
    }
    text.push_str("    <appearance");
    for (name, value) in [("title", title), ("publisher", publisher)] {
        if let Some(value) = value {
            push_attribute(text, name, value);
        }
    }
    if let Some(icon) = icon {
        push_attribute(text, "icon", icon);
    }
    text.push_str("/>\n");
}

fn push_notes(text: &mut String, notes: &Notes) {
    text.push_str("    <notes");
    push_attribute(text, "lang", &notes.language);
    if let Some(href) = &notes.href {
        push_attribute(text, "href", href);
    }
    if notes.lines.is_empty() {
        return text.push_str("/>\n");
    }
    text.push_str(">\n");
    for line in &notes.lines {
        text.push_str("      <line");
        push_attribute(text, "text", line);
        text.push_str("/>\n");
    }
    text.push_str("    </notes>\n");
}

fn push_object(text: &mut String, object: &Object) {
    push_attribute(text, "size", object.size);
    push_attribute(text, "sha256", object.sha256);
}

fn push_indexed_object(text: &mut String, IndexedObject { object, table }: &IndexedObject) {
    push_object(text, object);
    push_attribute(text, "table", table.size);
    push_attribute(text, "table-sha256", table.sha256);
}
