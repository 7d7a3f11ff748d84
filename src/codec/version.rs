//! Versions of drivers, ready to run, and what a device's reference to a driver stands for.

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

/// What an uplink is decoded with.
#[derive(Clone)]
pub enum Decoding {
    /// A driver that is part of the hub.
    BuiltIn(BuiltIn),
    /// A script.
    Version(Arc<DriverVersion>),
}

/// Which script decodes.
pub enum DriverRoute {
    /// None: the device has no driver.
    None,
    /// One that is part of the hub.
    BuiltIn(BuiltIn),
    /// A version that somebody pushed.
    Version {
        /// The driver's author and name.
        driver: DriverKey,
        /// The version itself, which another driver may have as well.
        version: Arc<DriverVersion>,
    },
    /// The device refers to a driver or tag that is not there.
    Missing(String),
}

impl DriverRoute {
    /// Author and name, of a driver that somebody pushed.
    pub fn key(&self) -> Option<&DriverKey> {
        match self {
            Self::Version { driver, .. } => Some(driver),
            Self::None | Self::BuiltIn(_) | Self::Missing(_) => None,
        }
    }

    /// What decodes, where anything does.
    pub fn decoding(&self) -> Option<Decoding> {
        match self {
            Self::None | Self::Missing(_) => None,
            Self::BuiltIn(driver) => Some(Decoding::BuiltIn(*driver)),
            Self::Version { version, .. } => Some(Decoding::Version(version.clone())),
        }
    }
}

/// A version of a driver, ready to run.
pub struct DriverVersion {
    /// What it is called by; `None`: nobody has pushed it.
    pub digest: Option<String>,
    pub script: Arc<Script>,
    /// What it must decode to, where it says.
    pub schema: Option<Arc<Schema>>,
    /// Whether it keeps a state.
    pub nature: Nature,
}

/// Whether a version of a driver keeps a state, as far as it has shown.
#[derive(Default)]
pub struct Nature(AtomicU8);

impl Nature {
    const PLAIN: u8 = 1;
    const STATEFUL: u8 = 2;

    /// It has returned plain fields, and never a state.
    pub fn is_plain(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::PLAIN
    }

    /// Learns from what it has returned.
    pub fn learn(&self, returned_state: bool) {
        let nature = if returned_state {
            Self::STATEFUL
        } else {
            Self::PLAIN
        };
        // Once stateful, always: it may return plain fields in between.
        self.0.fetch_max(nature, Ordering::Relaxed);
    }
}

impl DriverVersion {
    /// The version with this content.
    pub fn new(content: Content) -> Result<Self> {
        let schema = content.schema.as_deref().map(Schema::parse);
        Ok(Self {
            digest: Some(content.digest),
            script: Arc::new(Script {
                digest: content.script_digest,
                source: content.script,
            }),
            // It was read when the version was pushed.
            schema: schema.transpose().map_err(Error::internal)?,
            nature: Nature::default(),
        })
    }
}
