//! Decodes stored uplinks again with a driver, to preview the result or to replace the stored data.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{path::UplinkPath, record, route::DeviceRoute};
use crate::{
    codec::{
        decode::{self, Given},
        decoded::{self, Decoded},
        output::{self, Update},
        version::Decoding,
    },
    error::Result,
    networks::carries_data,
    store::{
        Page, Scope,
        core::listing::{Place, Span},
        devices::{
            Device,
            redecodings::{self, Progress, Rewritten},
            uplinks::Uplink,
        },
        live::events::NewEvent,
        members,
    },
};

/// Maximum duration of one call.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Maximum number of changed paths reported for one uplink.
const PATHS_MAX: usize = 100;

/// One uplink before and after decoding it again.
pub struct Redecoded {
    /// The uplink as it was stored.
    pub before: Uplink,
    /// New decoded fields; `None` if the driver failed or there is no payload to decode.
    pub after: Option<Map<String, Value>>,
    /// Values with their own times, if the driver returned several.
    updates: Option<Vec<Update>>,
    /// Failure of the driver, in the form stored with uplinks.
    pub error: Option<Value>,
    /// Paths of the fields that differ.
    pub changed: Vec<String>,
}

/// Stored uplinks of one device, oldest first, whose decoded data are to be replaced.
pub struct Rewriting {
    /// The device.
    pub device: Device,
    /// Reference of the driver.
    pub reference: String,
    /// The uplinks, and the position of the next page if there is one.
    pub page: Page<Uplink, Place<Uuid>>,
    /// Position after the previous page.
    pub after: Option<Place<Uuid>>,
    /// Requested time span.
    pub span: Span,
}

impl UplinkPath {
    /// Decodes uplinks in their order with the referenced driver. The driver state starts empty. Returns
    /// fewer uplinks than given, but at least one, if decoding takes long.
    pub async fn redecode(
        &self,
        scope: &Scope,
        reference: &str,
        uplinks: Vec<Uplink>,
    ) -> Result<Vec<Redecoded>> {
        let driver = self.codec.decoding(scope, reference).await?;
        self.decode_again(scope, &driver, &mut None, uplinks).await
    }

    /// Decodes uplinks again and stores the result. Also returns `true` if there are more uplinks to
    /// process.
    pub async fn rewrite(
        &self,
        scope: &Scope,
        rewriting: Rewriting,
    ) -> Result<(Vec<Redecoded>, bool)> {
        let Rewriting {
            device,
            reference,
            page,
            after,
            span,
        } = rewriting;
        let driver = self.codec.decoding(scope, &reference).await?;
        let Some(first) = page.items.first() else {
            return Ok((Vec::new(), false));
        };
        let name = match &driver {
            Decoding::Version(version) => version.digest.clone().unwrap_or_default(),
            Decoding::BuiltIn(_) => reference.clone(),
        };
        let mut progress = match &after {
            None => Progress {
                driver: name,
                is_whole: !redecodings::has_older(scope, device.key, first).await?,
                state: None,
                gone: BTreeSet::new(),
                reported: Map::new(),
            },
            Some(place) => redecodings::find(scope, device.key, &name, place).await?,
        };
        let count = page.items.len();
        let redecoded = self
            .decode_again(scope, &driver, &mut progress.state, page.items)
            .await?;
        progress.follow(&redecoded);
        let route = self.routes.of(scope, device).await?;
        let used = self.codec.driver(scope, Some(&reference)).await?;
        let is_own = used.key().is_some() && used.key() == route.driver.key();
        let goes_on = redecoded.len() < count || page.next.is_some();
        let written = redecodings::Redecoded {
            device: route.key,
            device_id: route.device.provisioned.id.clone(),
            tables: route.tables.iter().map(|table| table.id).collect(),
            uplinks: redecoded.iter().map(|one| one.rewritten(&route)).collect(),
            goes_on,
            after,
            to: span.to,
            keeps_state_of: used.key().filter(|_| is_own).map(ToString::to_string),
            event: event(&reference, &driver, &redecoded),
            progress,
        };
        let goes_on = redecodings::write(scope, written).await?;
        Ok((redecoded, goes_on))
    }

    /// Decodes uplinks in their order; `state` is the driver state, carried from uplink to uplink.
    async fn decode_again(
        &self,
        scope: &Scope,
        driver: &Decoding,
        state: &mut Option<Map<String, Value>>,
        uplinks: Vec<Uplink>,
    ) -> Result<Vec<Redecoded>> {
        let started = Instant::now();
        let empty = Map::new();
        let mut redecoded = Vec::with_capacity(uplinks.len());
        for before in uplinks {
            if !redecoded.is_empty() && started.elapsed() > TIME_MAX {
                break;
            }
            let data = before.raw.clone();
            let Some(payload) = data.filter(|raw| carries_data(before.f_port, Some(raw))) else {
                // These uplinks have no application payload, so there is nothing to decode.
                redecoded.push(Redecoded::new(before, None, None, None));
                continue;
            };
            let given = Given {
                payload: payload.into(),
                f_port: before.f_port,
                time: before.time,
                received_at: before.received_at,
                state: Some(state.as_ref().unwrap_or(&empty)),
            };
            let run = self
                .codec
                .decoder
                .run(scope.tenant(), driver.clone(), given, false);
            redecoded.push(match run.await.outcome {
                Ok(taken) => {
                    let decoded = Decoded::from(taken);
                    if decoded.new_state.is_some() {
                        *state = decoded.new_state;
                    }
                    Redecoded::new(before, decoded.data, decoded.updates, None)
                }
                Err(error) => {
                    decode::was_run(&error)?;
                    Redecoded::new(before, None, None, Some(decoded::failure(&error)))
                }
            });
        }
        Ok(redecoded)
    }
}

