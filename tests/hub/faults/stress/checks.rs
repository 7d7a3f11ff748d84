//! Compares uplinks, table rows and deliveries with what was sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use serde_json::Value;

use super::{
    journal::Rule,
    model::{Device, Receiver, Sent, Tenant},
    world::World,
};
use crate::support::sink::Received;

/// An uplink by its device and number.
type Which = (String, u32);
/// Minimum and maximum number of copies.
type Copies = (usize, usize);

/// An uplink as the hub lists it.
struct Stored {
    id: String,
    received_at: DateTime<Utc>,
}

/// A replay as the hub lists it, with the time before which uplinks are certain to be in it.
struct Replay {
    device: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    begun: Option<Instant>,
}

impl World {
    /// Holds everything against what was sent.
    pub async fn check_uplinks(&self, chance: &mut StdRng) {
        let mut acknowledged = 0;
        for (number, tenant) in self.tenants.iter().enumerate() {
            let devices = || tenant.sources.iter().flat_map(|source| &source.devices);
            let mut sent = BTreeMap::new();
            let mut received_at = BTreeMap::new();
            for device in devices() {
                for (number, stored) in self.check_stored(tenant, device, chance).await {
                    received_at.insert((device.id.clone(), number), stored.received_at);
                }
                for one in device.ledger() {
                    acknowledged += usize::from(one.acknowledged.is_some());
                    sent.insert((device.id.clone(), one.number), one);
                }
            }
            self.check_rows(tenant, &sent, chance).await;
            for receiver in &tenant.receivers {
                let replays = self.replays(number, tenant, receiver, chance).await;
                let copies = |which: &Which, one: &Sent| {
                    let (least, most) = one.copies();
                    let again = forwarded(which, one, received_at.get(which), &replays);
                    (least + again.0, most + again.1)
                };
                let expected = sent.iter().map(|(which, one)| (which, copies(which, one)));
                let expected: BTreeMap<&Which, Copies> = expected.collect();
                self.check_deliveries(tenant, receiver, &expected, chance)
                    .await;
                if receiver.is_ordered {
                    self.check_order(tenant, receiver, &sent);
                }
            }
        }
        println!("{acknowledged} uplinks acknowledged");
    }

    /// The uplinks of a device, by their numbers.
    async fn check_stored(
        &self,
        tenant: &Tenant,
        device: &Device,
        chance: &mut StdRng,
    ) -> BTreeMap<u32, Stored> {
        let life = device.life();
        let mut found: BTreeMap<u32, Vec<Stored>> = BTreeMap::new();
        if life.is_there && life.since.is_some() {
            let path = format!("devices/{}/uplinks", device.id);
            for uplink in self.pages(chance, &tenant.token, &path).await {
                let number = number(&uplink["f_cnt"]);
                self.journal
                    .hold(Rule::Kept, uplink["data"]["n"] == number, || {
                        format!("{} {}: another is stored: {uplink}", tenant.name, device.id)
                    });
                found.entry(number).or_default().push(Stored {
                    id: text(&uplink["id"]),
                    received_at: time(&uplink["received_at"]),
                });
            }
        }
        let mut stored = BTreeMap::new();
        for sent in device.ledger() {
            let copies = found.remove(&sent.number).unwrap_or_default();
            let what = || format!("{} {}: {sent:?} in {life:?}", tenant.name, device.id);
            let (_, most) = sent.copies();
            self.journal
                .hold(Rule::NotDoubled, copies.len() <= most, || {
                    let ids: Vec<&String> = copies.iter().map(|copy| &copy.id).collect();
                    format!("{} is stored as {ids:?}", what())
                });
            if let Some((id, _)) = &sent.acknowledged
                && sent.life == Some(life.number)
            {
                let is_kept = copies.iter().any(|copy| copy.id == *id);
                self.journal
                    .hold(Rule::Kept, is_kept, || format!("{} is lost", what()));
            }
            stored.extend(copies.into_iter().map(|copy| (sent.number, copy)));
        }
        self.journal.hold(Rule::NotDoubled, found.is_empty(), || {
            let numbers: Vec<&u32> = found.keys().collect();
            format!("{} {}: nobody has sent {numbers:?}", tenant.name, device.id)
        });
        stored
    }

    async fn check_rows(&self, tenant: &Tenant, sent: &BTreeMap<Which, Sent>, chance: &mut StdRng) {
        let path = format!("data-tables/{}/rows", tenant.table);
        let mut rows: BTreeMap<Which, usize> = BTreeMap::new();
        for row in self.pages(chance, &tenant.token, &path).await {
            let which = (text(&row["device_id"]), number(&row["data"]["n"]));
            *rows.entry(which).or_default() += 1;
        }
        let expected = sent
            .iter()
            .map(|(which, one)| (which, one.copies()))
            .collect();
        let what = format!("{} table", tenant.name);
        self.hold_counts(&what, &expected, &rows, Rule::Rows, Rule::NotDoubled);
    }

