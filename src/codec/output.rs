//! What a driver returned: plain fields, or in thingsHub's own form the device's new state and
//! updates, each with the time that it is about.
//!
//! The form is told by its members alone, `new_state` and `updates` and no other.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::clock::{self, Plausible, Time};

/// Updates that one uplink may hold.
const UPDATES_MAX: usize = 1_000;
/// Warnings of one uplink's times.
const WARNINGS_MAX: usize = 20;
/// 1970 to 9999, in milliseconds: what RFC 3339 and both databases can say.
const TIMES_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// What a driver returned.
#[derive(Debug, PartialEq)]
pub enum Returned {
    /// The fields, and the device's state from now on where TS013's form has one beside them.
    Plain {
        /// The fields.
        fields: Map<String, Value>,
        /// The state; `None`: as it was.
        new_state: Option<Map<String, Value>>,
    },
    /// The own form.
    Own {
        /// The device's state from now on; `None`: as it was.
        new_state: Option<Map<String, Value>>,
        /// In the order of their times.
        updates: Vec<Update>,
    },
}

impl Returned {
    /// The device's state from now on.
    pub fn new_state(&mut self) -> &mut Option<Map<String, Value>> {
        match self {
            Self::Plain { new_state, .. } | Self::Own { new_state, .. } => new_state,
        }
    }
}

/// Values of one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// What they are about.
    pub time: Time,
    /// The fields.
    pub values: Map<String, Value>,
}

/// What the times of updates are held against.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// What an update without a time is about, and one whose time cannot be true.
    pub uplink: Time,
    /// What may be meant.
    pub plausible: Plausible,
    /// The hub's clock when the uplink came.
    pub now: Time,
}

/// Reads what a driver returned, with a warning of each time that cannot be true. The error names the
/// member that is wrong.
pub fn read(
    mut returned: Map<String, Value>,
    times: &Times,
) -> Result<(Returned, Vec<String>), String> {
    if !is_own(&returned) {
        let plain = Returned::Plain {
            fields: returned,
            new_state: None,
        };
        return Ok((plain, Vec::new()));
    }
    let new_state = match returned.remove("new_state") {
        None | Some(Value::Null) => None,
        Some(Value::Object(state)) => Some(state),
        Some(_) => return Err("new_state: must be an object".to_owned()),
    };
    let items = match returned.remove("updates") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return Err("updates: must be an array".to_owned()),
    };
    if items.len() > UPDATES_MAX {
        return Err(format!("updates: must be at most {UPDATES_MAX}"));
    }
    let (mut updates, mut warnings) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let read = update(item, times.uplink);
        let mut update = read.map_err(|broken| format!("updates.{index}{broken}"))?;
        let is_given = update.time != times.uplink;
        let doubt = || times.plausible.doubt(update.time, times.now);
        if let Some(doubt) = is_given.then(doubt).flatten() {
            let told = update.time.to_rfc3339();
            warnings.push(format!(
                "updates.{index}.timestamp: {told} {doubt}; the uplink's time counts"
            ));
            update.time = times.uplink;
        }
        updates.push(update);
    }
    warnings.truncate(WARNINGS_MAX);
    updates.sort_by_key(|update| update.time);
    Ok((Returned::Own { new_state, updates }, warnings))
}

fn is_own(returned: &Map<String, Value>) -> bool {
    let known = |name: &String| name == "new_state" || name == "updates";
    if !returned.keys().all(known) {
        return false;
    }
    // A field may be called `updates`; a list of objects with values is no coincidence.
    let holds_values = |item: &Value| item.get("values").is_some();
    returned.contains_key("new_state")
        || returned
            .get("updates")
            .and_then(Value::as_array)
            .is_some_and(|items| !items.is_empty() && items.iter().all(holds_values))
}

fn update(item: Value, default: Time) -> Result<Update, String> {
    let Value::Object(mut item) = item else {
        return Err(": must be an object".to_owned());
    };
    let time = match item.remove("timestamp") {
        None | Some(Value::Null) => default,
        Some(value) => {
            let read = match &value {
                Value::String(text) => DateTime::parse_from_rfc3339(text)
                    .ok()
                    .map(|time| time.to_utc()),
                Value::Number(number) => number
                    .as_f64()
                    .and_then(|ms| DateTime::from_timestamp_millis(ms as i64)),
                _ => None,
            };
            match read.filter(|time| TIMES_MS.contains(&time.timestamp_millis())) {
                Some(time) => clock::cut(time),
                None => {
                    return Err(
                        ".timestamp: must be a time such as \"2026-01-31T12:30:00Z\", or \
                         milliseconds since 1970"
                            .to_owned(),
                    );
                }
            }
        }
    };
    match item.remove("values") {
        Some(Value::Object(values)) => Ok(Update { time, values }),
        _ => Err(".values: must be an object".to_owned()),
    }
}

/// The values of all updates, the latest of each field.
pub fn merged(updates: &[Update]) -> Map<String, Value> {
    let mut fields = Map::new();
    for update in updates {
        fields.extend(update.values.clone());
    }
    fields
}

