//! Compares the public interface with `docs/reference/public-interface.txt`, so that each change
//! shows in review.
//!
//! `PATCHER_BLESS=1 cargo test --test public_interface` writes the file anew.
//!
//! The test reads the list in `src/lib.rs` and finds each item by its name in the named module. It
//! keeps what an app developer can use: public fields, variants, methods, and the names of traits.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, Type, UseTree, Visibility};

const LIST: &str = "docs/reference/public-interface.txt";
const HEAD: &str = "\
// The public interface of the crate `patcher`, in the order of the list in src/lib.rs.
//
// Private fields and bodies are left out. tests/public_interface.rs fails if this file differs from
// the code; `PATCHER_BLESS=1 cargo test --test public_interface` writes it anew.

";

/// Types of the standard library that signatures mention.
const STANDARD: [&str; 19] = [
    "Box",
    "Duration",
    "Infallible",
    "Option",
    "OsString",
    "Path",
    "PathBuf",
    "Self",
    "String",
    "Vec",
    "bool",
    "i32",
    "i64",
    "str",
    "u16",
    "u32",
    "u64",
    "u8",
    "usize",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn parse(path: &Path) -> syn::File {
    syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the items of all files of the library, each with the top module that holds it.
fn items() -> Vec<(String, Item)> {
    let src = root().join("src");
    let files = walkdir::WalkDir::new(&src).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.unwrap().into_path()).filter(|path: &PathBuf| {
        let is_code = path.extension().is_some_and(|end| end == "rs");
        is_code && !path.iter().any(|part| part == "bin" || part == "tests" || part == "tests.rs")
    });
    let items = files.flat_map(|path| {
        let module = path.strip_prefix(&src).unwrap().iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs").to_owned();
        parse(&path).items.into_iter().map(move |item| (module.clone(), item))
    });
    items.collect()
}

/// An item of the public list: the crate or module that it comes from, and its name.
struct Listed {
    source: String,
    name: String,
}

impl Listed {
    fn is_of_another_crate(&self) -> bool {
        ["semver", "serde_json", "url"].contains(&self.source.as_str())
    }
}

/// Returns the public `use` lines of `src/lib.rs`, in order.
fn listed() -> Vec<Listed> {
    let mut listed = Vec::new();
    for item in parse(&root().join("src/lib.rs")).items {
        if let Item::Use(item) = item
            && matches!(item.vis, Visibility::Public(_))
        {
            add_leaves(&item.tree, None, &mut listed);
        }
    }
    assert!(listed.len() > 30, "the public list is not where this test looks for it");
    listed
}

fn add_leaves(tree: &UseTree, source: Option<&str>, listed: &mut Vec<Listed>) {
    match tree {
        UseTree::Path(path) => add_leaves(&path.tree, Some(source.unwrap_or(&path.ident.to_string())), listed),
        UseTree::Group(group) => group.items.iter().for_each(|tree| add_leaves(tree, source, listed)),
        UseTree::Name(name) => {
            listed.push(Listed { source: source.unwrap_or_default().to_owned(), name: name.ident.to_string() });
        }
        _ => panic!("the public list renames an item or uses a glob"),
    }
}

/// Returns the name of an item that can be public.
fn name(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        Item::Enum(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        Item::Type(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        Item::Fn(item) if is_public(&item.vis) => Some(item.sig.ident.to_string()),
        Item::Trait(item) if is_public(&item.vis) => Some(item.ident.to_string()),
        _ => None,
    }
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    let is_hidden = |attribute: &Attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "hidden")
    };
    attributes.iter().any(is_hidden)
}

/// Keeps the attributes that callers notice.
fn keep_visible(attributes: &mut Vec<Attribute>) {
    let visible = ["derive", "non_exhaustive", "must_use"];
    attributes.retain(|attribute| visible.iter().any(|name| attribute.path().is_ident(name)));
}

fn keep_public_fields(fields: &mut Fields, is_variant: bool) {
    let keep = |field: &syn::Field| (is_variant || is_public(&field.vis)) && !is_hidden(&field.attrs);
    let mut kept: Vec<syn::Field> = fields.iter().filter(|field| keep(field)).cloned().collect();
    kept.iter_mut().for_each(|field| field.attrs.clear());
    match fields {
        Fields::Named(fields) => fields.named = kept.into_iter().collect(),
        Fields::Unnamed(_) if kept.is_empty() => *fields = Fields::Unit,
        Fields::Unnamed(fields) => fields.unnamed = kept.into_iter().collect(),
        Fields::Unit => {}
    }
}

/// Reduces an item to its declaration.
fn declaration(mut item: Item) -> Item {
    match &mut item {
        Item::Struct(item) => {
            keep_visible(&mut item.attrs);
            keep_public_fields(&mut item.fields, false);
        }
        Item::Enum(item) => {
            keep_visible(&mut item.attrs);
            for variant in &mut item.variants {
                keep_visible(&mut variant.attrs);
                keep_public_fields(&mut variant.fields, true);
            }
        }
        Item::Type(item) => keep_visible(&mut item.attrs),
        Item::Trait(item) => {
            keep_visible(&mut item.attrs);
            for inner in &mut item.items {
                if let syn::TraitItem::Fn(function) = inner {
                    keep_visible(&mut function.attrs);
                }
            }
        }
        Item::Fn(item) => {
            keep_visible(&mut item.attrs);
            item.block.stmts.clear();
        }
        _ => {}
    }
    item
}

