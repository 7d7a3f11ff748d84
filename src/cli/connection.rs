//! Connections to a hub: HTTPS whose certificate is always checked; responses that are no success become
//! failures.

use std::{path::Path, time::Duration};

use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};
use serde::Deserialize;
use url::Url;

use super::{
    credentials::{Target, server_text},
    exit::{Failure, Reason},
};
use crate::error::causes;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time without any data from the hub, above the hub's default limit for a request.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum length of an error's text that is shown, in characters.
const TEXT_MAX: usize = 1000;

/// A hub, and the token to send.
pub struct Connection {
    server: Url,
    token: Option<String>,
    client: Client,
}

/// The part of an error object that is for people.
#[derive(Deserialize)]
struct ErrorObject {
    error: String,
}

impl Connection {
    /// Prepares a client for a hub; sends nothing yet.
    pub fn new(target: Target) -> Result<Self, Failure> {
        let mut client = Client::builder()
            .user_agent(concat!("thingshub/", env!("CARGO_PKG_VERSION")))
            .https_only(true)
            // A hub does not redirect. If another server does, the target must not get the token or the
            // body.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        if let Some(file) = &target.ca {
            client = client.tls_certs_merge(certificates(file)?);
        }
        let client = client.build().map_err(|error| {
            let text = format!("TLS has no certificates to trust: {}", causes(&error));
            Failure::new(Reason::Unreachable, text)
        })?;
        Ok(Self {
            server: target.server,
            token: target.token,
            client,
        })
    }

    /// The hub's address, for people.
    pub fn server(&self) -> &str {
        server_text(&self.server)
    }

    /// The token, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&format!("{}{path}", self.server()))
            .map_err(|error| Failure::usage(format!("the path {path}: {error}")))
    }

    /// The client, to build a request with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request; the answer may be of any status.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| self.broken(error))
    }

    /// Converts a failed request or an invalid response to a failure of the command.
    pub fn broken(&self, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        if error.is_builder() {
            return Failure::usage(causes(&error));
        }
        let mut text = format!("{}: {}", self.server(), causes(&error));
        if text.contains("UnknownIssuer") {
            text.push_str(
                "; if the hub created its own certificate, give that file \
                 (tls/cert.pem in its data folder) with --ca",
            );
        }
        Failure::new(Reason::Unreachable, text)
    }
}

/// Returns the response if it is a success, else a failure.
pub async fn successful(response: Response) -> Result<Response, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let error = match serde_json::from_slice::<ErrorObject>(&body) {
        Ok(object) => printable(&object.error),
        // The response is not a hub's but a proxy's, whose page is of no use here.
        Err(_) => status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_owned(),
    };
    let mut text = format!("{}: {error}", status.as_u16());
    let reason = Reason::of_status(status.as_u16());
    if reason == Reason::NotLoggedIn {
        text.push_str(" (use `thingshub login`)");
    }
    Err(Failure::new(reason, text))
}

/// Makes text from elsewhere safe to print on a line of the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .take(TEXT_MAX)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let unusable = |error: String| Failure::usage(format!("--ca {}: {error}", file.display()));
    let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| unusable(causes(&error)))?;
    if certificates.is_empty() {
        return Err(unusable("the file has no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_no_ca() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for content in [None, Some(""), Some("no PEM")] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let failure = certificates(&file).err().unwrap();
            assert_eq!(failure.reason, Reason::Usage, "{content:?}");
            assert!(failure.text.contains("ca.pem"), "{}", failure.text);
        }
    }

    #[test]
    fn texts_of_others_do_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb"), "a [2J b");
    }
}
