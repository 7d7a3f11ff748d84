//! The lane of one network connection: claims due downlinks, sends several concurrently and settles
//! each.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::Value;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{
    config::Config,
    downlink::transport::{self, Transport},
    error::Result,
    id::ConnectionId,
    metrics::{DownlinkOutcome, Metrics},
    mqtt::{Publication, Publishers},
    networks::{Handover, OutgoingDownlink, Taken},
    outgoing::{Caller, Request},
    retry::retry_at,
    secret::{Redactor, Vault},
    store::{
        Scope,
        devices::uplinks,
        downlinks::{
            Downlink,
            queue::{self, Attempt, Claim, Outcome},
        },
        members, networks,
    },
    supervise::attempted,
    traces,
};

/// Pause of a lane after a database error.
pub const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// Polling interval of a lane that may not send, because its connection is disabled or has no downlink
/// settings.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);
/// Retry interval for data that are not known yet, such as a device's name in its network.
const UNTIL_KNOWN: TimeDelta = TimeDelta::seconds(60);
/// Minimum and maximum retry interval for an unavailable broker.
const UNTIL_BACK: (TimeDelta, TimeDelta) = (TimeDelta::seconds(1), TimeDelta::seconds(30));
/// Maximum number of concurrent attempts.
const CONCURRENCY: usize = 4;
/// Time in seconds by which a lease exceeds the longest attempt, to settle it.
const LEASE_MARGIN_S: u64 = 15;
/// Statuses after which another attempt would fail in the same way.
const FINAL: [u16; 6] = [400, 404, 405, 410, 413, 422];

/// Sender of the downlinks of one network connection.
pub struct Lane {
    pub scope: Scope,
    pub connection: ConnectionId,
    pub caller: Caller,
    pub publishers: Publishers,
    pub vault: Vault,
    pub config: Arc<Config>,
    pub metrics: Metrics,
    pub notify: Arc<Notify>,
    pub under_way: UnderWay,
    pub stop: CancellationToken,
}

/// Downlinks that a lane is sending.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<Uuid>>>);

/// Entry of one downlink, which is removed when this is dropped.
struct Mark(UnderWay, Uuid);

impl UnderWay {
    fn begin(&self, id: Uuid) -> Mark {
        self.lock().insert(id);
        Mark(self.clone(), id)
    }

    fn ids(&self) -> Vec<Uuid> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

impl Lane {
    /// Runs until nothing is queued or the hub stops.
    pub async fn run(self) {
        let lane = Arc::new(self);
        let mut sending = JoinSet::new();
        while !lane.stop.is_cancelled() {
            match lane.step(&mut sending).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(
                        network_connection.id = lane.connection.0,
                        "downlinks wait: {}",
                        error.causes()
                    );
                    tokio::select! {
                        () = lane.stop.cancelled() => {}
                        () = sleep(PAUSE_AFTER_ERROR) => {}
                    }
                }
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// Claims and starts due downlinks, then waits until there may be more. Returns false if the lane
    /// should end.
    async fn step(self: &Arc<Self>, sending: &mut JoinSet<()>) -> Result<bool> {
        let expired = queue::expire(&self.scope, self.connection).await?;
        self.metrics
            .downlinks
            .count(DownlinkOutcome::Expired, expired);
        let free = CONCURRENCY.saturating_sub(sending.len());
        let transport = self.transport().await?.map(Arc::new);
        if let Some(transport) = transport.as_ref().filter(|_| free > 0) {
            let claim = Claim {
                seen: transport.seen,
                is_pushed: transport.settings.is_pushed(),
                under_way: self.under_way.ids(),
                limit: free as u64,
                lease: self.lease(),
            };
            let claimed = queue::claim(&self.scope, self.connection, claim).await?;
            let Some(claimed) = claimed else {
                // The settings have changed; read them again immediately.
                return Ok(true);
            };
            for downlink in claimed {
                let (lane, transport) = (self.clone(), transport.clone());
                let mark = self.under_way.begin(downlink.id);
                sending.spawn(async move {
                    let _mark = mark;
                    let send = async {
                        lane.send(&transport, downlink).await;
                        Ok(())
                    };
                    // After a panic the lease expires and the downlink is sent again.
                    let _ = attempted("attempt of a downlink", send).await;
                });
            }
        }
        let next = queue::next(&self.scope, self.connection, transport.is_some());
        let next = match next.await? {
            Some(next) => next,
            None if transport.is_none() => self.scope.now() + PATIENCE,
            None => return Ok(!sending.is_empty() && sending.join_next().await.is_some()),
        };
        let wait = (next - self.scope.now()).to_std().unwrap_or_default();
        let again = Instant::now() + wait.clamp(Duration::from_millis(50), Duration::from_secs(60));
        let is_full = sending.len() >= CONCURRENCY;
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.notify.notified() => {}
            () = sleep_until(again), if !is_full => {}
            Some(_) = sending.join_next(), if !sending.is_empty() => {}
        }
        Ok(true)
    }

