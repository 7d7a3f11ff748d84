//! Processes incoming messages one by one, and repeats look-ups that turn out to be out of date.

use std::{sync::Arc, time::Instant};

use chrono::SecondsFormat;
use serde_json::Value;
use tracing::Instrument;

use super::{
    ingest::{self, Sender, SingleMessage},
    receipt::{DownlinkRequest, RawMessage, Receipt, Taken},
    route::ConnectionRoute,
    routes::Routes,
    strangers::WrongKeys,
    turns::Turns,
    writer::Writer,
};
use crate::{
    clock::{Plausible, Time},
    codec::Codec,
    error::{Error, Result},
    id::ConnectionId,
    metrics::{MessageOutcome, Metrics},
    networks::{Event, Uplink},
    secret::Vault,
    store::{
        Scope, Store,
        uplink_batch::{Content, Message, Outcome},
    },
    traces,
};

/// Maximum number of attempts to process a message whose device or tenant changes in the meantime.
const TRIES_MAX: usize = 5;

/// The uplink path.
#[derive(Clone)]
pub struct UplinkPath {
    pub(super) routes: Arc<Routes>,
    /// Codec that runs the drivers.
    pub codec: Codec,
    pub(super) turns: Arc<Turns>,
    pub(super) strangers: Arc<WrongKeys>,
    pub(super) writer: Writer,
    pub(super) plausible: Plausible,
    pub(super) metrics: Metrics,
}

impl UplinkPath {
    /// Creates the uplink path.
    pub fn new(
        store: Store,
        vault: Vault,
        codec: Codec,
        plausible: Plausible,
        writer: Writer,
        metrics: Metrics,
    ) -> Self {
        Self {
            routes: Arc::new(Routes::new(store, vault, codec.clone())),
            codec,
            turns: Arc::default(),
            strangers: Arc::new(WrongKeys::new(writer.clone())),
            writer,
            plausible,
            metrics,
        }
    }

    /// Returns the scope of the tenant that owns a connection.
    pub async fn scope_of(&self, id: ConnectionId) -> Result<Option<Scope>> {
        let connection = self.routes.connection(id).await?;
        Ok(connection.map(|connection| connection.scope.clone()))
    }

    /// Processes a request of a network server. The messages are on disk when this returns. The reason why
    /// a message is invalid is returned only to a sender that has the connection's key.
    pub async fn receive(
        &self,
        id: ConnectionId,
        sender: Sender<'_>,
        message: Result<RawMessage>,
    ) -> Result<Taken> {
        let authenticated = ingest::authenticate(&self.routes, &self.strangers, id, sender).await;
        let connection = authenticated.inspect_err(|error| {
            if matches!(error, Error::WrongIngestKey) {
                self.metrics.uplinks.count_unauthorized();
            }
        })?;
        self.take(connection, Some(sender), message).await
    }

    /// Processes one message that the hub itself has fetched from a network server. The message is on disk
    /// when this returns. Rejected messages are counted.
    pub async fn receive_fetched(
        &self,
        id: ConnectionId,
        message: Result<RawMessage>,
    ) -> Result<Taken> {
        let connection = self.routes.connection(id).await?;
        let connection = connection.ok_or_else(|| Error::missing("network connection", id))?;
        self.take(connection, None, message).await
    }

    /// Processes a request that may contain several messages. All valid messages are processed; returns the
    /// result of the first message, or the first rejection. A request that cannot be split into messages is
    /// counted as one malformed message.
    async fn take(
        &self,
        mut connection: Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        message: Result<RawMessage>,
    ) -> Result<Taken> {
        let read = match message {
            Ok(around) => {
                let bodies = self.read(&mut connection, sender, &around).await;
                bodies.map(|bodies| (around, bodies))
            }
            Err(error) => Err(error),
        };
        let (around, bodies) = match read {
            Ok(read) => read,
            Err(refused) if refused.is_invalid() => {
                return self.take_one(connection, sender, Err(&refused)).await;
            }
            Err(error) => return Err(error),
        };
        let mut answer = None;
        for body in &bodies {
            let one = SingleMessage {
                body,
                around: &around,
            };
            let taken = self.take_one(connection.clone(), sender, Ok(one)).await;
            match (&answer, taken) {
                // A sender that repeats the request repeats recorded messages as well.
                (_, Err(error)) if !error.is_invalid() => return Err(error),
                (None | Some(Ok(_)), Err(refused)) => answer = Some(Err(refused)),
                (None, taken) => answer = Some(taken),
                (Some(_), _) => {}
            }
        }
        answer.unwrap_or_else(|| Err(Error::field("body", "must hold a message")))
    }

    /// Splits a request into its messages. A request is rejected only by settings that are up to date,
    /// because another hub may have changed them.
    async fn read(
        &self,
        connection: &mut Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        around: &RawMessage,
    ) -> Result<Vec<Value>> {
        let read = ingest::read(connection, around);
        if !read.as_ref().is_err_and(Error::is_invalid)
            || self.routes.is_current(connection).await?
        {
            return read;
        }
        *connection = self.look_up_again(connection.id, sender).await?;
        ingest::read(connection, around)
    }

    /// Processes one message and counts it.
    async fn take_one(
        &self,
        connection: Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        message: Result<SingleMessage<'_>, &Error>,
    ) -> Result<Taken> {
        let (network, began) = (connection.settings.kind(), Instant::now());
        let span = traces::ingest(network);
        let taking = self.take_uncounted(connection, sender, message);
        let taken = taking.instrument(span.clone()).await;
        let outcome = outcome(&taken);
        let is_failure = matches!(outcome, MessageOutcome::Failed);
        traces::end(&span, outcome.as_str(), None, is_failure);
        self.metrics
            .uplinks
            .count(network, outcome, began.elapsed());
        taken
    }

