//! A broker of a test's own: Debian's mosquitto on a free port, with a certificate authority where
//! TLS is wanted.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::Stdio,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::{
    eventually,
    support::{
        messages,
        ports::free_port,
        server::{Connection, Hub},
    },
};

pub const USER: &str = "hub";
pub const PASSWORD: &str = "broker password";

/// The ways in which a broker lets clients in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Lets everybody in.
    Open,
    /// Asks for the user and the password.
    Password,
    /// Asks for the user and the password, over TLS.
    Tls,
    /// Asks for a certificate of its authority, over TLS.
    Certificate,
}

pub struct Broker {
    folder: TempDir,
    door: Door,
    port: u16,
    /// Port for WebSockets, if there is one.
    web_port: Option<u16>,
    child: Option<Child>,
}

/// A subscribed client and its messages.
pub struct Listener {
    _child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    /// Messages that came before it was known to be subscribed.
    early: VecDeque<String>,
}

/// The server, in the place where Debian puts it.
fn server() -> Command {
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("mosquitto");
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Broker {
    pub async fn start(door: Door) -> Self {
        Self::start_at(door, None).await
    }

    /// Starts a broker that also accepts WebSockets.
    pub async fn start_with_web_sockets(door: Door) -> Self {
        Self::start_at(door, Some(free_port())).await
    }

    async fn start_at(door: Door, web_port: Option<u16>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Self {
            folder,
            door,
            port: free_port(),
            web_port,
            child: None,
        };
        broker.write_files();
        broker.start_again().await;
        broker
    }

    /// Restarts the broker with its stored state.
    pub async fn start_again(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = server()
            .arg("-c")
            .arg(self.path("conf"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("mosquitto is there: scripts/need mosquitto");
        self.child = Some(child);
        eventually("the broker listens", async || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        })
        .await;
    }

    /// Ends it; by SIGTERM it writes down what it keeps for clients that are away.
    pub async fn end(&mut self, signal: Signal) {
        let mut child = self.child.take().expect("it runs");
        let pid = child.id().expect("it runs");
        kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
        child.wait().await.unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The broker as clients of the hub describe it.
    pub fn settings(&self) -> Value {
        let port = self.port;
        match self.door {
            Door::Open => json!({"url": format!("mqtt://127.0.0.1:{port}")}),
            Door::Password => json!({"url": format!("mqtt://127.0.0.1:{port}"),
                "username": USER, "password": PASSWORD}),
            Door::Tls => json!({"url": format!("mqtts://localhost:{port}"),
                "username": USER, "password": PASSWORD, "ca": self.read("ca.pem")}),
            Door::Certificate => json!({"url": format!("mqtts://localhost:{port}"),
                "ca": self.read("ca.pem"), "client_certificate": self.read("client.pem"),
                "client_key": self.read("client.key")}),
        }
    }

    /// Returns the settings for a connection by WebSocket.
    pub fn web_settings(&self) -> Value {
        let mut settings = self.settings();
        let port = self.web_port.expect("it takes WebSockets");
        settings["url"] = match self.door {
            Door::Open | Door::Password => format!("ws://127.0.0.1:{port}/mqtt"),
            Door::Tls | Door::Certificate => format!("wss://localhost:{port}/mqtt"),
        }
        .into();
        settings
    }

    /// Publishes, and waits until the broker has it.
    pub async fn publish(&self, topic: &str, payload: &str) {
        self.publish_with(&[], topic, payload).await;
    }

    /// Publishes a retained message.
    pub async fn publish_retained(&self, topic: &str, payload: &str) {
        self.publish_with(&["-r"], topic, payload).await;
    }

    async fn publish_with(&self, arguments: &[&str], topic: &str, payload: &str) {
        // By way of a file: the system bounds an argument.
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        std::fs::write(file.path(), payload).unwrap();
        let mut command = self.client("mosquitto_pub");
        let status = command
            .args(["-q", "1", "-t", topic, "-f"])
            .arg(file.path())
            .args(arguments)
            .status()
            .await
            .unwrap();
        assert!(status.success(), "{}", self.log());
    }

    /// Subscribes; it is done when this answers.
    pub async fn listen(&self, filter: &str) -> Listener {
        self.listen_by(self.client("mosquitto_sub"), filter).await
    }

    /// Listens with a persistent session, which keeps messages while the broker or the listener is away.
    pub async fn listen_lastingly(&self, filter: &str) -> Listener {
        let mut command = self.client("mosquitto_sub");
        command.args(["-c", "-i", "listener"]);
        self.listen_by(command, filter).await
    }

    async fn listen_by(&self, mut command: Command, filter: &str) -> Listener {
        // A first message of its own shows that it is subscribed.
        let own = format!("test/{}", uuid::Uuid::now_v7());
        let mut child = command
            .args(["-q", "2", "-t", filter, "-t", &own, "-F", "%q %r %t %p"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut listener = Listener {
            _child: child,
            lines,
            early: VecDeque::new(),
        };
        let again = async {
            loop {
                self.publish(&own, "").await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let subscribed = async {
            loop {
                let line = listener.lines.next_line().await.unwrap().unwrap();
                if line.contains(&own) {
                    break;
                }
                listener.early.push_back(line);
            }
        };
        tokio::select! {
            () = subscribed => {}
            () = again => {}
        }
        listener
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .args(["-p", &self.port.to_string()]);
        match self.door {
            Door::Open => command.args(["-h", "127.0.0.1"]),
            Door::Password => command.args(["-h", "127.0.0.1", "-u", USER, "-P", PASSWORD]),
            Door::Tls => command
                .args(["-h", "localhost", "-u", USER, "-P", PASSWORD, "--cafile"])
                .arg(self.path("ca.pem")),
            Door::Certificate => command
                .args(["-h", "localhost", "--cafile"])
                .arg(self.path("ca.pem"))
                .arg("--cert")
                .arg(self.path("client.pem"))
                .arg("--key")
                .arg(self.path("client.key")),
        };
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write_files(&self) {
        let folder = self.folder.path().display();
        // Started by root, it would become another user, who may not write here; for others it counts nothing.
        let mut conf = format!(
            "listener {} 127.0.0.1\nuser root\npersistence true\npersistence_location {folder}/\n\
             autosave_interval 1\nautosave_on_changes true\nlog_type all\n",
            self.port
        );
        conf += match self.door {
            Door::Open | Door::Certificate => "allow_anonymous true\n",
            Door::Password | Door::Tls => "allow_anonymous false\n",
        };
        if matches!(self.door, Door::Password | Door::Tls) {
            let file = self.path("users");
            let status = std::process::Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&file)
                .args([USER, PASSWORD])
                .status()
                .unwrap();
            assert!(status.success());
            conf += &format!("password_file {}\n", file.display());
        }
        // Lines of a listener about TLS belong to that listener.
        let mut tls = String::new();
        if matches!(self.door, Door::Tls | Door::Certificate) {
            self.write_certificates();
            tls += &format!(
                "cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
            );
        }
        if self.door == Door::Certificate {
            tls += "require_certificate true\n";
        }
        conf += &tls;
        if let Some(port) = self.web_port {
            conf += &format!("listener {port} 127.0.0.1\nprotocol websockets\n{tls}");
        }
        std::fs::write(self.path("conf"), conf).unwrap();
    }

    fn write_certificates(&self) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "authority of a test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(self.path("ca.pem"), authority.pem()).unwrap();
        for (name, host, usage) in [
            ("server", "localhost", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", "hub", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, host);
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
    }
}

impl Listener {
    /// The next message of an integration: quality, whether it was kept, topic, and the message, which is as the
    /// document describes it.
    pub async fn next_message(&mut self) -> (u8, bool, String, Value) {
        let (qos, retained, topic, payload) = self.next().await;
        (qos, retained, topic, messages::checked(&payload))
    }

    /// The next message: quality, whether it was kept, topic, payload.
    pub async fn next(&mut self) -> (u8, bool, String, String) {
        let limit = std::time::Duration::from_secs(20);
        loop {
            let line = match self.early.pop_front() {
                Some(line) => line,
                None => {
                    let line = tokio::time::timeout(limit, self.lines.next_line()).await;
                    line.expect("a message comes").unwrap().unwrap()
                }
            };
            let mut parts = line.splitn(4, ' ');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            let (qos, retained, topic, payload) = (part(), part(), part(), part());
            if !topic.starts_with("test/") {
                return (qos.parse().unwrap(), retained == "1", topic, payload);
            }
        }
    }
}

/// Waits until the hub is connected to the connection's broker.
pub async fn is_subscribed(hub: &Hub, connection: &Connection) -> Value {
    let path = format!("network-connections/{}", connection.id);
    eventually("the hub is subscribed", async || {
        let view = hub.get(&path).await.ok();
        (view["health"]["subscription"]["connected"] == true).then_some(view)
    })
    .await
}
