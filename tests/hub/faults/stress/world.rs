//! The hubs, what is provisioned in them, and who does what to them at the same time.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::{sync::RwLock, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    acts::{Book, Group},
    client::Clients,
    harm::{self, Harm},
    journal::{Journal, Rule},
    model::{Device, Receiver, Source, Tenant},
    network::Network,
    proxy::Proxy,
};
use crate::support::{
    clock::Clock,
    database::{Database, surroundings},
    server::{Hub, PASSWORD},
    sink::{Cue, Sink},
};

/// Retries without a wait, and bounds for everything that takes long.
const FLAGS: [&str; 12] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--delivery-timeout-s",
    "5",
    "--delivery-schedule-s",
    "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
    "--request-timeout-s",
    "10",
    "--downlink-timeout-s",
    "3",
    "--downlink-schedule-s",
    "1,1,1,1,1,1,1,1,1,1",
];
/// Tenants in which everything is done.
pub const BUSY_TENANTS: usize = 2;
/// Tenants in which one thing is done after another.
const QUIET_TENANTS: usize = 3;
/// Network connections of a busy tenant.
const SOURCES: usize = 2;
/// Devices of each connection of a busy tenant; the first ones are never deleted.
const DEVICES: usize = 4;
const LASTING: usize = 2;
/// Two drivers that return the number in the payload; one of them counts as well.
const PLAIN: &str = "function number(p) { return p.reduce((n, byte) => n * 256 + byte, 0) }
    function decode(p) { return { n: number(p) } }";
const COUNTING: &str = "function number(p) { return p.reduce((n, byte) => n * 256 + byte, 0) }
    function decode(p, port, state) {
        var count = (state.count || 0) + 1;
        return { new_state: { count: count }, updates: [{ values: { n: number(p) } }] };
    }";

/// One of the hubs on the database.
pub struct Member {
    pub name: String,
    pub hub: RwLock<Hub>,
    pub clients: Clients,
    pub proxy: Option<Proxy>,
    pub clock: Clock,
    recorded_at: Mutex<Instant>,
}

impl Member {
    pub fn has_recorded(&self) {
        *self.recorded_at.lock().unwrap() = Instant::now();
    }

    pub fn silent_for(&self) -> Duration {
        self.recorded_at.lock().unwrap().elapsed()
    }
}

/// An answer of the hub that reports a fault.
pub struct Fault {
    pub hub: usize,
    pub request: String,
    /// The answer's error.
    pub reason: String,
    pub what: String,
}

pub struct World {
    pub members: Vec<Member>,
    pub journal: Journal,
    /// The database without a proxy before it, where it is a server.
    pub database_url: Option<String>,
    pub tenants: Vec<Tenant>,
    /// Token of the administrator of the hub's first tenant.
    pub admin: String,
    pub faults: Mutex<Vec<Fault>>,
    pub harms: Mutex<Vec<Harm>>,
    pub book: Mutex<Book>,
    pub began: SystemTime,
    /// Clients go away in the middle of requests.
    pub cuts: bool,
    pub is_long: bool,
    groups: HashSet<Group>,
    numbers: AtomicU64,
    /// No act begins any more.
    stop: CancellationToken,
    /// Cancelled when no task may wait any longer.
    end: CancellationToken,
}

