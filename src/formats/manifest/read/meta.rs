//! Reads the `meta` section of a manifest: the facts of a release for clients and for people.

use super::{object, path};
use crate::error::Defect;
use crate::formats::manifest::{
    Appearance, Component, IndexedObject, Language, MAX_BASE_URLS, MAX_FRESHNESS_KEY_BYTES, MAX_NOTES, MAX_NOTES_BYTES,
    MAX_NOTES_LINES, MAX_STEPPING_STONES, MAX_UPDATE_OBJECTS, Meta, Notes, Object, Requirement, SiteLayout,
    SteppingStone, UpdateObject,
};
use crate::formats::xml::{XmlElement, XmlError, XmlReader, XmlTag};
use crate::values::digest::Sha256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use semver::Version;
use std::collections::BTreeSet;
use url::Url;

/// Reads the meta section; returns the line that it starts on as well.
pub(super) fn read(reader: &mut XmlReader<'_>, mut element: XmlElement<'_>) -> Result<(Meta, u64), XmlError> {
    let mut meta = Meta {
        component: element.value("component", Defect::Name)?,
        version: element.value("version", Defect::Version)?,
        sequence: element.number("sequence")?,
        channel: element.value("channel", Defect::Name)?,
        platform: element.value("platform", Defect::Platform)?,
        issued: element.value("issued", Defect::Time)?,
        expires: element.optional_value("expires", Defect::Time)?,
        launch: match element.optional("launch") {
            Some(text) => Some(path(&element, &text)?),
            None => None,
        },
        appearance: Appearance::default(),
        rollout: rollout(&mut element)?,
        critical: element.boolean("critical")?,
        adoption: element.boolean("adoption")?,
        retires: element.optional_value("retires", Defect::Hash)?,
        layout: layout(&mut element)?,
        base_urls: Vec::new(),
        requires: Vec::new(),
        stepping_stones: Vec::new(),
        updates: Vec::new(),
        install: None,
        freshness: None,
        notes: Vec::new(),
    };
    if meta.expires.is_some_and(|expires| expires <= meta.issued) {
        return Err(element.error(Defect::Expires, "`expires` is not after `issued`"));
    }
    let line = element.line;
    element.finish()?;
    // A list alone would need quadratic time: a manifest of 64 MiB has room for 1,000,000 of them.
    let mut required = BTreeSet::new();
    while let Some(XmlTag::Open(mut child)) = reader.tag()? {
        match child.name {
            "appearance" if meta.appearance == Appearance::default() => meta.appearance = appearance(&mut child)?,
            "baseurl" if meta.base_urls.len() == MAX_BASE_URLS => {
                return Err(child.error(Defect::Element, "more than 8 base URLs"));
            }
            "baseurl" => {
                let href = child.required("href")?;
                let url =
                    base_url(&href).map_err(|detail| child.error(Defect::BaseUrl, format!("`{href}`: {detail}")))?;
                meta.base_urls.push(url);
            }
            "requires" => {
                let component: Component = child.value("component", Defect::Name)?;
                let version = child.value("version", Defect::Version)?;
                if component == meta.component || !required.insert(component.clone()) {
                    return Err(child.error(Defect::Requires, format!("`{component}` is required twice, or by itself")));
                }
                meta.requires.push(Requirement { component, version });
            }
            "stepping-stone" => {
                let stone = stepping_stone(&meta, &mut child)?;
                meta.stepping_stones.push(stone);
            }
            "update" => {
                let update = update(&meta, &mut child)?;
                meta.updates.push(update);
            }
            "install" if meta.install.is_none() => meta.install = Some(indexed_object(&mut child)?),
            "freshness" if meta.freshness.is_none() => meta.freshness = Some(freshness_key(&mut child)?),
            "notes" => {
                let notes = notes(&meta, reader, child)?;
                meta.notes.push(notes);
                continue;
            }
            _ => return Err(child.unknown()),
        }
        child.finish()?;
        reader.expect_close()?;
    }
    if meta.base_urls.is_empty() {
        return Err(XmlError { defect: Defect::ElementMissing, line, detail: "<baseurl> is missing".into() });
    }
    if meta.layout == SiteLayout::Flat && meta.install.is_none() {
        let detail = "<install> is missing, which a flat layout needs".into();
        return Err(XmlError { defect: Defect::ElementMissing, line, detail });
    }
    Ok((meta, line))
}

fn appearance(element: &mut XmlElement<'_>) -> Result<Appearance, XmlError> {
    let appearance = Appearance {
        title: element.optional_value("title", Defect::Appearance)?,
        publisher: element.optional_value("publisher", Defect::Appearance)?,
        icon: match element.optional("icon") {
            Some(text) => Some(path(element, &text)?),
            None => None,
        },
    };
    if appearance == Appearance::default() {
        return Err(element.error(Defect::Appearance, "neither title nor publisher nor icon"));
    }
    Ok(appearance)
}

fn layout(element: &mut XmlElement<'_>) -> Result<SiteLayout, XmlError> {
    match element.optional("layout").as_deref() {
        None => Ok(SiteLayout::Folders),
        Some("flat") => Ok(SiteLayout::Flat),
        Some(_) => Err(element.error(Defect::Layout, "the layout is not `flat`")),
    }
}

