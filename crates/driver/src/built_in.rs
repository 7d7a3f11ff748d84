//! Drivers that are part of the hub and have no script. They are trusted, so they run in its own process.

use serde_json::{Map, Value};

use super::cayenne_lpp;
use super::error::{DriverError, DriverErrorKind};

/// Author of the built-in drivers; nobody can push under this name.
pub const AUTHOR: &str = "thingshub";

/// A driver that is part of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// `thingshub/cayenne-lpp`.
    CayenneLpp,
}

impl BuiltIn {
    /// All built-in drivers.
    pub const ALL: [Self; 1] = [Self::CayenneLpp];

    /// Returns the driver with this author and name.
    pub fn find(author: &str, name: &str) -> Option<Self> {
        let named = |driver: &Self| author == AUTHOR && driver.name() == name;
        Self::ALL.into_iter().find(named)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::CayenneLpp => "cayenne-lpp",
        }
    }

    /// Its description, for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::CayenneLpp => "Cayenne Low Power Payload; part of the hub, without a script",
        }
    }

    /// Decodes an uplink's payload.
    pub fn decode(self, payload: &[u8]) -> Result<Map<String, Value>, DriverError> {
        let decoded = match self {
            Self::CayenneLpp => cayenne_lpp::decode(payload),
        };
        decoded.map_err(|message| DriverError::new(DriverErrorKind::Payload, message))
    }

    /// Encodes these values as a payload.
    pub fn encode(self, values: &Map<String, Value>) -> Result<Vec<u8>, DriverError> {
        let encoded = match self {
            Self::CayenneLpp => cayenne_lpp::encode(values),
        };
        encoded.map_err(|message| DriverError::new(DriverErrorKind::BadInput, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_found_by_author_and_name() {
        for driver in BuiltIn::ALL {
            assert_eq!(BuiltIn::find(AUTHOR, driver.name()), Some(driver));
            assert_eq!(BuiltIn::find("acme", driver.name()), None);
        }
        assert_eq!(BuiltIn::find(AUTHOR, "other"), None);
    }
}
