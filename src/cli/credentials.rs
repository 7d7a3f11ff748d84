//! The file that stores a login, and the choice of hub and token for a command.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use url::Url;

use super::exit::{Failure, Reason};

/// Credentials that a login stores. They have no `Debug`, so that a token cannot end in a log.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// The hub: an https URL without a slash at its end.
    pub server: String,
    /// A certificate to trust besides the system's, as an absolute path.
    pub ca: Option<PathBuf>,
    /// Kind of the token.
    pub kind: Kind,
    pub token: String,
}

/// Kinds of tokens, which differ in the effect of a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Token of a session, which a logout ends.
    Session,
    /// API key, which other programs may use as well: a logout only deletes it from the file.
    ApiKey,
}

impl Credentials {
    /// Returns the path of this user's file: below `$XDG_CONFIG_HOME`, or else below `~/.config`.
    pub fn file() -> Result<PathBuf, Failure> {
        let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        location(folder, std::env::home_dir())
            .ok_or_else(|| Failure::new(Reason::Here, "neither XDG_CONFIG_HOME nor HOME is set"))
    }

    /// Reads the file; `None` if it does not exist.
    pub fn load(file: &Path) -> Result<Option<Self>, Failure> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(file, &error)),
        };
        // The parser's error quotes the line, which may contain the token.
        let credentials = toml::from_str(&text)
            .map_err(|_| unusable(file, &"the file is damaged; log in again, or remove it"))?;
        Ok(Some(credentials))
    }

    /// Writes the file in one step, readable for its owner alone.
    pub fn save(&self, file: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(|error| unusable(file, &error))?;
        write(file, text.as_bytes()).map_err(|error| unusable(file, &error))
    }

    /// Removes the file.
    pub fn remove(file: &Path) -> Result<(), Failure> {
        fs::remove_file(file).map_err(|error| unusable(file, &error))
    }
}

fn unusable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Reason::Here, format!("{}: {error}", file.display()))
}

/// A relative `XDG_CONFIG_HOME` is ignored, as its specification requires.
fn location(config_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let folder = match config_home.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => home
            .filter(|home| !home.as_os_str().is_empty())?
            .join(".config"),
    };
    Some(folder.join("thingshub/credentials.toml"))
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    // Written to a temporary file that is then renamed: a reader never sees half of it, and it is never
    // readable for others, not even for a moment.
    let fresh = folder.join(format!(".credentials.{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut open| {
            open.write_all(bytes)?;
            open.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, file));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// The hub of a command, with certificate and token.
pub struct Target {
    /// Base URL of the hub.
    pub server: Url,
    /// A certificate to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Token to send.
    pub token: Option<String>,
}

/// Arguments of the command line about the hub.
#[derive(Default)]
pub struct Flags {
    pub server: Option<Url>,
    pub ca: Option<PathBuf>,
    pub token: Option<String>,
}

impl Flags {
    /// Completes the arguments of the command line from the file. Token and certificate of the file are only
    /// used for the file's hub: another hub must never get that token.
    pub fn with(self, stored: Option<Credentials>) -> Result<Target, Failure> {
        let stored = match stored {
            Some(stored) => {
                let server = server(&stored.server).map_err(|error| {
                    Failure::new(Reason::Here, format!("the stored server {error}"))
                })?;
                Some((server, stored))
            }
            None => None,
        };
        let Some(server) = self
            .server
            .or_else(|| stored.as_ref().map(|(server, _)| server.clone()))
        else {
            return Err(Failure::new(
                Reason::NotLoggedIn,
                "not logged in: use `thingshub login`, or give --server",
            ));
        };
        let stored = stored
            .filter(|(of, _)| *of == server)
            .map(|(_, stored)| stored);
        let (stored_ca, stored_token) = match stored {
            Some(stored) => (stored.ca, Some(stored.token)),
            None => (None, None),
        };
        Ok(Target {
            server,
            ca: self.ca.or(stored_ca),
            token: self.token.or(stored_token),
        })
    }
}

/// Parses the URL of a hub.
pub fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host());
    let Some(mut url) = url else {
        return Err("must be a URL that starts with https://".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Returns a URL as text, without a slash at its end.
pub fn server_text(server: &Url) -> &str {
    server.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Credentials {
        Credentials {
            server: "https://hub:8443".to_owned(),
            ca: Some("/ca.pem".into()),
            kind: Kind::Session,
            token: "stored".to_owned(),
        }
    }

    fn flags(server: &str) -> Flags {
        Flags {
            server: Some(super::server(server).unwrap()),
            ..Flags::default()
        }
    }

    #[test]
    fn the_file_is_where_the_user_keeps_settings() {
        let file =
            |config_home: &str, home: &str| location(Some(config_home.into()), Some(home.into()));
        let below_home = Some(PathBuf::from("/home/a/.config/thingshub/credentials.toml"));
        assert_eq!(
            file("/x", "/home/a"),
            Some("/x/thingshub/credentials.toml".into())
        );
        assert_eq!(file("", "/home/a"), below_home);
        assert_eq!(file("relative", "/home/a"), below_home);
        assert_eq!(location(None, None), None);
    }

    #[test]
    fn it_is_for_the_owner_alone_and_leaves_nothing_beside() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config/thingshub/credentials.toml");
        for token in ["first", "second"] {
            let credentials = Credentials {
                token: token.to_owned(),
                ..stored()
            };
            credentials.save(&file).unwrap();
            let read = Credentials::load(&file).unwrap().unwrap();
            assert_eq!(read.token, token);
            assert_eq!(read.ca, Some("/ca.pem".into()));
            assert_eq!(read.kind, Kind::Session);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = file.parent().unwrap();
        assert_eq!((mode(&file), mode(folder)), (0o600, 0o700));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_does_not_show_what_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("credentials.toml");
        fs::write(&file, "token = \"very-secret").unwrap();
        let failure = Credentials::load(&file).err().unwrap();
        assert!(!failure.text.contains("very-secret"), "{}", failure.text);
        assert!(
            failure.text.contains("credentials.toml"),
            "{}",
            failure.text
        );
    }

    #[test]
    fn a_stored_token_is_for_its_own_hub() {
        let same = flags("https://hub:8443/").with(Some(stored())).unwrap();
        assert_eq!(same.token.as_deref(), Some("stored"));
        assert!(same.ca.is_some());
        for other in ["https://hub", "https://other:8443", "https://hub:8443/x"] {
            let target = flags(other).with(Some(stored())).unwrap();
            assert_eq!((target.token, target.ca), (None, None), "{other}");
        }
    }

    #[test]
    fn flags_win_and_the_file_fills_in() {
        let target = Flags {
            token: Some("given".to_owned()),
            ..Flags::default()
        }
        .with(Some(stored()))
        .unwrap();
        assert_eq!(target.token.as_deref(), Some("given"));
        assert_eq!(server_text(&target.server), "https://hub:8443");
        let nobody = Flags::default().with(None).err().unwrap();
        assert_eq!(nobody.reason, Reason::NotLoggedIn);
    }

    #[test]
    fn only_https_is_a_server() {
        for text in [
            "https://hub",
            "https://hub/",
            "https://[::1]:8443",
            "https://a/hub/",
        ] {
            let url = server(text).unwrap();
            assert!(!server_text(&url).ends_with('/'), "{url}");
        }
        for text in [
            "http://hub",
            "hub:8443",
            "hub",
            "",
            "https://",
            "https://u:p@hub",
            "https://hub?x",
            "https://hub#x",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
