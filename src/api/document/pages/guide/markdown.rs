//! Rendering of a chapter as HTML: headings get anchors, and links and images the URLs at which they are served.

use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Something that a chapter refers to.
pub enum Target<'a> {
    /// A link to this URL or file.
    Link(&'a str),
    /// An image in this file.
    Image(&'a str),
}

/// A chapter as HTML.
pub struct Rendered {
    /// Text of the first heading.
    pub title: String,
    /// The whole chapter, with its first heading.
    pub html: String,
}

/// Renders a chapter. `resolve` returns the URL of a target; a link without a URL becomes plain text.
pub fn render(text: &str, resolve: impl Fn(Target) -> Option<String>) -> Rendered {
    let mut title = None;
    let mut events = Vec::new();
    let mut anchors = Anchors::default();
    let mut links_kept = Vec::new();
    // Position of the heading that is being read.
    let mut heading = 0;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                heading = events.len();
                events.push(event);
            }
            Event::End(TagEnd::Heading(level)) => {
                let words = plain_text(&events[heading..]);
                let anchor = anchors.take(&words);
                if let Event::Start(Tag::Heading { id, .. }) = &mut events[heading] {
                    *id = Some(anchor.clone().into());
                }
                if level == HeadingLevel::H1 {
                    let _ = title.get_or_insert(words);
                } else {
                    events.push(Event::InlineHtml(link_to(&anchor)));
                }
                events.push(event);
            }
            Event::Start(Tag::Link { ref dest_url, .. }) => {
                let url = resolve(Target::Link(dest_url));
                links_kept.push(url.is_some());
                events.extend(url.map(|url| with_url(event, url)));
            }
            Event::End(TagEnd::Link) => {
                if links_kept.pop() == Some(true) {
                    events.push(event);
                }
            }
            Event::Start(Tag::Image { ref dest_url, .. }) => {
                let url = resolve(Target::Image(dest_url)).unwrap_or_default();
                events.push(with_url(event, url));
            }
            // Wide tables scroll by themselves, so that the page does not.
            Event::Start(Tag::Table(_)) => {
                events.push(Event::Html("<div class=\"table\">".into()));
                events.push(event);
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                events.push(Event::Html("</div>\n".into()));
            }
            event => events.push(event),
        }
    }
    let mut rendered = String::new();
    html::push_html(&mut rendered, events.into_iter());
    Rendered {
        title: title.unwrap_or_default(),
        html: with_classes(&rendered),
    }
}

/// Returns the start of a link or an image with another address.
fn with_url(mut event: Event<'_>, url: String) -> Event<'_> {
    if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = &mut event {
        *dest_url = url.into();
    }
    event
}

fn plain_text(events: &[Event]) -> String {
    events
        .iter()
        .map(|event| match event {
            Event::Text(text) | Event::Code(text) => text.as_ref(),
            Event::SoftBreak => " ",
            _ => "",
        })
        .collect()
}

fn link_to(anchor: &str) -> CowStr<'static> {
    let link =
        format!("<a class=\"anchor\" href=\"#{anchor}\" aria-label=\"Link to this section\">#</a>");
    link.into()
}

/// Replaces the style attributes of aligned cells by classes: the policy of the pages allows no inline styles.
fn with_classes(html: &str) -> String {
    ["left", "center", "right"]
        .iter()
        .fold(html.to_owned(), |html, side| {
            html.replace(
                &format!(" style=\"text-align: {side}\""),
                &format!(" class=\"{side}\""),
            )
        })
}

/// Anchors of the headings, as code forges make them, so that links work there, too.
#[derive(Default)]
struct Anchors(HashMap<String, usize>);

impl Anchors {
    fn take(&mut self, heading: &str) -> String {
        let anchor: String = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .flat_map(char::to_lowercase)
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let taken = self.0.entry(anchor.clone()).or_default();
        let number = *taken;
        *taken += 1;
        match number {
            0 => anchor,
            _ => format!("{anchor}-{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Rendered {
        render(text, |target| match target {
            Target::Link("known.md") => Some("/docs/known".to_owned()),
            Target::Link(_) => None,
            Target::Image(name) => Some(format!("/images/{name}")),
        })
    }

    #[test]
    fn headings_have_anchors() {
        let page = rendered("# The `A` & B\n\n## What's new?\n\n## What's new?\n");
        assert_eq!(page.title, "The A & B");
        for part in [
            "<h1 id=\"the-a--b\">",
            "<h2 id=\"whats-new\">",
            "<h2 id=\"whats-new-1\">",
            "href=\"#whats-new-1\"",
        ] {
            assert!(page.html.contains(part), "{part}: {}", page.html);
        }
    }

    #[test]
    fn links_lead_to_what_is_served() {
        let page = rendered("[one](known.md), [two](other.md), ![three](a.png)");
        assert_eq!(
            page.html.trim(),
            "<p><a href=\"/docs/known\">one</a>, two, <img src=\"/images/a.png\" alt=\"three\" /></p>"
        );
    }

    #[test]
    fn tables_have_no_inline_styles() {
        let page = rendered("| a | b |\n|---|---:|\n| 1 | 2 |\n");
        assert!(
            page.html.starts_with("<div class=\"table\"><table>"),
            "{}",
            page.html
        );
        assert!(
            page.html.contains("<td class=\"right\">2</td>"),
            "{}",
            page.html
        );
        assert!(!page.html.contains("style="), "{}", page.html);
    }
}
