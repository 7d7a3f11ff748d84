//! Devices that go and come back, one by one, by bulk changes and imports, while they send.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{
    acts::Repeated,
    client::Ask,
    journal::Rule,
    model::{BUSY, Device, FLEETING, Source, Tenant},
    world::{BUSY_TENANTS, World},
};

/// One of this many requests about devices is cut.
const CUT_ONE_IN: u32 = 4;
/// Devices that an import makes.
const IMPORTED: usize = 30;

impl World {
    /// Deletes one device or all that are not lasting, and makes them again.
    pub async fn replace_devices(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let all = || {
            let sources = tenant.sources.iter();
            let places =
                sources.flat_map(|source| source.devices.iter().map(move |it| (source, it)));
            places.filter(|(_, device)| !device.is_lasting)
        };
        let count = all().count();
        if chance.random_range(0..6) > 0 {
            let one = all().nth(chance.random_range(0..count));
            return self
                .replace(tenant, one.into_iter().collect(), chance)
                .await;
        }
        self.replace(tenant, all().collect(), chance).await;
    }

    async fn replace(&self, tenant: &Tenant, some: Vec<(&Source, &Device)>, chance: &mut StdRng) {
        for (_, device) in &some {
            device.begins_to_change();
        }
        let is_gone = match &some[..] {
            [(_, device)] => self.delete(tenant, device, chance).await,
            _ => self.delete_in_bulk(tenant, chance).await,
        };
        for (_, device) in some.iter().filter(|_| is_gone) {
            device.is_gone();
        }
        sleep(Duration::from_millis(chance.random_range(0..100))).await;
        for (source, device) in &some {
            device.begins_to_change();
            let body = device.body(source.id, tenant.is_quiet);
            let mut ask = Ask::post("devices", &tenant.token, &body).cut_one_in(CUT_ONE_IN);
            if chance.random_range(0..2) == 0 {
                ask = ask.keyed(&self.new_key());
            }
            if let Some(said) = self.settle(chance, ask).await {
                // An existing device was created by a request that was cut, or never deleted.
                let is_there = said.is_success() || said.is_left() || said.text.contains("already");
                self.journal.hold(Rule::Given, is_there, || {
                    format!(
                        "[{}] {} is not made: {}",
                        said.request, device.id, said.text
                    )
                });
                if is_there {
                    device.is_made();
                }
            }
        }
    }

    async fn delete(&self, tenant: &Tenant, device: &Device, chance: &mut StdRng) -> bool {
        let path = format!("devices/{}", device.id);
        let ask = Ask::delete(path, &tenant.token)
            .cut_one_in(CUT_ONE_IN)
            .not_late();
        let said = self.settle(chance, ask).await;
        said.is_some_and(|said| said.is_success() || said.status == 404)
    }

    async fn delete_in_bulk(&self, tenant: &Tenant, chance: &mut StdRng) -> bool {
        let change = json!({"selector": FLEETING, "dry_run": false, "action": {"type": "delete"}});
        let ask = Ask::post("devices/bulk", &tenant.token, &change);
        let ask = ask.cut_one_in(CUT_ONE_IN).not_late();
        self.succeed(chance, ask).await.is_some()
    }

    /// Two change labels of many devices at once, by different hubs where there are several.
    pub async fn change_labels(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let labels = ["warm", "cold", "dry"];
        let kinds = ["add_labels", "remove_labels"];
        let mut change = |hub: usize| {
            let action = json!({"type": kinds[chance.random_range(0..kinds.len())],
                "labels": [labels[chance.random_range(0..labels.len())]]});
            let selector = [BUSY, FLEETING, "lasting"][chance.random_range(0..3)];
            let body = json!({"selector": selector, "dry_run": false, "action": action});
            let ask = Ask::post("devices/bulk", &tenant.token, &body).to(hub);
            (ask.cut_one_in(10), StdRng::seed_from_u64(chance.random()))
        };
        let last = self.members.len() - 1;
        let ((one, mut of_one), (other, mut of_other)) = (change(0), change(last));
        let _ = tokio::join!(self.ask(&mut of_one, one), self.ask(&mut of_other, other));
    }

    /// Imports new devices and lasting ones that are there; the new ones are deleted again.
    pub async fn import_devices(&self, chance: &mut StdRng) {
        let number = chance.random_range(0..BUSY_TENANTS);
        let tenant = &self.tenants[number];
        let of_source = |source: &Source| {
            let lasting = source.devices.iter().filter(|device| device.is_lasting);
            let bodies = lasting.map(|device| device.body(source.id, tenant.is_quiet).to_string());
            bodies.collect::<Vec<_>>()
        };
        let mut lines: Vec<String> = tenant.sources.iter().flat_map(of_source).collect();
        let import = self.next_number();
        for number in 0..IMPORTED {
            let id = format!("i{import}-{number}");
            lines.push(json!({"id": id, "labels": ["imported"]}).to_string());
        }
        let path = "devices/import?on_existing=update&format=ndjson";
        let ask = Ask::new(Method::POST, path, &tenant.token)
            .body(lines.join("\n"), "application/octet-stream")
            .keyed(&self.new_key())
            .cut_one_in(CUT_ONE_IN);
        let Some(begun) = self.settle(chance, ask).await else {
            return;
        };
        // An eleventh waiting import is refused.
        let is_fair =
            begun.is_success() || begun.is_left() || begun.text.contains("are waiting already");
        self.journal.hold(Rule::Given, is_fair, || {
            format!("[{}] an import is refused: {}", begun.request, begun.text)
        });
        if !begun.is_success() {
            return;
        }
        let id = begun.body["id"].as_i64().unwrap_or_default();
        self.book.lock().unwrap().imports.push((number, id));
        if chance.random_range(0..2) == 0 {
            let change =
                json!({"selector": "imported", "dry_run": false, "action": {"type": "delete"}});
            let ask = Ask::post("devices/bulk", &tenant.token, &change).cut_one_in(CUT_ONE_IN);
            let hub = self.any_hub(chance);
            let _ = self.ask(chance, ask.to(hub)).await;
        }
    }

    /// Makes a device by a request that is cut and repeated under its key.
    pub async fn repeat(&self, chance: &mut StdRng) {
        let tenant = chance.random_range(0..BUSY_TENANTS);
        let label = format!("repeated={}", self.next_number());
        let body = json!({"labels": ["repeated", label]});
        let ask = Ask::post("devices", &self.tenants[tenant].token, &body)
            .keyed(&self.new_key())
            .cut_one_in(2);
        let is_answered = self.succeed(chance, ask).await.is_some();
        self.book.lock().unwrap().repeated.push(Repeated {
            tenant,
            label,
            is_answered,
        });
    }

    pub fn new_key(&self) -> String {
        format!("key {}", self.next_number())
    }
}
