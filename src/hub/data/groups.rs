//! Groups of an aggregation: devices, or devices with the same value of a label.

use std::collections::HashMap;

use super::aggregation::GroupBy;
use crate::{
    error::Result,
    store::{Scope, devices::labels_of},
};

/// Groups of devices.
pub(super) struct Groups<'a> {
    by: &'a GroupBy,
    /// Values of the label key by device.
    known: HashMap<String, Option<String>>,
}

impl<'a> Groups<'a> {
    pub fn new(by: &'a GroupBy) -> Self {
        Self {
            by,
            known: HashMap::new(),
        }
    }

    /// Reads the labels of the devices that are new.
    pub async fn learn(
        &mut self,
        scope: &Scope,
        devices: impl Iterator<Item = &Option<String>>,
    ) -> Result<()> {
        let GroupBy::Label(key) = self.by else {
            return Ok(());
        };
        let mut unknown: Vec<String> = devices
            .flatten()
            .filter(|device| !self.known.contains_key(*device))
            .cloned()
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let mut labels = labels_of(scope, &unknown).await?;
        for device in unknown {
            let value = labels.remove(&device).and_then(|labels| {
                let values = labels.iter().filter_map(|label| label.split_once('='));
                let mut own = values.filter(|(name, _)| name == key);
                own.next().map(|(_, value)| value.to_owned())
            });
            self.known.insert(device, value);
        }
        Ok(())
    }

    pub fn of(&self, device: Option<String>) -> Option<String> {
        match self.by {
            GroupBy::Nothing => None,
            GroupBy::Device => device,
            GroupBy::Label(_) => self.known.get(&device?).cloned().flatten(),
        }
    }
}
