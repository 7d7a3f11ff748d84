//! The client of a hub's registry for the commands of a driver's author.

use clap::ArgMatches;
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use url::Url;

use crate::{
    cli::{
        connection::{Connection, successful},
        exit::{Failure, Reason},
        pages::each_page,
        target,
    },
    reference::{Pick, Reference},
};

const DRIVERS: &str = "/api/v3/drivers";

/// The fields of a driver that the commands use.
#[derive(Deserialize)]
pub struct Driver {
    pub author: String,
    pub name: String,
    pub description: String,
    pub supports: Vec<Device>,
    pub labels: Vec<String>,
    pub tags: Vec<Tag>,
}

/// A device that a driver is for.
#[derive(Deserialize)]
pub struct Device {
    pub manufacturer: String,
    pub model: String,
    pub firmware_version: Option<String>,
}

/// A tag of a driver.
#[derive(Deserialize)]
pub struct Tag {
    pub tag: String,
    pub digest: String,
}

/// A client of a hub's registry.
pub struct Registry(Connection);

impl Registry {
    /// Prepares a client for the hub of the command line or the login.
    pub fn connect(matches: &ArgMatches) -> Result<Self, Failure> {
        Ok(Self(target::connect(matches)?))
    }

    /// The hub's address, for people.
    pub fn server(&self) -> &str {
        self.0.server()
    }

    /// Returns the driver of a reference.
    pub async fn driver(&self, reference: &Reference) -> Result<Driver, Failure> {
        self.answer(self.request(Method::GET, self.url(&driver_path(reference))?))
            .await
    }

    /// Returns the version that a reference names; by default the one tagged `latest`.
    pub async fn version<T: DeserializeOwned>(&self, reference: &Reference) -> Result<T, Failure> {
        let path = version_path(reference, &reference.pick());
        self.answer(self.request(Method::GET, self.url(&path)?))
            .await
    }

    /// Pushes a version.
    pub async fn push(&self, body: String) -> Result<Driver, Failure> {
        let request = self
            .request(Method::POST, self.url("")?)
            .header("Content-Type", "application/json")
            .body(body);
        self.answer(request).await
    }

    /// Deletes the tag, the version or the whole driver that a reference names.
    pub async fn delete(&self, reference: &Reference) -> Result<(), Failure> {
        let path = match &reference.named {
            None => driver_path(reference),
            Some(pick) => version_path(reference, pick),
        };
        let request = self.request(Method::DELETE, self.url(&path)?);
        successful(self.0.send(request).await?).await.map(|_| ())
    }

    /// Calls back with the drivers that queries find, page by page.
    pub async fn search(
        &self,
        queries: &[(&str, &str)],
        take: impl FnMut(&[Box<RawValue>]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut url = self.url("")?;
        url.query_pairs_mut()
            .extend_pairs([("sort", "name"), ("limit", "200")])
            .extend_pairs(queries);
        each_page(&self.0, url, |url| self.request(Method::GET, url), take).await
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        self.0.url(&format!("{DRIVERS}{path}"))
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.0.client().request(method, url);
        match self.0.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = successful(self.0.send(request).await?).await?;
        let body = response.bytes().await;
        let body = body.map_err(|error| self.0.broken(error))?;
        serde_json::from_slice(&body)
            .map_err(|_| Failure::new(Reason::HubFailed, "the response is not that of a hub"))
    }
}

/// No escaping: authors, names, tags and digests need none in a path.
fn driver_path(reference: &Reference) -> String {
    format!("/{}", reference.key)
}

fn version_path(reference: &Reference, pick: &Pick) -> String {
    let driver = driver_path(reference);
    match pick {
        Pick::Tag(tag) => format!("{driver}/tags/{tag}"),
        Pick::Digest(digest) => format!("{driver}/versions/{digest}"),
    }
}
