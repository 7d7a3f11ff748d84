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

/// Which unknown senders become devices with their first uplink, and what devices they become. A
/// pattern is a regular expression (without look-around and back references) that must match from the
/// beginning to the end. In a template, `{network_device_id}`, `{network_name}` and `{application}` stand
/// for what the network server says
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoProvisioning {
    /// What the device's id in its network must match; left out, any
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    network_device_id_pattern: Option<Pattern>,
    /// What the id of the device's application in the network server must match; left out, any
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    application_pattern: Option<Pattern>,
    /// The driver of the devices
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<DriverReference>,
    /// Their labels
    #[oai(default)]
    #[serde(default)]
    labels: List<Label, 0, LABELS_MAX>,
    /// Their names; `{network_device_id}` if left out
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name_template: Option<DeviceTemplate>,
    /// Their ids; `{network_device_id}` if left out. What an id cannot hold becomes a dash
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