    async fn check_deliveries(
        &self,
        tenant: &Tenant,
        receiver: &Receiver,
        expected: &BTreeMap<&Which, Copies>,
        chance: &mut StdRng,
    ) {
        let received = receiver.sink.received();
        let mut messages: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
        for message in &received {
            let id = message.header("webhook-id");
            messages.entry(id).or_default().push(message);
        }
        let path = format!("{}/deliveries", receiver.path());
        let what = format!("{} {path}", tenant.name);
        let mut delivered: BTreeMap<Which, usize> = BTreeMap::new();
        for delivery in self.pages(chance, &tenant.token, &path).await {
            let id = text(&delivery["id"]);
            let Some(messages) = messages.remove(&*id) else {
                let never = format!("{what}: nothing has arrived of {delivery}");
                self.journal.broken(Rule::Delivered, never);
                continue;
            };
            let is_delivered = delivery["state"] == "delivered";
            self.journal.hold(Rule::Delivered, is_delivered, || {
                format!("{what}: {delivery}")
            });
            let is_same = messages
                .iter()
                .all(|message| message.body == messages[0].body);
            self.journal.hold(Rule::SentOnce, is_same, || {
                format!("{what}: a repetition of {id} says something else")
            });
            *delivered.entry(which(messages[0])).or_default() += 1;
            self.check_repetitions(&what, &id, &messages);
        }
        let invented: Vec<&&str> = messages.keys().collect();
        self.journal.hold(Rule::Delivered, invented.is_empty(), || {
            format!("{what}: {invented:?} arrived, and are no deliveries")
        });
        self.hold_counts(&what, expected, &delivered, Rule::Delivered, Rule::Replayed);
    }

    /// A delivery that was taken is sent again only where nobody could know that it was taken.
    fn check_repetitions(&self, what: &str, id: &str, messages: &[&Received]) {
        let harms = self.harms.lock().unwrap().clone();
        let taken: Vec<&&Received> = messages
            .iter()
            .filter(|message| message.status == Some(200))
            .collect();
        for pair in taken.windows(2) {
            let (taken, again) = (pair[0].at, pair[1].at);
            let is_explained = harms.iter().any(|harm| harm.explains(taken, again));
            self.journal.hold(Rule::SentOnce, is_explained, || {
                let (which, after) = (which(pair[0]), again - taken);
                format!("{what}: {id} of {which:?} was taken, and is sent again after {after:?}")
            });
        }
    }

    /// Checks that no uplink that was acknowledged at once arrives behind a later one of its device.
    fn check_order(&self, tenant: &Tenant, receiver: &Receiver, sent: &BTreeMap<Which, Sent>) {
        let mut newest: BTreeMap<String, u32> = BTreeMap::new();
        for message in receiver.sink.received() {
            let (device, number) = which(&message);
            let certain = sent.get(&(device.clone(), number));
            if certain.is_none_or(|sent| sent.in_doubt > 0 || sent.acknowledged.is_none()) {
                continue;
            }
            let last = newest.entry(device.clone()).or_default();
            self.journal.hold(Rule::Ordered, number >= *last, || {
                format!("{} {device}: {number} arrives behind {last}", tenant.name)
            });
            *last = number.max(*last);
        }
    }

    fn hold_counts(
        &self,
        what: &str,
        expected: &BTreeMap<&Which, Copies>,
        found: &BTreeMap<Which, usize>,
        too_few: Rule,
        too_many: Rule,
    ) {
        for (which, (least, most)) in expected {
            let count = found.get(*which).copied().unwrap_or_default();
            let say = || format!("{what}: {which:?} is there {count} times, not {least} to {most}");
            self.journal.hold(too_few, count >= *least, say);
            self.journal.hold(too_many, count <= *most, say);
        }
        for which in found.keys().filter(|which| !expected.contains_key(which)) {
            let invented = format!("{what}: nobody has sent {which:?}");
            self.journal.broken(Rule::NotDoubled, invented);
        }
    }

    /// The replays into an integration: one for each request that was answered.
    async fn replays(
        &self,
        number: usize,
        tenant: &Tenant,
        receiver: &Receiver,
        chance: &mut StdRng,
    ) -> Vec<Replay> {
        if receiver.is_ordered {
            return Vec::new();
        }
        let path = format!("{}/replays", receiver.path());
        let listed = self.pages(chance, &tenant.token, &path).await;
        let mut known: BTreeMap<DateTime<Utc>, Instant> = BTreeMap::new();
        let mut answered = BTreeSet::new();
        for begun in &self.book.lock().unwrap().replays {
            if begun.tenant == number {
                let from = time(&Value::from(begun.from.clone()));
                known.insert(from, begun.begun);
                if begun.is_answered {
                    answered.insert(from);
                }
            }
        }
        let mut replays = Vec::new();
        let mut found: BTreeMap<DateTime<Utc>, usize> = BTreeMap::new();
        for replay in listed {
            let from = time(&replay["from"]);
            *found.entry(from).or_default() += 1;
            replays.push(Replay {
                device: text(&replay["device_id"]),
                from,
                to: time(&replay["to"]),
                begun: known.get(&from).copied(),
            });
        }
        for from in known.keys() {
            let count = found.get(from).copied().unwrap_or_default();
            let is_once = count == 1 || (count == 0 && !answered.contains(from));
            self.journal.hold(Rule::DoneOnce, is_once, || {
                format!("{}: a replay was begun {count} times", tenant.name)
            });
        }
        replays
    }
}

/// Minimum and maximum of replays that have forwarded an uplink: those count for certain that began when it was
/// acknowledged.
fn forwarded(
    (device, _): &Which,
    sent: &Sent,
    received_at: Option<&DateTime<Utc>>,
    replays: &[Replay],
) -> Copies {
    let Some(received_at) = received_at else {
        return (0, 0);
    };
    let is_in = |replay: &&Replay| {
        replay.device == *device && (replay.from..replay.to).contains(received_at)
    };
    let is_certain = |replay: &&Replay| {
        let acknowledged = sent.acknowledged.as_ref();
        let begun = replay.begun;
        acknowledged.is_some_and(|(_, at)| begun.is_some_and(|begun| *at < begun))
    };
    let all = replays.iter().filter(is_in);
    (all.clone().filter(is_certain).count(), all.count())
}

fn which(message: &Received) -> Which {
    let body = &message.body;
    (
        text(&body["uplink_metadata"]["id"]),
        number(&body["f_cnt_up"]),
    )
}

fn number(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|number| number.try_into().ok())
        .unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    text.parse().unwrap()
}