impl World {
    /// Starts so many hubs on the database at the same time, and provisions them.
    pub async fn start(name: &str, database: Database, hubs: usize) -> Self {
        let journal = Journal::new(name.to_owned());
        let database_url = match &database {
            Database::Sqlite => None,
            Database::Postgres(url) => Some(url.clone()),
        };
        let key = STANDARD.encode(rand::random::<[u8; 32]>());
        let mut starting = JoinSet::new();
        for number in 0..hubs {
            starting.spawn(start_hub(number, database.clone(), key.clone()));
        }
        let mut members = Vec::new();
        while let Some(started) = starting.join_next().await {
            match started {
                Ok(member) => members.push(member),
                Err(error) => {
                    let what = format!("of hubs that start together one does not: {error}");
                    journal.broken(Rule::Starts, what);
                }
            }
        }
        // An actor that failed comes again when nobody else starts.
        while members.len() < hubs {
            members.push(start_hub(members.len() + hubs, database.clone(), key.clone()).await);
        }
        let groups = Group::chosen(surroundings("THINGSHUB_TEST_STRESS_GROUPS").as_deref());
        let (is_long, _) = harm::duration();
        let first = members[0].hub.get_mut();
        let mut tenants = Vec::new();
        let admin = first.token.clone();
        for number in 0..BUSY_TENANTS + QUIET_TENANTS {
            let is_quiet = number >= BUSY_TENANTS;
            tenants.push(provision(first, number, is_quiet).await);
            first.token.clone_from(&admin);
        }
        println!("{name}: groups {groups:?}");
        Self {
            members,
            journal,
            database_url,
            tenants,
            admin,
            faults: Mutex::default(),
            harms: Mutex::default(),
            book: Mutex::default(),
            began: SystemTime::now(),
            cuts: groups.contains(&Group::Cuts),
            is_long,
            groups,
            numbers: AtomicU64::new(1),
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
        }
    }

    /// Does everything at once for as long as that, and then lets all come to rest.
    pub async fn run(self: &Arc<Self>, chance: &mut StdRng, duration: Duration) {
        let mut tasks = JoinSet::new();
        for (tenant, it) in self.tenants.iter().enumerate() {
            for (source, it) in it.sources.iter().enumerate() {
                for device in 0..it.devices.len() {
                    let place = (tenant, source, device);
                    let own = StdRng::seed_from_u64(chance.random());
                    tasks.spawn(self.clone().send_uplinks(place, own));
                }
                let own = StdRng::seed_from_u64(chance.random());
                tasks.spawn(self.clone().confirm_downlinks((tenant, source), own));
            }
        }
        for group in Group::ALL {
            // Drawn for each, so that the others' choices do not depend on who takes part.
            let own = StdRng::seed_from_u64(chance.random());
            if self.groups.contains(group) {
                tasks.spawn(self.clone().act(*group, own));
            }
        }
        let watch = tokio::spawn({
            let world = self.clone();
            async move { world.watch().await }
        });
        sleep(duration).await;
        self.journal.note("no act begins any more".to_owned());
        self.stop.cancel();
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                let what = format!("a part of the test has ended: {error}");
                self.journal.broken(Rule::Starts, what);
            }
        }
        self.end.cancel();
        let _ = watch.await;
    }

    /// Returns whether no act begins any more.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub fn is_ended(&self) -> bool {
        self.end.is_cancelled()
    }

    /// Waits so long, or until no act begins any more.
    pub async fn rest(&self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.stop.cancelled()).await;
    }

    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn busy(&self, chance: &mut StdRng) -> &Tenant {
        &self.tenants[chance.random_range(0..BUSY_TENANTS)]
    }

    pub fn quiet(&self) -> &[Tenant] {
        &self.tenants[BUSY_TENANTS..]
    }

    /// Tells what was done and what of it did not hold.
    pub async fn close(&self) -> Result<(), String> {
        let (requests, harms) = (self.next_number(), self.harms.lock().unwrap().len());
        println!("about {requests} requests, {harms} kills, ends of sessions and silences");
        self.journal.close(&self.logs().await)
    }

    /// The hubs' names with their logs.
    pub async fn logs(&self) -> Vec<(String, String)> {
        let mut logs = Vec::new();
        for member in &self.members {
            logs.push((member.name.clone(), member.hub.read().await.log()));
        }
        logs
    }
}

