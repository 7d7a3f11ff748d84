//! Integrations that are paused, resumed and replayed into, and uplinks that are decoded again.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

use super::{
    acts::Begun,
    client::{Ask, Said},
    journal::Rule,
    model::{Device, Receiver, Tenant},
    world::{BUSY_TENANTS, World},
};

/// Uplinks that a stretch decodes again.
const STRETCH: u64 = 40;

impl World {
    pub async fn pause(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let receiver = &tenant.receivers[chance.random_range(0..tenant.receivers.len())];
        for act in ["pause", "resume"] {
            let path = format!("{}/{act}", receiver.path());
            let ask = Ask::post(path, &tenant.token, &json!({}));
            let ask = ask.cut_one_in(4).not_late();
            let ask = match chance.random_range(0..2) {
                0 => ask.keyed(&self.new_key()),
                _ => ask,
            };
            self.succeed(chance, ask).await;
            self.rest(Duration::from_millis(chance.random_range(0..600)))
                .await;
        }
    }

    /// Resumes every integration.
    pub async fn resume(&self, chance: &mut StdRng) {
        for tenant in &self.tenants {
            for receiver in &tenant.receivers {
                let path = format!("{}/resume", receiver.path());
                let ask = Ask::post(path, &tenant.token, &json!({}));
                self.succeed(chance, ask).await;
            }
        }
    }

    /// Forwards what a lasting device has sent so far once more.
    pub async fn replay(&self, chance: &mut StdRng) {
        let number = chance.random_range(0..BUSY_TENANTS);
        let tenant = &self.tenants[number];
        let device = self.lasting(tenant, chance);
        let Some(receiver) = tenant
            .receivers
            .iter()
            .find(|receiver| !receiver.is_ordered)
        else {
            return;
        };
        // No two begin at the same time, which identifies them.
        let before = Duration::from_secs(7200) + Duration::from_micros(self.next_number());
        let from = text(self.began - before);
        let to = text(SystemTime::now() - Duration::from_secs(1));
        let body = json!({"from": from, "to": to, "device_id": device.id});
        let ask = Ask::post(format!("{}/replay", receiver.path()), &tenant.token, &body)
            .keyed(&self.new_key())
            .cut_one_in(3);
        let begun = Instant::now();
        let said = self.settle(chance, ask).await;
        // Five at a time may go on.
        if said.as_ref().is_some_and(|said| !said.is_success()) {
            return;
        }
        self.book.lock().unwrap().replays.push(Begun {
            tenant: number,
            from,
            begun,
            is_answered: said.is_some(),
        });
    }

    /// Decodes what a lasting device has sent again, stretch by stretch, with the same driver.
    pub async fn redecode(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let device = self.lasting(tenant, chance);
        let path = format!(
            "devices/{}/redecode?dry_run=false&limit={STRETCH}",
            device.id
        );
        let mut cursor = String::new();
        loop {
            let hub = self.any_hub(chance);
            let ask = Ask::post(format!("{path}{cursor}"), &tenant.token, &json!({}));
            let ask = ask.to(hub).cut_one_in(10);
            let Ok(said) = self.ask(chance, ask).await else {
                return;
            };
            // Another request has continued meanwhile.
            let is_fair = said.status == 200 || said.status >= 500 || said.text.contains("cursor");
            self.journal.hold(Rule::Given, is_fair, || {
                let Said { request, text, .. } = &said;
                format!("[{request}] uplinks are not decoded again: {text}")
            });
            match said.body["next_cursor"]
                .as_str()
                .filter(|_| said.is_success())
            {
                Some(next) if !self.is_stopping() => cursor = format!("&cursor={next}"),
                _ => return,
            }
        }
    }

    fn lasting<'a>(&self, tenant: &'a Tenant, chance: &mut StdRng) -> &'a Device {
        let devices = tenant.sources.iter().flat_map(|source| &source.devices);
        let lasting: Vec<&Device> = devices.filter(|device| device.is_lasting).collect();
        lasting[chance.random_range(0..lasting.len())]
    }
}

impl Receiver {
    pub fn path(&self) -> String {
        format!("integrations/{}", self.integration)
    }
}

/// A time as the API has it.
fn text(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Micros, true)
}