fn rollout(element: &mut XmlElement<'_>) -> Result<Option<u8>, XmlError> {
    let Some(percent) = element.optional_number("rollout")? else { return Ok(None) };
    // Everybody is meant by saying nothing, and only so.
    let percent = u8::try_from(percent).ok().filter(|percent| *percent < 100);
    percent.map(Some).ok_or_else(|| element.error(Defect::Rollout, "rollout is a percentage from 0 to 99"))
}

fn stepping_stone(meta: &Meta, element: &mut XmlElement<'_>) -> Result<SteppingStone, XmlError> {
    if meta.stepping_stones.len() == MAX_STEPPING_STONES {
        return Err(element.error(Defect::Element, "more than 8 stepping stones"));
    }
    let below: Version = element.value("below", Defect::Version)?;
    let sequence = element.number("sequence")?;
    let body: Sha256 = element.value("body", Defect::Hash)?;
    let wrong =
        |detail: &str| Err(element.error(Defect::SteppingStone, format!("the stepping stone below {below} {detail}")));
    if below.cmp_precedence(&meta.version).is_gt() {
        return wrong("is above this release");
    }
    if sequence >= meta.sequence {
        return wrong("is no earlier release");
    }
    if meta.stepping_stones.last().is_some_and(|last| last.below.cmp_precedence(&below).is_ge()) {
        return wrong("does not come after the one before it");
    }
    Ok(SteppingStone { below, sequence, body })
}

fn update(meta: &Meta, element: &mut XmlElement<'_>) -> Result<UpdateObject, XmlError> {
    if meta.updates.len() == MAX_UPDATE_OBJECTS {
        return Err(element.error(Defect::Element, "more than 32 update objects"));
    }
    let from = element.number("from")?;
    let content: Sha256 = element.value("content", Defect::Hash)?;
    let object = indexed_object(element)?;
    let rest = element.optional_number("rest")?.unwrap_or(0);
    if from >= meta.sequence {
        return Err(element.error(Defect::Update, format!("the update from {from} is not from an earlier release")));
    }
    if meta.updates.iter().any(|other| other.from == from || other.content == content) {
        return Err(element.error(Defect::Update, format!("a second update from {from} or from its content")));
    }
    Ok(UpdateObject { from, content, object, rest })
}

fn indexed_object(element: &mut XmlElement<'_>) -> Result<IndexedObject, XmlError> {
    let object = object(element)?;
    let table = Object { size: element.number("table")?, sha256: element.value("table-sha256", Defect::Hash)? };
    if table.size > object.size {
        return Err(element.error(Defect::Update, "the table is larger than its object"));
    }
    Ok(IndexedObject { object, table })
}

fn freshness_key(element: &mut XmlElement<'_>) -> Result<Vec<u8>, XmlError> {
    let text = element.required("spki")?;
    let key = BASE64.decode(text.as_bytes()).ok().filter(|key| key.len() <= MAX_FRESHNESS_KEY_BYTES);
    key.ok_or_else(|| element.error(Defect::Freshness, "the freshness key is not base64, or has more than 600 bytes"))
}

fn notes(meta: &Meta, reader: &mut XmlReader<'_>, mut element: XmlElement<'_>) -> Result<Notes, XmlError> {
    if meta.notes.len() == MAX_NOTES {
        return Err(element.error(Defect::Notes, "notes in more than 32 languages"));
    }
    let language: Language = element.value("lang", Defect::Notes)?;
    if meta.has_notes_in(&language) {
        return Err(element.error(Defect::Notes, format!("notes in `{language}` twice")));
    }
    let href = match element.optional("href") {
        Some(href) => {
            Some(notes_url(&href).map_err(|detail| element.error(Defect::Notes, format!("`{href}`: {detail}")))?)
        }
        None => None,
    };
    let element_line = element.line;
    element.finish()?;
    let before = || meta.notes.iter().flat_map(|notes| &notes.lines);
    let (mut count, mut bytes) = (before().count(), before().map(String::len).sum::<usize>());
    let mut lines = Vec::new();
    while let Some(XmlTag::Open(mut child)) = reader.tag()? {
        if child.name != "line" {
            return Err(child.unknown());
        }
        let text = child.required("text")?.into_owned();
        count += 1;
        bytes += text.len();
        if count > MAX_NOTES_LINES || bytes > MAX_NOTES_BYTES {
            return Err(child.error(Defect::Notes, "more than 1,000 lines or 64 KiB of notes"));
        }
        lines.push(text);
        child.finish()?;
        reader.expect_close()?;
    }
    if href.is_none() && lines.is_empty() {
        let detail = format!("notes in `{language}` without an address and without a line");
        return Err(XmlError { defect: Defect::Notes, line: element_line, detail });
    }
    Ok(Notes { language, href, lines })
}

/// Takes an address that clients may append a file's name to.
///
/// # Errors
/// The rule that it breaks, in words.
pub fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = notes_url(text)?;
    if text.ends_with('/') { Ok(url) } else { Err("it does not end in a slash") }
}

/// Takes an address that people may read release notes at.
///
/// # Errors
/// The rule that it breaks, in words.
pub fn notes_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "not a URL")?;
    let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
    if !matches!(url.scheme(), "http" | "https") || authority.is_empty() {
        return Err("neither http:// nor https://");
    }
    if authority.contains('@') {
        return Err("it holds a user name");
    }
    if text.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    if text.contains([' ', '\\']) || text.chars().any(char::is_control) {
        return Err("it has a space or a backslash");
    }
    Ok(url)
}
