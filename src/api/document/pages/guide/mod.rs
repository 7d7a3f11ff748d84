//! The guide: the chapters in `docs/`, rendered as HTML and part of the program.

pub mod chapters;
mod markdown;

use std::fmt::Write;

use html_escape::encode_text;

use self::{
    chapters::{CHAPTERS, Chapter, GROUPS},
    markdown::{Rendered, Target},
};
use super::{
    assets::{Asset, Assets},
    layout::Page,
};

/// Path of the list of chapters, without the slash at its end.
pub const PATH: &str = "/docs/guide";

/// Returns the images in `docs/` that chapters show.
pub fn images() -> impl Iterator<Item = Asset> {
    let log_in = include_bytes!("../../../../../docs/images/log-in.png");
    let chart = include_str!("../../../../../docs/images/chart.svg");
    [
        Asset::png("images/log-in.png", log_in),
        Asset::svg("images/chart.svg", chart),
    ]
    .into_iter()
}

/// Returns the pages by path.
pub fn pages(assets: &Assets) -> Vec<(String, String)> {
    let rendered: Vec<Rendered> = CHAPTERS
        .iter()
        .map(|chapter| markdown::render(chapter.text, |target| resolve(target, assets)))
        .collect();
    let titles: Vec<&str> = rendered.iter().map(|page| page.title.as_str()).collect();
    let with_titles = |html: &str| {
        let names = CHAPTERS.iter().zip(&titles);
        names.fold(html.to_owned(), |html, (chapter, title)| {
            // In the repository, chapters refer to each other by file.
            let file = format!(">{}.md</a>", chapter.name);
            html.replace(&file, &format!(">{}</a>", encode_text(title)))
        })
    };
    let chapters = rendered.iter().enumerate().map(|(at, page)| {
        let path = format!("{PATH}/{}", CHAPTERS[at].name);
        (path, with_titles(&chapter_html(at, page, &titles, assets)))
    });
    [(PATH.to_owned(), index_html(&titles, assets))]
        .into_iter()
        .chain(chapters)
        .collect()
}

/// Returns the URL of what a chapter refers to; `None` if it is not served. Chapters are written as they are
/// read in the repository: `errors.md#retries`.
fn resolve(target: Target, assets: &Assets) -> Option<String> {
    match target {
        Target::Image(name) => assets.url(name).map(str::to_owned),
        Target::Link(url) if url.contains("://") || url.starts_with('#') => Some(url.to_owned()),
        Target::Link(url) => {
            let (file, anchor) = url.split_once('#').unwrap_or((url, ""));
            let name = file.strip_suffix(".md")?;
            CHAPTERS.iter().find(|chapter| chapter.name == name)?;
            let mark = if anchor.is_empty() { "" } else { "#" };
            Some(format!("{PATH}/{name}{mark}{anchor}"))
        }
    }
}

fn chapter_html(at: usize, page: &Rendered, titles: &[&str], assets: &Assets) -> String {
    let mut body = format!(
        "<div class=\"guide\">\n<main class=\"text\">\n{}\n",
        page.html
    );
    body += "<p class=\"turn\">";
    let before = at.checked_sub(1);
    let turns = [(before, "Previous", "prev"), (Some(at + 1), "Next", "next")];
    for (other, word, relation) in turns {
        let found = other.and_then(|other| Some((CHAPTERS.get(other)?, titles.get(other)?)));
        let _ = match found {
            Some((Chapter { name, .. }, title)) => write!(
                body,
                "<a rel=\"{relation}\" href=\"{PATH}/{name}\">{word}: {}</a>",
                encode_text(title)
            ),
            None => write!(body, "<span></span>"),
        };
    }
    body += "</p>\n</main>\n<nav class=\"contents\" aria-label=\"Chapters\">\n";
    for group in GROUPS {
        let _ = write!(body, "<h2>{group}</h2>\n<ul>\n");
        for (index, chapter) in in_group(group) {
            let current = if index == at {
                " aria-current=\"page\""
            } else {
                ""
            };
            let _ = writeln!(
                body,
                "<li><a href=\"{PATH}/{}\"{current}>{}</a></li>",
                chapter.name,
                encode_text(titles[index])
            );
        }
        body += "</ul>\n";
    }
    body += "</nav>\n</div>";
    framed(&page.title, &body, assets)
}

fn index_html(titles: &[&str], assets: &Assets) -> String {
    let mut body = "<main class=\"text\">\n<h1>Guide</h1>\n<p>The concepts behind the API. The \
        <a href=\"/docs/reference\">reference</a> describes every operation, and \
        <a href=\"/docs\">Swagger UI</a> sends requests from the browser.</p>\n"
        .to_owned();
    for group in GROUPS {
        let _ = write!(body, "<h2>{group}</h2>\n<dl class=\"chapters\">\n");
        for (index, chapter) in in_group(group) {
            let _ = writeln!(
                body,
                "<dt><a href=\"{PATH}/{}\">{}</a></dt><dd>{}</dd>",
                chapter.name,
                encode_text(titles[index]),
                encode_text(chapter.summary)
            );
        }
        body += "</dl>\n";
    }
    body += "</main>";
    framed("Guide", &body, assets)
}

fn in_group(group: &str) -> impl Iterator<Item = (usize, &'static Chapter)> {
    let chapters = CHAPTERS.iter().enumerate();
    chapters.filter(move |(_, chapter)| chapter.group == group)
}

fn framed(title: &str, body: &str, assets: &Assets) -> String {
    Page {
        title,
        place: "/docs/guide/",
        head: "",
        body,
    }
    .html(assets)
}
