//! Results of drivers: either plain fields, or thingsHub's own form with the device's new state and
//! updates, each with its own time.
//!
//! The own form is recognised by its members: `new_state` and `updates` only.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::clock::{self, Plausible, Time};

/// Maximum number of updates of one uplink.
const UPDATES_MAX: usize = 1_000;
/// Maximum number of warnings about the times of one uplink.
const WARNINGS_MAX: usize = 20;
/// 1970 to 9999 in milliseconds, the range that RFC 3339 and both databases support.
const TIMES_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// Result of a driver.
#[derive(Debug, PartialEq)]
pub enum Returned {
    /// Plain fields, with the device's new state if the driver uses TS013's form.
    Plain {
        /// Decoded fields.
        fields: Map<String, Value>,
        /// New driver state; `None` leaves it unchanged.
        new_state: Option<Map<String, Value>>,
    },
    /// The own form.
    Own {
        /// New driver state; `None` leaves it unchanged.
        new_state: Option<Map<String, Value>>,
        /// Updates, sorted by time.
        updates: Vec<Update>,
    },
}

impl Returned {
    /// Returns the device's new driver state; `None` leaves it unchanged.
    pub fn new_state(&mut self) -> &mut Option<Map<String, Value>> {
        match self {
            Self::Plain { new_state, .. } | Self::Own { new_state, .. } => new_state,
        }
    }
}

/// Values of one point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Time of the values.
    pub time: Time,
    /// Decoded fields.
    pub values: Map<String, Value>,
}

/// Reference times for checking the times of updates.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Time of the uplink; used for updates without a time or with an implausible one.
    pub uplink: Time,
    /// Range of acceptable times.
    pub plausible: Plausible,
    /// Time at which the hub received the uplink.
    pub now: Time,
}

/// Parses the result of a driver. Returns it with a warning for each implausible time. The error names
/// the invalid member.
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
        return Err(format!("updates: must have at most {UPDATES_MAX} items"));
    }
    let (mut updates, mut warnings) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let read = update(item, times.uplink);
        let mut update = read.map_err(|broken| format!("updates.{index}{broken}"))?;
        let is_given = update.time != times.uplink;
        let doubt = || times.plausible.doubt(update.time, times.now);
        if let Some(doubt) = is_given.then(doubt).flatten() {
            let reported = update.time.to_rfc3339();
            warnings.push(format!(
                "updates.{index}.timestamp: {reported} {doubt}; the hub uses the time of the uplink"
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
    // A field may be named `updates`, but a list of objects with `values` is the own form.
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

/// Merges all updates; the latest value of each field wins.
pub fn merged(updates: &[Update]) -> Map<String, Value> {
    let mut fields = Map::new();
    for update in updates {
        fields.extend(update.values.clone());
    }
    fields
}

/// Returns updates in the form in which they are stored and shown.
pub fn as_json(updates: &[Update]) -> Value {
    updates
        .iter()
        .map(|update| json!({"timestamp": update.time, "values": update.values}))
        .collect()
}

/// Reverses [`as_json`]; `None` if the value is none of its results.
pub fn from_json(updates: &Value) -> Option<Vec<Update>> {
    let updates = updates.as_array()?.iter();
    updates
        .map(|update| {
            Some(Update {
                time: update["timestamp"].as_str()?.parse().ok()?,
                values: update["values"].as_object()?.clone(),
            })
        })
        .collect()
}

/// Returns a list of texts from a member that is a list or a single value.
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
        let reported = "updates.0.timestamp: 1999-12-31T23:59:59+00:00 is before the year 2000";
        assert!(warnings[0].starts_with(reported), "{warnings:?}");
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
        for (wrong, reported) in [
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
                "updates: must have at most 1000 items",
            ),
        ] {
            let error = read_json(wrong).unwrap_err();
            assert!(error.starts_with(reported), "{error}");
        }
        let most = vec![json!({"values": {}}); UPDATES_MAX];
        assert!(read_json(json!({"updates": most})).is_ok());
    }

    proptest! {
        #[test]
        fn any_number_is_a_time_or_refused(ms: f64) {
            let _ = read_json(json!({"updates": [{"timestamp": ms, "values": {}}]}));
        }
    }
}
