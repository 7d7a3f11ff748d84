//! The acts that go on while uplinks come in, in groups, each until the end.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};

use super::world::World;

/// The act that one actor repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Clients go away in the middle of their requests.
    Cuts,
    /// Devices are deleted and made again, one by one and all at once.
    Devices,
    /// Labels of many devices change.
    Labels,
    Imports,
    /// Ingest keys are changed.
    Keys,
    /// Connections are switched off and on.
    Switches,
    /// Connections are switched and their keys replaced, one step after the other, while nothing else
    /// happens.
    Steps,
    /// Two at once change the same thing.
    Settings,
    Downlinks,
    /// Integrations are paused and resumed.
    Pauses,
    Replays,
    Redecodings,
    /// Sessions and API keys are made and ended.
    Access,
    /// Tenants are made and deleted.
    Tenants,
    /// Requests with a key that are repeated.
    Repetitions,
    Kills,
    /// Sessions with the database are ended.
    Sessions,
    /// The database falls silent.
    Silence,
    Clocks,
}

impl Group {
    pub const ALL: &[Self] = &[
        Self::Cuts,
        Self::Devices,
        Self::Labels,
        Self::Imports,
        Self::Keys,
        Self::Switches,
        Self::Steps,
        Self::Settings,
        Self::Downlinks,
        Self::Pauses,
        Self::Replays,
        Self::Redecodings,
        Self::Access,
        Self::Tenants,
        Self::Repetitions,
        Self::Kills,
        Self::Sessions,
        Self::Silence,
        Self::Clocks,
    ];

    /// Reads a comma-separated list of groups; all by default, none by `none`.
    pub fn chosen(list: Option<&str>) -> HashSet<Self> {
        let Some(list) = list else {
            return Self::ALL.iter().copied().collect();
        };
        let named = |name: &str| {
            let group = Self::ALL
                .iter()
                .find(|group| format!("{group:?}").to_lowercase() == name);
            *group.unwrap_or_else(|| panic!("{name}: one of {:?}", Self::ALL))
        };
        let names = list.split(',').filter(|name| *name != "none");
        names.map(named).collect()
    }

    /// The longest pause between two acts, in milliseconds.
    fn pause_ms(self) -> u64 {
        match self {
            Self::Labels | Self::Settings | Self::Downlinks => 60,
            Self::Devices | Self::Repetitions | Self::Steps => 150,
            Self::Keys | Self::Switches | Self::Pauses | Self::Redecodings => 400,
            Self::Cuts | Self::Imports | Self::Replays | Self::Access | Self::Tenants => 1500,
            Self::Clocks | Self::Silence | Self::Sessions => 3000,
            Self::Kills => 6000,
        }
    }
}

/// Things that were queued, begun or made, to be looked at in the end.
#[derive(Default)]
pub struct Book {
    pub downlinks: Vec<Queued>,
    /// Downlinks that the network has confirmed.
    pub confirmed: HashSet<String>,
    /// Imports with their tenants.
    pub imports: Vec<(usize, i64)>,
    pub replays: Vec<Begun>,
    pub repeated: Vec<Repeated>,
}

/// A downlink, with a value that identifies it.
pub struct Queued {
    pub tenant: usize,
    pub device: String,
    pub payload: String,
    /// `None`: nobody has said.
    pub id: Option<String>,
}

/// A replay, with a value that identifies it.
pub struct Begun {
    pub tenant: usize,
    pub from: String,
    pub begun: Instant,
    pub is_answered: bool,
}

/// A device that was made by a request which was repeated.
pub struct Repeated {
    pub tenant: usize,
    pub label: String,
    pub is_answered: bool,
}

impl World {
    /// Does what the group does until no act begins any more.
    pub async fn act(self: Arc<Self>, group: Group, mut chance: StdRng) {
        while !self.is_stopping() {
            let pause = Duration::from_millis(chance.random_range(0..group.pause_ms()));
            self.rest(pause).await;
            if self.is_stopping() {
                break;
            }
            self.act_once(group, &mut chance).await;
        }
        if group == Group::Clocks {
            self.right_clocks();
        }
    }

    async fn act_once(&self, group: Group, chance: &mut StdRng) {
        match group {
            // Each request sees to it.
            Group::Cuts => {}
            Group::Devices => self.replace_devices(chance).await,
            Group::Labels => self.change_labels(chance).await,
            Group::Imports => self.import_devices(chance).await,
            Group::Keys => self.change_key(chance).await,
            Group::Switches => self.switch(chance).await,
            Group::Steps => self.step(chance).await,
            Group::Settings => self.change_settings(chance).await,
            Group::Downlinks => self.queue_downlink(chance).await,
            Group::Pauses => self.pause(chance).await,
            Group::Replays => self.replay(chance).await,
            Group::Redecodings => self.redecode(chance).await,
            Group::Access => self.end_access(chance).await,
            Group::Tenants => self.end_tenant(chance).await,
            Group::Repetitions => self.repeat(chance).await,
            Group::Kills => self.kill(chance).await,
            Group::Sessions => self.end_sessions(chance).await,
            Group::Silence => self.silence(chance).await,
            Group::Clocks => self.step_clock(chance),
        }
    }
}