    /// Returns the settings and secrets for the connection's downlinks; `None` if there are none, or the
    /// connection is disabled.
    async fn transport(&self) -> Result<Option<Transport>> {
        let connection = networks::find(&self.scope, self.connection).await?;
        match connection.filter(|connection| connection.provisioned.enabled) {
            Some(connection) => transport::find(&self.scope, &self.vault, &connection).await,
            None => Ok(None),
        }
    }

    fn lease(&self) -> TimeDelta {
        let seconds = self.config.downlink_timeout_s + LEASE_MARGIN_S;
        TimeDelta::seconds(i64::try_from(seconds).unwrap_or(3600))
    }

    async fn send(&self, transport: &Transport, downlink: Downlink) {
        let attempt = match self.outgoing(&downlink).await {
            Ok(outgoing) => {
                let span = self.span(transport, &downlink);
                let handing_over = self.hand_over(transport, &outgoing, downlink.attempt);
                let attempt = handing_over.instrument(span.clone()).await;
                let (outcome, is_failure) = match &attempt.outcome {
                    Outcome::Taken { .. } => ("sent", false),
                    Outcome::Later(..) => ("retry", true),
                    Outcome::GivenUp(_) => ("given_up", true),
                };
                traces::end(&span, outcome, attempt.status, is_failure);
                attempt
            }
            Err(error) => {
                // The lease expires and the downlink is tried again.
                tracing::warn!(downlink.id = %downlink.id, "a downlink waits: {error}");
                return;
            }
        };
        let outcome = match &attempt.outcome {
            Outcome::Taken { .. } => DownlinkOutcome::Sent,
            Outcome::Later(..) => DownlinkOutcome::Retry,
            Outcome::GivenUp(_) => DownlinkOutcome::Failed,
        };
        match queue::settle(&self.scope, &downlink, attempt).await {
            Ok(is_recorded) => self.metrics.downlinks.count(outcome, is_recorded.into()),
            // The lease expires and the downlink is sent again: delivery is at least once, not exactly once.
            Err(error) => {
                tracing::warn!(downlink.id = %downlink.id, "an attempt could not be settled: {error}");
            }
        }
    }

    fn span(&self, transport: &Transport, downlink: &Downlink) -> Span {
        let transport = match transport.broker {
            Some(_) => "mqtt",
            None => "http",
        };
        traces::downlink(&traces::Attempt {
            owner: self.connection.0,
            kind: transport,
            id: downlink.id,
            number: downlink.attempt,
        })
    }

    async fn hand_over(
        &self,
        transport: &Transport,
        outgoing: &OutgoingDownlink,
        attempt: i32,
    ) -> Attempt {
        if let Some(why) = &transport.unopened {
            return Attempt {
                status: None,
                outcome: Outcome::Later(self.scope.now() + UNTIL_KNOWN, why.clone()),
            };
        }
        match transport.settings.handover(&transport.secrets, outgoing) {
            Ok(Handover::Call(request)) => self.call(transport, request, outgoing, attempt).await,
            Ok(Handover::Publish(publication)) => {
                let outcome = self
                    .publish(transport, publication, outgoing, attempt)
                    .await;
                Attempt {
                    status: None,
                    outcome,
                }
            }
            Err(why) => Attempt {
                status: None,
                outcome: Outcome::Later(self.scope.now() + UNTIL_KNOWN, why),
            },
        }
    }

