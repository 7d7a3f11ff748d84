//! Types of settings that are neither plain numbers nor plain text.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use hyper::header::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de};
use url::Url;

/// A string that never shows in logs.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The format of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let networks: Vec<Network> = comma_separated(deserializer)?;
        Ok(Self(networks.into_iter().map(|Network(net)| net).collect()))
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

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let origins: Vec<Origin> = comma_separated(deserializer)?;
        Ok(Self(
            origins.into_iter().map(|Origin(origin)| origin).collect(),
        ))
    }
}

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

/// True for a URL of a server, to which paths can be appended.
pub fn is_base_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        is_http && !has_credentials && url.query().is_none() && url.fragment().is_none()
    })
}

/// Headers that never show in logs, written `name=value, name=value`.
#[derive(Clone, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        let headers: Option<_> = parts.map(header).collect();
        // Must not show the value, which is a secret.
        headers
            .map(Self)
            .ok_or_else(|| de::Error::custom("must be name=value, comma-separated"))
    }
}

fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    HeaderName::from_bytes(name.as_bytes()).ok()?;
    HeaderValue::from_str(value).ok()?;
    Some((name.to_owned(), value.to_owned()))
}

/// A share, from 0.0 to 1.0.
#[derive(Debug, Clone, Copy)]
pub struct Ratio(pub f64);

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ratio = f64::deserialize(deserializer)?;
        match (0.0..=1.0).contains(&ratio) {
            true => Ok(Self(ratio)),
            false => Err(de::Error::custom("must be from 0.0 to 1.0")),
        }
    }
}

/// A list of waits in seconds.
#[derive(Debug, Clone)]
pub struct Seconds(pub Vec<u64>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        comma_separated(deserializer).map(Self)
    }
}

fn comma_separated<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_err(|error| de::Error::custom(format!("\"{part}\": {error}")))
        })
        .collect()
}

/// The numbers in a value, for which its setting has bounds.
pub trait Numbers {
    fn numbers(&self) -> Vec<u64> {
        Vec::new()
    }
}

impl Numbers for u32 {
    fn numbers(&self) -> Vec<u64> {
        vec![u64::from(*self)]
    }
}

impl Numbers for u64 {
    fn numbers(&self) -> Vec<u64> {
        vec![*self]
    }
}

impl Numbers for usize {
    fn numbers(&self) -> Vec<u64> {
        vec![*self as u64]
    }
}

impl Numbers for Seconds {
    fn numbers(&self) -> Vec<u64> {
        self.0.clone()
    }
}

impl<T> Numbers for Option<T> {}
impl Numbers for SocketAddr {}
impl Numbers for PathBuf {}
impl Numbers for Networks {}
impl Numbers for Origins {}
impl Numbers for Headers {}
impl Numbers for Ratio {}
impl Numbers for LogFormat {}
impl Numbers for String {}
impl Numbers for bool {}
