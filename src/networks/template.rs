//! User-defined templates with `{{placeholders}}` for the data of a downlink.

use base64::{Engine, engine::general_purpose::STANDARD};

use url::Url;

use crate::networks::downlink::{OutgoingDownlink, topic_level};

/// Placeholders that a template may contain.
pub const NAMES: [&str; 10] = [
    "network_device_id",
    "device",
    "application",
    "tenant",
    "payload_hex",
    "payload_base64",
    "f_port",
    "confirmed",
    "priority",
    "downlink_id",
];

/// Context of a placeholder, which determines the escaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A URL.
    Url,
    /// A JSON string, between its quotes.
    Json,
    /// A level of an MQTT topic.
    Topic,
}

impl Place {
    fn write(self, name: &str, value: &str) -> Result<String, String> {
        match self {
            Self::Url => Ok(url::form_urlencoded::byte_serialize(value.as_bytes())
                .collect::<String>()
                .replace('+', "%20")),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                Ok(quoted[1..quoted.len() - 1].to_owned())
            }
            Self::Topic => topic_level(&format!("{{{{{name}}}}}"), value).map(str::to_owned),
        }
    }
}

/// Checks that a template contains only known placeholders. The error names the field and the rule.
pub fn check(field: &str, template: &str) -> Result<(), String> {
    let known = |name: &str| match NAMES.contains(&name) {
        true => Ok(String::new()),
        false => {
            let names = NAMES.join(", ");
            Err(format!(
                "{field}: the placeholder {{{{{name}}}}} is unknown; it must be one of {names}"
            ))
        }
    };
    fill(template, known).map(drop)
}

/// Checks that a URL's scheme, host and port contain no placeholders. The error names the field and the
/// rule. A user who may change devices controls the values, and must not control the server that
/// receives the secret.
pub fn check_url(field: &str, template: &str) -> Result<(), String> {
    let (server, _) = split_url(template);
    if server.contains("{{") || server.contains("}}") {
        return Err(format!(
            "{field}: must have no {{{{names}}}} in scheme, host and port: devices determine their values, and \
             the secret must only be sent to one server"
        ));
    }
    check(field, template)
}

/// Fills in a URL. Whatever the values are, the URL keeps the server and the path prefix of the
/// template.
pub fn fill_in_url(template: &str, downlink: &OutgoingDownlink) -> Result<Url, String> {
    check_url("url", template)?;
    let filled = fill_in(template, downlink, Place::Url)?;
    let moved =
        || "the URL leads to another server or path when its placeholders are filled in".to_owned();
    let (server, path) = split_url(template);
    let own: Url = server.parse().map_err(|_| "the URL is invalid")?;
    let url: Url = filled
        .parse()
        .map_err(|_| "the URL is invalid when its placeholders are filled in")?;
    if url.origin() != own.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(moved());
    }
    // URL parsing would remove a segment of dots together with the one before. Values contain no slashes.
    let segments = |text: &str| -> Vec<String> {
        let path = text.split(['?', '#']).next().unwrap_or_default();
        path.split(['/', '\\']).map(str::to_owned).collect()
    };
    let pairs = segments(path)
        .into_iter()
        .zip(segments(split_url(&filled).1));
    for (before, after) in pairs {
        let plain = after.to_ascii_lowercase().replace("%2e", ".");
        if before != after && matches!(plain.as_str(), "." | "..") {
            return Err(moved());
        }
    }
    Ok(url)
}

/// Splits a URL after scheme, host and port. In http URLs a backslash also ends the host.
fn split_url(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '\\', '?', '#']);
    url.split_at(end.map_or(url.len(), |end| host + end))
}

/// Fills in a template. The error is a message for display.
pub fn fill_in(
    template: &str,
    downlink: &OutgoingDownlink,
    place: Place,
) -> Result<String, String> {
    fill(template, |name| match value(name, downlink) {
        Some(value) => place.write(name, &value),
        None => Err(format!(
            "{{{{{name}}}}} of the device is not known before its first uplink"
        )),
    })
}

/// Replaces each placeholder of a template with its value.
fn fill(template: &str, value: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), template);
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((name, after)) = behind.split_once("}}") else {
            break;
        };
        filled += before;
        filled += &value(name.trim())?;
        rest = after;
    }
    Ok(filled + rest)
}

