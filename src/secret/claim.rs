//! The secrets that a resource's settings require, and the conditions under which a stored secret replaces
//! one that a client has omitted.
//!
//! Invariant: a stored secret is only sent to the address for which it was given. A user who may change an
//! address, but has never seen the secret, must not be able to have it sent to a host of their own.

use serde_json::Value;
use url::Url;

/// A member of the settings that is part of an address.
#[derive(Clone, Copy)]
pub struct Part {
    /// JSON pointer to the member.
    pointer: &'static str,
    /// Value to use if the member is absent.
    default: &'static str,
}

/// The address to which a secret is sent: all of its parts, as the settings store them.
pub type Address = &'static [Part];

/// Address of a secret that is never sent, such as a signing key.
pub const NOWHERE: Address = &[];

impl Part {
    /// A member that is always present.
    pub const fn at(pointer: &'static str) -> Self {
        Self::or(pointer, "")
    }

    /// A member that has a default.
    pub const fn or(pointer: &'static str, default: &'static str) -> Self {
        Self { pointer, default }
    }

    /// Returns the JSON pointer and the default.
    pub(super) fn named(&self) -> (&'static str, &'static str) {
        (self.pointer, self.default)
    }

    fn read(self, settings: &Value) -> String {
        read_part(settings, self.pointer, self.default)
    }
}

/// Returns the part of an address that identifies the peer; of a URL, its scheme, host and port. Sealed
/// values are bound to this text, so its form must not change.
pub(super) fn read_part(settings: &Value, pointer: &str, default: &str) -> String {
    let text = match settings.pointer(pointer) {
        None | Some(Value::Null) => default.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match Url::parse(&text) {
        Ok(url) if url.has_host() => {
            let host = url.host_str().unwrap_or_default().to_lowercase();
            let port = url.port_or_known_default().or(match url.scheme() {
                "mqtt" => Some(1883),
                "mqtts" => Some(8883),
                _ => None,
            });
            let port = port.map_or_else(String::new, |port| port.to_string());
            format!("{}://{host}:{port}", url.scheme())
        }
        _ => text,
    }
}

/// A secret that a resource's settings require, as sent by a client.
#[derive(Clone)]
pub struct Claim {
    /// Name of the secret in the credentials.
    pub name: String,
    /// Path of the field in the request body, for errors.
    pub field: String,
    /// Secret from the request; if omitted, the stored one is kept.
    pub secret: Option<String>,
    /// True if the settings are invalid without the secret.
    pub is_required: bool,
    /// Address to which the secret is sent.
    pub sent_to: Address,
}

impl Claim {
    /// A secret that the settings require.
    pub fn required(name: &str, field: &str, secret: Option<String>, sent_to: Address) -> Self {
        Self {
            name: name.to_owned(),
            field: field.to_owned(),
            secret,
            is_required: true,
            sent_to,
        }
    }

    /// A secret that may be absent.
    pub fn optional(name: &str, field: &str, secret: Option<String>, sent_to: Address) -> Self {
        Self {
            is_required: false,
            ..Self::required(name, field, secret, sent_to)
        }
    }

    /// Returns true if a stored key of a client certificate is kept: it must match the certificate that was
    /// sent.
    pub fn keeps_client_key(claims: &[Self]) -> bool {
        let is_kept = |claim: &Self| claim.name.ends_with("client_key") && claim.secret.is_none();
        claims.iter().any(is_kept)
    }

    /// Returns true if the settings send the secret to another address than before.
    pub fn is_sent_elsewhere(&self, settings: &Value, before: &Value) -> bool {
        self.sent_to
            .iter()
            .any(|part| part.read(settings) != part.read(before))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_scheme_host_and_port() {
        const ADDRESS: Address = &[Part::at("/url"), Part::or("/tls", "on")];
        let claim = Claim::required("s", "s", None, ADDRESS);
        let before = json!({"url": "https://a.example.com/path?x=1"});
        for (url, is_elsewhere) in [
            ("https://a.example.com/another", false),
            ("https://A.example.com:443", false),
            ("https://a.example.com:444/path", true),
            ("http://a.example.com/path", true),
            ("https://a.example.com.evil.example/path", true),
            ("https://a.example.com@evil.example/path", true),
            ("nonsense", true),
        ] {
            let settings = json!({"url": url, "tls": "on"});
            let found = claim.is_sent_elsewhere(&settings, &before);
            assert_eq!(found, is_elsewhere, "{url}");
        }
        let off = json!({"url": before["url"], "tls": "off"});
        assert!(claim.is_sent_elsewhere(&off, &before));
        for (one, other, is_elsewhere) in [
            (json!("mqtt://b"), json!("mqtt://b:1883"), false),
            (json!("mqtts://b:8883/"), json!("mqtts://b"), false),
            (json!("mqtts://b"), json!("mqtt://b"), true),
            (json!(["a:1", "b:2"]), json!(["a:1", "b:2"]), false),
            (json!(["a:1", "b:2"]), json!(["a:1", "c:2"]), true),
        ] {
            let (one, other) = (json!({"url": one}), json!({"url": other}));
            let found = claim.is_sent_elsewhere(&one, &other);
            assert_eq!(found, is_elsewhere, "{one} {other}");
        }
        let kept = Claim::optional("k", "k", None, NOWHERE);
        assert!(!kept.is_sent_elsewhere(&off, &json!({})));
    }
}
