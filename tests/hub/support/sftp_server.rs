//! An SFTP server in the test's own process, whose folder is a temporary one, and which can misbehave.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use russh::{
    Channel, ChannelId,
    keys::{Algorithm, HashAlg, PrivateKey},
    server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey},
};
use russh_sftp::protocol::{Attrs, FileAttributes, Handle, OpenFlags, Status, StatusCode, Version};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

pub const USER: &str = "iot";
pub const USER_PASSWORD: &str = "EXAMPLE-password";

/// A server; gone with its handle.
pub struct SftpServer {
    pub port: u16,
    /// Fingerprint of its key.
    pub host_key: String,
    pub cues: Arc<Cues>,
    folder: TempDir,
    serving: JoinHandle<()>,
}

/// Behaviour of the server.
pub struct Cues {
    /// Number of bytes that it still takes; the disk is full after them.
    pub room: AtomicI64,
    /// True if it answers no more writes.
    pub hangs: AtomicBool,
    /// Fingerprint of the key that it admits.
    pub key: Mutex<Option<String>>,
    /// Number of attempts to log in.
    pub logins: AtomicUsize,
}

impl SftpServer {
    pub async fn start() -> Self {
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(server::Config {
            auth_rejection_time: Duration::ZERO,
            keys: vec![key],
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cues = Arc::new(Cues {
            room: AtomicI64::new(i64::MAX),
            hangs: AtomicBool::new(false),
            key: Mutex::new(None),
            logins: AtomicUsize::new(0),
        });
        let folder = tempfile::tempdir().unwrap();
        let (book, path) = (cues.clone(), folder.path().to_owned());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let client = Client {
                    cues: book.clone(),
                    folder: path.clone(),
                    channels: HashMap::new(),
                };
                let config = config.clone();
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, client).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self {
            port,
            host_key,
            cues,
            folder,
            serving,
        }
    }

    /// Makes a folder in its own.
    pub fn make_folder(&self, name: &str) {
        fs::create_dir(self.folder.path().join(name)).unwrap();
    }

    /// Names and contents of its files.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.files_in("")
    }

    /// Names and contents of the files in a folder.
    pub fn files_in(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path().join(folder)).unwrap();
        let mut files: Vec<(String, Vec<u8>)> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }
}

impl Drop for SftpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Client {
    cues: Arc<Cues>,
    folder: PathBuf,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Client {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.cues.logins.fetch_add(1, Ordering::Relaxed);
        Ok(match (user, password) {
            (USER, USER_PASSWORD) => Auth::Accept,
            _ => Auth::reject(),
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.cues.logins.fetch_add(1, Ordering::Relaxed);
        let shown = key.public_key.fingerprint(HashAlg::Sha256).to_string();
        let is_admitted = self.cues.key.lock().unwrap().as_ref() == Some(&shown);
        Ok(match user == USER && is_admitted {
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.channels.remove(&id).filter(|_| name == "sftp") else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let folder = Folder {
            cues: self.cues.clone(),
            folder: self.folder.clone(),
            open: HashMap::new(),
            opened: 0,
        };
        russh_sftp::server::run(channel.into_stream(), folder).await;
        Ok(())
    }
}

struct Folder {
    cues: Arc<Cues>,
    folder: PathBuf,
    open: HashMap<String, File>,
    opened: usize,
}

fn done(id: u32) -> Result<Status, StatusCode> {
    Ok(Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en".to_owned(),
    })
}

impl russh_sftp::server::Handler for Folder {
    type Error = StatusCode;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Result<Version, StatusCode> {
        Ok(Version::new())
    }

    async fn open(
        &mut self,
        id: u32,
        name: String,
        _: OpenFlags,
        _: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        let file = File::create(self.folder.join(name)).map_err(|_| StatusCode::NoSuchFile)?;
        self.opened += 1;
        let handle = self.opened.to_string();
        self.open.insert(handle.clone(), file);
        Ok(Handle { id, handle })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusCode> {
        if self.cues.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let size = i64::try_from(data.len()).unwrap();
        if self.cues.room.fetch_sub(size, Ordering::Relaxed) < size {
            return Err(StatusCode::Failure);
        }
        let file = self.open.get_mut(&handle).ok_or(StatusCode::Failure)?;
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&data).unwrap();
        done(id)
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        self.open.remove(&handle).ok_or(StatusCode::Failure)?;
        done(id)
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        let found = fs::symlink_metadata(self.folder.join(path));
        let found = found.map_err(|_| StatusCode::NoSuchFile)?;
        Ok(Attrs {
            id,
            attrs: FileAttributes::from(&found),
        })
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, StatusCode> {
        fs::remove_file(self.folder.join(path)).map_err(|_| StatusCode::NoSuchFile)?;
        done(id)
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, StatusCode> {
        let to = self.folder.join(to);
        // The third version of SFTP replaces no file.
        if to.exists() {
            return Err(StatusCode::Failure);
        }
        fs::rename(self.folder.join(from), to).map_err(|_| StatusCode::NoSuchFile)?;
        done(id)
    }
}
