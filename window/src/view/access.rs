//! The accessibility tree of a scene: what a screen reader reads and does.
//!
//! Every node has a name. The tree is:
//!
//! ```text
//! window
//! ├── heading (announced when it changes)
//! ├── labels, the progress bar, its status line
//! ├── the notes: headings, paragraphs, list items, with their links
//! └── buttons
//! ```

use super::canvas::Area;
use super::scene::{FocusStop, NoteItem, NotesScene, Scene, SceneItemKind};
use crate::notes::NoteBlockKind;
use accesskit::{Action, Live, Node, NodeId, Rect, Role, TextDirection, TreeId, TreeInfo, TreeUpdate};

const ROOT: NodeId = NodeId(0);
const NOTES: NodeId = NodeId(1);
const FIRST_ITEM: u64 = 10;
const FIRST_BUTTON: u64 = 100;
const FIRST_BLOCK: u64 = 1000;
/// The ids from one block to the next: one for itself, the others for its links.
const BLOCK_IDS: u64 = 100;

/// The facts of a tree that the scene does not have.
pub struct TreeFacts<'a> {
    /// The title of the window.
    pub title: &'a str,
    /// The language of the page.
    pub language: &'a str,
    /// `true` if the page is laid out from right to left.
    pub is_rtl: bool,
    /// The stop with the focus.
    pub focus: FocusStop,
    /// The distance by which the notes are scrolled down.
    pub scroll: f32,
}

/// Returns the node of a stop.
pub fn node_of(stop: FocusStop) -> NodeId {
    match stop {
        FocusStop::Notes => NOTES,
        FocusStop::Button(index) => NodeId(FIRST_BUTTON + index as u64),
        FocusStop::Link { block, link } => NodeId(FIRST_BLOCK + block as u64 * BLOCK_IDS + 1 + link as u64),
    }
}

/// Returns the stop of a node.
pub fn stop_of(node: NodeId) -> Option<FocusStop> {
    match node {
        NOTES => Some(FocusStop::Notes),
        NodeId(id @ FIRST_BUTTON..FIRST_BLOCK) => Some(FocusStop::Button((id - FIRST_BUTTON) as usize)),
        NodeId(id @ FIRST_BLOCK..) => {
            let (block, link) = ((id - FIRST_BLOCK) / BLOCK_IDS, (id - FIRST_BLOCK) % BLOCK_IDS);
            Some(FocusStop::Link { block: block as usize, link: link.checked_sub(1)? as usize })
        }
        _ => None,
    }
}

/// Makes the tree of a scene.
pub fn tree(scene: &Scene, facts: &TreeFacts<'_>) -> TreeUpdate {
    let mut tree = TreeBuilder { nodes: Vec::new() };
    let mut children = Vec::new();
    for (index, item) in scene.items.iter().enumerate() {
        let node = match &item.kind {
            SceneItemKind::Heading(text) => {
                let mut node = named(Role::Heading, &text.text);
                node.set_level(1);
                node.set_live(Live::Polite);
                node
            }
            SceneItemKind::Text(text) => label(&text.text),
            SceneItemKind::Status(text) => {
                let mut node = label(&text.text);
                // A screen reader announces the value of the bar from time to time.
                node.set_live(Live::Off);
                node
            }
            SceneItemKind::Progress { name, share } => {
                let mut node = named(Role::ProgressIndicator, name);
                if let Some(share) = share {
                    let percent = (share * 100.0).round();
                    node.set_numeric_value(percent);
                    node.set_min_numeric_value(0.0);
                    node.set_max_numeric_value(100.0);
                    node.set_value(format!("{percent} %"));
                }
                node
            }
        };
        children.push(tree.add(NodeId(FIRST_ITEM + index as u64), node, item.area));
    }
    if let Some(notes) = &scene.notes {
        children.push(tree.add_notes(notes, facts.scroll));
    }
    for (index, button) in scene.buttons.iter().enumerate() {
        let mut node = named(Role::Button, &button.label.text);
        node.add_action(Action::Click);
        node.add_action(Action::Focus);
        children.push(tree.add(node_of(FocusStop::Button(index)), node, button.area));
    }
    let mut root = named(Role::Window, facts.title);
    root.set_language(facts.language);
    root.set_text_direction(if facts.is_rtl { TextDirection::RightToLeft } else { TextDirection::LeftToRight });
    root.set_children(children);
    tree.nodes.push((ROOT, root));
    TreeUpdate {
        nodes: tree.nodes,
        tree: Some(TreeInfo::new(ROOT)),
        tree_id: TreeId::ROOT,
        focus: node_of(facts.focus),
    }
}

