//! Target type `sftp`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::{
        http::types::Int,
        integrations::targets::target_type::{BrokenRule, TargetType, read},
    },
    error::Result,
    secret::{Claim, SealedCredentials, addresses::SFTP},
    text::{CredentialText, HostKeyText, HostName, Login, PrivateKeyText, RemoteFolder, Text},
};

/// TCP port.
type TcpPort = Int<1, 65_535>;

/// Folder of an SFTP server. A file is sent as `<name>.<attempt>.part` and renamed when the server has all of it.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpTarget {
    /// Name or address of the server. A run fails if the address is not public, unless the operator has allowed its
    /// network (`outgoing_allow`).
    host: HostName,
    /// Port of the server. 22 if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<TcpPort>,
    /// Name of the user.
    username: Login,
    /// Password of the user. Either a password or a private key is required. Responses never
    /// contain it. If both are omitted in an update, the stored one is kept as long as `host` and `port` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    password: Option<CredentialText>,
    /// Private key of the user without a passphrase, in the format of OpenSSH or in PEM. Responses never contain it.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    private_key: Option<PrivateKeyText>,
    /// Fingerprint that the key of the server must have, as `ssh-keygen -lf` shows it. While it is omitted or null, no
    /// login is attempted; a test of the scheduled export then returns the fingerprint that the server shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_key: Option<HostKeyText>,
    /// Folder for the files, which must exist; relative to the user's folder unless it starts with `/`. The user's folder
    /// if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<RemoteFolder>,
}

/// Folder of an SFTP server.
#[derive(Object, Serialize, Deserialize)]
pub struct SftpTargetView {
    /// Name or address of the server.
    host: String,
    /// Port of the server.
    #[serde(default = "standard_port")]
    port: TcpPort,
    /// Name of the user.
    username: String,
    /// Whether a password is stored.
    #[serde(default)]
    has_password: bool,
    /// Whether a private key is stored.
    #[serde(default)]
    has_private_key: bool,
    /// Fingerprint that the key of the server must have; null if none is set, and no login is attempted.
    host_key: Option<String>,
    /// Folder for the files; null for the user's folder.
    folder: Option<String>,
}

impl TargetType for SftpTarget {
    const KIND: &'static str = "sftp";

    fn take_claims(&mut self) -> Vec<Claim> {
        let password = self.password.take().map(Text::into_string);
        let key = self.private_key.take().map(Text::into_string);
        let claim =
            |name: &str, secret| Claim::optional(name, &format!("target.{name}"), secret, SFTP);
        match (password, key) {
            // One that is given replaces the other.
            (Some(password), None) => vec![claim("password", Some(password))],
            (None, Some(key)) => vec![claim("private_key", Some(key))],
            (password, key) => vec![claim("password", password), claim("private_key", key)],
        }
    }

    fn broken_rule(&self) -> Option<BrokenRule> {
        if let Some(key) = &self.private_key
            && crate::sftp::Login::key(key).is_err()
        {
            let rule = "must be a private key of OpenSSH or PEM, without a passphrase";
            return Some(BrokenRule::new("target.private_key", rule));
        }
        let has_both = self.password.is_some() && self.private_key.is_some();
        has_both.then_some(BrokenRule::new(
            "target.private_key",
            "cannot be combined with target.password",
        ))
    }
}

impl SftpTargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        let view: Self = read(settings)?;
        Ok(Self {
            has_password: secrets.has("password"),
            has_private_key: secrets.has("private_key"),
            ..view
        })
    }
}

fn standard_port() -> TcpPort {
    TcpPort::saturating(22)
}
