//! No file may import itself: neither through others, nor through its parent module.
//!
//! Imports are `use` trees, and paths that begin with `crate`, `super`, `self` or the name of an imported module,
//! also in macros and attributes. A parent that declares a module, or calls `child::function()`, does not import it;
//! one that says `use child::Thing` does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;
use syn::{
    Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::repository;

/// SeaORM's relations are declared on both sides, so two related entities cannot but name each other.
const ENTITIES: &str = "src/store/entities/";

/// Paths in what macros and attributes are given, which is no syntax tree.
static PATHS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)+").unwrap());

#[test]
fn no_file_imports_itself() {
    let mut imports = Imports::default();
    for root in roots() {
        imports.add_crate(&root);
    }
    assert!(imports.0.len() > 40, "{}", imports.0.len());
    let circles: BTreeSet<String> = imports
        .0
        .keys()
        .filter_map(|file| Some(imports.shortest_circle(file)?.join("\n    -> ")))
        .collect();
    let circles: Vec<String> = circles.into_iter().collect();
    assert!(
        circles.is_empty(),
        "files that import each other in a circle:\n\n{}\n",
        circles.join("\n\n")
    );
}

/// The circles that the test must find, and the imports that make none.
#[test]
fn a_circle_is_found_however_it_is_written() {
    let circles = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join("src").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut imports = Imports::default();
        imports.add_crate_of(folder.path(), &folder.path().join("src/lib.rs"));
        let in_circles = imports
            .0
            .keys()
            .filter(|file| imports.shortest_circle(file).is_some());
        in_circles.count()
    };
    let two = |a: &str, b: &str| circles(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)]);
    let back = "use crate::a::A;";
    assert_eq!(two("use crate::b::{self, B};", back), 2);
    assert_eq!(two("use super::{b::B, c};", back), 2);
    assert_eq!(two("fn a() { crate::b::b() }", back), 2);
    assert_eq!(two("fn a() { println!(\"{}\", crate::b::b()) }", back), 2);
    assert_eq!(two("#[serde(with = \"crate::b\")] struct A;", back), 2);
    assert_eq!(two("mod inner { use super::super::b::B; }", back), 2);
    assert_eq!(two("", back), 0);
    assert_eq!(two("#[cfg(test)] mod tests { use crate::b::B; }", back), 0);
    assert_eq!(two("#[cfg(test)] use crate::b::B;", back), 0);
    assert_eq!(two("//! [`crate::b`]\npub(in crate::b) struct A;", back), 0);

    let parent = |parent: &str, child: &str| {
        circles(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", parent),
            ("a/b.rs", child),
        ])
    };
    assert_eq!(parent("mod b; pub use b::B;", "use super::A;"), 2);
    assert_eq!(parent("mod b; fn a() { self::b::b() }", "use super::A;"), 2);
    assert_eq!(parent("mod b; fn a() { b::b() }", "use super::A;"), 0);
    assert_eq!(parent("pub mod b;", "use super::A;"), 0);
    assert_eq!(
        parent("#[cfg(test)] mod b; pub use b::B;", "use super::A;"),
        0
    );

    let through_a_module = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b; fn a() { b::c::c() }"),
        ("b/mod.rs", "pub mod c;"),
        ("b/c.rs", "use crate::a::A;"),
    ];
    assert_eq!(circles(&through_a_module), 2);
}

/// The crates of the repository: the hub, the schema's, and those that are apart from the hub.
fn roots() -> Vec<PathBuf> {
    let mut roots = vec![
        repository("src/lib.rs"),
        repository("migrations/src/lib.rs"),
    ];
    if let Ok(crates) = fs::read_dir(repository("crates")) {
        roots.extend(crates.map(|entry| entry.unwrap().path().join("src/lib.rs")));
    }
    roots.retain(|root| root.exists());
    roots
}

/// The files that each file imports.
#[derive(Default)]
struct Imports(BTreeMap<String, BTreeSet<String>>);

impl Imports {
    fn add_crate(&mut self, root: &Path) {
        self.add_crate_of(&repository(""), root);
    }

    fn add_crate_of(&mut self, repository: &Path, root: &Path) {
        let mut modules = Modules::default();
        modules.add(repository, root, root.parent().unwrap(), Vec::new());
        for (path, module) in &modules.0 {
            let mut reader = Reader::new(path.clone(), &modules);
            reader.visit_file(&module.code);
            let imported = reader.found.into_iter().filter(|file| {
                let are_entities = file.starts_with(ENTITIES) && module.file.starts_with(ENTITIES);
                *file != module.file && !are_entities
            });
            self.0.insert(module.file.clone(), imported.collect());
        }
    }

