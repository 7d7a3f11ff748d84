//! Reception data from copies of a frame, added to the uplink that the first copy became.
//!
//! Network servers send a frame several times: without its gateways and with them, or once per gateway. The uplink
//! is forwarded when the first copy arrives; later reads return the data of all copies.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::store::{
    core::{gather::padded, transaction::DatabaseTransaction},
    entities::uplink,
};

/// Maximum number of receptions per uplink, the same as in the adapters.
const RECEPTIONS_MAX: usize = 64;
const RECEPTIONS: &str = "receptions";

/// Copy of a frame that names gateways.
pub(in crate::store) struct RepeatedFrame {
    uplink: Uuid,
    radio: Map<String, Value>,
}

impl RepeatedFrame {
    /// Returns the copy of an uplink's frame if it names any gateway.
    pub(in crate::store) fn new(uplink: Uuid, radio: &Value) -> Option<Self> {
        let radio = radio.as_object()?;
        let receptions = radio.get(RECEPTIONS)?.as_array()?;
        let is_named = !receptions.is_empty();
        is_named.then(|| Self {
            uplink,
            radio: radio.clone(),
        })
    }
}

/// Adds the new receptions of these copies to their uplinks.
pub(in crate::store) async fn add(
    transaction: &DatabaseTransaction,
    copies: Vec<RepeatedFrame>,
) -> Result<(), DbErr> {
    if copies.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = copies.iter().map(|copy| copy.uplink).collect();
    let found: Vec<(Uuid, Value)> = uplink::Entity::find()
        .filter(uplink::Column::Id.is_in(padded(ids)))
        .select_only()
        .column(uplink::Column::Id)
        .column(uplink::Column::Radio)
        .into_tuple()
        .all(transaction)
        .await?;
    let mut changed: BTreeMap<Uuid, (Value, bool)> = found
        .into_iter()
        .map(|(id, radio)| (id, (radio, false)))
        .collect();
    for copy in copies {
        if let Some((radio, is_changed)) = changed.get_mut(&copy.uplink) {
            *is_changed |= merge(radio, copy.radio);
        }
    }
    for (id, (radio, _)) in changed.into_iter().filter(|(_, (_, changed))| *changed) {
        let model = uplink::ActiveModel {
            id: Unchanged(id),
            radio: Set(radio),
            ..Default::default()
        };
        model.update(transaction).await?;
    }
    Ok(())
}

/// Adds a copy's gateways to the stored ones and keeps the best signal; returns true if any gateway was new.
fn merge(stored: &mut Value, copy: Map<String, Value>) -> bool {
    let Value::Object(stored) = stored else {
        return false;
    };
    let known = stored.get(RECEPTIONS).and_then(Value::as_array).cloned();
    let mut known = known.unwrap_or_default();
    let gateway = |reception: &Value| reception.get("gateway").cloned();
    let reported = copy.get(RECEPTIONS).and_then(Value::as_array);
    let (before, room) = (known.len(), RECEPTIONS_MAX.saturating_sub(known.len()));
    let news: Vec<Value> = reported
        .into_iter()
        .flatten()
        .filter(|reported| {
            known
                .iter()
                .all(|known| gateway(known) != gateway(reported))
        })
        .take(room)
        .cloned()
        .collect();
    known.extend(news);
    if known.len() == before {
        return false;
    }
    stored.insert(RECEPTIONS.to_owned(), known.into());
    let level = |radio: &Map<String, Value>| radio.get("rssi").and_then(Value::as_f64);
    if level(&copy) > level(stored) {
        for name in ["rssi", "snr"] {
            stored.shift_remove(name);
        }
    }
    for (name, value) in copy {
        stored.entry(name).or_insert(value);
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::core::json::members;

    #[test]
    fn gateways_are_added_once_with_the_best_signal() {
        let mut stored = json!({"frequency": 1});
        let heard = |gateway: &str, rssi: f64| {
            members(json!({"rssi": rssi, "snr": 1.0, "frequency": 2,
                "receptions": [{"gateway": gateway, "rssi": rssi}]}))
        };
        assert!(merge(&mut stored, heard("a", -90.0)));
        assert_eq!(
            (&stored["rssi"], &stored["frequency"]),
            (&json!(-90.0), &json!(1))
        );
        assert!(!merge(&mut stored, heard("a", -10.0)), "known");
        assert!(merge(&mut stored, heard("b", -80.0)));
        assert!(merge(&mut stored, heard("c", -100.0)));
        assert_eq!(stored["rssi"], -80.0);
        let gateways: Vec<_> = stored["receptions"].as_array().unwrap().iter().collect();
        assert_eq!(gateways.len(), 3);
        let many: Vec<Value> = (0..100)
            .map(|n| json!({"gateway": n.to_string()}))
            .collect();
        assert!(merge(&mut stored, members(json!({"receptions": many}))));
        assert_eq!(
            stored["receptions"].as_array().unwrap().len(),
            RECEPTIONS_MAX
        );
    }
}
