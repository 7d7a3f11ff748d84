//! A hub of the test's own: the real program in a folder of its own, and a client that holds every
//! answer against the contract.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Certificate, Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

pub use super::{
    answer::{Answer, WithJson},
    steps::{Connection, EUI, next_frame, things_stack},
};
use crate::support::{
    database::{Database, execute},
    template,
};

pub const PASSWORD: &str = "correct horse battery staple";
/// More than a hub takes of the machine, even beside other tests.
pub const MEMORY_MAX_KIB: u64 = 400 * 1024;
/// Names another program than the one just built, of all tests or in the environment of one hub.
pub const PROGRAM: &str = "THINGSHUB_TEST_PROGRAM";
pub struct Hub {
    folder: TempDir,
    pub database: Database,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    child: Child,
    client: Client,
    /// Host and port of its listener.
    pub address: String,
    /// Token of the first administrator.
    pub token: String,
    /// Its log may report internal faults.
    pub may_complain: bool,
}

/// Returns the program, without the settings of the person who runs the tests. `THINGSHUB_TEST_PROGRAM`
/// names another one than the one just built: an optimized build, or an earlier version with which a test
/// should fail.
pub fn program() -> Command {
    program_at(&program_path())
}

/// Path of the program under test.
pub fn program_path() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_thingshub").into();
    std::env::var_os(PROGRAM).unwrap_or_else(built).into()
}

fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("THINGSHUB_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Hub {
    /// Starts one and logs in.
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// Starts one whose integrations may reach this machine.
    pub async fn start_with(database: Database, flags: &[&str]) -> Self {
        Self::start_in(database, flags, &[]).await
    }

    /// Starts one with these variables in its environment.
    pub async fn start_in(
        database: Database,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Database::Sqlite = database
            && !environment.iter().any(|(name, _)| *name == PROGRAM)
        {
            template::copy_to(&data_dir(folder.path()));
        }
        Self::start_at(folder, database, flags, environment).await
    }

    /// Starts one whose data folder is this one, such as a disk of its own.
    pub async fn start_on(data: &Path, database: Database, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(data, data_dir(folder.path())).unwrap();
        Self::start_at(folder, database, flags, &[]).await
    }

    /// Starts one in this folder, whose subfolder `data` may have a database with the tests' administrator.
    pub async fn start_at(
        folder: TempDir,
        database: Database,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let environment: Vec<(String, String)> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let (child, address) = launch(folder.path(), &database, &flags, &environment).await;
        let client = client(&data_dir(folder.path()).join("tls/cert.pem"));
        let mut hub = Self {
            folder,
            database,
            flags,
            environment,
            child,
            client,
            address,
            token: String::new(),
            may_complain: false,
        };
        hub.token = hub.log_in("admin", PASSWORD).await;
        hub
    }

    /// Starts the same hub again, after it was killed or has stopped.
    pub async fn start_again(&mut self) {
        let (folder, environment) = (self.folder.path(), &self.environment);
        (self.child, self.address) = launch(folder, &self.database, &self.flags, environment).await;
    }

    /// Starts it again with other flags.
    pub async fn start_again_with(&mut self, flags: &[&str]) {
        self.set_flags(flags);
        self.start_again().await;
    }

    /// Sets the flags of the next start.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(ToString::to_string).collect();
    }

    /// Runs a command of the program on this hub's data: what it prints, and what it complains of.
    pub async fn command(&self, arguments: &[&str]) -> Result<String, String> {
        self.command_with(arguments, "").await
    }

    /// Runs a command with this standard input.
    pub async fn command_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = program();
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(data_dir(self.folder.path()));
        if let Database::Postgres(url) = &self.database {
            command.args(["--database-url", url]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended by now.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    }

    /// Starts the same hub again, which must refuse with one line; answers that.
    pub async fn does_not_start(&self) -> String {
        let mut command = program();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir(self.folder.path()))
            .args(&self.flags);
        if let Database::Postgres(url) = &self.database {
            command.args(["--database-url", url]);
        }
        let output = timeout(Duration::from_secs(60), command.output()).await;
        let output = output.expect("it ends").unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }

    /// Starts the same hub again, and kills it after that long, wherever it is by then.
    pub async fn start_and_kill(&mut self, after: Duration) {
        let (folder, environment) = (self.folder.path(), &self.environment);
        let mut child = spawn(folder, &self.database, &self.flags, environment);
        let _ = timeout(after, child.wait()).await;
        child.kill().await.unwrap();
    }

    pub async fn log_in(&self, username: &str, password: &str) -> String {
        let body = json!({"username": username, "password": password});
        let answer = self.post("auth/token", &body).await.ok();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Sends a signal to the process, and waits for its end.
    pub async fn end(&mut self, signal: Signal) -> ExitStatus {
        self.tell(signal);
        self.ended().await
    }

    /// Sends a signal to the process.
    pub fn tell(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        let pid = self.child.id().expect("it runs");
        pid.try_into().unwrap()
    }

    /// The most memory that the process has had so far.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let peak = line.unwrap().split_whitespace().nth(1);
        peak.unwrap().parse().unwrap()
    }

    /// Waits for the process's end.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(Duration::from_secs(30), self.child.wait())
            .await
            .expect("it ends")
            .unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("hub.log")).unwrap_or_default()
    }

    /// The certificate that it made.
    pub fn certificate(&self) -> PathBuf {
        self.file("tls/cert.pem")
    }

    /// A file in its data folder.
    pub fn file(&self, name: &str) -> PathBuf {
        data_dir(self.folder.path()).join(name)
    }

    /// Runs a statement behind its back.
    pub async fn sql(&self, statement: &str) {
        execute(&self.database_url(), statement).await;
    }

    /// URL of its database.
    pub fn database_url(&self) -> String {
        match &self.database {
            Database::Sqlite => format!(
                "sqlite://{}",
                data_dir(self.folder.path()).join("thingshub.db").display()
            ),
            Database::Postgres(url) => url.clone(),
        }
    }

    /// A client that comes from this address.
    pub fn client_at(&self, address: IpAddr) -> Client {
        let builder = client_builder(&self.certificate());
        builder.local_address(address).build().unwrap()
    }

    /// A client that speaks HTTP/1.1 alone, which has headers that HTTP/2 forbids.
    pub fn client_of_http_1(&self) -> Client {
        let builder = client_builder(&self.certificate());
        builder.http1_only().build().unwrap()
    }

    /// A request without a token. Paths are below `/api/v3/` unless they start with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = match path.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None => format!("api/v3/{path}"),
        };
        let url = format!("https://{}/{path}", self.address);
        self.client.request(method, url)
    }

    /// A request with a JSON body and the administrator's token.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.request(method, path).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        self.answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// A body as it is, to a path, with the administrator's token.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .bearer_auth(&self.token)
            .header("Content-Type", "application/json")
            .body(body);
        self.answer(request).await
    }

    /// The items of a list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let page = self.get(path).await.ok();
        assert_eq!(page["next_cursor"], Value::Null, "{path} has one page");
        page["collection"].as_array().unwrap().clone()
    }

    /// Sends a request and holds the answer against the contract.
    pub async fn answer(&self, request: RequestBuilder) -> Answer {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let method = request.method().clone();
        let path = request.url().path().to_owned();
        let what = format!("{method} {path}");
        let response = client
            .execute(request)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}\n{}", self.log()));
        Answer::read(&method, &path, response).await
    }
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn spawn(
    folder: &Path,
    database: &Database,
    flags: &[String],
    environment: &[(String, String)],
) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("hub.log"))
        .unwrap();
    let chosen = environment.iter().find(|(name, _)| name == PROGRAM);
    let mut command = match chosen {
        Some((_, path)) => program_at(Path::new(path)),
        None => program(),
    };
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir(folder))
        .env("THINGSHUB_DATABASE_CONNECTIONS", "4")
        .args(flags)
        .env("THINGSHUB_ADMIN_PASSWORD", PASSWORD)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(log);
    if let Database::Postgres(url) = database {
        command.args(["--database-url", url]);
    }
    command.spawn().unwrap()
}