/// Removes `mut` before arguments, which callers do not notice.
fn remove_mut(signature: &mut syn::Signature) {
    for input in &mut signature.inputs {
        match input {
            syn::FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
            syn::FnArg::Typed(argument) => {
                if let syn::Pat::Ident(name) = &mut *argument.pat {
                    name.mutability = None;
                }
            }
            syn::FnArg::Receiver(_) => {}
        }
    }
}

/// Returns the name of the type that a block implements.
fn implementer(item: &ItemImpl) -> Option<String> {
    let Type::Path(path) = &*item.self_ty else { return None };
    Some(path.path.segments.last()?.ident.to_string())
}

/// Reduces an implementation to its public methods, or to the name of its trait.
fn implementation(mut item: ItemImpl) -> Option<ItemImpl> {
    if item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) || is_hidden(&item.attrs) {
        return None;
    }
    item.attrs.clear();
    let is_trait = item.trait_.is_some();
    item.items.retain(|inner| match inner {
        ImplItem::Fn(function) => !is_trait && is_public(&function.vis) && !is_hidden(&function.attrs),
        _ => false,
    });
    for inner in &mut item.items {
        if let ImplItem::Fn(function) = inner {
            keep_visible(&mut function.attrs);
            function.block.stmts.clear();
            remove_mut(&mut function.sig);
        }
    }
    (is_trait || !item.items.is_empty()).then_some(item)
}

/// Returns the declarations and implementations of a listed item.
fn interface(listed: &Listed, items: &[(String, Item)]) -> Vec<Item> {
    let is_it =
        |(module, item): &&(String, Item)| *module == listed.source && name(item).as_ref() == Some(&listed.name);
    let declarations: Vec<_> = items.iter().filter(is_it).collect();
    let [(_, one)] = declarations[..] else {
        panic!("{} has {} public items with the name {}", listed.source, declarations.len(), listed.name)
    };
    let (mut methods, mut traits) = (None::<ItemImpl>, Vec::new());
    for (_, item) in items {
        if let Item::Impl(item) = item
            && implementer(item).as_ref() == Some(&listed.name)
            && let Some(item) = implementation(item.clone())
        {
            match &mut methods {
                _ if item.trait_.is_some() => traits.push(Item::Impl(item)),
                Some(methods) => methods.items.extend(item.items),
                None => methods = Some(item),
            }
        }
    }
    let methods = methods.map(Item::Impl);
    [declaration(one.clone())].into_iter().chain(methods).chain(traits).collect()
}

/// Collects the names of the types that signatures mention.
#[derive(Default)]
struct Mentioned(BTreeSet<String>);

impl<'ast> Visit<'ast> for Mentioned {
    fn visit_type_path(&mut self, path: &'ast syn::TypePath) {
        self.0.extend(path.path.segments.last().map(|segment| segment.ident.to_string()));
        visit::visit_type_path(self, path);
    }
}

/// Prints items as declarations without bodies.
fn print(items: Vec<Item>) -> String {
    let text = prettyplease::unparse(&syn::File { shebang: None, attrs: Vec::new(), items });
    let line = |line: &str| line.strip_suffix(" {}").map_or(line.to_owned(), |start| format!("{start};"));
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_public_interface_is_the_one_in_the_documentation() {
    let items = items();
    let mut text = HEAD.to_owned();
    for listed in listed() {
        if listed.is_of_another_crate() {
            text.push_str(&format!("pub use {}::{};\n\n", listed.source, listed.name));
        } else {
            text.push_str(&print(interface(&listed, &items)));
            text.push('\n');
        }
    }
    let text = format!("{}\n", text.trim_end());
    let path = root().join(LIST);
    if std::env::var_os("PATCHER_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let (mut old, mut new) = (written.lines(), text.lines());
    let difference = std::iter::from_fn(|| match (old.next(), new.next()) {
        (None, None) => None,
        lines => Some(lines),
    });
    let difference = difference.skip_while(|(old, new)| old == new).take(5).collect::<Vec<_>>();
    assert!(difference.is_empty(), "{LIST} differs from the code; see the head of the file. {difference:#?}");
}

#[test]
fn every_type_in_a_public_signature_is_public() {
    let items = items();
    let listed = listed();
    let public: BTreeSet<&str> = listed.iter().map(|item| item.name.as_str()).chain(STANDARD).collect();
    let mut missing = BTreeMap::new();
    for listed in listed.iter().filter(|listed| !listed.is_of_another_crate()) {
        for item in interface(listed, &items) {
            // Types in a trait implementation belong to the trait.
            if matches!(&item, Item::Impl(item) if item.trait_.is_some()) {
                continue;
            }
            let mut mentioned = Mentioned::default();
            mentioned.visit_item(&item);
            let is_private = |mentioned: &String| !public.contains(mentioned.as_str()) && mentioned.len() > 1;
            let private: Vec<_> = mentioned.0.into_iter().filter(is_private).collect();
            if !private.is_empty() {
                missing.insert(listed.name.clone(), private);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
