//! Subscriptions of network connections whose messages the hub fetches from a broker. Each runs on
//! exactly one of the hubs that share a database.
//!
//! The hub is chosen by a lease, which its holder renews. The lease of a failed hub expires within
//! [`LEASE`]. A client's change takes effect immediately on this hub and within [`LOOK_EVERY`] on
//! others. If there is no such connection, nothing runs, and a hub with a database of its own does not
//! even poll.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    path::UplinkPath,
    subscription::{Ending, Former, Subscription, Waking},
    taking::MessageProcessor,
};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    metrics::{Held, Lease},
    networks::fetched_kinds,
    outgoing::Guard,
    secret::Vault,
    store::{Store, networks::subscriptions::Subscribing},
    supervise::attempted,
};

/// Time after which another hub takes over the subscriptions of a hub that does not renew its leases.
const LEASE: Duration = Duration::from_secs(10);
/// Interval for renewing leases and for detecting changes of other hubs.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Time since the last renewal after which a hub stops its subscriptions by itself.
const GIVE_UP: Duration = Duration::from_secs(8);

/// Timeout for listing the connections. Leases expire meanwhile, so it must be short.
const FOUND_WITHIN: Duration = Duration::from_secs(4);

/// Runner of all subscriptions of this hub.
pub struct Subscriber {
    store: Store,
    vault: Vault,
    guard: Guard,
    uplinks: UplinkPath,
    holder: Uuid,
    running: HashMap<ConnectionId, Running>,
    /// Disabled connections whose broker sessions are not deleted yet; their leases are kept.
    resting: HashMap<ConnectionId, oneshot::Sender<Waking>>,
    tasks: JoinSet<()>,
    renewed_at: Instant,
    /// True if any such connection exists, on this hub or another.
    is_wanted: bool,
}

struct Running {
    what: Subscribing,
    end: oneshot::Sender<Ending>,
    /// Counts the lease.
    _lease: Held,
}

impl Subscriber {
    /// Creates a subscriber without subscriptions.
    pub fn new(store: Store, vault: Vault, guard: Guard, uplinks: UplinkPath) -> Self {
        Self {
            store,
            vault,
            guard,
            uplinks,
            holder: Uuid::new_v4(),
            running: HashMap::new(),
            resting: HashMap::new(),
            tasks: JoinSet::new(),
            renewed_at: Instant::now(),
            is_wanted: false,
        }
    }