impl Progress {
    fn follow(&mut self, redecoded: &[Redecoded]) {
        for one in redecoded {
            let names = one.before.data.iter().flat_map(Map::keys);
            self.gone.extend(names.cloned());
            self.reported.extend(one.after.clone().unwrap_or_default());
        }
    }
}

/// Returns the event that reports a processed page.
fn event(reference: &str, driver: &Decoding, redecoded: &[Redecoded]) -> NewEvent {
    let count = redecoded.len();
    let changed = redecoded.iter().filter(|one| one.is_changed()).count();
    let failed = redecoded.iter().filter(|one| one.error.is_some()).count();
    let digest = match driver {
        Decoding::Version(version) => version.digest.as_deref(),
        Decoding::BuiltIn(_) => None,
    };
    let time = |one: Option<&Redecoded>| one.map(|one| one.before.time);
    NewEvent {
        kind: "redecoded",
        message: format!(
            "{count} uplinks were decoded again with {reference}: {changed} changed, {failed} failed"
        ),
        details: members(json!({
            "driver": reference,
            "digest": digest,
            "first": time(redecoded.first()),
            "last": time(redecoded.last()),
            "uplinks": count,
            "changed": changed,
            "failed": failed,
        })),
    }
}

impl Redecoded {
    fn new(
        before: Uplink,
        after: Option<Map<String, Value>>,
        updates: Option<Vec<Update>>,
        error: Option<Value>,
    ) -> Self {
        let mut changed = Vec::new();
        let empty = Map::new();
        let (old, new) = (before.data.as_ref(), after.as_ref());
        differences(
            "",
            old.unwrap_or(&empty),
            new.unwrap_or(&empty),
            &mut changed,
        );
        // `data` lacks the times of updates and all but the latest value of a field.
        let reported = updates.as_deref().map(output::as_json);
        if changed.is_empty() && !is_same(&before.updates.clone().into(), &reported.into()) {
            changed.push("updates".to_owned());
        }
        Self {
            before,
            after,
            updates,
            error,
            changed,
        }
    }

    /// True if decoding succeeded and the data differ.
    pub fn is_changed(&self) -> bool {
        self.error.is_none() && !self.changed.is_empty()
    }

    /// Returns the record to be stored.
    fn rewritten(&self, route: &DeviceRoute) -> Rewritten {
        let (before, updates) = (self.before.clone(), self.updates.as_deref());
        Rewritten {
            data: self.after.clone(),
            updates: updates.map(output::as_json),
            failure: self.error.clone(),
            former_times: before.value_times(),
            rows: record::rows(&route.tables, before.time, self.after.as_ref(), updates),
            before,
        }
    }
}

/// Collects the paths of fields that are present in only one object or differ.
fn differences(
    prefix: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    paths: &mut Vec<String>,
) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        if paths.len() == PATHS_MAX {
            return;
        }
        let path = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        match (old.get(name), new.get(name)) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                differences(&path, old, new, paths);
            }
            (Some(old), Some(new)) if is_same(old, new) => {}
            _ => paths.push(path),
        }
    }
}

/// True if two values are equal; numbers are compared by value, because a database may rewrite them.
fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => old == new || old.as_f64() == new.as_f64(),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && old
                    .iter()
                    .all(|(name, old)| new.get(name).is_some_and(|new| is_same(old, new)))
        }
        _ => old == new,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::members;

    fn paths(old: Value, new: Value) -> Vec<String> {
        let mut paths = Vec::new();
        differences("", &members(old), &members(new), &mut paths);
        paths
    }

    #[test]
    fn what_differs_is_told_by_its_path() {
        let old = json!({"t": 21.0, "door": {"open": true, "count": 1}, "list": [1, {"a": 2}]});
        assert!(paths(old.clone(), old.clone()).is_empty());
        let same = json!({"list": [1.0, {"a": 2}], "door": {"count": 1, "open": true}, "t": 21});
        assert!(paths(old.clone(), same).is_empty());
        let new = json!({"t": "21", "door": {"open": false, "count": 1}, "list": [1], "h": null});
        assert_eq!(paths(old.clone(), new), ["t", "door.open", "list", "h"]);
        assert_eq!(paths(json!({}), old), ["t", "door", "list"]);
        let many = (0..1000).map(|number| (number.to_string(), number.into()));
        let many = Value::Object(many.collect());
        assert_eq!(paths(json!({"a": many}), json!({"a": {}})).len(), PATHS_MAX);
    }
}
