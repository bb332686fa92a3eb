//! The page that the window shows for a state of the story: texts, notes, progress and buttons.
//!
//! A page knows nothing of fonts, pixels and positions.

use crate::notes::{self, NoteBlock, NoteBlockKind, NoteSpan};
use crate::story::{Choice, FoundRelease, Story, StoryState};
use crate::texts::{TextKey, Texts};
use serde_json::Value;

/// The content of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The title of the window.
    pub title: String,
    /// The parts from top to bottom.
    pub parts: Vec<PagePart>,
    /// The buttons in reading order; the first one has the focus.
    pub buttons: Vec<PageButton>,
    /// The choice of the Escape key and of the window's close button.
    pub escape: Choice,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum PagePart {
    /// The heading, which a screen reader announces when it changes.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A paragraph of less importance.
    Detail(String),
    /// The line below a progress bar.
    Status(String),
    /// The release notes, which scroll.
    Notes {
        /// The name of the notes.
        name: String,
        /// The blocks.
        blocks: Vec<NoteBlock>,
    },
    /// A progress bar; without a share nothing is known yet.
    Progress {
        /// The name of the bar.
        name: String,
        /// The finished share, from 0 to 1.
        share: Option<f64>,
    },
}

/// A button.
#[derive(Debug, Clone, PartialEq)]
pub struct PageButton {
    /// The text.
    pub label: String,
    /// The choice.
    pub choice: Choice,
    /// The rank.
    pub rank: ButtonRank,
}

/// The rank of a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonRank {
    /// The recommended choice.
    Primary,
    /// Another choice.
    Plain,
    /// A choice that stands apart.
    Apart,
}

/// The names that a page shows.
pub struct PageNames<'a> {
    /// The name of the program; without it, the page shows that of the component.
    pub program: Option<&'a str>,
    /// The name if there is no component either.
    pub fallback: &'a str,
    /// The path of the helper's log.
    pub log: &'a str,
}

impl Page {
    /// Makes the page for the state of a story.
    pub fn of(story: &Story, texts: &Texts, names: &PageNames<'_>) -> Self {
        let releases = story.releases();
        let first = releases.first();
        let component = match story.state() {
            StoryState::RolledBack(failed) => Some(failed.component.as_str()),
            _ => first.map(|release| release.component.as_str()),
        };
        let name = names.program.or(component).unwrap_or(names.fallback);
        let version = first.map_or("", |release| release.to.as_str());
        let text = |key| texts.filled(key, &[("name", name), ("version", version)]);
        let button = |key, choice, rank| PageButton { label: texts.text(key).to_owned(), choice, rank };
        use ButtonRank::{Apart, Plain, Primary};
        let (parts, buttons, escape) = match story.state() {
            StoryState::Checking => {
                let name = texts.text(TextKey::Checking).to_owned();
                let parts = vec![PagePart::Heading(name.clone()), PagePart::Progress { name, share: None }];
                (parts, vec![button(TextKey::Cancel, Choice::Cancel, Plain)], Choice::Cancel)
            }
            StoryState::Available => {
                let buttons = vec![
                    button(TextKey::Install, Choice::Install, Primary),
                    button(TextKey::Later, Choice::Later, Plain),
                    button(TextKey::Skip, Choice::Skip, Apart),
                ];
                (offer(releases, texts, text(TextKey::Available)), buttons, Choice::Later)
            }
            StoryState::UpToDate => {
                let parts = vec![PagePart::Heading(text(TextKey::UpToDate))];
                (parts, vec![button(TextKey::Close, Choice::Close, Primary)], Choice::Close)
            }
            StoryState::Downloading => {
                let parts = vec![
                    PagePart::Heading(text(TextKey::Downloading)),
                    progress_bar(story, texts),
                    PagePart::Status(texts.progress(story.progress())),
                ];
                let buttons =
                    vec![button(TextKey::Pause, Choice::Pause, Plain), button(TextKey::Cancel, Choice::Cancel, Plain)];
                (parts, buttons, Choice::Cancel)
            }
            StoryState::Paused(_) => {
                let parts = vec![
                    PagePart::Heading(text(TextKey::Paused)),
                    progress_bar(story, texts),
                    PagePart::Status(text(TextKey::PausedBody)),
                ];
                let buttons = vec![
                    button(TextKey::Resume, Choice::Resume, Primary),
                    button(TextKey::Cancel, Choice::Cancel, Plain),
                ];
                (parts, buttons, Choice::Cancel)
            }
            StoryState::Ready => {
                let parts = vec![PagePart::Heading(text(TextKey::Ready)), PagePart::Text(text(TextKey::ReadyBody))];
                let buttons = vec![
                    button(TextKey::RestartNow, Choice::RestartNow, Primary),
                    button(TextKey::AtExit, Choice::AtExit, Plain),
                ];
                (parts, buttons, Choice::AtExit)
            }
            StoryState::Failed(error) => {
                let (fault, advice) = fault(error);
                let mut parts = vec![PagePart::Heading(text(fault)), PagePart::Text(text(advice))];
                let message = error["message"].as_str().unwrap_or_default();
                parts.push(PagePart::Detail(texts.filled(TextKey::Details, &[("message", message)])));
                let close = button(TextKey::Close, Choice::Close, Plain);
                let buttons = match error["exit"].as_u64() {
                    Some(2) => vec![close],
                    _ => vec![button(TextKey::Retry, Choice::Retry, Primary), close],
                };
                (parts, buttons, Choice::Close)
            }
            StoryState::RolledBack(failed) => {
                let values = [("name", name), ("version", &failed.to), ("from", &failed.from), ("path", names.log)];
                let parts = vec![
                    PagePart::Heading(texts.filled(TextKey::RolledBack, &values)),
                    PagePart::Text(texts.filled(TextKey::RolledBackBody, &values)),
                    PagePart::Detail(texts.filled(TextKey::LogAt, &values)),
                ];
                let buttons = vec![
                    button(TextKey::Close, Choice::Close, Primary),
                    button(TextKey::ShowLog, Choice::ShowLog, Plain),
                ];
                (parts, buttons, Choice::Close)
            }
        };
        Self { title: texts.text(TextKey::Title).to_owned(), parts, buttons, escape }
    }
}