    /// The shortest way from a file back to itself.
    fn shortest_circle(&self, file: &str) -> Option<Vec<&str>> {
        let (start, _) = self.0.get_key_value(file)?;
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start.as_str()]);
        while let Some(file) = queue.pop_front() {
            for next in self.0.get(file).into_iter().flatten() {
                if came_from.contains_key(next.as_str()) {
                    continue;
                }
                came_from.insert(next, file);
                if next == start {
                    return Some(walk_back(start, &came_from));
                }
                queue.push_back(next);
            }
        }
        None
    }
}

fn walk_back<'a>(start: &'a str, came_from: &BTreeMap<&'a str, &'a str>) -> Vec<&'a str> {
    let mut circle = vec![start];
    let mut at = came_from[start];
    while at != start {
        circle.push(at);
        at = came_from[at];
    }
    circle.push(start);
    circle.reverse();
    circle
}

struct Module {
    file: String,
    code: syn::File,
}

/// The modules of a crate that lie in files of their own, by their paths. Modules of tests are left out.
#[derive(Default)]
struct Modules(BTreeMap<Vec<String>, Module>);

impl Modules {
    fn add(&mut self, repository: &Path, file: &Path, children: &Path, path: Vec<String>) {
        let code = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let declared: Vec<String> = code
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Mod(module) if module.content.is_none() && !is_test(&module.attrs) => {
                    Some(module.ident.to_string())
                }
                _ => None,
            })
            .collect();
        let name = file.strip_prefix(repository).unwrap();
        let file = name.to_str().unwrap().to_owned();
        self.0.insert(path.clone(), Module { file, code });
        for name in declared {
            let folder = children.join(&name);
            let alone = children.join(format!("{name}.rs"));
            let file = if alone.exists() {
                alone
            } else {
                folder.join("mod.rs")
            };
            let path = [&path[..], &[name]].concat();
            self.add(repository, &file, &folder, path);
        }
    }

    /// The file of the innermost module of a path.
    fn file(&self, path: &[String]) -> Option<&str> {
        (0..=path.len())
            .rev()
            .find_map(|end| self.0.get(&path[..end]))
            .map(|module| module.file.as_str())
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// Reads a file for the modules that it names.
struct Reader<'a> {
    /// The module that is being read; inline modules make it longer for a while.
    module: Vec<String>,
    modules: &'a Modules,
    /// Modules that were imported by name, so that a path may begin with them.
    names: BTreeMap<String, Vec<String>>,
    found: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(module: Vec<String>, modules: &'a Modules) -> Self {
        Self {
            module,
            modules,
            names: BTreeMap::new(),
            found: BTreeSet::new(),
        }
    }

    /// The path from the crate's root, if it leads into this crate.
    fn resolve_use(&self, path: &[String]) -> Option<Vec<String>> {
        self.resolve(path).or_else(|| {
            let child = [&self.module[..], path.get(..1)?].concat();
            let is_child = self.modules.0.contains_key(&child);
            is_child.then(|| [&self.module, path].concat())
        })
    }

    /// Resolves a path outside of `use`, where the name of a child is not an import.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        if let Some(module) = self.names.get(first) {
            return Some([module, rest].concat());
        }
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let parent = self.module.len().checked_sub(ups)?;
                Some([&self.module[..parent], &path[ups..]].concat())
            }
            _ => None,
        }
    }

    fn note(&mut self, path: Option<Vec<String>>) {
        if let Some(file) = path.and_then(|path| self.modules.file(&path)) {
            self.found.insert(file.to_owned());
        }
    }

    fn note_text(&mut self, text: &str) {
        for path in PATHS.find_iter(text) {
            let names = path.as_str().split("::").map(|name| name.trim().to_owned());
            self.note(self.resolve(&names.collect::<Vec<_>>()));
        }
    }

    fn note_tree(&mut self, tree: &UseTree, before: &[String]) {
        match tree {
            UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.note_tree(&path.tree, &before);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(tree, before);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = before.last().unwrap().clone();
                self.note_name(before, name);
            }
            UseTree::Name(name) => {
                let path = [before, &[name.ident.to_string()]].concat();
                self.note_name(&path, name.ident.to_string());
            }
            UseTree::Rename(rename) => {
                let path = [before, &[rename.ident.to_string()]].concat();
                self.note_name(&path, rename.rename.to_string());
            }
            UseTree::Glob(_) => self.note(self.resolve_use(before)),
        }
    }

    fn note_name(&mut self, path: &[String], name: String) {
        let path = self.resolve_use(path);
        self.note(path.clone());
        if let Some(path) = path
            && self.modules.0.contains_key(&path)
        {
            self.names.insert(name, path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.note_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.note(self.resolve(&names.collect::<Vec<_>>()));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.note_text(&call.tokens.to_string());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.note_text(&list.tokens.to_string());
        }
    }

    /// A visibility names a module without importing it.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
