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
    clock,
    error::Error,
    id::ApiKeyId,
    secret,
    store::{
        access::api_keys::{self, ApiKey, NewApiKey},
        core::listing::ResourceOrder,
    },
    text::Name,
};

/// What an API key may do; whoever may write may read
#[derive(Clone, Copy, PartialEq, Enum, Serialize, Deserialize)]
enum KeyScope {
    /// Read all that is provisioned and all data
    #[oai(rename = "read")]
    #[serde(rename = "read")]
    Read,
    /// Read and provision everything
    #[oai(rename = "write")]
    #[serde(rename = "write")]
    Write,
    /// Read network connections
    #[oai(rename = "network_connections:read")]
    #[serde(rename = "network_connections:read")]
    NetworkConnectionsRead,
    /// Read and provision network connections
    #[oai(rename = "network_connections:write")]
    #[serde(rename = "network_connections:write")]
    NetworkConnectionsWrite,
    /// Read drivers
    #[oai(rename = "drivers:read")]
    #[serde(rename = "drivers:read")]
    DriversRead,
    /// Read and push drivers
    #[oai(rename = "drivers:write")]
    #[serde(rename = "drivers:write")]
    DriversWrite,
    /// Read devices and what they sent
    #[oai(rename = "devices:read")]
    #[serde(rename = "devices:read")]
    DevicesRead,
    /// Read and provision devices
    #[oai(rename = "devices:write")]
    #[serde(rename = "devices:write")]
    DevicesWrite,
    /// Read data tables and their rows
    #[oai(rename = "data_tables:read")]
    #[serde(rename = "data_tables:read")]
    DataTablesRead,
    /// Read and provision data tables
    #[oai(rename = "data_tables:write")]
    #[serde(rename = "data_tables:write")]
    DataTablesWrite,
    /// Read integrations and their deliveries
    #[oai(rename = "integrations:read")]
    #[serde(rename = "integrations:read")]
    IntegrationsRead,
    /// Read and provision integrations
    #[oai(rename = "integrations:write")]
    #[serde(rename = "integrations:write")]
    IntegrationsWrite,
}

/// An API key to make
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewApiKey")]
struct NewKeyBody {
    /// Unique in the tenant
    name: Name,
    /// What it may do
    scopes: List<KeyScope, 1, 12>,
    /// Until when it is valid; left out or null: until it is deleted
    expires_at: Option<Timestamp>,
}

/// An API key
#[derive(Object, Serialize)]
#[oai(rename = "ApiKey")]
struct KeyView {
    /// Its id
    id: Id,
    /// Unique in the tenant
    name: String,
    /// What it may do
    scopes: Vec<KeyScope>,
    /// Until when it is valid; null: until it is deleted
    expires_at: Option<Timestamp>,
    /// When it last opened something, to a minute; null before the first time
    last_used_at: Option<Timestamp>,
    /// When it was made
    created_at: Timestamp,
    /// When it was made: an API key does not change
    updated_at: Timestamp,
}

/// An API key with the key itself
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyWithKey")]
struct KeyWithKey {
    #[oai(flatten)]
    #[serde(flatten)]
    view: KeyView,
    /// Send it as `Authorization: Bearer <key>`; it is shown here and never again
    key: String,
}

/// Endpoints of `api-keys`.
pub struct ApiKeysApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::ApiKeys")]
impl ApiKeysApi {
    /// Create an API key
    ///
    /// Answers the key itself, which is not shown again. It belongs to the tenant, not to you: it
    /// goes on when you leave. No key can reach users, API keys, tenants or the audit log.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create(&self, caller: Caller, body: Body<NewKeyBody>) -> Result<Created<KeyWithKey>> {
        let NewKeyBody {
            name,
            scopes,
            expires_at,
        } = body.0;
        if expires_at.is_some_and(|at| at.0 <= clock::now()) {
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
    /// With their last use.
    #[oai(path = "/api-keys", method = "get", operation_id = "list_api_keys")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those whose time is over, or with `false` those that are valid
        expired: Query<Option<bool>>,
        /// Only those whose time is over before this
        expires_before: Query<Option<Timestamp>>,
        /// Only those with this text in the name, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
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
    /// Without the key itself.
    #[oai(path = "/api-keys/:id", method = "get", operation_id = "get_api_key")]
    async fn get(
        &self,
        caller: Caller,
        /// The API key's id
        id: Path<Id>,
    ) -> Result<Single<KeyView>> {
        let key = api_keys::get(caller.scope(), ApiKeyId(**id)).await?;
        Ok(Single(key.try_into()?))
    }

    /// Delete an API key
    ///
    /// It is dead on the next request. Answers what was deleted.
    #[oai(
        path = "/api-keys/:id",
        method = "delete",
        operation_id = "delete_api_key"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The API key's id
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
