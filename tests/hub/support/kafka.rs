//! A broker of a test's own that speaks the protocol of Kafka: Tansu, on a free port. What is in its topics
//! is read by a client that is not the hub's.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use rskafka::{
    client::{Client, ClientBuilder, partition::UnknownTopicHandling},
    record::Record,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{
    eventually,
    support::{certificates::Authority, database::surroundings, messages, ports::free_port},
};

pub const USER: &str = "hub";
pub const PASSWORD: &str = "broker password";

/// The ways in which a broker lets clients in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Lets everybody in.
    Open,
    /// Asks for a log-in.
    Login,
}

pub struct Kafka {
    folder: TempDir,
    pub port: u16,
    /// Address that it names of itself.
    advertised: String,
    child: Option<Child>,
}

/// A record, and the partition that it is in.
pub type Found = (i32, Record);

impl Kafka {
    pub async fn start(door: Door) -> Self {
        let port = free_port();
        Self::start_as(door, port, &format!("localhost:{port}")).await
    }

    /// A broker that names another address than its own.
    pub async fn start_as(door: Door, port: u16, advertised: &str) -> Self {
        let mut kafka = Self {
            folder: tempfile::tempdir().unwrap(),
            port,
            advertised: advertised.to_owned(),
            child: None,
        };
        kafka.start_again(door).await;
        kafka
    }

    /// Restarts the broker with its stored data.
    pub async fn start_again(&mut self, door: Door) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program());
        command
            .current_dir(self.folder.path())
            // Below the folder in which it runs.
            .args(["--silent", "--storage-engine", "sqlite:///broker.db"])
            .args(["--listener-url", &format!("tcp://127.0.0.1:{}", self.port)])
            .args([
                "--advertised-listener-url",
                &format!("tcp://{}", self.advertised),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true);
        if door == Door::Login {
            command.arg("--authentication");
        }
        self.child = Some(command.spawn().expect("the broker starts"));
        eventually("the broker listens", async || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        })
        .await;
    }

    /// Ends it without a word.
    pub async fn kill(&mut self) {
        self.child.take().expect("it runs").kill().await.unwrap();
    }

    /// Makes a user who may log in by SCRAM, while the door is open.
    pub async fn make_user(&self, mechanism: &str) {
        let user = ["user", "create", "--mechanism", mechanism, USER, PASSWORD];
        self.run(&user).await;
    }

    /// Makes a topic, while the door is open.
    pub async fn make_topic(&self, topic: &str, partitions: i32) {
        let partitions = partitions.to_string();
        let topic = ["topic", "create", "--partitions", &partitions, topic];
        self.run(&topic).await;
    }

    /// The broker's own tool.
    async fn run(&self, arguments: &[&str]) {
        let broker = format!("tcp://127.0.0.1:{}", self.port);
        let mut command = Command::new(program());
        let ran = command.args(arguments).args(["--broker", &broker]).output();
        let ran = ran.await.unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }

    /// All records of a topic, partition by partition, in their order. Fails if one is not as the document
    /// describes it.
    pub async fn records(&self, topic: &str) -> Vec<Found> {
        let client = self.client().await;
        let mut found = Vec::new();
        let topics = client.list_topics().await.unwrap();
        let Some(known) = topics.into_iter().find(|known| known.name == topic) else {
            return found;
        };
        for partition in known.partitions {
            let unknown = UnknownTopicHandling::Error;
            let reader = client
                .partition_client(topic, partition, unknown)
                .await
                .unwrap();
            let mut offset = 0;
            loop {
                let (records, end) = reader
                    .fetch_records(offset, 1..1_000_000, 100)
                    .await
                    .unwrap();
                for record in records {
                    offset = record.offset + 1;
                    let value = record.record.value.as_deref().unwrap_or_default();
                    let fault = messages::fault_of_record(&record.record.headers, value);
                    assert_eq!(fault, None, "of a record in {topic}");
                    found.push((partition, record.record));
                }
                if offset >= end {
                    break;
                }
            }
        }
        found
    }

    /// A target, as clients of the hub describe it.
    pub fn target(&self, topic: &str) -> Value {
        json!({"type": "kafka", "topic": topic, "tls": "off",
            "bootstrap": [format!("localhost:{}", self.port)]})
    }

    async fn client(&self) -> Client {
        let bootstrap = vec![format!("127.0.0.1:{}", self.port)];
        ClientBuilder::new(bootstrap).build().await.unwrap()
    }
}

/// TLS before a broker that has none of its own: what comes in on a port of this one goes to the broker.
pub struct TlsDoor {
    pub port: u16,
    /// The authority that signed its certificate, for `localhost`.
    pub ca: String,
    accepting: JoinHandle<()>,
}

impl TlsDoor {
    pub async fn open(port: u16, to: u16) -> Self {
        let authority = Authority::new();
        let acceptor = authority.right();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust it hangs up.
                    let Ok(mut outside) = acceptor.accept(socket).await else {
                        return;
                    };
                    let mut inside = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self {
            port,
            ca: authority.pem(),
            accepting,
        }
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The broker, in the place where `make` puts it.
fn program() -> PathBuf {
    let target = surroundings("CARGO_TARGET_DIR");
    let program = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target.as_deref().unwrap_or("target"))
        .join("tools/tansu/bin/tansu");
    assert!(program.exists(), "the broker is missing: make kafka-tools");
    program
}
