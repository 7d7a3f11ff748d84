//! The lane of one integration: reads due deliveries, sends several concurrently and has each settled.
//!
//! All attempts in progress are known here, because only one hub delivers for an integration at a time
//! (see [`crate::store::deliveries::lease`]).

mod give_up;
mod look;

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    attempt,
    breaker::{Admission, Breaker},
    inbox::Inbox,
    pace::Pace,
    rules::Rules,
    settler::{Outcome, Settler},
    targets::{Answer, FOLLOWED, Sender, Target},
    under_way::UnderWay,
};
use give_up::GivingUp;

use crate::{
    clock,
    config::Config,
    id::IntegrationId,
    metrics::{Held, Metrics},
    retry::retry_at,
    secret::Vault,
    store::{
        Scope,
        deliveries::{Attempt, Delivery, lease, settle::Settled},
    },
    traces::{self, Origins},
};

/// Pause of a lane after a database error.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// Duration of a lease, and the interval of its renewal.
const LEASE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Minimum interval for reading the integration while there are notifications; it may have been paused
/// or changed.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// Time after which a lane without work ends and its target's connections are closed.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Minimum and maximum number of deliveries to prefetch: about as many as are sent in a second.
const AHEAD_MIN: usize = 16;
const AHEAD_MAX: usize = 512;
/// Maximum number of attempts that the database could not store before the lane stops sending: each
/// would be sent again as soon as the lane forgets it.
const UNSETTLED_MAX: usize = 64;

/// Sender of the deliveries of one integration.
pub struct Lane {
    pub scope: Scope,
    pub integration: IntegrationId,
    pub hub: Uuid,
    pub sender: Sender,
    pub vault: Vault,
    pub config: Arc<Config>,
    pub settler: Settler,
    pub under_way: UnderWay,
    pub inbox: Arc<Inbox>,
    pub metrics: Metrics,
    pub origins: Origins,
    pub stop: CancellationToken,
}

