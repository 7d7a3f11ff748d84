//! API keys: permanent tokens for programs.

use poem::Result;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{Id, List, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    id::ApiKeyId,
    secret,
    store::{
        access::api_keys::{self, ApiKey, NewApiKey},
        core::listing::ResourceOrder,
    },
    text::Name,
};

/// Permission of an API key. `write` includes `read`.
#[derive(Clone, Copy, PartialEq, Enum, Serialize, Deserialize)]
enum KeyScope {
    /// Read network connections, drivers, devices, data tables and integrations, with their data.
    #[oai(rename = "read")]
    #[serde(rename = "read")]
    Read,
    /// Read and change network connections, drivers, devices, data tables and integrations.
    #[oai(rename = "write")]
    #[serde(rename = "write")]
    Write,
    /// Read network connections.
    #[oai(rename = "network_connections:read")]
    #[serde(rename = "network_connections:read")]
    NetworkConnectionsRead,
    /// Read and change network connections.
    #[oai(rename = "network_connections:write")]
    #[serde(rename = "network_connections:write")]
    NetworkConnectionsWrite,
    /// Read drivers.
    #[oai(rename = "drivers:read")]
    #[serde(rename = "drivers:read")]
    DriversRead,
    /// Read, push, change and try drivers.
    #[oai(rename = "drivers:write")]
    #[serde(rename = "drivers:write")]
    DriversWrite,
    /// Read devices, their messages, state and downlinks, and follow events.
    #[oai(rename = "devices:read")]
    #[serde(rename = "devices:read")]
    DevicesRead,
    /// Read and change devices, and queue downlinks.
    #[oai(rename = "devices:write")]
    #[serde(rename = "devices:write")]
    DevicesWrite,
    /// Read data tables and their rows.
    #[oai(rename = "data_tables:read")]
    #[serde(rename = "data_tables:read")]
    DataTablesRead,
    /// Read and change data tables.
    #[oai(rename = "data_tables:write")]
    #[serde(rename = "data_tables:write")]
    DataTablesWrite,
    /// Read integrations and their deliveries, and follow their streams.
    #[oai(rename = "integrations:read")]
    #[serde(rename = "integrations:read")]
    IntegrationsRead,
    /// Read and change integrations, and resend deliveries.
    #[oai(rename = "integrations:write")]
    #[serde(rename = "integrations:write")]
    IntegrationsWrite,
}

/// API key to create.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewApiKey")]
struct NewKeyBody {
    /// Name of the API key, unique in the tenant.
    name: Name,
    /// Permissions of the API key.
    scopes: List<KeyScope, 1, 12>,
    /// Time at which the API key expires; it must be in the future. Omitted or null for a key that never expires.
    expires_at: Option<Timestamp>,
}

/// API key, without the key itself.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKey")]
struct KeyView {
    /// Unique identifier of the API key.
    id: Id,
    /// Name of the API key, unique in the tenant.
    name: String,
    /// Permissions of the API key.
    scopes: Vec<KeyScope>,
    /// Time at which the API key expires; null if it never expires.
    expires_at: Option<Timestamp>,
    /// Time of the last use, accurate to a minute; null if the API key has never been used.
    last_used_at: Option<Timestamp>,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of creation, because an API key never changes.
    updated_at: Timestamp,
}

/// API key, with the key itself.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyWithKey")]
struct KeyWithKey {
    #[oai(flatten)]
    #[serde(flatten)]
    view: KeyView,
    /// The key, to send as `Authorization: Bearer <key>`. It is returned only once.
    key: String,
}