    /// Publishes a downlink to the connection's broker and waits for the acknowledgement. After a failure
    /// the downlink is retried without limit, like the subscription, because a broker error is never known
    /// to be permanent.
    async fn publish(
        &self,
        transport: &Transport,
        publication: Publication,
        outgoing: &OutgoingDownlink,
        attempt: i32,
    ) -> Outcome {
        let Some(broker) = &transport.broker else {
            let why = "the network connection has no broker any more".to_owned();
            return Outcome::Later(self.scope.now() + UNTIL_KNOWN, why);
        };
        let purpose = format!("downlinks/{}", self.connection);
        let publisher = self.publishers.get(&purpose, broker);
        let within = Duration::from_secs(self.config.downlink_timeout_s);
        match publisher.publish(publication, within).await {
            Ok(()) => match transport.settings.read_answer(outgoing, &Value::Null) {
                Ok(Taken { reference }) => Outcome::Taken { reference },
                Err(why) => Outcome::GivenUp(why),
            },
            Err(why) => {
                let (now, schedule) = (self.scope.now(), &self.config.downlink_schedule_s.0);
                let (soonest, latest) = UNTIL_BACK;
                // After the end of the schedule its last interval is repeated.
                let last = i32::try_from(schedule.len()).unwrap_or(i32::MAX);
                let at = retry_at(schedule, attempt.min(last), None, now).unwrap_or(now + latest);
                Outcome::Later(at.clamp(now + soonest, now + latest), why)
            }
        }
    }

    async fn call(
        &self,
        transport: &Transport,
        request: Request,
        outgoing: &OutgoingDownlink,
        attempt: i32,
    ) -> Attempt {
        let caller = match transport.caller(&self.caller) {
            Ok(caller) => caller,
            Err(why) => return self.later(attempt, None, why, None),
        };
        let answer = caller.call(request).await;
        let status = answer.status;
        let text = String::from_utf8_lossy(&answer.body);
        let read = || {
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            transport.settings.read_answer(outgoing, &body)
        };
        // The stored part of the answer is visible to every user who may read downlinks.
        let redactor = Redactor::new(transport.secrets.values());
        match (answer.error, status) {
            (None, _) => Attempt {
                status,
                outcome: match read() {
                    Ok(Taken { reference }) => Outcome::Taken {
                        reference: reference.map(|reference| kept(&redactor, &reference)),
                    },
                    Err(why) => Outcome::GivenUp(kept(&redactor, &why)),
                },
            },
            (Some(error), Some(code)) if FINAL.contains(&code) => Attempt {
                status,
                outcome: Outcome::GivenUp(with_answer(error, &kept(&redactor, &text))),
            },
            (Some(error), _) => self.later(
                attempt,
                status,
                with_answer(error, &kept(&redactor, &text)),
                answer.retry_after,
            ),
        }
    }

    /// Schedules another attempt, or gives up at the end of the schedule.
    fn later(
        &self,
        attempt: i32,
        status: Option<u16>,
        why: String,
        retry_after: Option<TimeDelta>,
    ) -> Attempt {
        let schedule = &self.config.downlink_schedule_s.0;
        let outcome = match retry_at(schedule, attempt, retry_after, self.scope.now()) {
            Some(at) => Outcome::Later(at, why),
            None => Outcome::GivenUp(why),
        };
        Attempt { status, outcome }
    }

    async fn outgoing(&self, downlink: &Downlink) -> Result<OutgoingDownlink> {
        let radio = uplinks::last_radio(&self.scope, downlink.device, self.connection).await?;
        let names = radio
            .map(members)
            .and_then(|mut radio| radio.remove("network"));
        let names = names.and_then(|names| serde_json::from_value(names).ok());
        let queued = downlink.queued.clone();
        Ok(OutgoingDownlink {
            id: downlink.id,
            network_device_id: queued.network_device_id,
            names: names.unwrap_or_default(),
            payload: queued.payload,
            f_port: queued.f_port,
            confirmed: queued.confirmed,
            priority: queued.priority,
            expires_at: queued.expires_at,
            now: self.scope.now(),
        })
    }
}

/// Appends the network server's response to an error, because it often explains a rejection.
fn with_answer(error: String, said: &str) -> String {
    match said.trim() {
        "" => error,
        said => format!("{error}: {said}"),
    }
}

/// Returns the part of a network server's text that is stored. Control characters are removed first,
/// because they may split a secret; then secrets are redacted.
fn kept(redactor: &Redactor, text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    redactor.redact(&plain).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_explains_an_error_if_it_says_anything() {
        assert_eq!(with_answer("refused".to_owned(), " \n"), "refused");
        assert_eq!(with_answer("refused".to_owned(), " full "), "refused: full");
    }

    #[test]
    fn an_answer_is_stored_without_control_characters_and_not_whole() {
        let redactor = Redactor::new(["secret-of-it"]);
        assert_eq!(kept(&redactor, "a\u{1}b\n"), "ab");
        assert!(!kept(&redactor, "a secret-\nof-it").contains("secret-of-it"));
        assert_eq!(kept(&redactor, &"x".repeat(500)), "x".repeat(200));
    }
}
