//! Downlinks of lasting devices, and the network that confirms them by the webhook of the uplinks.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{
    acts::Queued,
    client::Ask,
    model::Source,
    network::ToConfirm,
    world::{BUSY_TENANTS, World},
};

/// Time for which the network tries to have a confirmation recorded.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(20);

impl World {
    /// Queues a downlink for a lasting device, and sometimes takes it back.
    pub async fn queue_downlink(&self, chance: &mut StdRng) {
        let number = chance.random_range(0..BUSY_TENANTS);
        let tenant = &self.tenants[number];
        let source = &tenant.sources[chance.random_range(0..tenant.sources.len())];
        let lasting: Vec<_> = source
            .devices
            .iter()
            .filter(|device| device.is_lasting)
            .collect();
        let device = lasting[chance.random_range(0..lasting.len())];
        let payload = format!("{:016x}", self.next_number());
        let path = format!("devices/{}/downlinks", device.id);
        let body = json!({"payload_hex": payload, "f_port": 15,
            "confirmed": chance.random_range(0..2) == 0, "network_connection_id": source.id});
        let ask = Ask::post(&path, &tenant.token, &body)
            .keyed(&self.new_key())
            .cut_one_in(6);
        let said = self.settle(chance, ask).await;
        // A full queue and settings that somebody has removed are fair.
        if said.as_ref().is_some_and(|said| !said.is_success()) {
            return;
        }
        let id = said.and_then(|said| Some(said.body["id"].as_str()?.to_owned()));
        if let Some(id) = id.as_ref().filter(|_| chance.random_range(0..10) == 0) {
            let ask = Ask::delete(format!("{path}/{id}"), &tenant.token).cut_one_in(4);
            let hub = self.any_hub(chance);
            let _ = self.ask(chance, ask.to(hub)).await;
        }
        self.book.lock().unwrap().downlinks.push(Queued {
            tenant: number,
            device: device.id.clone(),
            payload,
            id,
        });
    }

    /// Plays the webhook of a connection's network server, which reports confirmed downlinks.
    pub async fn confirm_downlinks(
        self: Arc<Self>,
        (tenant, source): (usize, usize),
        mut chance: StdRng,
    ) {
        let source = &self.tenants[tenant].sources[source];
        let mut waiting = source.network.to_confirm.lock().await;
        while !self.is_stopping() {
            // Later downlinks are not confirmed, which is expected.
            let next = timeout(Duration::from_millis(100), waiting.recv()).await;
            if let Ok(Some(next)) = next {
                self.confirm(source, next, &mut chance).await;
            }
        }
    }

    /// Tells of a downlink that it was sent, and that it was confirmed, at the same time.
    async fn confirm(&self, source: &Source, next: ToConfirm, chance: &mut StdRng) {
        let mut other = StdRng::seed_from_u64(chance.random());
        let sent = news(&next, "downlink_sent");
        let confirmed = news(&next, "downlink_ack");
        let began = Instant::now();
        let is_recorded = async {
            while began.elapsed() < CONFIRMED_WITHIN {
                let hub = self.any_hub(chance);
                let said = self
                    .ask(chance, self.told(source, &confirmed).to(hub))
                    .await;
                if said.is_ok_and(|said| said.status == 200 && said.body["status"] == "other") {
                    return true;
                }
                sleep(Duration::from_millis(100)).await;
            }
            false
        };
        let hub = self.any_hub(&mut other);
        let sent = self.ask(&mut other, self.told(source, &sent).to(hub));
        let (is_recorded, _) = tokio::join!(is_recorded, sent);
        if is_recorded {
            self.book.lock().unwrap().confirmed.insert(next.downlink);
        }
        let _ = next.done.send(());
    }

    fn told(&self, source: &Source, news: &Value) -> Ask {
        let path = format!("{}/uplinks", source.path());
        Ask::post(path, &source.access().key, news).quietly()
    }
}

/// A message of The Things Stack about a downlink.
fn news(downlink: &ToConfirm, kind: &str) -> Value {
    let correlation = format!("thingshub:downlink:{}", downlink.downlink);
    let message = json!({"f_cnt": 7, "correlation_ids": [correlation]});
    json!({"end_device_ids": {"device_id": "dev1", "dev_eui": downlink.device,
        "application_ids": {"application_id": "app1"}}, kind: message})
}
