//! Network connections: keys that are changed and switches that are turned while messages come in.

use std::time::{Duration, Instant};

use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;

use super::{
    client::{Ask, SETTLED_WITHIN, Said},
    ingest::message,
    journal::Rule,
    model::{COUNTS_WITHIN, Source, Tenant},
    world::World,
};

/// A device that nobody has made.
const STRANGER: &str = "FFFFFFFFFFFFFFFF";
/// One of this many changes in a quiet tenant is cut.
const CUT_ONE_IN: u32 = 2;

impl World {
    /// Changes the ingest key of a connection.
    pub async fn change_key(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let source = &tenant.sources[chance.random_range(0..tenant.sources.len())];
        source.doubts_key();
        let ask = new_key(tenant, source).keyed(&self.new_key()).cut_one_in(4);
        self.take_key(tenant, source, ask, chance).await;
        if let Some(dead) = source.dead_keys().last() {
            let hub = self.any_hub(chance);
            self.hold_dead(source, dead, hub, chance).await;
        }
    }

    /// Repeats the request until it is answered; where that never happens, makes another key.
    async fn take_key(&self, tenant: &Tenant, source: &Source, ask: Ask, chance: &mut StdRng) {
        let said = match self.succeed(chance, ask).await {
            Some(said) => Some(said),
            None => self.succeed(chance, new_key(tenant, source)).await,
        };
        let key = said.and_then(|said| Some(said.body["ingest_key"].as_str()?.to_owned()));
        if let Some(key) = key {
            source.gets_key(key);
        }
    }

    /// Switches a connection off and, soon, on again.
    pub async fn switch(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let source = &tenant.sources[chance.random_range(0..tenant.sources.len())];
        for is_on in [false, true] {
            self.turn(tenant, source, is_on, 4, chance).await;
            sleep(Duration::from_millis(chance.random_range(0..500))).await;
        }
    }

    /// Switches a connection on or off, and looks until it is; whether it is.
    async fn turn(
        &self,
        tenant: &Tenant,
        source: &Source,
        is_on: bool,
        cut_one_in: u32,
        chance: &mut StdRng,
    ) -> bool {
        source.doubts_switch();
        let began = Instant::now();
        while let Some(now) = self.look(tenant, source, chance).await {
            if now.body["enabled"] == is_on {
                source.is_switched(is_on);
                return true;
            }
            if began.elapsed() > SETTLED_WITHIN {
                let what = format!("{} cannot be switched: {}", source.path(), now.text);
                self.journal.broken(Rule::Answered, what);
                break;
            }
            // With If-Match, a request that is executed late changes nothing.
            let ask = Ask::put(source.path(), &tenant.token, &source.body(is_on))
                .header("If-Match", &now.etag)
                .cut_one_in(cut_one_in);
            let hub = self.any_hub(chance);
            let said = self.ask(chance, ask.to(hub)).await;
            if said.is_ok_and(|said| said.is_success()) {
                source.is_switched(is_on);
                return true;
            }
        }
        false
    }

    /// Changes a connection of a quiet tenant, perhaps by a client that goes away, and looks on each
    /// hub whether that counts.
    pub async fn step(&self, chance: &mut StdRng) {
        let tenants = self.quiet();
        let tenant = &tenants[chance.random_range(0..tenants.len())];
        let source = &tenant.sources[0];
        match chance.random_range(0..3) {
            0 | 1 => self.step_key(tenant, source, chance).await,
            _ => {
                for is_on in [false, true] {
                    self.step_switch(tenant, source, is_on, chance).await;
                }
            }
        }
    }

