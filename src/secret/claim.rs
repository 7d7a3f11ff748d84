//! What a resource's settings ask for in secrets, and when a stored one may stand in for one that a
//! client has left out.
//!
//! Invariant: a stored secret goes nowhere but to where it was given for. Who may change an address, but
//! has never seen the secret, must not have it sent to a host of their own.

use serde_json::Value;
use url::Url;

/// A part of an address, in the settings of which it is one.
#[derive(Clone, Copy)]
pub struct Part {
    /// Where it stands: a JSON pointer.
    pointer: &'static str,
    /// What counts where nothing stands there.
    default: &'static str,
}

/// Where a secret is sent: every part of it, by the settings as they are stored.
pub type Address = &'static [Part];

/// The address of a secret that never leaves the hub as it is, such as a key to sign with.
pub const NOWHERE: Address = &[];

impl Part {
    /// A part that is always there.
    pub const fn at(pointer: &'static str) -> Self {
        Self::or(pointer, "")
    }

    /// A part that has a usual value.
    pub const fn or(pointer: &'static str, default: &'static str) -> Self {
        Self { pointer, default }
    }

    /// Where it stands, and what counts where nothing stands there.
    pub(super) fn named(&self) -> (&'static str, &'static str) {
        (self.pointer, self.default)
    }

    fn read(self, settings: &Value) -> String {
        read_part(settings, self.pointer, self.default)
    }
}

/// What a part of an address is, as far as it matters who is spoken to: of a URL scheme, host and port.
/// Sealed values are bound to this text: it must stay what it is.
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

/// One secret that a resource's settings ask for, as a client has sent them.
#[derive(Clone)]
pub struct Claim {
    /// Its name among the credentials.
    pub name: String,
    /// Where it stands in the body, for the error.
    pub field: String,
    /// What was sent; left out, the one that is stored stays.
    pub secret: Option<String>,
    /// Whether the settings make no sense without it.
    pub is_required: bool,
    /// Where it is sent.
    pub sent_to: Address,
}

impl Claim {
    /// A secret without which the settings make no sense.
    pub fn required(name: &str, field: &str, secret: Option<String>, sent_to: Address) -> Self {
        Self {
            name: name.to_owned(),
            field: field.to_owned(),
            secret,
            is_required: true,
            sent_to,
        }
    }

    /// A secret that may be missing.
    pub fn optional(name: &str, field: &str, secret: Option<String>, sent_to: Address) -> Self {
        Self {
            is_required: false,
            ..Self::required(name, field, secret, sent_to)
        }
    }

    /// Whether the key of a client certificate is among them, and the one that is stored stays: it must
    /// belong to the certificate that was given.
    pub fn keeps_client_key(claims: &[Self]) -> bool {
        let is_kept = |claim: &Self| claim.name.ends_with("client_key") && claim.secret.is_none();
        claims.iter().any(is_kept)
    }

    /// Whether other settings send it to somebody else.
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
