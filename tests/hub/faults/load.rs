//! Devices that send numbered uplinks through a network server that repeats what was not answered,
//! and the book-keeping that shows afterwards whether all of it is there, once, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    eventually_within,
    support::{
        database::surroundings,
        server::{Connection, Hub, things_stack},
        sink::{Cue, Sink},
    },
};

const DEVICES: usize = 8;
/// Every second device has it.
const LABEL: &str = "half";
/// The driver gives the number that the payload is.
const SCRIPT: &str =
    "function decode(p) { return { n: p.reduce((n, byte) => n * 256 + byte, 0) } }";
/// Maximum time until something is sent again that a dead process was sending.
pub const LEASED_WITHIN: Duration = Duration::from_secs(90);

/// The settings of a hub under such a load: it tries again at once, and often.
pub fn settings() -> [&'static str; 6] {
    [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--delivery-timeout-s",
        "2",
        "--delivery-schedule-s",
        "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
    ]
}

/// Chance that can be repeated: `THINGSHUB_TEST_SEED` is what a failed run has printed.
pub fn chance() -> StdRng {
    let seed = surroundings("THINGSHUB_TEST_SEED").map_or_else(rand::random, |seed| {
        seed.parse().expect("THINGSHUB_TEST_SEED is a number")
    });
    println!("THINGSHUB_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

struct Device {
    id: String,
    eui: String,
    is_selected: bool,
    /// The number of the uplink that is being sent, or comes next.
    number: u32,
    /// Attempts to send it that got no answer.
    unanswered: u32,
    /// The id that each number was acknowledged with.
    acknowledged: BTreeMap<u32, String>,
}

struct Receiver {
    integration: i64,
    sink: Sink,
    is_selective: bool,
}

pub struct Load {
    /// The hub may answer 503, after which the uplink is sent again, as a network server does.
    pub may_be_put_off: bool,
    connection: Connection,
    table: i64,
    devices: Vec<Device>,
    receivers: Vec<Receiver>,
    acknowledged: watch::Sender<usize>,
    put_off: watch::Sender<usize>,
}

/// Outcome of an uplink.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Acknowledged,
    PutOff,
    /// There is no telling: the hub is gone.
    Lost,
}

impl Load {
    /// Provisions a hub: devices with a driver, a data table of all, a receiver of all and one of
    /// every second device. Both receivers begin by failing now and then.
    pub async fn start(hub: &Hub, chance: &mut StdRng) -> Self {
        let connection = hub.connect("tts").await;
        hub.push("a/number", "1", SCRIPT).await;
        let mut devices = Vec::new();
        for number in 0..DEVICES {
            let device = Device {
                id: format!("d{number}"),
                eui: format!("AA0000000000000{number}"),
                is_selected: number % 2 == 0,
                number: 1,
                unanswered: 0,
                acknowledged: BTreeMap::new(),
            };
            let labels = if device.is_selected {
                vec![LABEL]
            } else {
                vec![]
            };
            let more = json!({"driver": "a/number:1", "labels": labels});
            hub.device(&device.id, &connection, &device.eui, more).await;
            devices.push(device);
        }
        let table = json!({"name": "numbers", "selector": ""});
        let table = hub.post("data-tables", &table).await.created();
        let mut receivers = Vec::new();
        for (name, selector) in [("all", ""), ("some", LABEL)] {
            let cues: Vec<Cue> = (0..100)
                .map(|_| match chance.random_range(0..10) {
                    0 => Cue::Status(503),
                    1 => Cue::Hang,
                    _ => Cue::Status(200),
                })
                .collect();
            let sink = Sink::start(&cues, Cue::Status(200)).await;
            receivers.push(Receiver {
                integration: hub.integration(name, selector, &sink.url).await,
                sink,
                is_selective: !selector.is_empty(),
            });
        }
        Self {
            may_be_put_off: false,
            connection,
            table: table["id"].as_i64().unwrap(),
            devices,
            receivers,
            acknowledged: watch::Sender::new(0),
            put_off: watch::Sender::new(0),
        }
    }

    /// The number of acknowledged uplinks, as it rises.
    pub fn acknowledged(&self) -> watch::Receiver<usize> {
        self.acknowledged.subscribe()
    }

    /// The number of uplinks that were put off, as it rises.
    pub fn put_off(&self) -> watch::Receiver<usize> {
        self.put_off.subscribe()
    }

    /// Sends from all devices, until `stop` or until no hub is left: who loses one goes to the next.
    pub async fn send(&mut self, hubs: &[&Hub], stop: &AtomicBool) {
        let (connection, may_be_put_off) = (&self.connection, self.may_be_put_off);
        let (acknowledged, put_off) = (&self.acknowledged, &self.put_off);
        let devices = self.devices.iter_mut().enumerate();
        join_all(devices.map(|(number, device)| async move {
            let mut order: Vec<&&Hub> = hubs.iter().collect();
            order.rotate_left(number % hubs.len());
            for hub in order {
                loop {
                    match device.send(hub, connection).await {
                        Sent::Acknowledged => acknowledged.send_modify(|count| *count += 1),
                        Sent::PutOff => {
                            assert!(may_be_put_off, "an uplink was put off\n{}", hub.log());
                            put_off.send_modify(|count| *count += 1);
                        }
                        Sent::Lost => break,
                    }
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        }))
        .await;
    }

    /// Compares everything that the hub lists, and everything that came out of it, with what went in.
    pub async fn check(&self, hub: &Hub) {
        self.until_delivered(hub).await;
        let mut stored = BTreeMap::new();
        for device in &self.devices {
            stored.insert(device.id.as_str(), device.check_uplinks(hub).await);
        }
        self.check_rows(hub, &stored).await;
        for receiver in &self.receivers {
            self.check_deliveries(hub, receiver, &stored).await;
        }
        let path = format!("network-connections/{}", self.connection.id);
        let health = hub.get(&path).await.ok()["health"].clone();
        let total: usize = stored.values().map(Vec::len).sum();
        assert_eq!(health["uplinks"], total, "{health}");
        println!(
            "{total} uplinks, {} acknowledged, all delivered",
            *self.acknowledged.borrow()
        );
    }

    async fn until_delivered(&self, hub: &Hub) {
        for receiver in &self.receivers {
            let path = format!("integrations/{}/deliveries", receiver.integration);
            eventually_within(LEASED_WITHIN, "all is delivered", async || {
                // All at once: what is tried again goes to and fro between the other states.
                let deliveries = pages(hub, &path).await;
                let is_delivered = |delivery: &Value| delivery["state"] == "delivered";
                deliveries.iter().all(is_delivered).then_some(())
            })
            .await;
        }
    }

    async fn check_rows(&self, hub: &Hub, stored: &BTreeMap<&str, Vec<Stored>>) {
        let mut rows: Vec<(String, u64)> = pages(hub, &format!("data-tables/{}/rows", self.table))
            .await
            .iter()
            .map(|row| (text(&row["device_id"]), row["data"]["n"].as_u64().unwrap()))
            .collect();
        let mut expected: Vec<(String, u64)> = stored
            .iter()
            .flat_map(|(device, uplinks)| {
                uplinks
                    .iter()
                    .map(|uplink| ((*device).to_owned(), u64::from(uplink.number)))
            })
            .collect();
        rows.sort();
        expected.sort();
        assert!(rows == expected, "the table's rows are not the uplinks");
    }

    async fn check_deliveries(
        &self,
        hub: &Hub,
        receiver: &Receiver,
        stored: &BTreeMap<&str, Vec<Stored>>,
    ) {
        let selected = self
            .devices
            .iter()
            .filter(|device| device.is_selected || !receiver.is_selective);
        let mut expected = BTreeMap::new();
        for device in selected {
            for uplink in &stored[device.id.as_str()] {
                expected.insert(uplink.id.clone(), (device.id.clone(), uplink.number));
            }
        }
        let path = format!("integrations/{}/deliveries", receiver.integration);
        let deliveries = pages(hub, &path).await;
        assert_eq!(deliveries.len(), expected.len(), "one for each uplink");
        let mut by_id = BTreeMap::new();
        for delivery in &deliveries {
            assert_eq!(delivery["state"], "delivered", "{delivery}");
            let of = expected.remove(&text(&delivery["uplink_id"]));
            let of = of.unwrap_or_else(|| panic!("invented, or twice: {delivery}"));
            assert_eq!(delivery["device_id"], of.0, "{delivery}");
            by_id.insert(text(&delivery["id"]), of);
        }
        let mut bodies: BTreeMap<String, Value> = BTreeMap::new();
        for message in receiver.sink.received() {
            let id = message.header("webhook-id").to_owned();
            let of = by_id
                .get(&id)
                .unwrap_or_else(|| panic!("invented: {id} {}", message.body));
            let said = &message.body;
            assert_eq!(said["uplink_metadata"]["id"], of.0, "{said}");
            assert_eq!(said["f_cnt_up"], of.1, "{said}");
            assert_eq!(said["data"], json!({"n": of.1}), "{said}");
            let first = bodies.entry(id).or_insert_with(|| said.clone());
            assert_eq!(first, said, "a repetition says something else");
        }
        let arrived: BTreeSet<&String> = bodies.keys().collect();
        assert!(
            arrived == by_id.keys().collect(),
            "a delivery has not arrived"
        );
    }
}

/// An uplink as the hub lists it.
struct Stored {
    id: String,
    number: u32,
}

impl Device {
    /// Sends the next uplink, or again the one that was not acknowledged.
    async fn send(&mut self, hub: &Hub, connection: &Connection) -> Sent {
        let path = format!("network-connections/{}/uplinks", connection.id);
        let request = hub
            .request(Method::POST, &path)
            .bearer_auth(&connection.key)
            .header("Content-Type", "application/json")
            .body(self.message());
        self.unanswered += 1;
        let Ok(response) = request.send().await else {
            return Sent::Lost;
        };
        let status = response.status();
        let Ok(answer) = response.text().await else {
            return Sent::Lost;
        };
        if status == 503 {
            return Sent::PutOff;
        }
        assert_eq!(status, 200, "{answer}");
        let receipt: Value = serde_json::from_str(&answer).unwrap();
        let known = receipt["status"] == "duplicate" && self.unanswered > 1;
        assert!(known || receipt["status"] == "recorded", "{receipt}");
        let told = text(&receipt["uplink_id"]);
        self.acknowledged.insert(self.number, told);
        self.number += 1;
        self.unanswered = 0;
        Sent::Acknowledged
    }

    fn message(&self) -> String {
        let mut message: Value = serde_json::from_str(&things_stack(&self.eui)).unwrap();
        let uplink = &mut message["uplink_message"];
        uplink["f_cnt"] = self.number.into();
        uplink["frm_payload"] = STANDARD.encode(self.number.to_be_bytes()).into();
        message.to_string()
    }

    /// The device's uplinks: every acknowledged one once, and none but those that were sent.
    async fn check_uplinks(&self, hub: &Hub) -> Vec<Stored> {
        let mut stored = Vec::new();
        let mut by_number: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for uplink in pages(hub, &format!("devices/{}/uplinks", self.id)).await {
            let number: u32 = serde_json::from_value(uplink["f_cnt"].clone()).unwrap();
            assert_eq!(uplink["data"], json!({"n": number}), "{uplink}");
            assert_eq!(uplink["error"], Value::Null, "{uplink}");
            let id = text(&uplink["id"]);
            by_number.entry(number).or_default().push(id.clone());
            stored.push(Stored { id, number });
        }
        for (number, id) in &self.acknowledged {
            let found = by_number.remove(number).unwrap_or_default();
            let device = &self.id;
            assert_eq!(found, std::slice::from_ref(id), "{device}: {number}");
        }
        if let Some(found) = by_number.remove(&self.number) {
            assert!(self.unanswered > 0 && found.len() == 1, "{found:?}");
        }
        assert!(by_number.is_empty(), "{}: invented {by_number:?}", self.id);
        let newest = stored.iter().map(|uplink| uplink.number).max();
        let device = hub.get(&format!("devices/{}", self.id)).await.ok();
        let reported = &device["state"]["reported"]["n"];
        assert_eq!(reported, &json!(newest), "{device}");
        stored
    }
}

/// All items of a list.
async fn pages(hub: &Hub, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hub.get(&format!("{path}?limit=500{cursor}")).await.ok();
        items.extend(page["collection"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}