    async fn step_key(&self, tenant: &Tenant, source: &Source, chance: &mut StdRng) {
        let Some(before) = self.look(tenant, source, chance).await else {
            return;
        };
        source.doubts_key();
        let ask = new_key(tenant, source).keyed(&self.new_key());
        let hub = self.any_hub(chance);
        let said = self
            .ask(chance, ask.clone().to(hub).cut_one_in(CUT_ONE_IN))
            .await;
        match said {
            Ok(said) if said.is_success() => {
                let key = said.body["ingest_key"].as_str().unwrap_or_default();
                source.gets_key(key.to_owned());
            }
            _ => {
                // The revision shows whether it was done, and from then on it counts.
                let after = self.look(tenant, source, chance).await;
                if after.is_some_and(|after| after.etag != before.etag) {
                    source.revokes(source.access().key);
                    self.hold_dead_keys(source, chance).await;
                }
                self.take_key(tenant, source, ask, chance).await;
            }
        }
        let access = source.access();
        if access.key_since.is_none() {
            return;
        }
        self.until_it_counts().await;
        for hub in 0..self.members.len() {
            if let Some(said) = self.knock(source, &access.key, hub, chance).await {
                self.journal.hold(Rule::Given, said.status != 401, || {
                    let Said { request, text, .. } = &said;
                    format!("[{request}] a new ingest key opens nothing: {text}")
                });
            }
        }
        self.hold_dead_keys(source, chance).await;
    }

    async fn step_switch(
        &self,
        tenant: &Tenant,
        source: &Source,
        is_on: bool,
        chance: &mut StdRng,
    ) {
        if !self.turn(tenant, source, is_on, CUT_ONE_IN, chance).await {
            return;
        }
        self.until_it_counts().await;
        let key = source.access().key;
        for hub in 0..self.members.len() {
            let Some(said) = self.knock(source, &key, hub, chance).await else {
                continue;
            };
            let (rule, wanted) = match is_on {
                true => (Rule::Given, "unknown_device"),
                false => (Rule::Revoked, "disabled"),
            };
            let is_so = said.status != 200 || said.body["status"] == wanted;
            self.journal.hold(rule, is_so, || {
                let Said { request, text, .. } = &said;
                format!("[{request}] a connection that is on: {is_on} answers {text}")
            });
        }
    }

    /// Waits until everybody may rely on a change.
    pub async fn until_it_counts(&self) {
        sleep(COUNTS_WITHIN + Duration::from_millis(100)).await;
    }

    async fn look(&self, tenant: &Tenant, source: &Source, chance: &mut StdRng) -> Option<Said> {
        let ask = Ask::get(source.path(), &tenant.token);
        self.succeed(chance, ask).await
    }

    async fn hold_dead_keys(&self, source: &Source, chance: &mut StdRng) {
        self.until_it_counts().await;
        if let Some(dead) = source.dead_keys().last() {
            for hub in 0..self.members.len() {
                self.hold_dead(source, dead, hub, chance).await;
            }
        }
    }

    async fn hold_dead(&self, source: &Source, dead: &str, hub: usize, chance: &mut StdRng) {
        if let Some(said) = self.knock(source, dead, hub, chance).await {
            let is_refused = said.status == 401 || said.status >= 500;
            self.journal.hold(Rule::Revoked, is_refused, || {
                let Said { request, text, .. } = &said;
                format!("[{request}] a revoked ingest key is let in: {text}")
            });
        }
    }

    /// Sends a stranger's message with this key and returns the answer.
    pub async fn knock(
        &self,
        source: &Source,
        key: &str,
        hub: usize,
        chance: &mut StdRng,
    ) -> Option<Said> {
        let path = format!("{}/uplinks", source.path());
        let ask = Ask::post(path, key, &message(STRANGER, 1)).to(hub);
        self.ask(chance, ask).await.ok()
    }

    /// Switches everything on.
    pub async fn switch_on(&self, chance: &mut StdRng) {
        for tenant in &self.tenants {
            for source in &tenant.sources {
                self.turn(tenant, source, true, u32::MAX, chance).await;
                let settings = source.network.settings("last");
                let path = format!("{}/downlink-settings", source.path());
                self.succeed(chance, Ask::put(path, &tenant.token, &settings))
                    .await;
            }
        }
    }
}

fn new_key(tenant: &Tenant, source: &Source) -> Ask {
    let path = format!("{}/ingest-key", source.path());
    Ask::post(path, &tenant.token, &json!({}))
}
