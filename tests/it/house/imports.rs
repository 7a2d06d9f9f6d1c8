//! Which file of `src` imports which, read from the text: what `use` names, and paths that begin with `crate::`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder and those below it that end in `.rs`.
pub fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files by the name of their module (`bulk::export::fetch`), each with those it imports.
pub struct Imports {
    files: BTreeMap<String, PathBuf>,
    graph: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    /// Reads them all.
    pub fn of(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        for file in source_files(src) {
            let inside = file.strip_prefix(src).unwrap().with_extension("");
            let words: Vec<_> = inside.iter().map(|word| word.to_string_lossy()).collect();
            let module = words.join("::");
            let module = module.strip_suffix("::mod").unwrap_or(&module);
            files.insert(module.to_owned(), file);
        }
        let mut graph = BTreeMap::new();
        for (module, file) in &files {
            let text = code(&fs::read_to_string(file).unwrap());
            let mut imported = BTreeSet::new();
            for path in paths(&text) {
                let Some(path) = absolute(&path, module) else {
                    continue;
                };
                // A folder's own file declares what is below it, and that is no import.
                let below = format!("{module}::");
                let found = longest(&path, &files);
                imported
                    .extend(found.filter(|found| found != module && !found.starts_with(&below)));
            }
            graph.insert(module.clone(), imported);
        }
        Self { files, graph }
    }

    /// The circles: files each of which leads to every other one. The first two of a circle import each other, or one
    /// leads to the other by way of the rest.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> = self
            .graph
            .keys()
            .map(|module| (module, self.reached_from(module)))
            .collect();
        let mut circles: Vec<Vec<String>> = Vec::new();
        for (module, from) in &reached {
            let others = from.iter().filter(|other| reached[*other].contains(module));
            let mut circle: Vec<String> = others.map(|other| self.name(other)).collect();
            if from.contains(module) && circle.len() > 1 {
                circle.sort();
                circles.push(circle);
            }
        }
        circles.sort();
        circles.dedup();
        circles
    }

    /// All that a module leads to.
    fn reached_from(&self, module: &String) -> BTreeSet<&String> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&String> = self.graph[module].iter().collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(&self.graph[next]);
            }
        }
        reached
    }

    /// A file as it is called below the root of the project.
    fn name(&self, module: &str) -> String {
        let path = &self.files[module];
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        path.strip_prefix(root).unwrap().display().to_string()
    }
}

/// The text without comments and without the tests at its foot.
pub fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let text = text.split("#[cfg(all(test, unix))]\nmod ").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths in `use …;`, and those that begin with `crate::` elsewhere.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, _) in text.match_indices("use ") {
        let before = text[..index].chars().next_back();
        if before.is_none_or(char::is_whitespace) {
            let tree = text[index + 4..].split(';').next().unwrap();
            let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
            expand("", &tree, &mut found);
        }
    }
    for rest in text.split("crate::").skip(1) {
        let end =
            rest.find(|character: char| !character.is_alphanumeric() && !"_:".contains(character));
        let path = rest[..end.unwrap_or(rest.len())].trim_end_matches(':');
        found.push(format!("crate::{path}"));
    }
    found
}

/// The single paths of `a::{b, c::{d, e}}`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let (mut depth, mut item) = (0, String::new());
    for character in tree.chars().chain([',']) {
        match character {
            ',' if depth == 0 => {
                let text = std::mem::take(&mut item);
                let text = text.trim();
                match text.split_once('{') {
                    Some((head, rest)) => {
                        let inner = rest.strip_suffix('}').unwrap_or(rest);
                        expand(&format!("{prefix}{head}"), inner, found);
                    }
                    None if text.is_empty() => {}
                    None => {
                        let path = text.split(" as ").next().unwrap();
                        found.push(format!("{prefix}{path}"));
                    }
                }
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        item.push(character);
    }
}

/// A path from the root of the crate; `None` for other crates.
fn absolute(path: &str, module: &str) -> Option<String> {
    if let Some(path) = path.strip_prefix("crate::") {
        return Some(path.to_owned());
    }
    if let Some(path) = path.strip_prefix("self::") {
        return Some(format!("{module}::{path}"));
    }
    let mut base: Vec<&str> = module.split("::").collect();
    let mut rest = path.strip_prefix("super::")?;
    base.pop();
    while let Some(further) = rest.strip_prefix("super::") {
        rest = further;
        base.pop();
    }
    base.push(rest);
    Some(base.join("::"))
}

/// The module that a path leads to: the longest part of it that is one.
fn longest(path: &str, files: &BTreeMap<String, PathBuf>) -> Option<String> {
    let mut path = path.trim_end_matches("::self");
    loop {
        if files.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}
