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
            types::{Count, Id, RetentionDays, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::TenantId,
    store::{
        access::tenants::{self, NewTenant, Tenant},
        core::listing::ResourceOrder,
    },
    text::{Email, Name, NewPassword, NewUsername, PersonText},
};

/// Tenant to create.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewTenant")]
struct NewTenantBody {
    /// Name of the tenant, unique in the installation.
    name: Name,
    /// Time for which the tenant's uplinks are kept, in days from their arrival. Omitted or null to use the hub's setting
    /// `uplink_keep_days`. On PostgreSQL, uplinks may be kept up to a thirteenth longer, and at least up to a day. Rows
    /// of data tables have a retention of their own.
    retention_days: Option<RetentionDays>,
    /// First administrator of the tenant.
    administrator: Administrator,
}

/// First administrator of a tenant.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Administrator {
    /// Username, unique in the installation, ignoring case. Allowed characters are letters and digits of any
    /// script, `-`, `_`, `.` and inner spaces. The username must not mix scripts such as Latin and Cyrillic, and
    /// must not look like that of another user.
    username: NewUsername,
    /// Password. It must not contain the username or NUL characters, repeat a single character, or be easy to guess.
    password: NewPassword,
    /// Full name of the person; empty if omitted or null.
    full_name: Option<PersonText>,
    /// E-mail address of the person; empty if omitted or null.
    email: Option<Email>,
    /// Country of the person; empty if omitted or null.
    country: Option<PersonText>,
}

/// New values of a tenant.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantUpdate {
    /// Name of the tenant, unique in the installation.
    name: Name,
    /// Time for which the tenant's uplinks are kept, in days from their arrival. The hub deletes older uplinks in the
    /// background, on PostgreSQL up to a thirteenth of this time later, and at least up to a day. Omitted or null to use
    /// the hub's setting `uplink_keep_days`.
    retention_days: Option<RetentionDays>,
}

/// Tenant of the installation.
#[derive(Object, Serialize)]
#[oai(rename = "Tenant")]
struct TenantView {
    /// Unique identifier of the tenant.
    id: Id,
    /// Name of the tenant, unique in the installation.
    name: String,
    /// Time for which the tenant's uplinks are kept, in days from their arrival; null if the hub's setting
    /// `uplink_keep_days` applies.
    retention_days: Option<RetentionDays>,
    /// Number of the revision, which increases with every change by a client. The `ETag` header contains it.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change.
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
    /// Creates a tenant with its first administrator, who can then create other users. Requires an operator of the
    /// installation.
    ///
    /// Fails with 400 if another tenant has the name, if a user of any tenant has the username or one that looks
    /// like it, or if the password is too easy to guess.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewTenantBody>,
    ) -> Result<Created<TenantView>> {
        let NewTenantBody {
            name,
            retention_days,
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
            .create_tenant(
                caller.scope(),
                provisioned(name, retention_days),
                username,
                profile,
                &password,
            )
            .await?;
        Ok(Created {
            location: format!("/api/v3/tenants/{}", tenant.id),
            body: tenant.into(),
        })
    }

    /// List tenants
    ///
    /// Returns all tenants of the installation. Requires an operator of the installation.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
    async fn list(
        &self,
        caller: Caller,
        /// Text that the name must contain, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix it with `-` for descending order. Sorted by `created_at` if omitted.
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
    /// Returns the name and the retention of a tenant, and its times of creation and change. Requires an operator of the
    /// installation. Fails with 404 if the tenant does not exist.
    #[oai(path = "/tenants/:id", method = "get", operation_id = "get_tenant")]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the tenant.
        id: Path<Id>,
    ) -> Result<Single<TenantView>> {
        let tenant = tenants::get(caller.scope(), TenantId(**id)).await?;
        Ok(Single(tenant.into()))
    }

    /// Update a tenant
    ///
    /// Replaces the name and the retention of a tenant; an omitted field is reset to its default. Requires an operator of the installation. Fails with 400 if another tenant
    /// has the name, and with 404 if the tenant does not exist.
    #[oai(path = "/tenants/:id", method = "put", operation_id = "update_tenant")]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the tenant.
        id: Path<Id>,
        body: Body<TenantUpdate>,
    ) -> Result<Single<TenantView>> {
        let TenantUpdate {
            name,
            retention_days,
        } = body.0;
        let new = provisioned(name, retention_days);
        let tenant = tenants::update(caller.scope(), TenantId(**id), new).await?;
        Ok(Single(tenant.into()))
    }

    /// Delete a tenant
    ///
    /// Deletes a tenant with its users, API keys, network connections, devices, drivers, data tables, integrations
    /// and data, and returns it. All its sessions and keys stop working at once. The entries of its audit log stay in
    /// the database for `audit_keep_days` (setting of the hub), but no user can read them. Requires an operator of the
    /// installation.
    ///
    /// Fails with 400 if it is your own tenant, and with 404 if the tenant does not exist.
    #[oai(
        path = "/tenants/:id",
        method = "delete",
        operation_id = "delete_tenant"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the tenant.
        id: Path<Id>,
    ) -> Result<Found<TenantView>> {
        let tenant = tenants::delete(caller.scope(), TenantId(**id)).await?;
        Ok(Found(tenant.into()))
    }
}

fn provisioned(name: Name, retention_days: Option<RetentionDays>) -> NewTenant {
    NewTenant {
        name: name.into_string(),
        retention_days: retention_days.map(RetentionDays::stored),
    }
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: Id::saturating(tenant.id.0),
            name: tenant.provisioned.name,
            retention_days: tenant
                .provisioned
                .retention_days
                .map(RetentionDays::saturating),
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
