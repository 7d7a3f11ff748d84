//! Driver versions that are ready to run, and the resolution of driver references.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use crate::{
    driver::{BuiltIn, Script, schema::Schema},
    error::{Error, Result},
    reference::DriverKey,
    store::drivers::versions::Content,
};

/// Driver that decodes an uplink.
#[derive(Clone)]
pub enum Decoding {
    /// Driver that is built into the hub.
    BuiltIn(BuiltIn),
    /// Script version.
    Version(Arc<DriverVersion>),
}

/// Result of resolving a device's driver reference.
pub enum DriverRoute {
    /// The device has no driver.
    None,
    /// Driver that is built into the hub.
    BuiltIn(BuiltIn),
    /// Stored version of a driver.
    Version {
        /// Author and name of the driver.
        driver: DriverKey,
        /// The version, which may be shared with other drivers.
        version: Arc<DriverVersion>,
    },
    /// The referenced driver or tag does not exist.
    Missing(String),
}

impl DriverRoute {
    /// Returns author and name of a stored driver.
    pub fn key(&self) -> Option<&DriverKey> {
        match self {
            Self::Version { driver, .. } => Some(driver),
            Self::None | Self::BuiltIn(_) | Self::Missing(_) => None,
        }
    }

    /// Returns the driver to decode with, if there is one.
    pub fn decoding(&self) -> Option<Decoding> {
        match self {
            Self::None | Self::Missing(_) => None,
            Self::BuiltIn(driver) => Some(Decoding::BuiltIn(*driver)),
            Self::Version { version, .. } => Some(Decoding::Version(version.clone())),
        }
    }
}

impl std::fmt::Display for DriverRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::BuiltIn(driver) => f.write_str(driver.name()),
            Self::Version { driver, .. } => driver.fmt(f),
            Self::Missing(reference) => f.write_str(reference),
        }
    }
}

/// A driver version that is ready to run.
pub struct DriverVersion {
    /// Digest of the version; `None` if it is not stored.
    pub digest: Option<String>,
    pub script: Arc<Script>,
    /// Schema of the decoded data, if there is one.
    pub schema: Option<Arc<Schema>>,
    /// Observed statefulness.
    pub nature: Statefulness,
}

/// Observed statefulness of a driver version: unknown, plain or stateful.
#[derive(Default)]
pub struct Statefulness(AtomicU8);

impl Statefulness {
    const PLAIN: u8 = 1;
    const STATEFUL: u8 = 2;

    /// True if the driver has returned plain fields, and never a state.
    pub fn is_plain(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::PLAIN
    }

    /// Records whether a result contained a state.
    pub fn learn(&self, returned_state: bool) {
        let nature = if returned_state {
            Self::STATEFUL
        } else {
            Self::PLAIN
        };
        // A stateful driver stays stateful, because it may return plain fields in between.
        self.0.fetch_max(nature, Ordering::Relaxed);
    }
}

impl DriverVersion {
    /// Creates the version with this content.
    pub fn new(content: Content) -> Result<Self> {
        let schema = content.schema.as_deref().map(Schema::parse);
        Ok(Self {
            digest: Some(content.digest),
            script: Arc::new(Script {
                digest: content.script_digest,
                source: content.script,
            }),
            // The schema was validated when the version was pushed.
            schema: schema.transpose().map_err(Error::internal)?,
            nature: Statefulness::default(),
        })
    }
}