/// An attempt that has ended, with its delivery, the time of its end and the type of its target.
type Ended = (Delivery, Attempt, Answer, clock::Time, &'static str);
/// Id of a delivery whose attempt was settled, time of the next attempt, and outcome of the settlement.
type Done = (Uuid, Option<Instant>, Outcome);

/// State of a running lane.
struct Run {
    lane: Lane,
    /// Target with the revision of the integration; `None` if nothing may be sent.
    target: Option<(i64, Arc<Target>)>,
    rules: Rules,
    breaker: Breaker,
    pace: Pace,
    /// Deliveries that were read and not sent yet.
    ready: VecDeque<Delivery>,
    /// Deliveries that were read and not settled: by id, the device whose order each keeps.
    held: HashMap<Uuid, Option<String>>,
    /// Number of held deliveries whose attempts could not be stored; they are held until the lane ends.
    unsettled: usize,
    sending: JoinSet<Ended>,
    /// True if the database may have more due deliveries than were read.
    may_have_more: bool,
    /// Time of the next read without a notification.
    look_at: Instant,
    renewed_at: Instant,
    /// Time at which the integration was read, and at which to read it again.
    checked_at: Instant,
    check_at: Instant,
    busy_at: Instant,
    /// Latest time at which the lane ends; `None` while the hub is not stopping.
    ends_at: Option<Instant>,
    ahead: usize,
    giving_up: GivingUp,
    /// Counts the lease while this hub holds it.
    lease: Option<Held>,
}

/// Next step of a lane.
#[derive(Clone, Copy)]
enum Next {
    Go,
    /// Database error: deliveries already read are sent.
    Wait,
    /// Another hub delivers, or clients fetch the deliveries themselves: start no attempts.
    StandBy,
    /// Nothing may be sent, or the lane has been idle for too long: start no attempts, and end.
    End,
}

impl Lane {
    /// Runs while the integration has deliveries and this hub holds the lease.
    pub async fn run(self) {
        let stop = self.stop.clone();
        let mut run = Run::new(self);
        let mut settling = FuturesUnordered::new();
        loop {
            let next = run.prepare(&settling).await.unwrap_or_else(|error| {
                let (cause, integration) = (error.causes(), run.lane.integration);
                tracing::warn!(integration.id = integration.0, cause, "the lane waits");
                Next::Wait
            });
            let gives_up_at = match next {
                Next::Go | Next::End if run.ends_at.is_none() => run.giving_up.goes_on_at(),
                _ => None,
            };
            let is_idle = run.sending.is_empty() && settling.is_empty();
            if run
                .ends_at
                .is_some_and(|at| is_idle || Instant::now() >= at)
            {
                break;
            }
            let wake_at = match next {
                Next::Go => run.start_attempts(),
                Next::Wait if run.ends_at.is_none() => run.start_attempts().max(run.look_later()),
                Next::StandBy if is_idle => {
                    let _ = timeout(RENEW_EVERY, stop.cancelled()).await;
                    break;
                }
                Next::End if is_idle && gives_up_at.is_none() => break,
                // Attempts in progress are completed; resuming the integration does not have to wait for them.
                Next::Wait | Next::StandBy | Next::End => run.start_nothing(),
            };
            let wake_at = gives_up_at.map_or(wake_at, |at| at.min(wake_at));
            tokio::select! {
                () = stop.cancelled(), if run.ends_at.is_none() => run.begin_shutdown(),
                Some(ended) = run.sending.join_next(), if !run.sending.is_empty() => {
                    if let Ok(ended) = ended {
                        settling.push(run.settle(ended));
                    }
                }
                Some(settled) = settling.next(), if !settling.is_empty() => run.forget(settled),
                () = run.lane.inbox.notified() => run.drain_inbox(),
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        run.end().await;
    }
}

impl Run {
    fn new(lane: Lane) -> Self {
        let now = Instant::now();
        Self {
            rules: Rules::of(&lane.config, &Default::default()),
            lane,
            target: None,
            breaker: Breaker::default(),
            pace: Pace::default(),
            ready: VecDeque::new(),
            held: HashMap::new(),
            unsettled: 0,
            sending: JoinSet::new(),
            may_have_more: true,
            look_at: now,
            // Set to the past so that the lane starts by acquiring the lease.
            renewed_at: now.checked_sub(RENEW_EVERY).unwrap_or(now),
            checked_at: now,
            check_at: now,
            busy_at: now,
            ends_at: None,
            ahead: AHEAD_MIN,
            giving_up: GivingUp::new(now),
            lease: None,
        }
    }

    /// Returns unfinished deliveries to the database and releases the lease.
    async fn end(mut self) {
        self.put_back();
        let integration = self.lane.integration;
        if !self.held.is_empty() {
            let under_way = self.held.len();
            tracing::warn!(
                integration.id = integration.0,
                under_way,
                "the hub stops before attempts have ended: their deliveries are sent again"
            );
        }
        // No attempt may continue after the lease is released.
        self.sending.shutdown().await;
        let released = lease::release(&self.lane.scope, integration, self.lane.hub).await;
        if let Err(error) = released {
            tracing::debug!("a lease runs out by itself: {}", error.causes());
        }
    }

    /// Starts as many attempts as allowed; returns the time of the next call.
    fn start_attempts(&mut self) -> Instant {
        let now = Instant::now();
        let renew_at = self.check_at.min(self.renewed_at + RENEW_EVERY);
        if now >= self.renewed_at + LEASE || self.unsettled >= UNSETTLED_MAX {
            // Another hub may have taken over, or the database does not store the outcomes.
            return self.start_nothing();
        }
        if let Admission::Closed(until) = self.breaker.admits(now) {
            self.put_back();
            return until.min(renew_at);
        }
        while !self.ready.is_empty() {
            let now = Instant::now();
            let most = match self.breaker.admits(now) {
                Admission::Open => self.rules.concurrency,
                Admission::Probe => 1,
                Admission::Closed(until) => return until.min(renew_at),
            };
            if self.sending.len() >= most {
                return renew_at;
            }
            if let Err(next) = self.pace.take(self.rules.rate_per_s, now) {
                return next.min(renew_at);
            }
            self.start();
        }
        match self.may_have_more {
            true => Instant::now() + Duration::from_millis(1),
            false => self.look_at.min(renew_at),
        }
    }

    /// Returns prefetched deliveries to the database; returns the time of the next call.
    fn start_nothing(&mut self) -> Instant {
        self.put_back();
        let later = self.look_later();
        match self.ends_at {
            Some(ends_at) => later.min(ends_at),
            None if self.check_at > Instant::now() => later.min(self.check_at),
            None => later,
        }
    }

    fn look_later(&self) -> Instant {
        Instant::now() + PAUSE_AFTER_ERROR
    }

    /// Starts the shutdown: attempts in progress may continue for a limited time.
    fn begin_shutdown(&mut self) {
        let longest = Duration::from_secs(self.lane.config.shutdown_timeout_s);
        self.ends_at = Some(Instant::now() + longest);
    }

    /// Takes new deliveries and notifications from the inbox.
    fn drain_inbox(&mut self) {
        let found = self.lane.inbox.take();
        let now = Instant::now();
        self.may_have_more |= !found.is_all;
        self.check_at = match found.has_changed {
            true => now,
            false => self.check_at.min(self.checked_at + CHECK_EVERY),
        };
        for delivery in found.deliveries {
            // The delivery may also have been read from the database, because it was committed just before.
            if let Entry::Vacant(entry) = self.held.entry(delivery.id) {
                entry.insert(None);
                self.ready.push_back(delivery);
            }
        }
        if self.ready.len() > AHEAD_MAX {
            // The target is slower than the uplinks: further deliveries wait in the database.
            self.lane.inbox.close();
            self.may_have_more = true;
        }
    }

    /// Returns prefetched deliveries to the database, because a target that is unavailable needs none.
    fn put_back(&mut self) {
        self.lane.inbox.close();
        for delivery in self.ready.drain(..) {
            self.held.remove(&delivery.id);
        }
        self.may_have_more = true;
        self.ahead = AHEAD_MIN;
    }

    fn start(&mut self) {
        let (Some(mut delivery), Some((_, target))) = (self.ready.pop_front(), &self.target) else {
            return;
        };
        delivery.attempt += 1;
        self.lane.under_way.begin(delivery.id);
        let (target, sender) = (target.clone(), self.lane.sender.clone());
        let (scope, longest) = (self.lane.scope.clone(), self.rules.timeout);
        let attempt = traces::Attempt {
            owner: self.lane.integration.0,
            kind: target.kind(),
            id: delivery.id,
            number: delivery.attempt,
        };
        let span = traces::delivery(&attempt, &self.lane.origins, delivery.subject_id);
        self.sending.spawn(async move {
            // Uses the time that all hubs share, because it determines when the next attempt is due.
            let (at, began) = (scope.now(), Instant::now());
            let answering = attempt::answer(target.send(&sender, &delivery), longest);
            let answer = answering.instrument(span.clone()).await;
            answer.trace(&span);
            let took = began.elapsed();
            let ended_at = clock::cut(at + took);
            let attempt = Attempt {
                at,
                duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
                status: answer.status,
                error: answer.error.clone(),
            };
            (delivery, attempt, answer, ended_at, target.kind())
        });
    }

    /// Updates the breaker after an attempt and has the attempt stored.
    fn settle(&mut self, ended: Ended) -> impl Future<Output = Done> + use<> {
        let (delivery, attempt, answer, ended_at, kind) = ended;
        self.breaker.learn(&answer, Instant::now());
        let may_help = attempt.error.is_some() && !answer.is_final;
        let again_at = may_help.then(|| {
            retry_at(
                &self.rules.schedule_s,
                delivery.attempt - delivery.round_start,
                answer.retry_after,
                ended_at,
            )
        });
        let retry_at = again_at.flatten();
        let look_at = retry_at.map(|retry_at| {
            let wait = (retry_at - ended_at).to_std().unwrap_or_default();
            Instant::now() + wait
        });
        let id = delivery.id;
        let took = Duration::from_millis(attempt.duration_ms.unsigned_abs());
        let is_delivered = attempt.error.is_none();
        let settled = Settled {
            tenant: self.lane.scope.tenant(),
            integration: self.lane.integration,
            delivery,
            attempt,
            answer: answer.text,
            ended_at,
            retry_at,
            pause_after: self.rules.pause_after,
        };
        let settler = self.lane.settler.clone();
        let metrics = self.lane.metrics.clone();
        async move {
            let outcome = settler.settle(settled).await;
            if outcome != Outcome::Unsettled {
                let counts = &metrics.deliveries;
                match (is_delivered, retry_at) {
                    (true, _) => counts.count_delivered(kind, took),
                    (false, Some(_)) => counts.count_retry(kind, took),
                    (false, None) => counts.count_dead(kind, took),
                }
            }
            (id, look_at, outcome)
        }
    }

    /// Forgets a settled delivery. If it could not be settled, the database still has it as due, so it is
    /// held until the lane ends.
    fn forget(&mut self, (id, look_at, outcome): Done) {
        match outcome {
            Outcome::Settled => {}
            Outcome::Paused => self.check_at = Instant::now(),
            Outcome::Unsettled => {
                self.lane.under_way.end(id);
                self.unsettled += 1;
                return;
            }
        }
        if let Some(look_at) = look_at {
            // Not set earlier, because until now the database had the previous due time.
            self.look_at = self.look_at.min(look_at);
        }
        self.lane.under_way.end(id);
        if let Some(Some(_)) = self.held.remove(&id) {
            // The next delivery of the device may be sent.
            self.may_have_more = true;
        }
    }
}

impl Drop for Run {
    /// Removes the lane's deliveries from those in progress, however the lane ends.
    fn drop(&mut self) {
        for id in self.held.keys() {
            self.lane.under_way.end(*id);
        }
    }
}

/// True if a lane that was last busy at `busy_at` should end. A lane whose breaker blocks all attempts
/// stays, because only the lane knows for how long.
fn is_over(busy_at: Instant, admission: Admission, now: Instant) -> bool {
    now >= busy_at + IDLE_MAX && !matches!(admission, Admission::Closed(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_without_work_ends_but_not_while_its_target_rests() {
        let busy_at = Instant::now();
        let later = busy_at + IDLE_MAX;
        let rest = Admission::Closed(later + IDLE_MAX);
        assert!(is_over(busy_at, Admission::Open, later));
        assert!(is_over(busy_at, Admission::Probe, later));
        assert!(!is_over(busy_at, Admission::Open, later - CHECK_EVERY));
        assert!(!is_over(busy_at, rest, later));
    }
}
