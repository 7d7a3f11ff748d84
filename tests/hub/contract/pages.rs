//! The pages of the API: what they link to is there, what they load comes from the hub, compressed and cached.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use flate2::read::GzDecoder;
use regex::Regex;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use crate::support::{
    database::Database,
    server::{Hub, program},
};

const PAGES: [&str; 4] = ["/", "/docs", "/docs/reference", "/docs/guide/"];
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Links and files of a page, relative to the origin and without those elsewhere.
fn targets(html: &str) -> Vec<String> {
    let attribute = Regex::new(r#"(?:href|src)="([^"]*)""#).unwrap();
    attribute
        .captures_iter(html)
        .map(|found| found[1].to_owned())
        .filter(|url| !url.starts_with("https://") && !url.starts_with("data:"))
        .collect()
}

fn ids(html: &str) -> BTreeSet<String> {
    let attribute = Regex::new(r#"\bid="([^"]*)""#).unwrap();
    let found = attribute.captures_iter(html);
    found.map(|found| found[1].to_owned()).collect()
}

/// Every page that can be reached from the landing page, by path.
async fn crawl(hub: &Hub) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut waiting = vec!["/".to_owned()];
    while let Some(path) = waiting.pop() {
        if pages.contains_key(&path) {
            continue;
        }
        let answer = hub.answer(hub.request(Method::GET, &path)).await;
        assert_eq!(answer.status, 200, "{path}");
        let content_type = answer.headers["content-type"].to_str().unwrap();
        if content_type.starts_with("text/html") {
            let found = targets(&answer.text).into_iter();
            let paths = found.filter_map(|url| Some(url.split('#').next()?.to_owned()));
            waiting.extend(paths.filter(|path| !path.is_empty()));
        }
        pages.insert(path, answer.text);
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_leads_somewhere() {
    let hub = Hub::start(Database::Sqlite).await;
    let pages = crawl(&hub).await;
    let chapters = pages.keys().filter(|path| path.starts_with("/docs/guide/"));
    assert!(chapters.count() > 20, "{:?}", pages.keys());
    for path in PAGES.into_iter().chain(["/openapi-3.1.yaml", "/readyz"]) {
        assert!(pages.contains_key(path), "no link to {path}");
    }
    // Scripts and documents contain texts that look like links.
    let texts = pages.iter();
    for (path, html) in texts.filter(|(_, text)| text.starts_with("<!doctype html>")) {
        for target in targets(html) {
            let (page, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let page = if page.is_empty() { path } else { page };
            let is_there = anchor.is_empty() || ids(&pages[page]).contains(anchor);
            assert!(is_there, "{path} links to {target}");
        }
    }
    // The document's links to the guide, whose anchors are those of the pages.
    let document: Value = serde_json::from_str(&pages["/openapi.json"]).unwrap();
    let description = document["info"]["description"].as_str().unwrap();
    let links = Regex::new(r"\]\(([^)]*)\)").unwrap();
    let links = links
        .captures_iter(description)
        .map(|link| link[1].to_owned());
    let tags = document["tags"].as_array().unwrap().iter();
    let urls = tags.map(|tag| tag["externalDocs"]["url"].as_str().unwrap().to_owned());
    for url in links.chain(urls) {
        assert!(pages.contains_key(&url), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_run_only_their_own_scripts() {
    let hub = Hub::start(Database::Sqlite).await;
    let inline = Regex::new(r"<script(?: [^>]*)?>[^<]|\son\w+=").unwrap();
    for path in PAGES.into_iter().chain(["/docs/guide/errors"]) {
        let answer = hub.answer(hub.request(Method::GET, path)).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        let sources = match path {
            "/docs" | "/docs/reference" => "default-src 'self'",
            _ => "default-src 'none'",
        };
        let parts: Vec<_> = policy.split(';').map(str::trim).collect();
        for part in [sources, "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(parts.contains(&part), "{path}: {policy}");
        }
        let scripts = policy.split(';').find(|part| part.contains("script-src"));
        assert_eq!(scripts, None, "{path}: default-src is the rule for scripts");
        assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
        assert!(!inline.is_match(&answer.text), "{path}");
        // Links to other places are for people to follow, not loaded.
        assert!(!answer.text.contains("src=\"http"), "{path}");
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_makes_no_difference() {
    let hub = Hub::start(Database::Sqlite).await;
    for path in ["/docs", "/docs/reference", "/docs/guide"] {
        let plain = hub.answer(hub.request(Method::GET, path)).await;
        let with_slash = hub.request(Method::GET, &format!("{path}/"));
        let with_slash = hub.answer(with_slash).await;
        assert_eq!((plain.status, with_slash.status), (200, 200), "{path}");
        assert_eq!(plain.text, with_slash.text, "{path}");
    }
    for path in [
        "/docs/nothing",
        "/docs/guide/nothing",
        "/docs/guide/decisions",
        "/docs/assets/nothing.js",
        "/docs//",
        "/openapi-3.2.json",
    ] {
        hub.get(path).await.refused(404);
    }
    for path in PAGES {
        let head = hub.answer(hub.request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        let posted = hub.answer(hub.request(Method::POST, path)).await;
        posted.refused(404);
    }
}

struct Loaded {
    headers: HeaderMap,
    bytes: Vec<u8>,
}

async fn load(hub: &Hub, path: &str, accepted: Option<&str>) -> Loaded {
    let mut request = hub.request(Method::GET, path);
    if let Some(accepted) = accepted {
        request = request.header("Accept-Encoding", accepted);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    Loaded {
        headers: response.headers().clone(),
        bytes: response.bytes().await.unwrap().to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_compressed_and_assets_kept() {
    let hub = Hub::start(Database::Sqlite).await;
    let pages = PAGES.map(str::to_owned).to_vec();
    let documents = ["/openapi.json", "/openapi.yaml", "/openapi-3.1.json"];
    let mut assets = BTreeSet::new();
    for page in &pages {
        let html = hub.answer(hub.request(Method::GET, page)).await.text;
        let loaded = targets(&html).into_iter();
        assets.extend(loaded.filter(|path| path.starts_with("/docs/assets/")));
    }
    assert!(assets.len() >= 6, "{assets:?}");
    let revalidated = pages.into_iter().chain(documents.map(str::to_owned));
    let revalidated = revalidated.map(|path| (path, "no-cache"));
    for (path, caching) in revalidated.chain(assets.into_iter().map(|path| (path, IMMUTABLE))) {
        let plain = load(&hub, &path, None).await;
        assert_eq!(plain.headers["cache-control"], caching, "{path}");
        assert!(!plain.headers.contains_key("content-encoding"), "{path}");
        if plain.bytes.len() < 1024 {
            continue;
        }
        assert_eq!(plain.headers["vary"], "accept-encoding", "{path}");
        let refused = load(&hub, &path, Some("br, gzip;q=0")).await;
        assert!(!refused.headers.contains_key("content-encoding"), "{path}");
        let small = load(&hub, &path, Some("br;q=1.0, gzip;q=0.5")).await;
        assert_eq!(small.headers["content-encoding"], "gzip", "{path}");
        assert_eq!(small.headers["cache-control"], caching, "{path}");
        let lengths = (small.bytes.len(), plain.bytes.len());
        assert!(lengths.0 * 10 < lengths.1 * 7, "{path}: {lengths:?}");
        let mut unpacked = Vec::new();
        let mut reader = GzDecoder::new(small.bytes.as_slice());
        reader.read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.bytes, "{path}");
    }
}

/// The document in either format (JSON is YAML, too). A file and a hub may name other servers.
fn without_servers(text: &[u8]) -> serde_yaml::Value {
    let mut document: serde_yaml::Value = serde_yaml::from_slice(text).unwrap();
    let servers = document.as_mapping_mut().unwrap().remove("servers");
    assert!(servers.is_some());
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_documents_are_those_of_the_command() {
    let hub = Hub::start(Database::Sqlite).await;
    for (path, flags, media_type) in [
        ("/openapi.json", &[][..], "application/json"),
        ("/openapi.yaml", &["--yaml"], "application/yaml"),
        (
            "/openapi-3.1.json",
            &["--openapi-version", "3.1"],
            "application/json",
        ),
        (
            "/openapi-3.1.yaml",
            &["--openapi-version", "3.1", "--yaml"],
            "application/yaml",
        ),
    ] {
        let served = load(&hub, path, None).await;
        let printed = program().arg("openapi").args(flags).output().await.unwrap();
        assert!(printed.status.success(), "{flags:?}");
        assert!(
            without_servers(&served.bytes) == without_servers(&printed.stdout),
            "{path}"
        );
        assert_eq!(served.headers["content-type"], media_type, "{path}");
    }
    let refused = program()
        .args(["openapi", "--openapi-version", "2.0"])
        .output();
    assert_eq!(refused.await.unwrap().status.code(), Some(2));
}

/// The server in the document is the one that served it, wherever it is reached.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_in_the_document_is_reached() {
    let hub = Hub::start(Database::Sqlite).await;
    let document = hub.get("/openapi.json").await.ok();
    let origin = format!("https://{}/openapi.json", hub.address);
    let origin = reqwest::Url::parse(&origin).unwrap();
    let server = document["servers"][0]["url"].as_str().unwrap();
    let server = origin.join(server).unwrap();
    assert_eq!(server.origin(), origin.origin());
    hub.get(server.join("livez").unwrap().path()).await.ok();

    let flags = ["--public-url", "https://hub.example"];
    let hub = Hub::start_with(Database::Sqlite, &flags).await;
    let document = hub.get("/openapi-3.1.json").await.ok();
    assert_eq!(document["servers"][0]["url"], "https://hub.example");
}
