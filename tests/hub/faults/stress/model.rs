//! The known state of everything that was provisioned, and the claims that must therefore be true.
//!
//! A thing that is being changed, or was changed without an answer, is in doubt: nothing is demanded of it.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::network::Network;
use crate::support::sink::Sink;

/// Time within which an answered change counts on every hub.
pub const COUNTS_WITHIN: Duration = Duration::from_secs(1);
/// The label of devices that are deleted and made again.
pub const FLEETING: &str = "fleeting";
/// The label of all devices of the tenants where much is done.
pub const BUSY: &str = "busy";

pub struct Tenant {
    pub name: String,
    pub token: String,
    pub sources: Vec<Source>,
    pub table: i64,
    pub receivers: Vec<Receiver>,
    /// A connection, a data table and an integration for changes with If-Match alone.
    pub spares: [String; 3],
    /// Nothing happens but the steps of one actor, so that nothing else moves the tenant's epoch.
    pub is_quiet: bool,
}

pub struct Receiver {
    pub integration: i64,
    pub sink: Sink,
    pub is_ordered: bool,
}

/// A network connection.
pub struct Source {
    pub id: i64,
    pub name: String,
    pub devices: Vec<Device>,
    /// The network that its downlinks go to.
    pub network: Network,
    access: Mutex<Access>,
    /// Keys that no longer open it, each with the time from which that is known.
    old_keys: Mutex<Vec<(String, Instant)>>,
}

/// Whom a network connection lets in, and since when that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    pub key: String,
    /// `None`: it is being changed.
    pub key_since: Option<Instant>,
    pub is_on: bool,
    /// `None`: it is being switched.
    pub is_on_since: Option<Instant>,
}

impl Source {
    pub fn new(id: i64, name: String, key: String, network: Network) -> Self {
        let now = Instant::now();
        Self {
            id,
            name,
            devices: Vec::new(),
            network,
            access: Mutex::new(Access {
                key,
                key_since: Some(now),
                is_on: true,
                is_on_since: Some(now),
            }),
            old_keys: Mutex::default(),
        }
    }

    pub fn path(&self) -> String {
        format!("network-connections/{}", self.id)
    }

    pub fn access(&self) -> Access {
        self.access.lock().unwrap().clone()
    }

    /// Notes that nobody knows from now on which key opens it.
    pub fn doubts_key(&self) {
        self.access.lock().unwrap().key_since = None;
    }

    /// The key is another one now; until this call the old one may have been good.
    pub fn gets_key(&self, key: String) {
        let mut access = self.access.lock().unwrap();
        let old = std::mem::replace(&mut access.key, key);
        access.key_since = Some(Instant::now());
        drop(access);
        self.revokes(old);
    }

    /// This key opens it no longer.
    pub fn revokes(&self, key: String) {
        let mut old = self.old_keys.lock().unwrap();
        if old.iter().all(|(known, _)| *known != key) {
            old.push((key, Instant::now()));
        }
    }

    /// The keys that are certain to open it no longer.
    pub fn dead_keys(&self) -> Vec<String> {
        let old = self.old_keys.lock().unwrap();
        let dead = old
            .iter()
            .filter(|(_, since)| since.elapsed() > COUNTS_WITHIN);
        dead.map(|(key, _)| key.clone()).collect()
    }

    /// Notes that nobody knows from now on whether it is on.
    pub fn doubts_switch(&self) {
        self.access.lock().unwrap().is_on_since = None;
    }

    pub fn is_switched(&self, is_on: bool) {
        let mut access = self.access.lock().unwrap();
        (access.is_on, access.is_on_since) = (is_on, Some(Instant::now()));
    }

    /// Body of a change.
    pub fn body(&self, is_on: bool) -> Value {
        json!({"name": self.name, "enabled": is_on, "settings": {"type": "the_things_stack"}})
    }
}

/// Returns whether something that is known since `since` counted at `then`.
pub fn counts(since: Option<Instant>, then: Instant) -> bool {
    since.is_some_and(|since| then > since + COUNTS_WITHIN)
}

pub struct Device {
    pub id: String,
    pub eui: String,
    pub driver: String,
    /// True if the device is never deleted.
    pub is_lasting: bool,
    life: Mutex<Life>,
    ledger: Mutex<Vec<Sent>>,
}

/// A device's lives, of which each deletion begins another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    pub number: u32,
    pub is_there: bool,
    /// Since when that is known; `None`: it is being changed.
    pub since: Option<Instant>,
}

/// An uplink, and what became of it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub number: u32,
    /// The number of attempts to send it that got no answer.
    pub in_doubt: usize,
    /// The id that it was acknowledged with.
    pub acknowledged: Option<(String, Instant)>,
    /// The device's life, if it was one and the same from the first time that this was sent to the
    /// last answer.
    pub life: Option<u32>,
}

impl Sent {
    /// Minimum and maximum number of stored copies, no matter what became of the device.
    pub fn copies(&self) -> (usize, usize) {
        let is_acknowledged = usize::from(self.acknowledged.is_some());
        let most = match self.life {
            // Within a life, the hub tells copies apart.
            Some(_) => usize::from(self.in_doubt + is_acknowledged > 0),
            None => self.in_doubt + is_acknowledged,
        };
        (is_acknowledged, most)
    }
}

impl Device {
    pub fn new(id: String, eui: String, driver: &str, is_lasting: bool) -> Self {
        Self {
            id,
            eui,
            driver: driver.to_owned(),
            is_lasting,
            life: Mutex::new(Life {
                number: 0,
                is_there: true,
                since: Some(Instant::now()),
            }),
            ledger: Mutex::default(),
        }
    }

    /// Body that makes it.
    pub fn body(&self, source: i64, is_quiet: bool) -> Value {
        let mut labels = vec![if self.is_lasting { "lasting" } else { FLEETING }];
        labels.extend((!is_quiet).then_some(BUSY));
        json!({"id": self.id, "driver": self.driver, "labels": labels, "connectivity": {"connections": [
            {"network_connection_id": source, "network_device_id": self.eui}]}})
    }

    pub fn life(&self) -> Life {
        *self.life_mut()
    }

    /// Notes that it may be deleted, or made, at any moment from now on.
    pub fn begins_to_change(&self) {
        let mut life = self.life_mut();
        life.number += 1;
        life.since = None;
    }

    pub fn is_gone(&self) {
        let mut life = self.life_mut();
        (life.is_there, life.since) = (false, Some(Instant::now()));
    }

    pub fn is_made(&self) {
        let mut life = self.life_mut();
        (life.is_there, life.since) = (true, Some(Instant::now()));
    }

    fn life_mut(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap()
    }

    pub fn enter(&self, sent: Sent) {
        self.ledger.lock().unwrap().push(sent);
    }

    pub fn ledger(&self) -> Vec<Sent> {
        self.ledger.lock().unwrap().clone()
    }
}