/// Returns the progress bar of a download. Before the first byte its share is 0, not unknown.
fn progress_bar(story: &Story, texts: &Texts) -> PagePart {
    PagePart::Progress { name: texts.text(TextKey::Progress).to_owned(), share: Some(story.progress().share()) }
}

/// Returns the parts of an offer.
fn offer(releases: &[FoundRelease], texts: &Texts, heading: String) -> Vec<PagePart> {
    let mut parts = vec![PagePart::Heading(heading)];
    let Some((first, others)) = releases.split_first() else { return parts };
    let size = texts.size(releases.iter().map(|release| release.bytes).sum());
    parts.push(PagePart::Text(match &first.from {
        Some(from) => texts.filled(TextKey::Offer, &[("from", from), ("size", &size)]),
        None => texts.filled(TextKey::OfferNew, &[("size", &size)]),
    }));
    if releases.iter().any(|release| release.is_critical) {
        parts.push(PagePart::Text(texts.text(TextKey::Critical).to_owned()));
    }
    if let Some(last) = &first.last {
        parts.push(PagePart::Text(texts.filled(TextKey::OnTheWay, &[("last", last)])));
    }
    if !others.is_empty() {
        let others = others.iter().map(|release| format!("{} {}", release.component, release.to));
        let others = others.collect::<Vec<_>>().join(", ");
        parts.push(PagePart::Detail(texts.filled(TextKey::Together, &[("others", &others)])));
    }
    let blocks = note_blocks(releases, texts);
    if !blocks.is_empty() {
        parts.push(PagePart::Notes { name: texts.text(TextKey::Notes).to_owned(), blocks });
    }
    parts
}

/// Returns the notes of all releases; those of several releases have headings.
fn note_blocks(releases: &[FoundRelease], texts: &Texts) -> Vec<NoteBlock> {
    let mut blocks = Vec::new();
    for release in releases {
        let mut own = notes::parse(&release.notes);
        if let Some(address) = &release.notes_address {
            let text = texts.text(TextKey::NotesLink).to_owned();
            let span = NoteSpan { text, link: Some(address.clone()), ..NoteSpan::default() };
            own.push(NoteBlock { kind: NoteBlockKind::Paragraph { depth: 0 }, spans: vec![span] });
        }
        if releases.len() > 1 && !own.is_empty() {
            let text = format!("{} {}", release.component, release.to);
            let spans = vec![NoteSpan { text, ..NoteSpan::default() }];
            blocks.push(NoteBlock { kind: NoteBlockKind::Heading(1), spans });
        }
        blocks.append(&mut own);
    }
    blocks
}

/// Returns the sentence and the advice for an error object.
fn fault(error: &Value) -> (TextKey, TextKey) {
    match (error["code"].as_str().unwrap_or_default(), error["exit"].as_u64()) {
        ("no-space", _) => (TextKey::SpaceFault, TextKey::SpaceAdvice),
        ("permission-denied" | "not-writable" | "read-only" | "other-owner" | "writable-by-others", _) => {
            (TextKey::RightsFault, TextKey::RightsAdvice)
        }
        (_, Some(20)) => (TextKey::NetworkFault, TextKey::NetworkAdvice),
        (_, Some(21)) => (TextKey::RefusedFault, TextKey::RefusedAdvice),
        (_, Some(23)) => (TextKey::BusyFault, TextKey::BusyAdvice),
        (_, Some(2)) => (TextKey::CallFault, TextKey::CallAdvice),
        _ => (TextKey::MachineFault, TextKey::MachineAdvice),
    }
}

#[cfg(test)]
mod tests {
    use super::{ButtonRank, Page, PageNames, PagePart};
    use crate::story::{Choice, Story, StoryEvent};
    use crate::texts::Texts;
    use serde_json::{Value, json};

