//! Sessions, API keys and whole tenants that are made, used on every hub, and ended.

use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    client::{Ask, Said},
    ingest::message,
    journal::Rule,
    world::World,
};
use crate::support::server::PASSWORD;

/// One of this many ends of a session or key is cut.
const CUT_ONE_IN: u32 = 3;
const EUI: &str = "AA00000000000099";

impl World {
    /// Makes a session or an API key, uses it everywhere, ends it, and tries it again.
    pub async fn end_access(&self, chance: &mut StdRng) {
        let tenant = self.busy(chance);
        let (token, end) = if chance.random_range(0..2) == 0 {
            let body = json!({"username": tenant.name, "password": PASSWORD});
            let ask = Ask::post("auth/token", "", &body);
            let Some(said) = self.succeed(chance, ask).await else {
                return;
            };
            let token = text(&said.body["token"]);
            (token.clone(), Ask::delete("auth/token", &token))
        } else {
            let body = json!({"name": self.new_key(), "scopes": ["read"]});
            let ask = Ask::post("api-keys", &tenant.token, &body)
                .keyed(&self.new_key())
                .cut_one_in(CUT_ONE_IN);
            let Some(said) = self.succeed(chance, ask).await else {
                return;
            };
            let end = Ask::delete(format!("api-keys/{}", said.body["id"]), &tenant.token);
            (text(&said.body["key"]), end)
        };
        let everywhere = 0..self.members.len();
        for hub in everywhere.clone() {
            let said = self.ask(chance, Ask::get("devices", &token).to(hub)).await;
            if let Ok(said) = said {
                self.journal.hold(Rule::Given, said.status != 401, || {
                    format!("[{}] a new token opens nothing", said.request)
                });
            }
        }
        let Some(ended) = self.settle(chance, end.cut_one_in(CUT_ONE_IN)).await else {
            return;
        };
        // Once it has ended, it cannot be ended again.
        let is_ended = ended.is_success() || [401, 404].contains(&ended.status);
        self.journal.hold(Rule::Given, is_ended, || {
            format!("[{}] a token is not ended: {}", ended.request, ended.text)
        });
        self.until_it_counts().await;
        for hub in everywhere {
            if let Ok(said) = self.ask(chance, Ask::get("devices", &token).to(hub)).await {
                let is_refused = said.status == 401 || said.status >= 500;
                self.journal.hold(Rule::Revoked, is_refused, || {
                    format!("[{}] a token that was ended is let in", said.request)
                });
            }
        }
    }

    /// Makes a tenant with a device that sends to every hub, deletes it, and lets the device go on.
    pub async fn end_tenant(&self, chance: &mut StdRng) {
        let name = format!("passing{}", self.next_number());
        let body = json!({"name": name, "administrator": {"username": name, "password": PASSWORD}});
        let ask = Ask::post("tenants", &self.admin, &body).keyed(&self.new_key());
        let Some(made) = self.succeed(chance, ask).await else {
            return;
        };
        let path = format!("tenants/{}", made.body["id"]);
        let body = json!({"username": name, "password": PASSWORD});
        let Some(session) = self
            .succeed(chance, Ask::post("auth/token", "", &body))
            .await
        else {
            return;
        };
        let token = text(&session.body["token"]);
        let body = json!({"name": "passing", "settings": {"type": "the_things_stack"}});
        let ask = Ask::post("network-connections", &token, &body).keyed(&self.new_key());
        let Some(connection) = self.succeed(chance, ask).await else {
            return;
        };
        let key = text(&connection.body["ingest_key"]);
        let uplinks = format!("network-connections/{}/uplinks", connection.body["id"]);
        let body = json!({"id": "d", "connectivity": {"connections": [
            {"network_connection_id": connection.body["id"], "network_device_id": EUI}]}});
        let ask = Ask::post("devices", &token, &body).keyed(&self.new_key());
        if self.succeed(chance, ask).await.is_none() {
            return;
        }
        let everywhere = 0..self.members.len();
        let uplink = |number: u32| Ask::post(&uplinks, &key, &message(EUI, number));
        for hub in everywhere.clone() {
            let _ = self.ask(chance, uplink(1).to(hub)).await;
        }
        let ended = self
            .settle(
                chance,
                Ask::delete(path, &self.admin).cut_one_in(CUT_ONE_IN),
            )
            .await;
        let is_ended = ended.is_some_and(|said| said.is_success() || said.status == 404);
        if !is_ended {
            return;
        }
        self.until_it_counts().await;
        for hub in everywhere {
            for number in 2..6 {
                let Ok(said) = self.ask(chance, uplink(number).to(hub)).await else {
                    continue;
                };
                let Said {
                    status,
                    request,
                    text,
                    ..
                } = said;
                // A fault elsewhere may leave everybody without an answer.
                let is_refused = status == 401 || (status >= 500 && self.is_harmed());
                self.journal.hold(Rule::Revoked, is_refused, || {
                    format!("[{request}] the key of a deleted tenant is answered {status} {text}")
                });
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
