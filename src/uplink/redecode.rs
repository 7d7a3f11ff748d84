//! What a driver would make of uplinks that are stored. Nothing is changed.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::{
    UplinkPath,
    decode::{self, Decoded, Given},
    returned,
};
use crate::{
    driver::DriverErrorKind,
    error::{Error, Result},
    store::{Scope, uplinks::Uplink},
};

/// How long one call goes on.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Paths that are told of one uplink.
const PATHS_MAX: usize = 100;

/// One uplink, before and after.
pub struct Redecoded {
    /// As it is stored.
    pub before: Uplink,
    /// What the driver makes of it now.
    pub after: Option<Map<String, Value>>,
    /// Why the driver makes nothing of it, in the form that uplinks have.
    pub error: Option<Value>,
    /// Paths of what differs.
    pub changed: Vec<String>,
}

impl UplinkPath {
    /// Decodes uplinks in their order with the driver that a reference stands for. The state that a
    /// driver keeps starts empty. Answers fewer than were given where they take long, but one at least.
    pub async fn redecode(
        &self,
        scope: &Scope,
        reference: &str,
        uplinks: Vec<Uplink>,
    ) -> Result<Vec<Redecoded>> {
        let driver = self.find_driver(scope, reference).await?;
        let started = Instant::now();
        let mut state = Map::new();
        let mut redecoded = Vec::with_capacity(uplinks.len());
        for before in uplinks {
            if !redecoded.is_empty() && started.elapsed() > TIME_MAX {
                break;
            }
            let Some(payload) = before.raw.clone() else {
                // Nobody could decode it before either.
                redecoded.push(Redecoded::new(before, None, None, None));
                continue;
            };
            let given = Given {
                payload: payload.into(),
                f_port: before.f_port,
                time: before.time,
                state: Some(&state),
            };
            let run = self
                .decoder
                .run(scope.tenant(), driver.clone(), given, false);
            redecoded.push(match run.await.outcome {
                Ok(taken) => {
                    let decoded = Decoded::from(taken);
                    state = decoded.new_state.unwrap_or(state);
                    let updates = decoded.updates.as_deref().map(returned::as_json);
                    Redecoded::new(before, decoded.data, updates, None)
                }
                Err(error) if error.kind == DriverErrorKind::Overloaded => {
                    return Err(Error::overloaded("too many drivers are waiting to run"));
                }
                Err(error) => Redecoded::new(before, None, None, Some(decode::failure(&error))),
            });
        }
        Ok(redecoded)
    }
}

impl Redecoded {
    fn new(
        before: Uplink,
        after: Option<Map<String, Value>>,
        updates: Option<Value>,
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
        // The times of updates, and all but the latest value of a field, are in none of the data.
        if changed.is_empty() && !is_same(&before.updates.clone().into(), &updates.into()) {
            changed.push("updates".to_owned());
        }
        Self {
            before,
            after,
            error,
            changed,
        }
    }
}

/// Adds the paths of what is in one of two objects alone, or is another in each.
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

/// Whether two values are one; a database may write a number in another way.
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
