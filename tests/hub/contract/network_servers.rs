//! A network server is said once: its folder, its line in the list, and its settings in the document.

use std::fs;

use super::sources::sources;
use crate::repository;

/// Words that mean a protocol as well.
const PROTOCOLS: [&str; 2] = ["http", "mqtt"];
/// The list.
const LIST: &str = "networks/mod.rs";
/// The settings as clients write them: only the API names the library that makes the document.
const WRITTEN: &str = "api/networks/servers";

/// A line of the list.
struct Server {
    word: String,
    variant: String,
    folder: String,
}

fn listed() -> Vec<Server> {
    let list = fs::read_to_string(repository("src").join(LIST)).unwrap();
    let servers: Vec<Server> = list.lines().filter_map(server).collect();
    assert!(servers.len() >= 12, "{}", servers.len());
    servers
}

/// Reads `"word" => Variant(folder::Uplinks), ...;`.
fn server(line: &str) -> Option<Server> {
    let (word, rest) = line.trim().strip_prefix('"')?.split_once("\" => ")?;
    let (variant, rest) = rest.split_once('(')?;
    let (folder, _) = rest.split_once("::")?;
    Some(Server {
        word: word.to_owned(),
        variant: variant.to_owned(),
        folder: folder.to_owned(),
    })
}

/// Returns true if the code contains the word as a whole, not as part of another one.
fn says(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[test]
fn a_network_server_is_said_in_one_folder_and_one_line() {
    let root = repository("src");
    let mut wrong = Vec::new();
    let sources = sources();
    for server in listed() {
        let homes = [
            format!("networks/{}/", server.folder),
            format!("{WRITTEN}/{}.rs", server.folder),
            format!("{WRITTEN}/mod.rs"),
            LIST.to_owned(),
        ];
        for home in &homes {
            assert!(root.join(home).exists(), "there is no {home}");
        }
        if PROTOCOLS.contains(&&*server.word) {
            continue;
        }
        for (_, file, code) in &sources {
            let place = file.strip_prefix(&root).unwrap_or(file);
            let place = place.display().to_string();
            let is_home = homes.iter().any(|home| place.starts_with(home.as_str()));
            let words = [&server.word, &server.variant, &server.folder];
            if !is_home && words.iter().any(|word| says(code, word)) {
                wrong.push(format!("{place} says {}", server.word));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