fn value(name: &str, downlink: &OutgoingDownlink) -> Option<String> {
    Some(match name {
        "network_device_id" => downlink.network_device_id.clone(),
        "device" => downlink.names.device.clone()?,
        "application" => downlink.names.application.clone()?,
        "tenant" => downlink.names.tenant.clone()?,
        "payload_hex" => hex::encode(&downlink.payload),
        "payload_base64" => STANDARD.encode(&downlink.payload),
        "f_port" => downlink.f_port.to_string(),
        "confirmed" => downlink.confirmed.to_string(),
        "priority" => downlink.priority.as_str().to_owned(),
        "downlink_id" => downlink.id.to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::example_downlink;

    #[test]
    fn no_value_moves_a_url() {
        for template in [
            "https://{{device}}/down",
            "https://a.example{{device}}/down",
            "https://{{device}}.a.example",
            "https://a.example:{{f_port}}/down",
            "{{device}}://a.example/down",
            "https://a.example{{device",
            "https://a.example}}",
            "https://a.example{{x/y}}/down",
        ] {
            let rule = check_url("url", template).unwrap_err();
            assert!(
                rule.starts_with("url: must have no {{names}}"),
                "{template}: {rule}"
            );
            let error = fill_in_url(template, &example_downlink()).unwrap_err();
            assert_eq!(error, rule, "{template}");
        }
        for template in [
            "https://a.example/{{device}}/down?x={{device}}#{{device}}",
            "https://a.example?{{device}}",
            "https://a.example\\{{device}}/down",
            "http://a.example:81/x{{device}}{{application}}/down",
        ] {
            for value in [
                "d",
                "@evil.example",
                "//evil.example/",
                "\\\\evil.example",
                ".evil.example",
                ":80",
                "a\nHost: evil.example",
                "..",
                ".",
                "%2e%2e",
                "?#",
            ] {
                let mut downlink = example_downlink();
                downlink.names.device = Some(value.to_owned());
                downlink.names.application = Some(String::new());
                assert_eq!(check_url("url", template), Ok(()));
                let Ok(url) = fill_in_url(template, &downlink) else {
                    assert!([".", ".."].contains(&value), "{template} {value}");
                    continue;
                };
                assert_eq!(url.host_str(), Some("a.example"), "{url}");
                assert_eq!(url.username(), "", "{url}");
                let ends = !template.contains("/down") || url.path().ends_with("/down");
                assert!(ends, "{url}");
            }
        }
    }

    #[test]
    fn values_are_written_for_where_they_stand() {
        let named = |device: &str| {
            let mut downlink = example_downlink();
            downlink.names.device = Some(device.to_owned());
            downlink
        };
        let odd = named("a b\"+\"");
        let filled = |place| fill_in("<{{ device }}>", &odd, place);
        assert_eq!(filled(Place::Url).unwrap(), "<a%20b%22%2B%22>");
        assert_eq!(filled(Place::Json).unwrap(), r#"<a b\"+\">"#);
        let error = filled(Place::Topic).unwrap_err();
        assert!(
            error.starts_with("{{device}} cannot be part of a topic"),
            "{error}"
        );
        let plain = fill_in("{{device}}/{{f_port}}", &named("d 1"), Place::Topic);
        assert_eq!(plain.unwrap(), "d 1/15");
    }

    #[test]
    fn each_placeholder_has_its_value() {
        let all: Vec<String> = NAMES.iter().map(|name| format!("{{{{{name}}}}}")).collect();
        let filled = fill_in(&all.join(" "), &example_downlink(), Place::Json);
        assert_eq!(
            filled.unwrap(),
            "70B3D57ED0012345 dev 1 app1 ttn beef vu8= 15 true normal \
             0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11"
        );
        assert_eq!(check("body", &all.join("")), Ok(()));
        let rule = check("body", "{{device}} {{nothing}}").unwrap_err();
        assert!(
            rule.starts_with("body: the placeholder {{nothing}}"),
            "{rule}"
        );
    }

    #[test]
    fn a_url_has_no_credentials_of_its_own() {
        for template in ["https://u@a.example/x", "https://:p@a.example/x"] {
            assert!(
                fill_in_url(template, &example_downlink()).is_err(),
                "{template}"
            );
        }
    }
}