struct TreeBuilder {
    nodes: Vec<(NodeId, Node)>,
}

impl TreeBuilder {
    fn add(&mut self, id: NodeId, mut node: Node, area: Area) -> NodeId {
        let (x, y) = (f64::from(area.x), f64::from(area.y));
        node.set_bounds(Rect::new(x, y, x + f64::from(area.width), y + f64::from(area.height)));
        self.nodes.push((id, node));
        id
    }

    fn add_notes(&mut self, notes: &NotesScene, scroll: f32) -> NodeId {
        let blocks = notes.blocks.iter().enumerate();
        let children = blocks.map(|(index, block)| self.add_block(notes, index, block, scroll)).collect::<Vec<_>>();
        let mut node = named(Role::Document, &notes.name);
        for action in [Action::Focus, Action::ScrollDown, Action::ScrollUp] {
            node.add_action(action);
        }
        // No `clips_children`: a screen reader reads all notes without scrolling.
        node.set_scroll_y(scroll.into());
        node.set_scroll_y_min(0.0);
        node.set_scroll_y_max((notes.content_height - notes.viewport.height).max(0.0).into());
        node.set_children(children);
        self.add(NOTES, node, notes.viewport)
    }

    fn add_block(&mut self, notes: &NotesScene, index: usize, block: &NoteItem, scroll: f32) -> NodeId {
        let id = NodeId(FIRST_BLOCK + index as u64 * BLOCK_IDS);
        let place = |area: Area| area.moved(notes.viewport.x, notes.viewport.y - scroll);
        let mut links = Vec::new();
        for (link, (range, address)) in block.text.links.iter().enumerate() {
            let mut node = named(Role::Link, block.text.text.get(range.clone()).unwrap_or(address));
            node.set_url(address.as_str());
            for action in [Action::Click, Action::Focus, Action::ScrollIntoView] {
                node.add_action(action);
            }
            let area = notes.link_areas(index, link).first().copied().unwrap_or(block.area);
            links.push(self.add(node_of(FocusStop::Link { block: index, link }), node, place(area)));
        }
        let mut node = match &block.kind {
            NoteBlockKind::Heading(level) => {
                let mut node = named(Role::Heading, &block.text.text);
                // The page's own heading is the one of level 1.
                node.set_level(level + 1);
                node
            }
            NoteBlockKind::Paragraph { .. } => named(Role::Paragraph, &block.text.text),
            NoteBlockKind::Item { marker, .. } => named(Role::ListItem, &format!("{marker} {}", block.text.text)),
        };
        node.set_children(links);
        self.add(id, node, place(block.area))
    }
}

fn named(role: Role, name: &str) -> Node {
    let mut node = Node::new(role);
    node.set_label(name);
    node
}

/// Makes a node for text; its value is its name.
fn label(text: &str) -> Node {
    let mut node = Node::new(Role::Label);
    node.set_value(text);
    node
}

#[cfg(test)]
mod tests {
    use super::{FocusStop, node_of, stop_of};

    #[test]
    fn each_stop_has_a_node_of_its_own() {
        let stops = [
            FocusStop::Notes,
            FocusStop::Button(0),
            FocusStop::Button(7),
            FocusStop::Link { block: 0, link: 0 },
            FocusStop::Link { block: 499, link: 49 },
        ];
        for stop in stops {
            assert_eq!(stop_of(node_of(stop)), Some(stop));
        }
    }
}
