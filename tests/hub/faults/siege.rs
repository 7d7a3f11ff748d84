//! All that others can make a hub do, one after the other and then at once: clients without a log-in, users of one
//! tenant, and the servers that their integrations name. Another tenant is served meanwhile, and the hub's memory
//! stays within its bound.
//!
//! `THINGSHUB_TEST_SIEGE_SECONDS` says how long all at once goes on, which `make faults` sets; each alone takes a
//! sixteenth of it. How long others waited is printed, and is for nobody to fail by: the attackers' own work takes
//! the same processors.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    runtime::{self, Runtime},
    time::{sleep, timeout},
};

use crate::{
    contract::limits,
    support::{
        database::{Database, on_both_databases, surroundings},
        fake_kafka::{self, FakeKafka},
        fake_postgres::{self, FakePostgres},
        frames::Frames,
        rows::{fill, time},
        server::{Connection, Hub, MEMORY_MAX_KIB, PASSWORD, things_stack},
        sink::{Cue, Sink},
    },
};

on_both_databases!(others_are_served_while_one_tenant_takes_what_it_can);

/// Time for which an attacker holds on to a connection.
const HELD: Duration = Duration::from_millis(500);
/// The other tenant's address.
const OTHERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const EUI: &str = "AA00000000000001";
const DEVICES: usize = 16;
/// A driver that has no end, and one that takes all memory that it gets.
const LOOPS: &str = "function decode(message) { for (;;) {} }";
const GROWS: &str =
    "function decode(message) { const all = []; for (;;) { all.push(new Array(65536).fill(1)) } }";

fn duration() -> Duration {
    let told = surroundings("THINGSHUB_TEST_SIEGE_SECONDS");
    Duration::from_secs(told.map_or(8, |seconds| seconds.parse().unwrap()))
}

/// The tenant that is served, from an address of its own and on a thread of its own: the attackers' work in this
/// process is no part of its times.
struct Others {
    runtime: Option<Runtime>,
    tenant: Tenant,
}

#[derive(Clone)]
struct Tenant {
    hub: String,
    client: Client,
    token: String,
    connection: Connection,
}

/// Durations of requests.
#[derive(Default)]
struct Times {
    log_ins: Vec<Duration>,
    uplinks: Vec<Duration>,
    reads: Vec<Duration>,
}

impl Others {
    async fn start(hub: &mut Hub) -> Self {
        hub.tenant("others").await;
        let token = hub.log_in("others", PASSWORD).await;
        let admin = std::mem::replace(&mut hub.token, token.clone());
        let connection = hub.connect("tts").await;
        hub.device("mine", &connection, EUI, json!({})).await;
        hub.token = admin;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("others")
            .enable_all()
            .build();
        Self {
            runtime: Some(runtime.unwrap()),
            tenant: Tenant {
                hub: format!("https://{}", hub.address),
                client: hub.client_at(OTHERS.into()),
                token,
                connection,
            },
        }
    }

