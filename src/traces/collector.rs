//! Requests to the operator's collector, and the log of their failures.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::{Client, redirect::Policy};
use tokio::runtime::Handle;

use crate::error::causes;

/// Longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a response.
const RESPONSE_MAX: usize = 64 * 1024;
/// Shortest time between two warnings.
const WARN_EVERY: Duration = Duration::from_secs(600);

/// The client of the collector. The library calls it from a thread without a runtime.
#[derive(Debug)]
pub struct Collector {
    client: Client,
    runtime: Handle,
    /// Time of the last warning, while requests fail.
    warned: Mutex<Option<Instant>>,
}

impl Collector {
    /// Creates a client whose requests run on `runtime`.
    pub fn new(runtime: Handle) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            // Settings come from the hub's list, not from variables of other programs.
            .no_proxy()
            .build()
            .map_err(|error| format!("setting otlp_endpoint: {}", causes(&error)))?;
        Ok(Self {
            client,
            runtime,
            warned: Mutex::default(),
        })
    }

    /// Warns of failures, once in a while, and reports their end.
    fn note(&self, failure: Option<&str>) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None if warned.take().is_some() => tracing::info!("traces are exported again"),
            None => {}
            Some(why) if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) => {
                *warned = Some(Instant::now());
                tracing::warn!("traces are not exported (setting otlp_endpoint): {why}");
            }
            Some(_) => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.runtime.spawn(exchange(self.client.clone(), request));
        let answer = match sending.await {
            Ok(answer) => answer,
            // The runtime ends.
            Err(error) => return Err(error.into()),
        };
        let failure = match &answer {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answers {}", response.status())),
            Err(error) => Some(causes(error)),
        };
        self.note(failure.as_deref());
        Ok(answer?)
    }
}

async fn exchange(
    client: Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, reqwest::Error> {
    let sent = client.execute(request.try_into()?).await;
    let mut response = sent.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > RESPONSE_MAX {
            // Nothing of so large a response is needed.
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}