async fn start_hub(number: usize, database: Database, key: String) -> Member {
    let name = format!("hub{}", number + 1);
    let (database, proxy) = match database {
        Database::Sqlite => (Database::Sqlite, None),
        Database::Postgres(url) => {
            let proxy = Proxy::start(&url).await;
            (Database::Postgres(proxy.url.clone()), Some(proxy))
        }
    };
    let clock = Clock::ahead(0);
    let faked = clock.environment();
    let mut environment = vec![("THINGSHUB_SECRET_KEY", key.as_str())];
    environment.extend(faked.iter().map(|(name, value)| (*name, &**value)));
    let mut hub = Hub::start_in(database, &FLAGS, &environment).await;
    hub.may_complain = true;
    Member {
        name,
        clients: Clients::new(&hub),
        hub: RwLock::new(hub),
        proxy,
        clock,
        recorded_at: Mutex::new(Instant::now()),
    }
}

/// Makes a tenant with all that is in it; the hub's token is its administrator's afterwards.
async fn provision(hub: &mut Hub, number: usize, is_quiet: bool) -> Tenant {
    let name = format!("tenant{number}");
    hub.tenant(&name).await;
    hub.token = hub.log_in(&name, PASSWORD).await;
    hub.push("a/plain", "1", PLAIN).await;
    hub.push("a/counting", "1", COUNTING).await;
    let mut sources = Vec::new();
    for place in 0..if is_quiet { 1 } else { SOURCES } {
        sources.push(connect(hub, number, place, is_quiet).await);
    }
    let table = json!({"name": "numbers", "selector": ""});
    let table = hub.post("data-tables", &table).await.created();
    let mut receivers = Vec::new();
    for is_ordered in [false, true] {
        receivers.push(integrate(hub, is_ordered).await);
    }
    let spare = hub.connect("spare").await;
    let spare_table = json!({"name": "spare", "selector": "none"});
    let spare_table = hub.post("data-tables", &spare_table).await.created();
    let spare_target = hub
        .integration("spare", "none", "https://example.com/")
        .await;
    Tenant {
        name,
        token: hub.token.clone(),
        sources,
        table: table["id"].as_i64().unwrap(),
        receivers,
        spares: [
            format!("network-connections/{}/downlink-settings", spare.id),
            format!("data-tables/{}", spare_table["id"]),
            format!("integrations/{spare_target}"),
        ],
        is_quiet,
    }
}

async fn connect(hub: &Hub, tenant: usize, place: usize, is_quiet: bool) -> Source {
    let name = format!("source{place}");
    let connection = hub.connect(&name).await;
    let mut source = Source::new(connection.id, name, connection.key, Network::start().await);
    let settings = source.network.settings("0");
    let path = format!("{}/downlink-settings", source.path());
    hub.put(&path, &settings).await.ok();
    for number in 0..if is_quiet { LASTING } else { DEVICES } {
        let driver = ["a/plain:1", "a/counting:1"][number % 2];
        let id = format!("d{place}-{number}");
        let eui = format!("AA0000000000{tenant:X}{place:X}{number:02X}");
        let device = Device::new(id, eui, driver, number < LASTING);
        let body = device.body(source.id, is_quiet);
        hub.post("devices", &body).await.created();
        source.devices.push(device);
    }
    source
}

/// An integration of all devices, whose receiver begins by failing now and then.
async fn integrate(hub: &Hub, is_ordered: bool) -> Receiver {
    let mut cues = [Cue::Status(200); 60];
    for (number, cue) in cues.iter_mut().enumerate() {
        match number {
            7 => *cue = Cue::Hang,
            number if number % 10 == 3 => *cue = Cue::Status(503),
            _ => {}
        }
    }
    let sink = Sink::start(&cues, Cue::Status(200)).await;
    let name = if is_ordered { "ordered" } else { "plain" };
    let body = json!({"name": name, "selector": "", "target": {"type": "http", "url": sink.url},
        "delivery": {"ordered_by_device": is_ordered}});
    let made = hub.post("integrations", &body).await.created();
    Receiver {
        integration: made["id"].as_i64().unwrap(),
        sink,
        is_ordered,
    }
}
