//! Target type `s3`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::integrations::targets::target_type::{BrokenRule, TargetType, read},
    error::Result,
    secret::{Claim, SealedCredentials, addresses::S3},
    text::{BucketName, CredentialText, HttpUrl, ObjectPrefix, ProtocolText, RegionName, Text},
};

/// Bucket of S3-compatible storage. An object appears when all of its parts have been sent.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Target {
    /// URL of the server, such as `https://s3.eu-central-1.amazonaws.com`, without a path, a query and a fragment. A run
    /// fails if the address is not public, unless the operator has allowed its network (`outgoing_allow`).
    endpoint: HttpUrl,
    /// Region of the bucket. Servers that have no regions expect `us-east-1`.
    region: RegionName,
    /// Name of the bucket, which must exist.
    bucket: BucketName,
    /// Text before the names of the files, such as `climate/`; none if omitted or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<ObjectPrefix>,
    /// Identifier of the access key.
    access_key_id: ProtocolText,
    /// Secret of the access key. Responses never contain it. If omitted in an update, the stored value is kept as long
    /// as `endpoint` stays the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    secret_access_key: Option<CredentialText>,
    /// Whether the bucket is in the path of URLs, as MinIO and others expect it. False if it is in the name of the host.
    #[oai(default)]
    #[serde(default)]
    path_style: bool,
}

/// Bucket of S3-compatible storage.
#[derive(Object, Serialize, Deserialize)]
pub struct S3TargetView {
    /// URL of the server.
    endpoint: String,
    /// Region of the bucket.
    region: String,
    /// Name of the bucket.
    bucket: String,
    /// Text before the names of the files; null if there is none.
    prefix: Option<String>,
    /// Identifier of the access key.
    access_key_id: String,
    /// Whether the secret of the access key is stored.
    #[serde(default)]
    has_secret_access_key: bool,
    /// Whether the bucket is in the path of URLs.
    #[serde(default)]
    path_style: bool,
}

impl TargetType for S3Target {
    const KIND: &'static str = "s3";

    fn take_claims(&mut self) -> Vec<Claim> {
        let secret = self.secret_access_key.take().map(Text::into_string);
        let field = "target.secret_access_key";
        vec![Claim::required("secret_access_key", field, secret, S3)]
    }

    fn broken_rule(&self) -> Option<BrokenRule> {
        let rest = self.endpoint.splitn(4, '/').nth(3).unwrap_or_default();
        let is_bare = rest.is_empty() && !self.endpoint.contains(['?', '#']);
        let rule = "must have no path, query or fragment";
        (!is_bare).then_some(BrokenRule::new("target.endpoint", rule))
    }
}

impl S3TargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        let view: Self = read(settings)?;
        Ok(Self {
            has_secret_access_key: secrets.has("secret_access_key"),
            ..view
        })
    }
}
