//! The hub's sources, as the tests of written rules read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::repository;

/// The folders of sources. A crate that is one module of the table has its name there beside it.
const FOLDERS: &[(&str, Option<&str>)] = &[
    ("src", None),
    ("crates/base/src", None),
    ("crates/driver/src", Some("driver")),
    ("crates/net/src", None),
];

/// Every source file: its top-level module, and its code without comments, settings' texts and
/// unit tests.
pub fn sources() -> Vec<(String, PathBuf, String)> {
    let mut sources = Vec::new();
    for (folder, counted_as) in FOLDERS {
        let root = repository(folder);
        let mut files = Vec::new();
        collect(&root, &mut files);
        assert!(!files.is_empty(), "{folder}");
        // Unit tests of a file that have a file of their own.
        files.retain(|file| !file.ends_with("tests.rs"));
        for file in files {
            let inner = file.strip_prefix(&root).unwrap();
            let first = inner.iter().next().unwrap().to_str().unwrap();
            let own = first.trim_end_matches(".rs");
            if own != "lib" && own != "main" {
                let module = counted_as.unwrap_or(own).to_owned();
                let mut text = code(&fs::read_to_string(&file).unwrap());
                if counted_as.is_some() {
                    // Its own modules stand in no table.
                    text = text.replace("crate::", "");
                }
                sources.push((module, file, text));
            }
        }
    }
    assert!(sources.len() > 40, "{}", sources.len());
    sources
}

pub fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines().map(|line| match line.find("//") {
        Some(at) if !line[..at].contains('"') => &line[..at],
        _ => line,
    });
    let lines: Vec<&str> = lines.collect();
    // Defaults of log filters name crates.
    lines.join("\n").replace("sea_orm_migration=warn", "")
}
