//! Rows that an uplink creates, and its changes to the device's state.

use chrono::TimeDelta;
use sea_orm::ActiveValue::Set;
use serde_json::Value;
use uuid::Uuid;

use super::{
    message::{Message, Record},
    rows::Rows,
};
use crate::store::{
    data::NewRow,
    deliveries::enqueue::{self, Recipient},
    devices::record::State,
    downlinks::queue::News,
    entities::{data_table_row, uplink},
    integrations::policy::EventType,
};

/// Maximum time that a message spends in the hub plus the maximum difference of the hubs' clocks. A newer message
/// within this tolerance may have overtaken an older one.
const UNDER_WAY_MAX: TimeDelta = TimeDelta::seconds(10);

impl Rows {
    /// Adds an uplink and returns its identifier.
    pub fn add_uplink(&mut self, message: &Message, record: &Record, state: &mut State) -> Uuid {
        let id = self.ids.next();
        if let Some(mark) = &record.mark {
            let has_reports = !record.reports.is_empty();
            let source = message.connection;
            let at = self.recorded_at.time();
            state.frames.push(mark, source, id, has_reports, at);
        }
        change_state(state, message, record);
        let device = record.device.0;
        if let Some(new) = &record.driver_state {
            self.driver_states
                .insert(device, (message.tenant, new.clone()));
        }
        self.states.insert(device, (message.tenant, state.clone()));
        self.uplinks.push(uplink_row(id, message, record));
        for event in record.events.iter().chain(&record.reports) {
            self.add_event(message, Some(record.device), event);
        }
        if record.acknowledges {
            let news = News::of_acknowledgement(record.device, message.connection);
            self.downlinks.push((message.tenant, news));
        }
        self.add_table_rows(id, message, record);
        self.add_deliveries(id, message, record, state);
        id
    }

    fn add_table_rows(&mut self, uplink: Uuid, message: &Message, record: &Record) {
        for NewRow { table, time, data } in &record.rows {
            self.table_rows.push(data_table_row::ActiveModel {
                tenant_id: Set(message.tenant.0),
                id: Set(self.ids.next()),
                data_table_id: Set(table.0),
                device_id: Set(record.device_id.clone()),
                ts: Set(*time),
                data: Set(data.clone()),
                uplink_id: Set(Some(uplink)),
            });
        }
    }

    fn add_deliveries(&mut self, uplink: Uuid, message: &Message, record: &Record, state: &State) {
        for event in [EventType::Data, EventType::Raw] {
            if event == EventType::Data && !record.carries_data {
                continue;
            }
            let wants = |recipient: &&Recipient| recipient.events.contains(&event);
            let mut recipients = record.integrations.iter().filter(wants).peekable();
            if recipients.peek().is_none() {
                continue;
            }
            let body = (record.render)(event, state);
            let subject = enqueue::Subject {
                tenant: message.tenant,
                device_id: &record.device_id,
                id: uplink,
                kind: event,
                body: &body,
                at: self.due_at,
            };
            for recipient in recipients {
                let (row, queued) = enqueue::row(self.ids.next(), &subject, recipient);
                self.deliveries.push(row);
                self.queued.push(queued);
            }
        }
    }
}

/// Updates the device's state with an uplink.
fn change_state(state: &mut State, message: &Message, record: &Record) {
    // A clock that was ahead, in the network or in the hub, must not make later messages look late.
    let at = Ord::min(record.time, message.received_at);
    let credible = message.received_at + UNDER_WAY_MAX;
    let newest = state.newest_at.filter(|newest| *newest <= credible);
    let is_late = newest.is_some_and(|newest| at < newest);
    match &record.data {
        // Newer values stay; fields that no newer uplink contained are still added.
        Some(data) if is_late => {
            for (name, value) in data {
                let entry = state.reported.entry(name.as_str());
                entry.or_insert_with(|| value.clone());
            }
        }
        Some(data) => state.reported.extend(data.clone()),
        None => {}
    }
    if let Some(new) = &record.driver_state {
        // Fields that the driver state no longer contains are no longer reported.
        let kept = |name: &String| new.state.contains_key(name) || in_data(record, name);
        let gone = new.seen.state.keys().filter(|name| !kept(name));
        for name in gone {
            state.reported.shift_remove(name);
        }
        state.reported.extend(new.state.clone());
    }
    if !is_late {
        state.received_at = Some(message.received_at);
        state.raw.clone_from(&record.raw);
    }
    // A frame without data counts as a sign of life only: it makes no data late, and does not reflect on the driver.
    if !is_late && record.carries_data {
        state.newest_at = Some(at);
        state.is_failing = record.failure.is_some();
    }
}

fn uplink_row(id: Uuid, message: &Message, record: &Record) -> uplink::ActiveModel {
    uplink::ActiveModel {
        tenant_id: Set(message.tenant.0),
        id: Set(id),
        device_key: Set(record.device.0),
        connection_id: Set(message.connection.0),
        received_at: Set(message.received_at),
        ts: Set(record.time),
        f_port: Set(record.f_port.map(i32::from)),
        f_cnt: Set(record.f_cnt.map(i64::from)),
        raw: Set(record.raw.clone()),
        radio: Set(record.radio.clone()),
        data: Set(record.data.clone().map(Value::Object)),
        updates: Set(record.updates.clone()),
        failure: Set(record.failure.clone()),
    }
}

fn in_data(record: &Record, name: &str) -> bool {
    record
        .data
        .as_ref()
        .is_some_and(|data| data.contains_key(name))
}
