//! Rule by which unknown senders become devices, as set by clients.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::http::types::{LABELS_MAX, List},
    error::Error,
    reference::DriverReference,
    text::{DeviceLabel, DeviceTemplate, Label, Pattern},
    uplink::Rule,
};

/// Rule by which the hub creates devices for unknown senders. The first uplink of a sender that matches all patterns
/// creates the device and is recorded as its first uplink.
///
/// A pattern is a regular expression without look-around and back-references, which must match the entire text. A
/// template can contain `{network_device_id}`, `{network_name}` (the device's name in the network server) and
/// `{application}` (the application's id in the network server). If the hub cannot create the device, for example
/// because its name is taken, it records the message as one of an unknown device.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoProvisioning {
    /// Pattern for the device's id in its network, without control characters. If omitted or null, every id matches.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    network_device_id_pattern: Option<Pattern>,
    /// Pattern for the id of the device's application in the network server, without control characters. If omitted or
    /// null, every application matches.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    application_pattern: Option<Pattern>,
    /// Driver of the created devices. If omitted or null, they have none.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<DriverReference>,
    /// Labels of the created devices, at most 64. If omitted, they have none.
    #[oai(default)]
    #[serde(default)]
    labels: List<Label, 0, LABELS_MAX>,
    /// Template for the devices' names, without control characters. `{network_device_id}` if omitted or null. The hub
    /// truncates names to 120 characters.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name_template: Option<DeviceTemplate>,
    /// Template for the devices' ids, without control characters. `{network_device_id}` if omitted or null. Characters
    /// that an id cannot contain become dashes.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    id_template: Option<DeviceTemplate>,
}

impl AutoProvisioning {
    /// Converts the rule to its stored form; fails if it cannot be evaluated.
    pub fn checked(self) -> Result<Value, Error> {
        // Stored rules may have labels from before this rule and must be readable, so the type admits them.
        for (index, label) in self.labels.0.iter().enumerate() {
            let field = format!("auto_provisioning.labels[{index}]");
            DeviceLabel::new(label.as_str()).map_err(|rule| Error::field(&field, rule))?;
        }
        let rule = serde_json::to_value(self).map_err(Error::internal)?;
        Rule::read(rule.clone())?;
        Ok(rule)
    }
}