    /// Works for this long; every request must be answered.
    async fn work(&self, duration: Duration) -> Times {
        let tenant = self.tenant.clone();
        let work = async move { tenant.work(duration).await };
        self.runtime.as_ref().unwrap().spawn(work).await.unwrap()
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Tenant {
    async fn work(&self, duration: Duration) -> Times {
        let api = format!("{}/api/v3", self.hub);
        let mut times = Times::default();
        let began = Instant::now();
        while began.elapsed() < duration {
            let credentials = json!({"username": "others", "password": PASSWORD});
            let log_in = self.client.post(format!("{api}/auth/token"));
            times.log_ins.push(served(with(log_in, &credentials)).await);
            let url = format!("{api}/network-connections/{}/uplinks", self.connection.id);
            let uplink = self.client.post(url).bearer_auth(&self.connection.key);
            let uplink = uplink
                .header("Content-Type", "application/json")
                .body(things_stack(EUI));
            times.uplinks.push(served(uplink).await);
            let read = self.client.get(format!("{api}/devices/mine"));
            times
                .reads
                .push(served(read.bearer_auth(&self.token)).await);
        }
        times
    }
}

fn with(request: RequestBuilder, body: &Value) -> RequestBuilder {
    let request = request.header("Content-Type", "application/json");
    request.body(body.to_string())
}

/// Sends what must be done; answers how long it took.
async fn served(request: RequestBuilder) -> Duration {
    let began = Instant::now();
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    began.elapsed()
}

impl Times {
    fn print(&mut self, when: &str) {
        for (what, times) in [
            ("log-in", &mut self.log_ins),
            ("uplink", &mut self.uplinks),
            ("read", &mut self.reads),
        ] {
            times.sort();
            let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
            println!(
                "{when}: {} times {what}: {:?} at the median, {:?} at the 99th percentile",
                times.len(),
                at(50),
                at(99)
            );
        }
    }
}

type Attack<'a> = Box<dyn Fn() -> BoxFuture<'a, ()> + Send + Sync + 'a>;

/// Attacks for so long; answers how often.
async fn again_and_again(attack: &Attack<'_>, duration: Duration) -> usize {
    let began = Instant::now();
    let mut times = 0;
    while began.elapsed() < duration {
        attack().await;
        times += 1;
    }
    times
}

/// A tenant whose users and servers attack the hub.
struct Attacker {
    connection: Connection,
    integrations: Vec<String>,
    /// Path of a data table with rows of many values.
    table: String,
    uplinks: AtomicUsize,
}

impl Attacker {
    async fn start(hub: &Hub, servers: &Servers) -> Self {
        hub.push("a/loops", "1", LOOPS).await;
        hub.push("a/grows", "1", GROWS).await;
        let script = format!(
            "//{}\nfunction decode(m) {{ return {{}} }}",
            "x".repeat(500_000)
        );
        for tag in ["1", "2", "3"] {
            hub.push("a/large", tag, &format!("//{tag}\n{script}"))
                .await;
        }
        let connection = hub.connect("tts").await;
        for number in 0..DEVICES {
            let driver = ["a/loops:1", "a/grows:1", "a/large:1", "a/large:2"][number % 4];
            let (id, more) = (format!("d{number}"), json!({"driver": driver}));
            hub.device(&id, &connection, &eui(number), more).await;
        }
        let mut integrations = Vec::new();
        for (number, target) in servers.targets().into_iter().enumerate() {
            let body = json!({"name": format!("i{number}"), "selector": "", "target": target});
            let made = hub.post("integrations", &body).await.created();
            integrations.push(format!("integrations/{}", made["id"]));
        }
        let body = json!({"name": "large", "selector": "nothing"});
        let table = hub.post("data-tables", &body).await.created();
        add_lists(hub, &table["id"]).await;
        let rows = format!("data-tables/{}/rows?limit=1", table["id"]);
        assert!(hub.get(&rows).await.ok()["collection"][0]["data"]["n"].is_array());
        Self {
            connection,
            integrations,
            table: format!("data-tables/{}", table["id"]),
            uplinks: AtomicUsize::new(0),
        }
    }

    /// Returns the attacks, which are repeated again and again.
    fn attacks<'a>(&'a self, hub: &'a Hub) -> [(&'static str, Attack<'a>); 10] {
        [
            ("unread streams", Box::new(|| takes_nothing(hub).boxed())),
            (
                "unread pages",
                Box::new(|| self.reads_nothing(hub, "rows?limit=1000").boxed()),
            ),
            (
                "unread files",
                Box::new(|| self.reads_nothing(hub, "rows.parquet").boxed()),
            ),
            ("heads without end", Box::new(|| ends_no_head(hub).boxed())),
            ("guesses", Box::new(|| guesses(hub).boxed())),
            ("hang-ups", Box::new(|| hangs_up(hub).boxed())),
            ("imports", Box::new(|| imports(hub).boxed())),
            ("live streams", Box::new(|| listens(hub).boxed())),
            ("tests", Box::new(|| self.tries_out(hub).boxed())),
            ("uplinks", Box::new(|| self.sends(hub).boxed())),
        ]
    }

    /// As many requests for large responses as one connection may have, of which nothing is taken.
    async fn reads_nothing(&self, hub: &Hub, what: &str) {
        let streams = limits::bounds("Requests at a time on one HTTP/2 connection")[0];
        let path = format!("/api/v3/{}/{what}", self.table);
        let mut client = Frames::open(hub, 0).await;
        for number in 0..u32::try_from(streams).unwrap() {
            client.get_as(&hub.token, 2 * number + 1, &path).await;
        }
        sleep(HELD).await;
    }

    /// Tests of what never answers, more than one tenant may have.
    async fn tries_out(&self, hub: &Hub) {
        let tests = self
            .integrations
            .iter()
            .cycle()
            .take(24)
            .map(|path| async move {
                let test = hub.request(Method::POST, &format!("{path}/test"));
                refused_or_done(test.bearer_auth(&hub.token)).await;
            });
        join_all(tests).await;
    }

    /// Uplinks of devices with the worst drivers, forwarded to the worst servers.
    async fn sends(&self, hub: &Hub) {
        let uplinks = (0..8).map(|_| async {
            let number = self.uplinks.fetch_add(1, Ordering::Relaxed) % DEVICES;
            let path = format!("network-connections/{}/uplinks", self.connection.id);
            let request = hub
                .request(Method::POST, &path)
                .bearer_auth(&self.connection.key);
            let request = request.header("Content-Type", "application/json");
            refused_or_done(request.body(things_stack(&eui(number)))).await;
        });
        join_all(uplinks).await;
    }
}

/// Adds rows of some 100 KB each, whose many values need more memory than their text.
async fn add_lists(hub: &Hub, table: &Value) {
    let list = match &hub.database {
        Database::Sqlite => {
            "json_object('n', json('[' || replace(hex(zeroblob(50000)), '00', '1,') || '1]'))"
        }
        Database::Postgres(_) => "('{\"n\": [' || repeat('1,', 50000) || '1]}')::jsonb",
    };
    let at = match &hub.database {
        Database::Sqlite => time(1),
        Database::Postgres(_) => format!("{}::timestamptz", time(1)),
    };
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let values = format!("1, ID, {table}, 'd', {at}, {list}");
    fill(hub, 200, "data_table_rows", columns, &values).await;
}

fn eui(number: usize) -> String {
    format!("BB000000000000{number:02X}")
}

/// The servers that the attacker's integrations name.
struct Servers {
    postgres: Vec<FakePostgres>,
    kafka: Vec<FakeKafka>,
    sinks: Vec<Sink>,
}

impl Servers {
    async fn start() -> Self {
        use fake_postgres::Mood as Postgres;
        let mut servers = Self {
            postgres: Vec::new(),
            kafka: Vec::new(),
            sinks: vec![
                Sink::start(&[], Cue::Hang).await,
                Sink::start(&[], Cue::Endless).await,
            ],
        };
        for mood in [
            Postgres::Chain,
            Postgres::EndlessGreeting,
            Postgres::EndlessNotices,
            Postgres::EndlessMessage,
            Postgres::Silent,
            Postgres::Scram(100_000),
        ] {
            servers.postgres.push(FakePostgres::start(mood).await);
        }
        for mood in [
            fake_kafka::Mood::Nul,
            fake_kafka::Mood::TooMuch,
            fake_kafka::Mood::Much,
            fake_kafka::Mood::Announces,
        ] {
            servers.kafka.push(FakeKafka::start(mood).await);
        }
        servers
    }