    /// Processes one message. The sender's key is checked at each look-up, because it may have changed.
    async fn take_uncounted(
        &self,
        mut connection: Arc<ConnectionRoute>,
        sender: Option<Sender<'_>>,
        message: Result<SingleMessage<'_>, &Error>,
    ) -> Result<Taken> {
        let id = connection.id;
        for tries in 0..TRIES_MAX {
            // Constant changes must not keep messages out: the second look-up is newer than the message and is
            // used without a check.
            let epoch = (tries == 0).then_some(connection.epoch);
            if let Some(taken) = self.receive_once(&connection, message, epoch).await? {
                return Ok(taken);
            }
            connection = self.look_up_again(id, sender).await?;
        }
        Err(Error::overloaded("the device is being changed; try again"))
    }

    async fn look_up_again(
        &self,
        id: ConnectionId,
        sender: Option<Sender<'_>>,
    ) -> Result<Arc<ConnectionRoute>> {
        match sender {
            Some(sender) => ingest::authenticate(&self.routes, &self.strangers, id, sender).await,
            None => {
                let found = self.routes.connection(id).await?;
                found.ok_or_else(|| Error::missing("network connection", id))
            }
        }
    }

    /// Processes one message. Returns `None` if its device or connection was deleted or changed in the
    /// meantime.
    async fn receive_once(
        &self,
        connection: &ConnectionRoute,
        message: Result<SingleMessage<'_>, &Error>,
        epoch: Option<u64>,
    ) -> Result<Option<Taken>> {
        let received_at = connection.scope.now();
        let mut read = match message {
            Ok(one) => ingest::normalise(connection, one).map(|event| (event, one.body)),
            Err(refused) => Err(refused.echo()),
        };
        let odd_time = match &mut read {
            Ok((Event::Uplink(uplink), _)) => self.drop_implausible_time(uplink, received_at),
            _ => None,
        };
        let awaits = match &read {
            Ok((Event::Uplink(uplink), _)) if uplink.wants_downlink => Some(DownlinkRequest {
                kind: connection.settings.kind(),
                network_device_id: uplink.network_device_id.clone(),
            }),
            _ => None,
        };
        let answer = |receipt| Taken { receipt, awaits };
        if !connection.enabled {
            // Another hub may have enabled the connection.
            if epoch.is_some() && !self.routes.is_current(connection).await? {
                return Ok(None);
            }
            return read.map(|_| Some(answer(Receipt::Disabled)));
        }
        let write = |content| Message {
            tenant: connection.scope.tenant(),
            connection: connection.id,
            received_at,
            odd_time: odd_time.clone(),
            epoch,
            content,
        };
        let receipt = match read {
            Ok((Event::Uplink(uplink), _)) => {
                self.receive_uplink(connection, *uplink, received_at, write)
                    .await?
            }
            Ok((Event::News(news), body)) => {
                self.receive_news(connection, &news, body, write).await?
            }
            Err(refused) => {
                let written = write(Content::Malformed(refused.to_string()));
                return match self.write(written).await? {
                    Outcome::Recorded => Err(refused),
                    _ => Ok(None),
                };
            }
        };
        Ok(receipt.map(answer))
    }

    /// Writes a message. If it refers to missing entities, the cache was out of date: the cache entries are
    /// dropped and the caller looks them up again. If that has happened already, this is an internal error.
    pub(super) async fn write(&self, message: Message) -> Result<Outcome> {
        let (tenant, looked_up_at) = (message.tenant, message.epoch);
        let outcome = self.writer.write(message).await?;
        match (outcome, looked_up_at) {
            (Outcome::Dangling, None) => Err(Error::internal(
                "a message refers to what is not there, though it was just looked up",
            )),
            (Outcome::Dangling | Outcome::Gone, Some(epoch)) => {
                self.routes.doubt(tenant, epoch);
                Ok(outcome)
            }
            _ => Ok(outcome),
        }
    }

    /// Removes an implausible network time from an uplink, so that the hub's time is used, and keeps the
    /// reported time in `radio.reported_time`. Returns the description of the problem.
    fn drop_implausible_time(&self, uplink: &mut Uplink, now: Time) -> Option<String> {
        if let Some(reported) = &uplink.radio.reported_time {
            return Some(format!("the network's time {reported:?} cannot be read"));
        }
        let time = uplink.time?;
        let doubt = self.plausible.doubt(time, now)?;
        let reported = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        uplink.time = None;
        uplink.radio.reported_time = Some(reported.clone());
        Some(format!("the network's time {reported} {doubt}"))
    }
}

/// Returns the outcome of a message for the metrics.
fn outcome(taken: &Result<Taken>) -> MessageOutcome {
    match taken {
        Ok(taken) => match taken.receipt {
            Receipt::Uplink { .. } => MessageOutcome::Recorded,
            Receipt::Duplicate { .. } => MessageOutcome::Duplicate,
            Receipt::UnknownDevice => MessageOutcome::UnknownDevice,
            Receipt::Other => MessageOutcome::Event,
            Receipt::Disabled => MessageOutcome::Disabled,
        },
        Err(error) if error.is_invalid() => MessageOutcome::Refused,
        Err(_) => MessageOutcome::Failed,
    }
}
