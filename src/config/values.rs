//! Types of settings that are neither plain numbers nor plain text.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

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
impl Numbers for LogFormat {}
impl Numbers for String {}
impl Numbers for bool {}
