//! Step that links the document's tags and texts to the guide.

use serde_json::{Value, json};

use super::pages::guide::PATH;

/// Each tag, and the chapter of the guide about it.
const CHAPTERS: &[(&str, &str, &str)] = &[
    ("Log in", "authentication", "Log-in, tokens and API keys"),
    ("Network connections", "networks", "Network servers"),
    ("Drivers", "drivers", "Writing drivers"),
    ("Devices", "selectors", "Selecting devices by label"),
    ("Data tables", "selectors", "Selecting devices by label"),
    ("Integrations", "integrations", "Integrations"),
    ("Events", "selectors", "Selecting devices by label"),
    ("Users", "access", "Roles, passwords and limits"),
    ("API keys", "authentication", "Log-in, tokens and API keys"),
    ("Tenants", "access", "Roles, passwords and limits"),
    ("Audit log", "access", "Roles, passwords and limits"),
    ("Health", "errors", "Status codes and retries"),
];

/// Placeholder for the origin of the guide in the description of the document.
const ORIGIN: &str = "{origin}";

/// Adds `externalDocs` to each tag and completes the links in the description. With `public_url` the links are
/// absolute, otherwise they are relative to the server of the document.
pub fn add(document: &mut Value, public_url: Option<&str>) {
    let origin = origin(public_url);
    let tags = document["tags"].as_array_mut().into_iter().flatten();
    for tag in tags {
        let found = CHAPTERS.iter().find(|(name, ..)| tag["name"] == *name);
        if let Some((_, chapter, description)) = found {
            tag["externalDocs"] = json!({
                "description": description,
                "url": format!("{origin}{PATH}/{chapter}"),
            });
        }
    }
    let description = &mut document["info"]["description"];
    *description = description
        .as_str()
        .unwrap_or_default()
        .replace(ORIGIN, origin)
        .into();
}

/// Origin of links to the guide: empty if they are relative to the server of the document.
pub fn origin(public_url: Option<&str>) -> &str {
    public_url.unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        document::{
            form::{Form, Format, Version},
            pages::guide::chapters,
        },
        document_text,
    };

    fn document(public_url: Option<&str>) -> Value {
        let form = Form(Version::V3_0, Format::Json);
        serde_json::from_str(&document_text(public_url, form)).unwrap()
    }

    /// Every link to the guide in a text.
    fn links(text: &str) -> Vec<&str> {
        let mut parts = text.split(PATH);
        parts.next();
        parts
            .map(|rest| rest.trim_start_matches('/'))
            .map(|rest| rest.split([')', '#']).next().unwrap_or_default())
            .collect()
    }

    #[test]
    fn every_tag_has_a_chapter_and_every_chapter_exists() {
        let document = document(None);
        let is_there = |name: &str| {
            chapters::CHAPTERS
                .iter()
                .any(|chapter| chapter.name == name)
        };
        for tag in document["tags"].as_array().unwrap() {
            let url = tag["externalDocs"]["url"].as_str().unwrap_or_default();
            let name = url.strip_prefix("/docs/guide/").unwrap_or_default();
            assert!(is_there(name), "{tag}");
        }
        let description = document["info"]["description"].as_str().unwrap();
        let links = links(description);
        assert!(links.len() > 5, "{description}");
        for name in links.into_iter().filter(|name| !name.is_empty()) {
            assert!(is_there(name), "{name}");
        }
    }

    #[test]
    fn links_are_absolute_where_the_url_of_the_hub_is_known() {
        let document = document(Some("https://hub.example/"));
        let description = document["info"]["description"].as_str().unwrap();
        assert!(
            description.contains("(https://hub.example/docs/guide/errors)"),
            "{description}"
        );
        assert_eq!(
            document["tags"][0]["externalDocs"]["url"],
            "https://hub.example/docs/guide/authentication"
        );
        let errors = &document["paths"]["/api/v3/devices"]["get"]["description"];
        let errors = errors.as_str().unwrap();
        let link = "[those of every operation](https://hub.example/docs/guide/errors)";
        assert!(errors.contains(link), "{errors}");
    }
}
