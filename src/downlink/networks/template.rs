//! Templates of the user's: text with `{{names}}` of what is known of a downlink.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Parcel;

/// What a template may name.
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

/// Where a template's values stand, and so how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a URL.
    Url,
    /// In a text of JSON, between its quotes.
    Json,
    /// In a level of an MQTT topic.
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
            // Another character in its place would be the topic of another device.
            Self::Topic if value.contains(['/', '+', '#', '\0']) => Err(format!(
                "{{{{{name}}}}} cannot stand in a topic: it has a slash or a wildcard"
            )),
            Self::Topic => Ok(value.to_owned()),
        }
    }
}

/// Whether a template names what there is; the error names the field and the rule.
pub fn check(field: &str, template: &str) -> Result<(), String> {
    let known = |name: &str| match NAMES.contains(&name) {
        true => Ok(String::new()),
        false => {
            let names = NAMES.join(", ");
            Err(format!("{field}: there is no {{{{{name}}}}}, only {names}"))
        }
    };
    fill(template, known).map(drop)
}

/// The template with what is known of a downlink; the error is for a person.
pub fn fill_in(template: &str, parcel: &Parcel, place: Place) -> Result<String, String> {
    fill(template, |name| match value(name, parcel) {
        Some(value) => place.write(name, &value),
        None => Err(format!(
            "{{{{{name}}}}} of the device is not known before its first uplink"
        )),
    })
}

/// The template with a value in the place of each name.
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

fn value(name: &str, parcel: &Parcel) -> Option<String> {
    Some(match name {
        "network_device_id" => parcel.network_device_id.clone(),
        "device" => parcel.names.device.clone()?,
        "application" => parcel.names.application.clone()?,
        "tenant" => parcel.names.tenant.clone()?,
        "payload_hex" => hex::encode(&parcel.payload),
        "payload_base64" => STANDARD.encode(&parcel.payload),
        "f_port" => parcel.f_port.to_string(),
        "confirmed" => parcel.confirmed.to_string(),
        "priority" => parcel.priority.as_str().to_owned(),
        "downlink_id" => parcel.id.to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::parcel, *};

    #[test]
    fn values_are_written_for_where_they_stand() {
        let named = |device: &str| {
            let mut parcel = parcel();
            parcel.names.device = Some(device.to_owned());
            parcel
        };
        let odd = named("a b\"+\"");
        let filled = |place| fill_in("<{{ device }}>", &odd, place);
        assert_eq!(filled(Place::Url).unwrap(), "<a%20b%22%2B%22>");
        assert_eq!(filled(Place::Json).unwrap(), r#"<a b\"+\">"#);
        let error = filled(Place::Topic).unwrap_err();
        assert!(error.starts_with("{{device}} cannot stand"), "{error}");
        let plain = fill_in("{{device}}/{{f_port}}", &named("d 1"), Place::Topic);
        assert_eq!(plain.unwrap(), "d 1/15");
    }
}