/// As they are stored and shown.
pub fn as_json(updates: &[Update]) -> Value {
    updates
        .iter()
        .map(|update| json!({"timestamp": update.time, "values": update.values}))
        .collect()
}

/// A list of texts, or one alone.
pub fn texts(result: &Value, member: &str) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match result.get(member) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(alone) => vec![text(alone)],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn read_with_warnings(value: Value) -> Result<(Returned, Vec<String>), String> {
        let time = at("2026-01-31T12:00:00Z");
        let times = Times {
            uplink: time,
            plausible: Plausible {
                ahead_max: chrono::TimeDelta::minutes(5),
            },
            now: time,
        };
        read(value.as_object().unwrap().clone(), &times)
    }

    fn read_json(value: Value) -> Result<Returned, String> {
        read_with_warnings(value).map(|(returned, _)| returned)
    }

    #[test]
    fn a_time_that_cannot_be_true_is_the_uplinks_and_warned_of() {
        let returned = json!({"updates": [
            {"timestamp": "1999-12-31T23:59:59Z", "values": {"t": 1}},
            {"timestamp": "2026-01-31T12:05:01Z", "values": {"t": 2}},
            {"timestamp": "2026-01-31T12:05:00Z", "values": {"t": 3}},
        ]});
        let (returned, warnings) = read_with_warnings(returned).unwrap();
        let Returned::Own { updates, .. } = returned else {
            panic!("not the own form");
        };
        let times: Vec<_> = updates.iter().map(|update| update.time).collect();
        let uplink = at("2026-01-31T12:00:00Z");
        assert_eq!(times, [uplink, uplink, at("2026-01-31T12:05:00Z")]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let told = "updates.0.timestamp: 1999-12-31T23:59:59+00:00 is before the year 2000";
        assert!(warnings[0].starts_with(told), "{warnings:?}");
    }

    #[test]
    fn the_own_form_is_told_by_its_members() {
        for plain in [
            json!({}),
            json!({"temperature": 21}),
            json!({"updates": 3}),
            json!({"updates": []}),
            json!({"updates": [{"a": 1}]}),
            json!({"new_state": {}, "temperature": 21}),
        ] {
            let read = read_json(plain.clone()).unwrap();
            let fields = plain.as_object().unwrap().clone();
            let new_state = None;
            assert_eq!(read, Returned::Plain { fields, new_state });
        }
        assert_eq!(
            read_json(json!({"new_state": {"n": 1}})).unwrap(),
            Returned::Own {
                new_state: json!({"n": 1}).as_object().cloned(),
                updates: Vec::new(),
            }
        );
    }

    #[test]
    fn updates_are_put_in_the_order_of_their_times() {
        let returned = json!({"updates": [
            {"values": {"t": 3, "u": 1}},
            {"timestamp": "2026-01-31T12:30:00+02:00", "values": {"t": 1}},
            {"timestamp": 1769857200000i64, "values": {"t": 2}},
        ]});
        let Returned::Own { new_state, updates } = read_json(returned).unwrap() else {
            panic!("not the own form");
        };
        assert_eq!(new_state, None);
        let times: Vec<_> = updates.iter().map(|update| update.time).collect();
        assert_eq!(
            times,
            [
                at("2026-01-31T10:30:00Z"),
                at("2026-01-31T11:00:00Z"),
                at("2026-01-31T12:00:00Z")
            ]
        );
        assert_eq!(Value::Object(merged(&updates)), json!({"t": 3, "u": 1}));
        assert_eq!(
            as_json(&updates)[0],
            json!({"timestamp": "2026-01-31T10:30:00Z", "values": {"t": 1}})
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, told) in [
            (json!({"new_state": 1}), "new_state: must be an object"),
            (
                json!({"new_state": {}, "updates": {}}),
                "updates: must be an array",
            ),
            (
                json!({"new_state": {}, "updates": [1]}),
                "updates.0: must be an object",
            ),
            (
                json!({"new_state": {}, "updates": [{}]}),
                "updates.0.values: must be",
            ),
            (
                json!({"new_state": {}, "updates": [{"values": {}}, {"values": 1}]}),
                "updates.1.values: must be an object",
            ),
            (
                json!({"updates": [{"timestamp": "yesterday", "values": {}}]}),
                "updates.0.timestamp: must be a time",
            ),
            (
                json!({"updates": [{"timestamp": -1, "values": {}}]}),
                "updates.0.timestamp: must be a time",
            ),
            (
                json!({"updates": [{"timestamp": 1e300, "values": {}}]}),
                "updates.0.timestamp: must be a time",
            ),
            (
                json!({"updates": vec![json!({"values": {}}); UPDATES_MAX + 1]}),
                "updates: must be at most 1000",
            ),
        ] {
            let error = read_json(wrong).unwrap_err();
            assert!(error.starts_with(told), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_number_is_a_time_or_refused(ms: f64) {
            let _ = read_json(json!({"updates": [{"timestamp": ms, "values": {}}]}));
        }
    }
}
