//! Charts as pictures: the ones in the documentation are what the hub draws.
//!
//! `THINGSHUB_TEST_UPDATE=1` writes them anew. Pictures are compared by their pixels, without texts, whose fonts differ
//! between machines; the texts are compared as texts.

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree},
};
use roxmltree::Document;
use serde_json::json;

use super::charts::{minutes, picture};
use crate::{
    repository,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(the_pictures_of_the_documentation_are_what_is_drawn);

/// Pictures of the documentation, with their themes.
const PICTURES: [(&str, &str); 2] = [
    ("docs/images/chart.svg", "light"),
    ("docs/images/chart-dark.svg", "dark"),
];
/// 2026-06-01, a Monday, in UTC.
const START_S: u64 = 1_780_272_000;
/// Greatest difference of a colour that is taken for the same: edges are smoothed.
const SAME_COLOUR: u8 = 32;
/// Greatest part of the pixels that may differ, in thousandths.
const DIFFERENT_MAX: usize = 2;

async fn the_pictures_of_the_documentation_are_what_is_drawn(database: Database) {
    let hub = Hub::start(database).await;
    let columns = json!([{"path": "v", "type": "number", "unit": "°C"}]);
    let table = json!({"name": "Server rooms", "selector": "", "columns": columns});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    // Warm days and cool nights, with a little noise; one device is silent for some hours.
    let curve = |mean: u32, noise: u32| {
        format!(
            "cast({mean} - abs(n.i % 1440 - 720) / 180.0 + (n.i * {noise} % 17) / 40.0 AS text)"
        )
    };
    let day = 24 * 60;
    minutes(&hub, 3 * day, &table, "room-1", &curve(25, 31), START_S).await;
    minutes(&hub, day, &table, "room-2", &curve(28, 13), START_S).await;
    let later = START_S + 34 * 3600;
    minutes(&hub, 38 * 60, &table, "room-2", &curve(28, 13), later).await;
    for (file, theme) in PICTURES {
        let path = format!(
            "data-tables/{table}/chart.svg?timezone=Europe/Berlin&theme={theme}&width=800&height=260"
        );
        let drawn = picture(hub.get(&path).await);
        let file = repository(file);
        if std::env::var_os("THINGSHUB_TEST_UPDATE").is_some() {
            std::fs::write(&file, &drawn).unwrap();
        }
        let shown = std::fs::read_to_string(&file).unwrap();
        assert_eq!(texts(&drawn), texts(&shown), "texts of {}", file.display());
        let different = different(&pixels(&drawn), &pixels(&shown));
        assert!(
            different <= DIFFERENT_MAX,
            "{}: {different} of 1,000 pixels differ from what is drawn",
            file.display()
        );
    }
    let [light, dark] =
        PICTURES.map(|(file, _)| std::fs::read_to_string(repository(file)).unwrap());
    let different = different(&pixels(&light), &pixels(&dark));
    assert!(different > 500, "the themes differ by {different} of 1,000");
}

fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let texts = document.descendants().filter(|node| node.is_text());
    let texts = texts.filter_map(|node| node.text());
    texts.map(|text| text.trim().to_owned()).collect()
}

fn pixels(svg: &str) -> Pixmap {
    let tree = Tree::from_str(svg, &Options::default()).unwrap();
    let size = tree.size().to_int_size();
    let mut pixels = Pixmap::new(size.width(), size.height()).unwrap();
    resvg::render(&tree, Transform::default(), &mut pixels.as_mut());
    pixels
}

/// Returns how many of 1,000 pixels have another colour.
fn different(one: &Pixmap, other: &Pixmap) -> usize {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let pixels = one.pixels().iter().zip(other.pixels());
    let differ = pixels.filter(|(one, other)| {
        let pairs = [
            (one.red(), other.red()),
            (one.green(), other.green()),
            (one.blue(), other.blue()),
        ];
        pairs
            .iter()
            .any(|(one, other)| one.abs_diff(*other) > SAME_COLOUR)
    });
    (differ.count() * 1000).div_ceil(one.pixels().len())
}
