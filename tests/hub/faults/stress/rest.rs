//! Brings everything to rest before it is looked at: nothing is wrong any more, and everything that waits goes.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use tokio::time::sleep;

use super::{GOES_ON_WITHIN, client::Ask, journal::Rule, model::Sent, world::World};
use crate::faults::load::LEASED_WITHIN;

/// Time that imports, replays and downlinks may take when nothing goes wrong any more.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// Interval of the looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl World {
    /// Puts everything right and waits until nothing is under way.
    pub async fn come_to_rest(&self, chance: &mut StdRng) {
        self.right_clocks();
        self.switch_on(chance).await;
        self.resume(chance).await;
        for hub in 0..self.members.len() {
            self.record_one_more(hub, chance).await;
        }
        self.until_jobs_end(chance).await;
        self.until_delivered(chance).await;
        self.until_downlinks_end(chance).await;
    }

    /// Right clocks from here on.
    pub fn right_clocks(&self) {
        for member in &self.members {
            member.clock.set(0);
        }
    }

    /// Each hub records, now that nothing is wrong.
    async fn record_one_more(&self, hub: usize, chance: &mut StdRng) {
        let source = &self.quiet()[0].sources[0];
        let device = &source.devices[0];
        let ledger = device.ledger();
        let mut sent = Sent {
            number: ledger.iter().map(|sent| sent.number).max().unwrap_or(0) + 1,
            in_doubt: 0,
            acknowledged: None,
            life: Some(device.life().number),
        };
        let began = Instant::now();
        while sent.acknowledged.is_none() && began.elapsed() < GOES_ON_WITHIN {
            match self
                .ask(chance, self.uplink(source, device, sent.number).to(hub))
                .await
            {
                Ok(said) if said.status == 200 => {
                    let id = said.body["uplink_id"].as_str().map(str::to_owned);
                    sent.acknowledged = id.map(|id| (id, said.ended));
                }
                _ => sent.in_doubt += 1,
            }
            sleep(LOOK_EVERY).await;
        }
        self.journal
            .hold(Rule::GoesOn, sent.acknowledged.is_some(), || {
                format!("{} records nothing in the end", self.members[hub].name)
            });
        device.enter(sent);
    }

    async fn until_jobs_end(&self, chance: &mut StdRng) {
        let imports = std::mem::take(&mut self.book.lock().unwrap().imports);
        for (tenant, id) in imports {
            let token = &self.tenants[tenant].token;
            let path = format!("devices/import/{id}");
            let import = self.until_finished(token, &path, chance).await;
            let count = |name: &str| import[name].as_i64().unwrap_or_default();
            let done = count("created") + count("updated") + count("skipped");
            let is_whole = import["state"] == "done" && done == count("rows_total");
            self.journal
                .hold(Rule::Jobs, is_whole, || format!("{path}: {import}"));
        }
        for tenant in &self.tenants {
            for receiver in &tenant.receivers {
                let path = format!("{}/replays", receiver.path());
                for replay in self.pages(chance, &tenant.token, &path).await {
                    let path = format!("{path}/{}", replay["id"]);
                    let replay = self.until_finished(&tenant.token, &path, chance).await;
                    self.journal
                        .hold(Rule::Jobs, replay["state"] == "done", || {
                            format!("{path}: {replay}")
                        });
                }
            }
        }
    }

    /// A job when it has come to its end, or when it has had its time.
    async fn until_finished(
        &self,
        token: &str,
        path: &str,
        chance: &mut StdRng,
    ) -> serde_json::Value {
        let began = Instant::now();
        loop {
            let said = self.succeed(chance, Ask::get(path, token).quietly()).await;
            let job = said.map(|said| said.body).unwrap_or_default();
            if !job["finished_at"].is_null() || began.elapsed() > DONE_WITHIN {
                return job;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn until_delivered(&self, chance: &mut StdRng) {
        for tenant in &self.tenants {
            for receiver in &tenant.receivers {
                let path = format!("{}/deliveries", receiver.path());
                let what = format!("{}: {path}", tenant.name);
                self.until_none(
                    &tenant.token,
                    &path,
                    LEASED_WITHIN,
                    Rule::Delivered,
                    &what,
                    chance,
                )
                .await;
            }
        }
    }

    async fn until_downlinks_end(&self, chance: &mut StdRng) {
        for tenant in &self.tenants {
            let devices = tenant.sources.iter().flat_map(|source| &source.devices);
            for device in devices.filter(|device| device.is_lasting) {
                let path = format!("devices/{}/downlinks", device.id);
                let what = format!("{}: {path}", tenant.name);
                self.until_none(
                    &tenant.token,
                    &path,
                    DONE_WITHIN,
                    Rule::DownlinksEnd,
                    &what,
                    chance,
                )
                .await;
            }
        }
    }

    /// Waits until nothing of a list waits any more.
    async fn until_none(
        &self,
        token: &str,
        path: &str,
        within: Duration,
        rule: Rule,
        what: &str,
        chance: &mut StdRng,
    ) {
        let states: &[&str] = match rule {
            Rule::Delivered => &["pending", "sending"],
            _ => &["queued"],
        };
        let began = Instant::now();
        loop {
            let mut waiting = Vec::new();
            for state in states {
                let path = format!("{path}?state={state}");
                waiting.extend(self.pages(chance, token, &path).await);
            }
            let Some(first) = waiting.first() else {
                return;
            };
            if began.elapsed() > within {
                let count = waiting.len();
                self.journal.broken(
                    rule,
                    format!("{what}: {count} wait for ever, such as {first}"),
                );
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
