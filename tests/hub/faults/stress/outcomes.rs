//! The ends of downlinks, of repeated requests and of labels, and the text of the logs.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use serde_json::Value;

use super::{journal::Rule, model::BUSY, network::Handover, world::World};

impl World {
    pub async fn check_outcomes(&self, chance: &mut StdRng) {
        self.check_downlinks(chance).await;
        self.check_repeated(chance).await;
        self.check_labels(chance).await;
        self.check_logs().await;
    }

    async fn check_downlinks(&self, chance: &mut StdRng) {
        let queued = std::mem::take(&mut self.book.lock().unwrap().downlinks);
        for (number, tenant) in self.tenants.iter().enumerate() {
            for source in &tenant.sources {
                let handovers = source.network.handovers();
                self.check_turns(&handovers);
                let handed: BTreeSet<&str> = handovers.iter().map(|it| &*it.downlink).collect();
                for device in source.devices.iter().filter(|device| device.is_lasting) {
                    let path = format!("devices/{}/downlinks", device.id);
                    let found = self.pages(chance, &tenant.token, &path).await;
                    for downlink in &found {
                        self.check_downlink(downlink, &handed);
                    }
                    let own = queued
                        .iter()
                        .filter(|it| it.tenant == number && it.device == device.id);
                    for one in own {
                        let same = |it: &&Value| it["payload_hex"] == *one.payload;
                        let count = found.iter().filter(same).count();
                        let is_once = count == 1 || (count == 0 && one.id.is_none());
                        self.journal.hold(Rule::DoneOnce, is_once, || {
                            format!("{path}: {} was queued {count} times", one.payload)
                        });
                    }
                }
            }
        }
    }

    fn check_downlink(&self, downlink: &Value, handed: &BTreeSet<&str>) {
        let id = downlink["id"].as_str().unwrap_or_default();
        let state = downlink["state"].as_str().unwrap_or_default();
        let is_well = match state {
            "sent" | "acknowledged" => handed.contains(id),
            // A downlink that still waits is reported elsewhere.
            "queued" | "cancelled" => true,
            _ => false,
        };
        self.journal
            .hold(Rule::DownlinksEnd, is_well, || downlink.to_string());
        let is_confirmed = self.book.lock().unwrap().confirmed.contains(id);
        self.journal.hold(
            Rule::StaysConfirmed,
            !is_confirmed || state == "acknowledged",
            || downlink.to_string(),
        );
    }

    /// No two of a device are in the network server's hands at the same time.
    fn check_turns(&self, handovers: &[Handover]) {
        let mut last: BTreeMap<&str, &Handover> = BTreeMap::new();
        for next in handovers {
            let before = last.insert(&next.device, next);
            let ended = before.and_then(|before| before.ended);
            self.journal.hold(
                Rule::OneUnderWay,
                ended.is_none_or(|ended| ended <= next.begun),
                || format!("{before:?} and {next:?}"),
            );
        }
    }

    async fn check_repeated(&self, chance: &mut StdRng) {
        let repeated = std::mem::take(&mut self.book.lock().unwrap().repeated);
        for (number, tenant) in self.tenants.iter().enumerate() {
            let found = self
                .pages(chance, &tenant.token, "devices?selector=repeated")
                .await;
            for one in repeated.iter().filter(|one| one.tenant == number) {
                let count = found
                    .iter()
                    .filter(|device| has(device, &one.label))
                    .count();
                let is_once = count == 1 || (count == 0 && !one.is_answered);
                self.journal.hold(Rule::DoneOnce, is_once, || {
                    format!("{}: {} was made {count} times", tenant.name, one.label)
                });
            }
        }
    }

    async fn check_labels(&self, chance: &mut StdRng) {
        for tenant in &self.tenants {
            let all = self.pages(chance, &tenant.token, "devices").await;
            for label in [BUSY, "warm", "cold", "dry"] {
                let path = format!("devices?selector={label}");
                let picked = self.pages(chance, &tenant.token, &path).await;
                let picked = ids(picked.iter());
                let labelled = ids(all.iter().filter(|device| has(device, label)));
                self.journal.hold(Rule::Labels, picked == labelled, || {
                    format!(
                        "{}: {label} picks {picked:?}, not {labelled:?}",
                        tenant.name
                    )
                });
            }
        }
    }

    /// Looks for the reasons of faults that clients have seen.
    async fn check_logs(&self) {
        let faults = std::mem::take(&mut *self.faults.lock().unwrap());
        println!("{} answers 5xx", faults.len());
        for (hub, (name, log)) in self.logs().await.iter().enumerate() {
            let is_told = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
            let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for line in log.lines().filter(is_told) {
                if let Some((_, rest)) = line.split_once("request.id=\"") {
                    let id = rest.split('"').next().unwrap_or_default();
                    told.entry(id).or_default().push(line);
                }
            }
            for fault in faults.iter().filter(|fault| fault.hub == hub) {
                let lines = told.get(&*fault.request);
                // The log has some lines for many requests that are put off for one reason.
                let put_off = format!("request put off: {}", fault.reason);
                let is_told = lines.is_some() || log.contains(&put_off);
                self.journal
                    .hold(Rule::Explained, is_told, || fault.what.clone());
                let deadlock = |line: &&&str| line.contains("deadlock detected");
                let deadlock = lines.and_then(|lines| lines.iter().find(deadlock));
                self.journal.hold(Rule::NoDeadlock, deadlock.is_none(), || {
                    format!("{}: {deadlock:?}", fault.what)
                });
            }
            let panics = log.lines().filter(|line| line.contains("panicked at"));
            for line in panics {
                self.journal
                    .broken(Rule::NoPanic, format!("{name}: {line}"));
            }
        }
    }
}

fn has(device: &Value, label: &str) -> bool {
    let labels = device["labels"].as_array();
    labels.is_some_and(|labels| labels.iter().any(|it| it == label))
}

fn ids<'a>(devices: impl Iterator<Item = &'a Value>) -> BTreeSet<&'a str> {
    devices.filter_map(|device| device["id"].as_str()).collect()
}
