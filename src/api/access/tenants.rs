//! Tenants, for operators of the installation.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::users::{Role, profile};
use crate::{
    api::{
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::TenantId,
    store::{
        access::tenants::{self, Tenant},
        core::listing::ResourceOrder,
    },
    text::{Email, Name, NewPassword, NewUsername, PersonText},
};

/// A tenant to make
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewTenant")]
struct NewTenantBody {
    /// Unique in the installation
    name: Name,
    /// Its first administrator
    administrator: Administrator,
}

/// The first administrator of a tenant
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Administrator {
    /// Login name, unique in the installation whatever its case. It must not mix scripts such as Latin and
    /// Cyrillic, nor look like another user's name
    username: NewUsername,
    /// Password; it must not contain the username, and not be easy to guess
    password: NewPassword,
    /// The person's name
    full_name: Option<PersonText>,
    /// The person's e-mail address
    email: Option<Email>,
    /// The person's country
    country: Option<PersonText>,
}

/// What takes the place of a tenant
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantUpdate {
    /// Unique in the installation
    name: Name,
}

/// A tenant
#[derive(Object, Serialize)]
#[oai(rename = "Tenant")]
struct TenantView {
    /// Its id
    id: Id,
    /// Unique in the installation
    name: String,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

/// Endpoints of `tenants`.
pub struct TenantsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Tenants")]
impl TenantsApi {
    /// Create a tenant
    ///
    /// With its first administrator, who makes the other users. Only who manages the installation may.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewTenantBody>,
    ) -> Result<Created<TenantView>> {
        let NewTenantBody {
            name,
            administrator,
        } = body.0;
        let Administrator {
            username,
            password,
            full_name,
            email,
            country,
        } = administrator;
        let profile = profile(Role::Admin, false, full_name, email, country);
        let username = username.into_string();
        let tenant = self
            .hub
            .create_tenant(caller.scope(), &name, username, profile, &password)
            .await?;
        Ok(Created {
            location: format!("/api/v3/tenants/{}", tenant.id),
            body: tenant.into(),
        })
    }

    /// List tenants
    ///
    /// All of the installation.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those with this text in the name, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<TenantView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let page = tenants::list(caller.scope(), q.0.as_deref(), sort, &window.stretch).await?;
        Ok(window.answer(page, TenantView::from)?)
    }

    /// Get a tenant
    ///
    /// Its name, and since when it is there.
    #[oai(path = "/tenants/:id", method = "get", operation_id = "get_tenant")]
    async fn get(
        &self,
        caller: Caller,
        /// The tenant's id
        id: Path<Id>,
    ) -> Result<Single<TenantView>> {
        let tenant = tenants::get(caller.scope(), TenantId(**id)).await?;
        Ok(Single(tenant.into()))
    }

    /// Replace a tenant
    ///
    /// Gives it another name.
    #[oai(path = "/tenants/:id", method = "put", operation_id = "update_tenant")]
    async fn update(
        &self,
        caller: Caller,
        /// The tenant's id
        id: Path<Id>,
        body: Body<TenantUpdate>,
    ) -> Result<Single<TenantView>> {
        let tenant = tenants::update(caller.scope(), TenantId(**id), &body.0.name).await?;
        Ok(Single(tenant.into()))
    }

    /// Delete a tenant
    ///
    /// With all that it has: users, keys, connections, devices, data. Your own tenant stays. Answers
    /// what was deleted.
    #[oai(
        path = "/tenants/:id",
        method = "delete",
        operation_id = "delete_tenant"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The tenant's id
        id: Path<Id>,
    ) -> Result<Found<TenantView>> {
        let tenant = tenants::delete(caller.scope(), TenantId(**id)).await?;
        Ok(Found(tenant.into()))
    }
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: Id::saturating(tenant.id.0),
            name: tenant.name,
            revision: Count::saturating(tenant.revision),
            created_at: Timestamp(tenant.created_at),
            updated_at: Timestamp(tenant.updated_at),
        }
    }
}

impl Revised for TenantView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