async fn launch(
    folder: &Path,
    database: &Database,
    flags: &[String],
    environment: &[(String, String)],
) -> (Child, String) {
    let mut child = spawn(folder, database, flags, environment);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = timeout(Duration::from_secs(60), async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(rest) = line.strip_prefix("thingshub listens on https://") {
                return rest.split(' ').next().map(str::to_owned);
            }
        }
        None
    });
    let Ok(Some(address)) = address.await else {
        let log = std::fs::read_to_string(folder.join("hub.log")).unwrap();
        panic!("the hub does not start:\n{log}");
    };
    // Its standard output must stay open for as long as it runs.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

fn client(certificate: &Path) -> Client {
    client_builder(certificate).build().unwrap()
}

fn client_builder(certificate: &Path) -> reqwest::ClientBuilder {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let certificate = Certificate::from_pem(&std::fs::read(certificate).unwrap()).unwrap();
    Client::builder()
        .tls_certs_only([certificate])
        .no_proxy()
        .timeout(Duration::from_secs(60))
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        if std::thread::panicking() {
            println!("--- the hub's log\n{}", self.log());
        } else {
            // Whatever a test does to a hub, it never panics.
            let is_complaint = |line: &&str| {
                line.contains("panicked") || (!self.may_complain && line.contains(" ERROR "))
            };
            let log = self.log();
            let complaints: Vec<&str> = log.lines().filter(is_complaint).collect();
            assert!(complaints.is_empty(), "the hub complains: {complaints:#?}");
        }
    }
}