/// Endpoints of `api-keys`.
pub struct ApiKeysApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::ApiKeys")]
impl ApiKeysApi {
    /// Create an API key
    ///
    /// Creates a permanent token for a program and returns it. The key itself is not returned again. The API
    /// key belongs to the tenant, so it remains valid when the user who created it is deleted. No scope gives
    /// access to users, API keys, tenants or the audit log. Requires the role `admin`.
    ///
    /// Fails with 400 if another API key of the tenant has the name, or if `expires_at` is not in the future.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create(&self, caller: Caller, body: Body<NewKeyBody>) -> Result<Created<KeyWithKey>> {
        let NewKeyBody {
            name,
            scopes,
            expires_at,
        } = body.0;
        let now = caller.scope().now();
        if expires_at.is_some_and(|at| at.0 <= now) {
            return Err(Error::field("expires_at", "must be in the future").into());
        }
        let (key, hash) = secret::new_api_key();
        let scopes = serde_json::to_value(scopes)
            .and_then(serde_json::from_value)
            .map_err(Error::internal)?;
        let new = NewApiKey {
            name: name.into_string(),
            scopes,
            expires_at: expires_at.map(|at| at.0),
        };
        let made = api_keys::insert(caller.scope(), new, &hash).await?;
        Ok(Created {
            location: format!("/api/v3/api-keys/{}", made.id),
            body: KeyWithKey {
                view: made.try_into()?,
                key,
            },
        })
    }

    /// List API keys
    ///
    /// Returns the API keys of your tenant with their last use, without the keys themselves. Filters are
    /// combined with AND. Requires the role `admin`.
    #[oai(path = "/api-keys", method = "get", operation_id = "list_api_keys")]
    async fn list(
        &self,
        caller: Caller,
        /// `true` for expired API keys only, `false` for valid ones only.
        expired: Query<Option<bool>>,
        /// Only API keys that expire before this time. Excludes API keys that never expire.
        expires_before: Query<Option<Timestamp>>,
        /// Text that the name must contain, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix it with `-` for descending order. Sorted by `created_at` if omitted.
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<KeyView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = api_keys::Filter {
            expired: expired.0,
            expires_before: expires_before.0.map(|time| time.0),
            search: q.0.map(Name::into_string),
        };
        let page = api_keys::list(caller.scope(), &filter, sort, &window.stretch).await?;
        Ok(window.answer(page.try_map(KeyView::try_from)?, |view| view)?)
    }

    /// Get an API key
    ///
    /// Returns an API key without the key itself. Requires the role `admin`. Fails with 404 if the API key does
    /// not exist.
    #[oai(path = "/api-keys/:id", method = "get", operation_id = "get_api_key")]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the API key.
        id: Path<Id>,
    ) -> Result<Single<KeyView>> {
        let key = api_keys::get(caller.scope(), ApiKeyId(**id)).await?;
        Ok(Single(key.try_into()?))
    }

    /// Delete an API key
    ///
    /// Deletes an API key and returns it. The next request with the key fails with 401. Requires the role
    /// `admin`. Fails with 404 if the API key does not exist.
    #[oai(
        path = "/api-keys/:id",
        method = "delete",
        operation_id = "delete_api_key"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the API key.
        id: Path<Id>,
    ) -> Result<Found<KeyView>> {
        let key = api_keys::delete(caller.scope(), ApiKeyId(**id)).await?;
        Ok(Found(key.try_into()?))
    }
}

impl TryFrom<ApiKey> for KeyView {
    type Error = Error;

    fn try_from(key: ApiKey) -> Result<Self, Error> {
        let scopes = key.made.scopes.into_iter().map(serde_json::Value::from);
        Ok(Self {
            id: Id::saturating(key.id.0),
            name: key.made.name,
            scopes: scopes
                .map(serde_json::from_value)
                .collect::<Result<_, _>>()
                .map_err(Error::internal)?,
            expires_at: key.made.expires_at.map(Timestamp),
            last_used_at: key.last_used_at.map(Timestamp),
            created_at: Timestamp(key.created_at),
            updated_at: Timestamp(key.updated_at),
        })
    }
}

/// An API key never changes.
impl Revised for KeyView {
    fn revision(&self) -> i64 {
        1
    }
}

impl Revised for KeyWithKey {
    fn revision(&self) -> i64 {
        self.view.revision()
    }
}