    fn targets(&self) -> Vec<Value> {
        let postgres = self.postgres.iter().map(FakePostgres::target);
        let kafka = self.kafka.iter().map(FakeKafka::open_target);
        let http = |url: &str| json!({"type": "http", "url": url});
        let sinks = self.sinks.iter().map(|sink| http(&sink.url));
        let nowhere = (0..8).map(|number| http(&format!("http://n{number}.invalid/")));
        postgres.chain(kafka).chain(sinks).chain(nowhere).collect()
    }
}

/// Requests over a bound are refused, and nothing is a fault of the hub's. A client that is cut off has taken too
/// much.
async fn refused_or_done(request: RequestBuilder) {
    if let Ok(response) = request.send().await {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        assert_ne!(status, 500, "{text}");
    }
}

/// Ten times as many streams as one connection may have, of which nothing is taken.
async fn takes_nothing(hub: &Hub) {
    let streams = 10 * limits::bounds("Requests at a time on one HTTP/2 connection")[0];
    let mut client = Frames::open(hub, 0).await;
    for number in 0..u32::try_from(streams).unwrap() {
        client.get(2 * number + 1, "/openapi.json").await;
    }
    sleep(HELD).await;
}

async fn ends_no_head(hub: &Hub) {
    let begin = async || {
        let mut stream = TcpStream::connect(&hub.address).await.ok()?;
        stream.write_all(b"G").await.ok()?;
        Some(stream)
    };
    let held = join_all((0..200).map(|_| begin())).await;
    sleep(HELD).await;
    drop(held);
}

async fn guesses(hub: &Hub) {
    let guess = |number: usize| {
        let credentials = json!({"username": format!("u{number}"), "password": "nonsense"});
        refused_or_done(with(hub.request(Method::POST, "auth/token"), &credentials))
    };
    join_all((0..32).map(guess)).await;
}

/// Asks for much work and goes away, each time at another moment.
async fn hangs_up(hub: &Hub) {
    let cut = |number: u64| async move {
        let export = hub.request(Method::GET, "drivers/a/large/export");
        let credentials = json!({"username": "admin", "password": "nonsense"});
        let log_in = with(hub.request(Method::POST, "auth/token"), &credentials);
        let moment = Duration::from_micros(number * 800);
        let asked = async {
            tokio::join!(
                refused_or_done(export.bearer_auth(&hub.token)),
                refused_or_done(log_in)
            )
        };
        let _ = timeout(moment, asked).await;
    };
    join_all((0..16).map(cut)).await;
}

/// Large files with a key, more than may be received at a time.
async fn imports(hub: &Hub) {
    static KEYS: AtomicUsize = AtomicUsize::new(0);
    let file = format!("id,description\n{}", "x,y\n".repeat(500_000));
    let import = || {
        let key = KEYS.fetch_add(1, Ordering::Relaxed);
        let request = hub.request(Method::POST, "devices/import?on_existing=skip");
        let request = request
            .bearer_auth(&hub.token)
            .header("Content-Type", "text/csv")
            .header("Idempotency-Key", format!("siege-{key}"));
        refused_or_done(request.body(file.clone()))
    };
    join_all((0..6).map(|_| import())).await;
}

/// More live streams than one user may have, of which nobody reads.
async fn listens(hub: &Hub) {
    let listen = || async {
        let request = hub.request(Method::GET, "events").bearer_auth(&hub.token);
        let mut answer = request.send().await.ok()?.bytes_stream();
        answer.next().await;
        Some(answer)
    };
    let held = join_all((0..80).map(|_| timeout(HELD, listen()))).await;
    sleep(HELD).await;
    drop(held);
}

async fn others_are_served_while_one_tenant_takes_what_it_can(database: Database) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8,::1/128",
        "--delivery-schedule-s",
        "0",
        "--delivery-timeout-s",
        "3",
    ];
    let mut hub = Hub::start_with(database, &flags).await;
    let servers = Servers::start().await;
    let others = Others::start(&mut hub).await;
    let attacker = Attacker::start(&hub, &servers).await;
    let (whole, part) = (duration(), duration() / 16);
    let peak = hub.peak_kib();
    others
        .work(part)
        .await
        .print(&format!("before, {peak} KiB at most"));

    let attacks = attacker.attacks(&hub);
    for (name, attack) in &attacks {
        let alone = again_and_again(attack, part);
        let (times, mut meanwhile) = tokio::join!(alone, others.work(part));
        let peak = hub.peak_kib();
        meanwhile.print(&format!("{name}, {times} times, {peak} KiB at most"));
    }
    let siege = attacks
        .iter()
        .map(|(_, attack)| again_and_again(attack, whole));
    let (times, mut meanwhile) = tokio::join!(join_all(siege), others.work(whole));
    meanwhile.print("all at once");
    println!(
        "attacks of each kind: {times:?}; {} KiB at most",
        hub.peak_kib()
    );
    assert!(times.iter().all(|times| *times > 0), "{times:?}");
    assert!(hub.peak_kib() < MEMORY_MAX_KIB, "{} KiB", hub.peak_kib());
    // The hub works as before.
    others.work(Duration::from_secs(1)).await;
    let ready = hub.call(Method::GET, "/readyz", None).await;
    assert_eq!(ready.status, 200, "{}", ready.body);
}
