//! Network connections whose messages the hub fetches itself: one subscription for each, on exactly one
//! of the hubs that share a database.
//!
//! Which hub it is, a lease tells: whoever has it renews it, and the lease of a hub that died is free
//! within [`LEASE`]. A client's change is known at once on this hub and within [`LOOK_EVERY`] on the
//! others. While there is no such connection, nothing runs, and with a database of its own the hub
//! does not even look.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    UplinkPath,
    networks::mqtt::KINDS,
    subscription::{Ending, Subscription},
    taking::Taker,
};
use crate::{
    error::Result,
    id::ConnectionId,
    outgoing::Guard,
    secret::Vault,
    store::{Store, subscriptions::Subscribing},
};

/// How long a hub may be silent before another one takes its subscriptions over.
const LEASE: Duration = Duration::from_secs(10);
/// How often leases are renewed and other hubs' changes looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long after its last renewal a hub that cannot renew stops by itself.
const GIVE_UP: Duration = Duration::from_secs(8);

/// Runs all subscriptions of this hub.
pub struct Subscriber {
    store: Store,
    vault: Vault,
    guard: Guard,
    uplinks: UplinkPath,
    holder: Uuid,
    running: HashMap<ConnectionId, Running>,
    tasks: JoinSet<()>,
    renewed_at: Instant,
    /// Whether there is any such connection, ours or not.
    is_wanted: bool,
}

struct Running {
    what: Subscribing,
    end: tokio::sync::oneshot::Sender<Ending>,
}

impl Subscriber {
    /// One that runs nothing yet.
    pub fn new(store: Store, vault: Vault, guard: Guard, uplinks: UplinkPath) -> Self {
        Self {
            store,
            vault,
            guard,
            uplinks,
            holder: Uuid::new_v4(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            renewed_at: Instant::now(),
            is_wanted: false,
        }
    }

    /// Runs until `stop`, then lets what is under way be recorded and gives the leases back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut news = self.store.connection_news();
        let mut look_at = Some(Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = news.changed() => {}
                () = until(look_at) => {}
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => continue,
            }
            news.mark_unchanged();
            let failed = match self.look().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::warn!("the subscriptions wait for the database: {error}");
                    if self.renewed_at.elapsed() > GIVE_UP {
                        self.end_all();
                    }
                    true
                }
            };
            let must_look = failed || self.is_wanted || self.store.has_other_writers();
            look_at = must_look.then(|| Instant::now() + LOOK_EVERY);
        }
        self.stop().await;
    }

    /// Starts, changes and ends subscriptions so that they are as they must be.
    async fn look(&mut self) -> Result<()> {
        let wanted = self.store.subscribing_connections(KINDS).await?;
        self.is_wanted = !wanted.is_empty();
        if wanted.is_empty() && self.running.is_empty() {
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
        let ended: Vec<ConnectionId> = self
            .running
            .iter()
            .filter(|(id, running)| ours.get(id).is_none_or(|one| **one != running.what))
            .map(|(id, _)| *id)
            .collect();
        let mut changed = HashMap::new();
        let mut gone = Vec::new();
        for id in ended {
            let Some(running) = self.running.remove(&id) else {
                continue;
            };
            if ours.contains_key(&id) {
                let (ended, former) = tokio::sync::oneshot::channel();
                let _ = running.end.send(Ending::Changed(ended));
                changed.insert(id, former);
            } else if all.contains(&id) {
                let _ = running.end.send(Ending::Stopped);
            } else {
                let _ = running.end.send(Ending::Gone);
                gone.push(name(id));
            }
        }
        for (id, one) in ours {
            if !self.running.contains_key(&id) {
                let former = changed.remove(&id);
                self.start(one.clone(), former);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.store.release_leases(self.holder, gone).await
    }

    fn start(&mut self, what: Subscribing, former: Option<super::subscription::Former>) {
        let (end, told) = tokio::sync::oneshot::channel();
        let subscription = Arc::new(Subscription {
            taker: Arc::new(Taker::new(
                self.store.scope(what.tenant),
                what.id,
                self.uplinks.clone(),
            )),
            vault: self.vault.clone(),
            guard: self.guard.clone(),
        });
        self.tasks.spawn(subscription.run(told, former));
        self.running.insert(what.id, Running { what, end });
    }

    fn end_all(&mut self) {
        for (_, running) in self.running.drain() {
            let _ = running.end.send(Ending::Stopped);
        }
    }

    async fn stop(mut self) {
        let names: Vec<String> = self.running.keys().copied().map(name).collect();
        self.end_all();
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
