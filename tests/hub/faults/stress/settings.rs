//! Two at once change the same thing at the same revision, by two hubs where there are several.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::join;

use super::{
    client::{Ask, Said},
    journal::Rule,
    model::Tenant,
    world::World,
};

/// One of this many rounds begins with settings that nobody has made.
const FIRST_ONE_IN: u32 = 4;

impl World {
    pub async fn change_settings(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let of_source = tenant.sources.iter().enumerate();
        let mut places: Vec<(String, Option<usize>)> = of_source
            .map(|(number, source)| (format!("{}/downlink-settings", source.path()), Some(number)))
            .collect();
        places.extend(tenant.spares.iter().map(|path| (path.clone(), None)));
        let (path, source) = &places[chance.random_range(0..places.len())];
        let is_spare = *path == tenant.spares[0];
        let removes = is_spare || source.is_some_and(|_| chance.random_range(0..3) == 0);
        let is_first = removes && chance.random_range(0..FIRST_ONE_IN) == 0;
        let etag = match is_first {
            true => {
                self.settle(chance, Ask::delete(path, &tenant.token)).await;
                None
            }
            false => self.etag(tenant, path, chance).await,
        };
        if !is_first && etag.is_none() {
            // There are none yet.
            let version = self.next_number();
            let body = body(tenant, path, *source, version);
            self.settle(chance, Ask::put(path, &tenant.token, &body))
                .await;
            return;
        }
        let mut change = |hub: usize| {
            let body = body(tenant, path, *source, self.next_number());
            let mut ask = Ask::put(path, &tenant.token, &body).to(hub);
            if let Some(etag) = &etag {
                // With If-Match, a request that is executed after another change changes nothing.
                ask = ask.header("If-Match", etag).cut_one_in(20);
            }
            (body, ask, StdRng::seed_from_u64(chance.random()))
        };
        let last = self.members.len() - 1;
        let (one, other) = (change(0), change(last));
        let ((body_of_one, one, mut of_one), (body_of_other, other, mut of_other)) = (one, other);
        let (one, other) = join!(self.ask(&mut of_one, one), self.ask(&mut of_other, other));
        let (Ok(one), Ok(other)) = (one, other) else {
            // A request whose client went away may be executed while the next two compete, and would win.
            let body = body(tenant, path, *source, self.next_number());
            self.settle(chance, Ask::put(path, &tenant.token, &body))
                .await;
            return;
        };
        let answers = [(one, body_of_one), (other, body_of_other)];
        // A request that was answered with an error of the server may have been executed.
        if answers.iter().any(|(said, _)| said.status >= 500) {
            return;
        }
        let winners: Vec<_> = answers
            .iter()
            .filter(|(said, _)| said.is_success())
            .collect();
        let told = || {
            let told = |(said, _): &(Said, Value)| match said.is_success() {
                true => format!("[{}] {}", said.request, said.status),
                false => format!("[{}] {}", said.request, said.text),
            };
            answers.iter().map(told).collect::<Vec<_>>().join(", ")
        };
        let wanted = if etag.is_some() { 1 } else { 2 };
        self.journal
            .hold(Rule::OneWins, winners.len() == wanted, || {
                format!("{path}: {} of two win: {}", winners.len(), told())
            });
        if let ([(winner, body)], Some(_)) = (&winners[..], &etag) {
            self.hold_winner(tenant, path, winner, body, chance).await;
        }
    }

    async fn hold_winner(
        &self,
        tenant: &Tenant,
        path: &str,
        winner: &Said,
        body: &Value,
        chance: &mut StdRng,
    ) {
        let Some(after) = self.succeed(chance, Ask::get(path, &tenant.token)).await else {
            return;
        };
        let is_stored = ["settings", "description"]
            .iter()
            .all(|name| body[name].is_null() || contains(&after.body[name], &body[name]));
        let is_winner = after.etag == winner.etag && is_stored;
        self.journal.hold(Rule::OneWins, is_winner, || {
            let Said { request, etag, .. } = winner;
            format!(
                "{path}: [{request}] wins {etag} with {body}, and {} {} is stored",
                after.etag, after.body
            )
        });
    }

    async fn etag(&self, tenant: &Tenant, path: &str, chance: &mut StdRng) -> Option<String> {
        let said = self.settle(chance, Ask::get(path, &tenant.token)).await?;
        said.is_success().then_some(said.etag)
    }
}

/// Returns whether the stored resource has everything that was sent.
fn contains(stored: &Value, sent: &Value) -> bool {
    match (stored, sent) {
        (Value::Object(stored), Value::Object(sent)) => sent
            .iter()
            .all(|(name, value)| stored.get(name).is_some_and(|it| contains(it, value))),
        _ => stored == sent,
    }
}

/// A body to replace it with; no two are alike.
fn body(tenant: &Tenant, path: &str, source: Option<usize>, version: u64) -> Value {
    let version = version.to_string();
    if let Some(source) = source {
        return tenant.sources[source].network.settings(&version);
    }
    match path.split_once('/') {
        Some(("network-connections", _)) => tenant.sources[0].network.settings(&version),
        Some(("data-tables", _)) => {
            json!({"name": "spare", "description": version, "selector": "none"})
        }
        _ => json!({"name": "spare", "description": version, "selector": "none",
            "target": {"type": "http", "url": "https://example.com/"}}),
    }
}