    const NAMES: PageNames<'static> =
        PageNames { program: Some("My App"), fallback: "root", log: "/r/.patcher/helper.log" };

    fn update(component: &str, to: &str, notes: &[&str]) -> Value {
        json!({ "component": component, "from": "2.0.0", "to": to, "bytes": 600_000, "critical": false,
            "stepping_stone_to": null, "notes": {"language": "en", "href": null, "lines": notes} })
    }

    fn page(line: Value) -> Page {
        let (mut story, _) = Story::check(Vec::new());
        story.take(StoryEvent::Line(line));
        Page::of(&story, &Texts::new(["en"]), &NAMES)
    }

    fn texts(page: &Page) -> Vec<String> {
        let text = |part: &PagePart| match part {
            PagePart::Heading(text) | PagePart::Text(text) | PagePart::Detail(text) | PagePart::Status(text) => {
                text.clone()
            }
            PagePart::Notes { blocks, .. } => blocks.iter().map(|block| block.text()).collect::<Vec<_>>().join("|"),
            PagePart::Progress { name, share } => format!("{name} {share:?}"),
        };
        page.parts.iter().map(text).collect()
    }

    #[test]
    fn an_offer_names_program_versions_size_and_notes() {
        let page = page(json!({"id": 1, "result": {"updates": [update("app", "2.1.0", &["# New", "- fast"])]}}));
        let shown = ["My App 2.1.0 is available", "You have version 2.0.0. The download has 600 kB.", "New|fast"];
        assert_eq!(texts(&page), shown);
        let ranks: Vec<_> = page.buttons.iter().map(|button| (button.label.as_str(), button.rank)).collect();
        let expected = [
            ("Install and restart", ButtonRank::Primary),
            ("Later", ButtonRank::Plain),
            ("Skip this version", ButtonRank::Apart),
        ];
        assert_eq!((&ranks[..], page.escape), (&expected[..], Choice::Later));
    }

    #[test]
    fn an_offer_of_several_releases_has_their_sum_and_all_notes() {
        let mut stone = update("app", "2.1.0", &["one"]);
        (stone["stepping_stone_to"], stone["critical"]) = (json!("3.0.0"), json!(true));
        stone["notes"]["href"] = json!("https://example.com/notes");
        let page = page(json!({"id": 1, "result": {"updates": [stone, update("tool", "7.0.0", &["two"])]}}));
        let shown = [
            "My App 2.1.0 is available",
            "You have version 2.0.0. The download has 1.2 MB.",
            "This update is important. Install it soon.",
            "Version 3.0.0 follows after this one.",
            "Updated together: tool 7.0.0",
            "app 2.1.0|one|Read all release notes|tool 7.0.0|two",
        ];
        assert_eq!(texts(&page), shown);
    }

    #[test]
    fn a_page_without_a_name_shows_that_of_the_component_or_of_the_root() {
        for (updates, heading) in
            [(json!([update("app", "2.1.0", &[])]), "app 2.1.0 is available"), (json!([]), "root is up to date")]
        {
            let (mut story, _) = Story::check(Vec::new());
            story.take(StoryEvent::Line(json!({"id": 1, "result": {"updates": updates}})));
            let names = PageNames { program: None, ..NAMES };
            assert_eq!(texts(&Page::of(&story, &Texts::new(["en"]), &names))[0], heading);
        }
    }

    #[test]
    fn an_error_is_a_sentence_with_advice_and_details() {
        for (code, exit, heading, buttons) in [
            ("cut-off", 20, "The update server cannot be reached.", 2),
            ("bad-signature", 21, "The update is damaged or not genuine, and was refused.", 2),
            ("no-space", 22, "There is not enough space for the update.", 2),
            ("not-writable", 22, "You may not change the files of My App.", 2),
            ("io", 22, "The update could not be prepared on this computer.", 2),
            ("busy", 23, "Another update is in progress.", 2),
            ("no-key", 2, "The update window was not started correctly.", 1),
        ] {
            let error = json!({"code": code, "exit": exit, "message": "why", "retryable": false, "hint": null});
            let page = page(json!({"id": 1, "error": error}));
            let shown = texts(&page);
            assert_eq!((shown[0].as_str(), page.buttons.len()), (heading, buttons), "{code}");
            assert_eq!(shown[2], "Details: why");
        }
    }

    #[test]
    fn a_rollback_names_both_versions_and_the_log() {
        let (mut story, _) = Story::after_rollback();
        let past = json!({"component": "app", "from": "2.0.0", "to": "2.1.0", "result": "rolled-back"});
        story.take(StoryEvent::Line(json!({"id": 1, "result": {"updates": [past]}})));
        let page = Page::of(&story, &Texts::new(["en"]), &NAMES);
        let shown = [
            "My App 2.1.0 did not work",
            "Version 2.0.0 is installed again. The version that failed is not offered again.",
            "Log: /r/.patcher/helper.log",
        ];
        assert_eq!(texts(&page), shown);
    }
}
