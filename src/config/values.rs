//! Types of settings that are neither plain numbers nor plain text.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use url::Url;

/// A string that never shows in logs.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The format of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people, one line per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// A list of networks, written `10.0.0.0/8, ::1/128`.
#[derive(Debug, Clone, Default)]
pub struct Networks(pub Vec<IpNet>);

impl Networks {
    /// True if one of the networks contains the address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A network, or one address.
struct Network(IpNet);

impl std::str::FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse::<IpNet>().ok();
        network
            .or_else(|| Some(text.parse::<IpAddr>().ok()?.into()))
            .map(Self)
            .ok_or("must be a network such as 10.0.0.0/8, or an IP address")
    }
}

/// A list of web origins, written `https://app.example.com, http://localhost:5173`.
#[derive(Debug, Clone, Default)]
pub struct Origins(pub Vec<String>);

/// A web origin, exactly as browsers send it: they are compared as texts.
struct Origin(String);

impl std::str::FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).ok();
        let url = url.filter(|url| {
            let has_wildcard = url.host_str().is_none_or(|host| host.contains('*'));
            matches!(url.scheme(), "http" | "https") && !has_wildcard
        });
        let Some(url) = url else {
            return Err(
                "must be one origin, such as https://app.example.com or http://localhost:5173"
                    .to_owned(),
            );
        };
        let origin = url.origin().ascii_serialization();
        match origin == text {
            true => Ok(Self(origin)),
            false => Err(format!("must be written as {origin}")),
        }
    }
}

/// A list of waits in seconds.
#[derive(Debug, Clone)]
pub struct Seconds(pub Vec<u64>);

/// DNS names and IP addresses of a server, written `hub.example.com, 192.168.1.10`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerNames(pub Vec<ServerName>);

/// A name or an address under which clients reach a server.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerName {
    /// DNS name in lower case; the first label may be `*`.
    Dns(String),
    /// IP address.
    Address(IpAddr),
}

impl std::str::FromStr for ServerName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        let name = text.to_ascii_lowercase();
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(is_inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        // A last label of digits would be an address that is none, such as 192.168.1.300.
        let last = labels.rsplit('.').next().unwrap_or_default();
        let is_number = last.chars().all(|c| c.is_ascii_digit());
        match name.len() <= 253 && labels.split('.').all(is_label) && !is_number {
            true => Ok(Self::Dns(name)),
            false => Err(
                "must be a DNS name such as hub.example.com or *.example.com, or an IP address, \
                 without a port",
            ),
        }
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// The value of a setting, for people.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// There is no value.
    Unset,
    /// A secret.
    Hidden,
    /// A number, true or false.
    Number(String),
    /// Any other value.
    Text(String),
}

impl Shown {
    /// Returns the text of a value that may be shown.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::Unset | Self::Hidden => None,
        }
    }
}

/// Type of a setting.
pub trait Value: Sized {
    /// Reads the value. The error is the rule that the text breaks.
    fn read(text: &str) -> Result<Self, String>;

    /// Returns the value for people.
    fn show(&self) -> Shown;

    /// Returns the numbers in the value, for which its setting has bounds.
    fn numbers(&self) -> Vec<u64> {
        Vec::new()
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| format!("must be a whole number, not \"{text}\""))
            }

            fn show(&self) -> Shown {
                Shown::Number(self.to_string())
            }

            fn numbers(&self) -> Vec<u64> {
                vec![u64::try_from(*self).unwrap_or(u64::MAX)]
            }
        }
    )*};
}

whole_numbers!(u32, u64, usize);

macro_rules! lists {
    ($($type:ident of $item:ty),*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                comma_separated::<$item>(text).map(|items| Self(items.into_iter().map(Into::into).collect()))
            }

            fn show(&self) -> Shown {
                let items: Vec<String> = self.0.iter().map(ToString::to_string).collect();
                Shown::Text(items.join(","))
            }
        }
    )*};
}

lists!(Networks of Network, Origins of Origin, ServerNames of ServerName);

impl From<Network> for IpNet {
    fn from(Network(network): Network) -> Self {
        network
    }
}

impl From<Origin> for String {
    fn from(Origin(origin): Origin) -> Self {
        origin
    }
}

impl Value for Seconds {
    fn read(text: &str) -> Result<Self, String> {
        let parts = comma_separated::<Second>(text)?;
        Ok(Self(parts.into_iter().map(|Second(one)| one).collect()))
    }

    fn show(&self) -> Shown {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        Shown::Text(parts.join(","))
    }

    fn numbers(&self) -> Vec<u64> {
        self.0.clone()
    }
}

/// A number of seconds in a list.
struct Second(u64);

impl std::str::FromStr for Second {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "must be a whole number")
    }
}

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        T::read(text).map(Some)
    }

    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Unset, T::show)
    }
}

impl Value for Secret {
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> Shown {
        Shown::Hidden
    }
}

impl Value for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| {
            format!(
                "must be an IP address and a port, such as 127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443, \
                 not \"{text}\""
            )
        })
    }

    fn show(&self) -> Shown {
        Shown::Text(self.to_string())
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn show(&self) -> Shown {
        Shown::Text(self.display().to_string())
    }
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> Shown {
        Shown::Text(self.clone())
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(format!("must be true or false, not \"{text}\"")),
        }
    }

    fn show(&self) -> Shown {
        Shown::Number(self.to_string())
    }
}

impl Value for LogFormat {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("must be text or json, not \"{text}\"")),
        }
    }

    fn show(&self) -> Shown {
        let word = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        Shown::Text(word.to_owned())
    }
}

fn comma_separated<T>(text: &str) -> Result<Vec<T>, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|error| format!("\"{part}\": {error}")))
        .collect()
}