    /// Runs until `stop` is cancelled, then waits for messages in progress and releases the leases.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut news = self.store.connection_news();
        let mut look_at = Some(Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = news.changed() => {}
                () = until(look_at) => {}
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    // A failed subscription starts again, and the lease of a finished one is released.
                    let soon = Instant::now() + LOOK_EVERY;
                    look_at = Some(look_at.map_or(soon, |at| at.min(soon)));
                    continue;
                }
            }
            news.mark_unchanged();
            let failed = match self.look().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::warn!("the subscriptions wait for the database: {error}");
                    if self.renewed_at.elapsed() > GIVE_UP {
                        self.give_up();
                    }
                    true
                }
            };
            let must_look = failed
                || self.is_wanted
                || !self.resting.is_empty()
                || self.store.has_other_writers();
            look_at = must_look.then(|| Instant::now() + LOOK_EVERY);
        }
        self.stop().await;
    }

    /// Starts, changes and ends subscriptions to match the stored connections.
    async fn look(&mut self) -> Result<()> {
        let kinds = fetched_kinds();
        let wanted = timeout(FOUND_WITHIN, self.store.subscribing_connections(&kinds));
        let wanted = wanted
            .await
            .map_err(|_| Error::silent("the database does not answer in time"))??;
        self.is_wanted = !wanted.is_empty();
        // A task that panicked does not report its end.
        self.running.retain(|_, running| !running.end.is_closed());
        if wanted.is_empty() && self.running.is_empty() && self.resting.is_empty() {
            self.renewed_at = Instant::now();
            return Ok(());
        }
        let names = wanted
            .iter()
            .map(|one| (one.tenant, name(one.id)))
            .collect();
        let asked_at = Instant::now();
        let held = self.store.hold_leases(self.holder, names, LEASE).await?;
        self.renewed_at = asked_at;
        let is_ours = |one: &&Subscribing| held.contains(&name(one.id));
        let ours: HashMap<ConnectionId, &Subscribing> = wanted
            .iter()
            .filter(is_ours)
            .map(|one| (one.id, one))
            .collect();
        let all: HashSet<ConnectionId> = wanted.iter().map(|one| one.id).collect();
        let mut changed = self.end_what_has_changed(&ours, &all);
        for (id, one) in &ours {
            if !self.running.contains_key(id) {
                let former = changed.remove(id).or_else(|| self.wake(*id));
                self.start((*one).clone(), former);
            }
        }
        self.renew_disabled(&all).await
    }

    /// Ends the subscriptions that no longer match. For those of changed connections, which start again,
    /// returns the receivers of their former topics.
    fn end_what_has_changed(
        &mut self,
        ours: &HashMap<ConnectionId, &Subscribing>,
        all: &HashSet<ConnectionId>,
    ) -> HashMap<ConnectionId, Former> {
        let has_ended = |id: &ConnectionId, running: &mut Running| {
            ours.get(id).is_none_or(|one| **one != running.what)
        };
        let ended: Vec<_> = self.running.extract_if(has_ended).collect();
        let mut changed = HashMap::new();
        for (id, running) in ended {
            let ending = if ours.contains_key(&id) {
                let (tell, former) = oneshot::channel();
                changed.insert(id, former);
                Ending::Changed(tell)
            } else if all.contains(&id) {
                Ending::Stopped
            } else {
                let (wake, waking) = oneshot::channel();
                self.resting.insert(id, wake);
                Ending::Gone(waking)
            };
            let _ = running.end.send(ending);
        }
        changed
    }

    /// Resumes the subscription of a connection that was disabled and is enabled again.
    fn wake(&mut self, id: ConnectionId) -> Option<Former> {
        let resting = self.resting.remove(&id)?;
        let (tell, former) = oneshot::channel();
        resting.send(Waking::On(tell)).ok()?;
        Some(former)
    }

    /// Renews the leases of disabled connections that may be enabled again, so that no other hub uses a
    /// session that this hub is deleting. Releases the leases of deleted sessions.
    async fn renew_disabled(&mut self, all: &HashSet<ConnectionId>) -> Result<()> {
        let ids: Vec<ConnectionId> = self.resting.keys().copied().collect();
        let mut forgotten = Vec::new();
        for id in ids {
            if self.resting[&id].is_closed() {
                self.resting.remove(&id);
                forgotten.push(name(id));
            } else if all.contains(&id)
                || !self.store.keep_lease(self.holder, &name(id), LEASE).await?
            {
                self.leave(id);
            }
        }
        if forgotten.is_empty() {
            return Ok(());
        }
        self.store.release_leases(self.holder, forgotten).await
    }

    fn leave(&mut self, id: ConnectionId) {
        if let Some(resting) = self.resting.remove(&id) {
            let _ = resting.send(Waking::Left);
        }
    }

    fn start(&mut self, what: Subscribing, former: Option<Former>) {
        let (end, stop) = oneshot::channel();
        let subscription = Arc::new(Subscription {
            taker: Arc::new(MessageProcessor::new(
                self.store.scope(what.tenant),
                what.id,
                self.uplinks.clone(),
            )),
            vault: self.vault.clone(),
            guard: self.guard.of(what.tenant.0),
        });
        self.tasks.spawn(async move {
            let running = async {
                subscription.run(stop, former).await;
                Ok(())
            };
            // A failed subscription starts again at the next poll.
            let _ = attempted("subscription", running).await;
        });
        let lease = self.uplinks.metrics.deliveries.hold(Lease::Subscription);
        let running = Running {
            what,
            end,
            _lease: lease,
        };
        self.running.insert(running.what.id, running);
    }

    /// Ends all subscriptions, because other hubs may have taken them over.
    fn give_up(&mut self) {
        self.end_all();
        let resting: Vec<ConnectionId> = self.resting.keys().copied().collect();
        for id in resting {
            self.leave(id);
        }
    }

    fn end_all(&mut self) {
        for (_, running) in self.running.drain() {
            let _ = running.end.send(Ending::Stopped);
        }
    }

    async fn stop(&mut self) {
        let ids = self.running.keys().chain(self.resting.keys());
        let names: Vec<String> = ids.copied().map(name).collect();
        self.end_all();
        // The sessions of disabled connections are deleted now, because no other hub knows that they must be.
        self.resting.clear();
        while self.tasks.join_next().await.is_some() {}
        if !names.is_empty()
            && let Err(error) = self.store.release_leases(self.holder, names).await
        {
            tracing::warn!("other hubs wait for the leases to run out: {error}");
        }
    }
}

fn name(id: ConnectionId) -> String {
    format!("network_connection/{id}")
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
